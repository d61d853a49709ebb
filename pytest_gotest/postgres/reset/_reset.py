"""How a database is put back to its baseline: one small interface, and a class for each way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client, _databases
from pytest_gotest.postgres.reset import _batch, _catalogs
from pytest_gotest.postgres.reset._kept_rows import KeptRows
from pytest_gotest.postgres.reset._kept_sequences import KeptSequences
from pytest_gotest.postgres.reset._looking import Looked
from pytest_gotest.postgres.reset._recorded import Damaged, Recorded, Restored, settle
from pytest_gotest.postgres.reset._sessions import Locked, Sessions, StillOpen
from pytest_gotest.postgres.servers._provider import OURS, Instance

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

_TRIES = 10  # to record a state while somebody may still be writing
_PAUSE = 0.2
# Beside those of the system: what an extension made is its own.
_NOT_OF_EXTENSIONS = """c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e
  WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')"""


class Reset(Protocol):
    def restore(self) -> Restored:
        """Back to what the database held when this object was made. Raises `PostgresError`."""

    def above(self) -> Reset | None:
        """The way back to what the database holds now; None where that is the same, or there is none."""

    def close(self) -> None:
        """Our connections."""


def of(way: str, instance: Instance) -> Reset:
    """``way``: auto, truncate, template or none. Raises `PostgresError`."""
    ways = {"auto": Auto, "truncate": Truncate, "template": Template}
    if must_look(instance):
        ways |= {"auto": Looking, "truncate": LookingAway}
    return ways.get(way, Nothing)(instance)


def must_look(instance: Instance) -> bool:
    """Whether rows are compared one by one, within a schema or a role's rights: the log and replica role know neither."""
    return not instance.is_mighty or instance.schema is not None


class _Own:
    """What the ways have in common: a connection to another database, from which this one can be replaced."""

    _connection: psycopg.Connection[Any] | None = None  # to this one, where a way needs it

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._name = instance.server().dbname
        self._maintenance = self._enter()
        try:
            self._properties: list[str] = []
            if instance.schema is None:
                self._properties = _databases.properties(self._maintenance, self._name, self._name)
            self._record()
        except BaseException:
            self.close()
            raise

    def _enter(self) -> psycopg.Connection[Any]:
        return _client.connect_undisturbed(self._instance.maintenance().dsn(application_name=OURS))

    def _open(self) -> psycopg.Connection[Any]:
        self._shut()
        self._connection = _client.connect(self._instance.server().dsn(application_name=OURS))
        return self._connection

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _record(self) -> None:
        """Once more, for the database is another one."""

    def _try(self, record: Callable[[], T]) -> T:
        """What ``record`` gives once it gives something. Raises `PostgresError`."""
        for left in reversed(range(_TRIES)):
            try:
                return record()
            except Damaged as error:
                if not left:
                    raise PostgresError(
                        f"the baseline of {self._name} cannot be recorded: {error}",
                        hint="nobody else may write to it while tests run",
                    ) from error
                time.sleep(_PAUSE)
        raise AssertionError("unreachable")

    def restore(self) -> Restored:
        if not self._instance.is_up():
            return self._renew("the server was shut down", [], whole_server=True)
        return self._restore([])

    def _restore(self, leaks: list[str]) -> Restored:
        raise NotImplementedError

    def above(self) -> Reset | None:
        return type(self)(self._instance)

    def close(self) -> None:
        self._shut()
        self._maintenance.close()

    def _renew(self, why: str, leaks: list[str], *, whole_server: bool = False) -> Restored:
        """A new database, or a new server where that is not enough. Raises `PostgresError`."""
        import psycopg

        self._shut()
        kind = "clone"
        try:
            if self._maintenance.closed and not self._instance.has_server:
                self._maintenance = self._enter()
            if self._maintenance.closed or (whole_server and self._instance.has_server):
                raise _NotEnough
            self._instance.renew(self._maintenance)
            _databases.give(self._maintenance, self._properties)
        except (psycopg.Error, _NotEnough):
            kind = "recopy"
            self._maintenance.close()
            self._instance.recopy()
            self._maintenance = self._enter()
        self._record()
        return Restored(kind, why=why, leaks=tuple(leaks))


class _NotEnough(Exception):
    """A database cannot be had, or is not all that changed."""


class Auto(_Own):
    """The least that restores exactly: nothing, what was touched, the database, the server."""

    def _record(self) -> None:
        has_server = self._instance.has_server
        self._recorded = self._try(
            lambda: Recorded(self._open(), self._maintenance, has_server=has_server)
        )

    def _restore(self, leaks: list[str]) -> Restored:
        import psycopg

        try:
            return self._recorded.restore(leaks)
        except Damaged as error:
            whole, why = error.is_server_wide, str(error)
        except psycopg.Error as error:
            whole, why = False, _client.first_line(error)
        return self._renew(why, leaks, whole_server=whole)

    def above(self) -> Reset | None:
        return None if self._recorded.is_untouched() else Auto(self._instance)


class Looking(_Own):
    """The same for a role that may not read the log, or where others have schemas in the database."""

    _everything = False

    def _record(self) -> None:
        self._looked = self._try(lambda: Looked(self._open(), self._instance.schema))

    def _restore(self, leaks: list[str]) -> Restored:
        import psycopg

        try:
            return self._looked.restore(leaks, everything=self._everything)
        except (Damaged, psycopg.Error) as error:
            return self._renew(_client.first_line(error), leaks)


class LookingAway(Looking):
    """All tables truncated by a role that may not switch foreign keys off."""

    _everything = True


class Truncate(_Own):
    """All tables emptied, whatever was done to them, and those filled again that had rows; sequences set."""

    def _record(self) -> None:
        connection = self._open()
        settle(connection)
        self._sessions = Sessions(connection, "gotest_truncate")
        relations = _catalogs.relations(connection, _NOT_OF_EXTENSIONS).values()
        self._tables = [one for one in relations if one.kind == "r"]
        self._sequences = [one for one in relations if one.kind == "S"]
        with connection.transaction():
            self._kept_sequences = KeptSequences(connection, self._sequences)
            self._kept_rows = KeptRows(connection, "gotest_truncate", self._tables)

    def _restore(self, leaks: list[str]) -> Restored:
        import psycopg

        try:
            self._sessions.quiet(leaks)
            self._sessions.with_locks(self._refill, leaks)
        except (psycopg.Error, Locked, StillOpen) as error:
            return self._renew(_client.first_line(error), leaks)
        names = tuple(one.name for one in self._tables)
        return Restored("truncate", names, leaks=tuple(leaks))

    def _refill(self) -> None:
        if not self._tables:
            return
        assert self._connection is not None
        names = ", ".join(table.name for table in self._tables)
        statements = ["BEGIN", f"TRUNCATE {names} RESTART IDENTITY CASCADE"]
        for table in self._tables:
            if self._kept_rows.counts.get(table.oid):
                statements.append(self._kept_rows.fill(table))
        statements += self._kept_sequences.put_back(self._sequences)
        _batch.run(self._connection, *statements, "COMMIT")


class Template(_Own):
    """A new database each time, whatever was done to the old one."""

    def _restore(self, leaks: list[str]) -> Restored:
        return self._renew("as was asked for", leaks)

    def above(self) -> Reset | None:
        return None


class Nothing(_Own):
    """What one test leaves, the next one finds."""

    def _restore(self, leaks: list[str]) -> Restored:
        return Restored("none", wrote=False)

    def above(self) -> Reset | None:
        return None
