"""A shop as GraphQL on Ariadne: queries, a mutation, errors of each kind."""

import time
import uuid
from datetime import datetime, timezone

from ariadne import MutationType, QueryType, make_executable_schema
from ariadne.asgi import GraphQL

TYPES = """
type Query {
    items(first: Int = 5): [Item!]!
    item(id: ID!): Item
    now: Now!
    broken: String
}
type Mutation { order(item: ID!, units: Int!): Order! }
type Subscription { sold: Item! }
type Item { id: ID!, name: String!, price: Float!, kind: Kind! }
type Order { id: ID!, item: Item!, units: Int!, at: String! }
type Now { time: String!, started: String! }
enum Kind { FRUIT TOOL }
"""
query, mutation = QueryType(), MutationType()
ITEMS = [
    {"id": n, "name": f"item {n}", "price": n / 4, "kind": "TOOL" if n % 2 else "FRUIT"} for n in range(1, 21)
]
STARTED = str(time.time())


@query.field("items")
def items(*_, first=5):
    """List items."""
    return ITEMS[:first]


@query.field("item")
def item(*_, id):
    """Return an item."""
    return ITEMS[int(id) - 1] if 0 < int(id) <= len(ITEMS) else None


@query.field("now")
def now(*_):
    """Return what differs by nature."""
    return {"time": datetime.now(timezone.utc).isoformat(), "started": STARTED}


@query.field("broken")
def broken(*_):
    """Fail."""
    raise ValueError("broken on purpose")


@mutation.field("order")
def order(*_, item, units):
    """Take an order."""
    at = datetime.now(timezone.utc).isoformat()
    return {"id": str(uuid.uuid4()), "item": ITEMS[int(item) - 1], "units": units, "at": at}


app = GraphQL(make_executable_schema(TYPES, query, mutation))
