"""Write `shop.db`: the same products, categories and orders each time."""

import random
import sqlite3

draw = random.Random(7)
database = sqlite3.connect("shop.db")
database.executescript(
    """
    create table category (id integer primary key, name text);
    create table product (
        id integer primary key, name text, price real, category_id integer references category (id), added text
    );
    create table orders (id integer primary key, product_id integer references product (id), units integer);
    create view cheap as select id, name, price from product where price < 20;
    """
)
names = ("Tools", "Garden", "Kitchen", "Books", "Toys")
database.executemany("insert into category values (?, ?)", enumerate(names, 1))
for number in range(1, 241):
    price = draw.randint(100, 9999) / 100
    row = (number, f"Product {number}", price, draw.randint(1, 5), f"2024-0{draw.randint(1, 9)}-11")
    database.execute("insert into product values (?, ?, ?, ?, ?)", row)
for number in range(1, 601):
    database.execute(
        "insert into orders values (?, ?, ?)", (number, draw.randint(1, 240), draw.randint(1, 9))
    )
database.commit()
