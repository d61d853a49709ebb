"""What a test gets by the fixture `gotest_db`: connections, rows, snapshots."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client, _databases, _transaction
from pytest_gotest.postgres._keeper import Keeper
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline import _load
from pytest_gotest.postgres.reset import _reset
from pytest_gotest.postgres.reset._looking import Looked
from pytest_gotest.postgres.reset._recorded import Damaged, Recorded
from pytest_gotest.postgres.servers._shared import Whole

if TYPE_CHECKING:
    import psycopg


class Database:
    """The worker's database, at its baseline when the test begins and put back when it ended."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._opened: list[psycopg.Connection[Any]] = []
        self._own: psycopg.Connection[Any] | None = None
        self._shared: _transaction.Shared | None = None
        self._snapshots = 0

    @property
    def server(self) -> Server:
        """How it is reached: `url`, `dsn()`, `host`, `port` and the like."""
        return self._keeper.server

    @property
    def url(self) -> str:
        return self.server.url

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """A connection of psycopg, closed when the test ends; ``options`` are psycopg's.

        With ``--gotest-reset=transaction``: the test's one connection, whose commits are savepoints. Raises
        `PostgresError` where that cannot be.
        """
        if self._keeper.way == "transaction":
            return self._transaction().connect(options)
        self._opened.append(_client.open(self.server.dsn(), **options))
        return self._opened[-1]

    def execute(self, query: Any, parameters: Any = None) -> psycopg.Cursor[Any]:
        """Run a statement and commit it. Gives a cursor: ``.fetchall()``, ``.fetchone()``."""
        if self._keeper.way == "transaction":
            return self._transaction().execute(query, parameters)
        if self._own is None or self._own.closed:
            self._own = self.connect(autocommit=True)
        return self._own.execute(query, parameters)

    def _transaction(self) -> _transaction.Shared:
        if self._shared is None:
            self._shared = _transaction.Shared(self.server.dsn())
        return self._shared

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All of ``table``, which may be qualified by a schema; in no order that could be relied on."""
        from psycopg import sql

        name = sql.Identifier(*table.split("."))
        cursor = self.execute(sql.SQL("SELECT * FROM {}").format(name))
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def load(self, *files: str | os.PathLike[str]) -> None:
        """The rows of ``.sql``, ``.csv``, ``.json`` and ``.yaml`` files, as gotest_seed reads them.

        Raises `PostgresError` that names file, line and what is wrong.
        """
        with self._loading() as connection:
            _load.files(connection, [Path(file) for file in files])

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows by column; gives them back as the table has them, with ids and defaults. Raises `PostgresError`."""
        with self._loading() as connection:
            return _load.insert(connection, table, rows)

    @contextlib.contextmanager
    def _loading(self) -> Iterator[psycopg.Connection[Any]]:
        if self._keeper.way == "transaction":
            yield self._transaction().lend()
        else:
            self.execute("SELECT 1")
            assert self._own is not None
            yield self._own

    def restore(self) -> None:
        """Back to the baseline now, in the middle of a test; a connection with an open transaction is ended."""
        self._release()
        self._keeper.restore()

    def snapshot(self, *, schema: bool = False) -> Snapshot:
        """The state of now, to come back to: by `restore`, or at the end of a ``with`` block.

        Rows, sequences and large objects come back. With ``schema`` everything does, but then all connections to the
        database are ended, now and then. Raises `PostgresError` while a transaction is open that has written.
        """
        self._snapshots += 1
        if self._keeper.way == "transaction":
            return _Savepoint(self._transaction(), f"gotest_snapshot_{self._snapshots}")
        if schema:
            name = f"{self.server.dbname}_snapshot_{self._snapshots}"
            return _Copy(self._keeper, name, self._release)
        return _Recording(self._keeper)

    def close(self) -> None:
        """The connections. Called when the test ended."""
        self._release()

    def _release(self) -> None:
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()
        opened, self._opened, self._own = self._opened, [], None
        for connection in opened:
            connection.close()


class Snapshot:
    """A state to come back to, as often as is wished."""

    def restore(self) -> None:
        """Raises `PostgresError` where the way back is not open."""
        raise NotImplementedError

    def close(self) -> None:
        """It is not needed any more."""

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.restore()
        finally:
            self.close()


class _Recording(Snapshot):
    def __init__(self, keeper: Keeper) -> None:
        instance = keeper.instance
        self._connections = contextlib.ExitStack()
        self._state: Recorded | Looked
        try:
            ours = self._connect(instance.server())
            if _reset.must_look(instance):
                self._state = Looked(ours, instance.schema)
            else:
                other = self._connect(instance.maintenance())
                self._state = Recorded(ours, other, has_server=False)
        except Damaged as error:
            self.close()
            raise PostgresError(
                f"a snapshot cannot be taken: {error}", hint="commit or roll back first"
            ) from error

    def _connect(self, server: Server) -> psycopg.Connection[Any]:
        return self._connections.enter_context(_client.connect(server.dsn()))

    def restore(self) -> None:
        import psycopg

        try:
            self._state.restore([])
        except (Damaged, psycopg.Error) as error:
            raise PostgresError(
                f"the snapshot cannot be restored: {error}",
                hint="snapshot(schema=True) also brings back what is more than rows",
            ) from error

    def close(self) -> None:
        self._connections.close()


class _Copy(Snapshot):
    def __init__(self, keeper: Keeper, name: str, release: Callable[[], None]) -> None:
        if keeper.instance.schema is not None or isinstance(keeper.instance, Whole):
            raise PostgresError(
                f"a snapshot of the schema cannot be taken: the database {keeper.server.dbname} is not this worker's alone",
                hint="leave out schema=True, or choose --gotest-isolation=database or server",
            )
        self._keeper = keeper
        self._name = name
        self._release = release  # of connections that will be ended
        release()
        dbname = keeper.server.dbname
        with self._maintenance() as connection:
            self._properties = _databases.properties(connection, dbname, dbname)
            _databases.keep(connection, dbname, name)

    @contextlib.contextmanager
    def _maintenance(self) -> Iterator[psycopg.Connection[Any]]:
        import psycopg

        try:
            with _client.connect(self._keeper.instance.maintenance().dsn()) as connection:
                yield connection
        except psycopg.Error as error:
            raise PostgresError(f"snapshot {self._name}: {error}") from error

    def restore(self) -> None:
        self._release()
        with self._maintenance() as connection:
            _databases.drop(connection, self._keeper.server.dbname)
            _databases.clone(connection, self._name, self._keeper.server.dbname)
            _databases.give(connection, self._properties)

    def close(self) -> None:
        with self._maintenance() as connection:
            _databases.drop(connection, self._name)


class _Savepoint(Snapshot):
    """Of the one transaction that the test has."""

    def __init__(self, shared: _transaction.Shared, name: str) -> None:
        self._shared = shared
        self._name = name
        shared.save(name)

    def restore(self) -> None:
        self._shared.come_back(self._name)

    def close(self) -> None:
        self._shared.forget(self._name)
