"""A small shop on Flask: redirects, cookies, JSON, errors, files that each instance writes at its own start."""

import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

from flask import Flask, abort, jsonify, make_response, redirect, request, session, url_for

static = Path("static")
static.mkdir(exist_ok=True)
(static / "site.css").write_text("body { color: black }\n" * 20)
(static / "site.js").write_text("let shop = 1;\n" * 20)

app = Flask("shop", static_folder=str(static.resolve()))
app.secret_key = "x" * 20

PAGE = """<!doctype html><html><head><link rel="stylesheet" href="/static/site.css">
<script src="/static/site.js"></script>
</head><body><a href="/">Home</a> <a href="/basket">Basket</a> <a href="/old">Old</a> <a href="/items">Items</a>
<form action="/basket" method="post"><input name="units"></form>%s</body></html>"""


@app.get("/")
def home():
    """Greet."""
    return PAGE % f"visits: {session.setdefault('visits', 1)}"


@app.get("/items/")
def items():
    """List items."""
    return PAGE % "".join(f'<a href="/items/{n}">item {n}</a>' for n in range(1, 9))


@app.get("/items/<int:number>")
def item(number):
    """Show an item."""
    if number > 8:
        abort(404)
    return PAGE % f"item {number}"


@app.get("/old")
def old():
    """Point to the new place."""
    return redirect(url_for("items"))


@app.post("/basket")
def put():
    """Fill the basket, and send the browser to it."""
    session["units"] = request.form.get("units", "1")
    response = redirect("/basket")
    response.set_cookie("last", "basket", samesite="Lax")
    return response


@app.get("/basket")
def basket():
    """Show the basket."""
    return PAGE % f"units: {session.get('units', 0)}"


@app.post("/api/orders")
def order():
    """Take an order as JSON."""
    data = request.get_json()
    return jsonify(
        order=data,
        day=date(2024, 1, 2),
        at=datetime(2024, 1, 2, 3, 4, tzinfo=timezone.utc),
        total=str(Decimal("1.50")),
    )


@app.get("/api/items")
def api_items():
    """List items as JSON."""
    return jsonify([{"name": f"café {n}", "id": n, "added": date(2024, 1, n)} for n in range(1, 6)])


@app.get("/api/secret")
def secret():
    """Need credentials."""
    if not request.authorization:
        response = make_response("no", 401)
        response.www_authenticate.set_basic("shop")
        return response
    return jsonify(user=request.authorization.username)


if __name__ == "__main__":
    from werkzeug.serving import make_server

    make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True).serve_forever()
