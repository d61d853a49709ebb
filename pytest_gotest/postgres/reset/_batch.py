"""Many statements in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

Rows = list[tuple[Any, ...]]


def run(connection: psycopg.Connection[Any], *statements: str) -> list[Rows]:
    """The rows of each statement that gives rows. Without parameters, for only then libpq sends several at once.

    Raises psycopg.Error.
    """
    got: list[Rows] = []
    if not statements:
        return got
    with connection.cursor() as cursor:
        cursor.execute(";\n".join(statements).encode())
        while True:
            if cursor.description is not None:
                got.append(cursor.fetchall())
            if not cursor.nextset():
                return got
