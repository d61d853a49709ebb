"""What a customer can do over HTTP, and what the database has of it."""

from __future__ import annotations

import pytest


def book(isbn: str, **changes: object) -> dict[str, object]:
    return {
        "isbn": isbn,
        "title": "A book",
        "author": "An author",
        "price_cents": 2000,
        "stock": 5,
    } | changes


def test_is_healthy(shop) -> None:
    assert shop.get("/healthz").body == {"status": "ok"}


def test_a_new_book_is_found(shop) -> None:
    added = shop.post("/books", book("0-8044-2957-X", title="Found in Translation"))
    assert added.status == 201
    assert added.body["isbn"] == "9780804429573"
    assert added.body in shop.get("/books?q=translation").body


def test_an_order_takes_books_out_of_stock(shop) -> None:
    shop.post("/books", book("9780134190440"))
    placed = shop.post("/orders", {"lines": [{"isbn": "9780134190440", "quantity": 2}]})
    assert placed.status == 201
    assert placed.body["quote"]["total_cents"] == 2 * 2000 + 495
    assert shop.get("/books/9780134190440").body["stock"] == 3
    assert shop.get(placed.headers["Location"]).body == placed.body


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param([], 400, id="empty"),
        pytest.param([{"isbn": "9780441172719", "quantity": 1}], 404, id="unknown book"),
        pytest.param([{"isbn": "9780441172719", "quantity": 0}], 400, id="no copies"),
    ],
)
def test_a_bad_order_is_refused(shop, lines, status) -> None:
    answer = shop.post("/orders", {"lines": lines})
    assert answer.status == status
    assert answer.body["error"]


def test_what_the_seeds_have_is_on_sale(shop) -> None:
    assert [book["stock"] for book in shop.get("/books?q=algorithms").body] == [2]


@pytest.mark.parametrize("customer", ["first", "second"])
def test_the_last_copies(shop, gotest_db, customer) -> None:
    """Of which both customers find two: what a test did is undone behind the running service."""
    placed = shop.post("/orders", {"lines": [{"isbn": "9780262033848", "quantity": 2}]})
    assert placed.status == 201
    [order] = gotest_db.rows("orders")
    assert (order["id"], order["total_cents"]) == (1, 2 * 8999)
    assert shop.get("/books/9780262033848").body["stock"] == 0


def test_a_thousand_books(shop, gotest_db) -> None:
    gotest_db.execute(
        "INSERT INTO books SELECT 'x' || n, 'Book ' || n, 'Many', 100, 1 FROM generate_series(1, 1000) n"
    )
    assert len(shop.get("/books?q=many").body) == 1000
