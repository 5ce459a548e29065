"""A small shop on FastAPI: items with validation, orders, pages of a list, a form and a header."""

from datetime import date
from decimal import Decimal
from typing import List, Optional

from fastapi import FastAPI, Form, Header, HTTPException, Query
from pydantic import BaseModel, Field

app = FastAPI(title="Shop")


class Item(BaseModel):
    """What is sold."""

    name: str = Field(..., min_length=3, max_length=40)
    price: Decimal = Field(..., gt=0)
    url: Optional[str] = None
    tags: List[str] = []


class Order(BaseModel):
    """Who buys how many."""

    item: int
    units: int = Field(..., ge=1, le=100)
    email: str
    day: date = date(2024, 1, 1)


class Page(BaseModel):
    """A page of items."""

    items: List[Item]
    total: int


ITEMS = [Item(name=f"item {number}", price=Decimal(number) / 4, tags=["a", "b"]) for number in range(1, 41)]


@app.get("/items", response_model=Page)
def items(skip: int = Query(0, ge=0), limit: int = Query(10, ge=1, le=20)):
    """List items."""
    return {"items": ITEMS[skip : skip + limit], "total": len(ITEMS)}


@app.get("/items/{number}", response_model=Item)
def item(number: int):
    """Return one item."""
    if not 0 < number <= len(ITEMS):
        raise HTTPException(404, "no such item")
    return ITEMS[number - 1]


@app.post("/items", response_model=Item, status_code=201)
def create(new: Item):
    """Take an item."""
    return new


@app.post("/orders")
def order(new: Order):
    """Take an order."""
    return {"order": new, "total": new.units * 2}


@app.post("/login")
def login(user: str = Form(...), password: str = Form(...)):
    """Take a form."""
    return {"user": user, "welcome": len(password) > 3}


@app.get("/secret")
def secret(x_key: str = Header(...), debug: bool = False):
    """Need a header."""
    return {"ok": True, "debug": debug}
