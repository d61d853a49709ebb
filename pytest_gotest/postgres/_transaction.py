"""One connection inside a transaction that is never committed; what its user commits is a savepoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client

if TYPE_CHECKING:
    import psycopg

_SAVEPOINT = "gotest_committed"


class Shared:
    """The connection of a test to ``dsn``, lent to one user at a time."""

    def __init__(self, dsn: str) -> None:
        from psycopg import Connection

        class Lent(Connection[Any]):
            """Its transaction goes on whatever is said to it."""

            lent = False

            def commit(self) -> None:
                self._point(f"RELEASE SAVEPOINT {_SAVEPOINT}")

            def rollback(self) -> None:
                self._point(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")

            def close(self) -> None:
                if self.lent and not self.closed:
                    self.rollback()
                self.lent = False

            def _point(self, end: str) -> None:
                self.run(end)
                self.run(f"SAVEPOINT {_SAVEPOINT}")

            def run(self, statement: str) -> None:
                with self.cursor() as cursor:
                    cursor.execute(statement.encode())

            def set_autocommit(self, value: bool) -> None:
                if value:
                    raise PostgresError(
                        "autocommit was asked for, but with --gotest-reset=transaction a connection lives in one transaction",
                        hint="leave it out and commit(), or choose another --gotest-reset",
                    )

        self._connection: Any = _client.open(dsn, kind=Lent)
        self._run()

    def connect(self, options: dict[str, Any]) -> psycopg.Connection[Any]:
        """Raises `PostgresError` while somebody else has it, and for what a transaction cannot be."""
        options = dict(options)
        if options.pop("autocommit", False):
            self._connection.set_autocommit(True)
        if self._connection.lent:
            raise PostgresError(
                "a second connection was asked for, but with --gotest-reset=transaction a test has one",
                hint="close the first one, or choose another --gotest-reset",
            )
        for name in ("row_factory", "cursor_factory", "prepare_threshold"):
            if name in options:
                setattr(self._connection, name, options.pop(name))
        if options:
            raise PostgresError(
                f"{', '.join(options)}: with --gotest-reset=transaction a test has one connection, which is there already",
                hint="choose another --gotest-reset",
            )
        self._connection.lent = True
        lent: psycopg.Connection[Any] = self._connection
        return lent

    def lend(self) -> psycopg.Connection[Any]:
        """For work of ours, which is to succeed or fail as a whole."""
        own: psycopg.Connection[Any] = self._connection
        return own

    def execute(self, query: Any, parameters: Any) -> psycopg.Cursor[Any]:
        """As if committed at once; a failure undoes the statement alone."""
        with self._connection.transaction():
            cursor: psycopg.Cursor[Any] = self._connection.execute(query, parameters)
        return cursor

    def save(self, name: str) -> None:
        """A point to come back to, below the one that commits move."""
        self._run(f"RELEASE SAVEPOINT {_SAVEPOINT}", f"SAVEPOINT {name}")

    def come_back(self, name: str) -> None:
        self._run(f"ROLLBACK TO SAVEPOINT {name}")

    def forget(self, name: str) -> None:
        self._run(f"RELEASE SAVEPOINT {name}")

    def _run(self, *statements: str) -> None:
        for statement in (*statements, f"SAVEPOINT {_SAVEPOINT}"):
            self._connection.run(statement)

    def close(self) -> None:
        """And nothing has happened."""
        self._connection.lent = False
        self._connection.pgconn.finish()
