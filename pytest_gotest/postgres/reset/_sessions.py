"""What goes on in a database beside us: transactions that are open, locks that are held; and an end to it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pytest_gotest.postgres.reset import _batch
from pytest_gotest.postgres.reset._wal import Mark
from pytest_gotest.postgres.servers._provider import OURS

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

_TRIES = 3  # to get the locks, ending those that have them in between
_GRACE = 0.05  # seconds for what is about to end by itself
_PATIENCE = 5.0  # seconds for what cannot be ended by us: autovacuum, a replication worker
_PAUSE = 0.005
_ENDED_WITHIN = 2000  # ms for a session that was told to end

# Of the function, for the view pg_stat_activity joins names to it that nobody here asks for.
_ACTIVITY = "pg_stat_get_activity(NULL)"
_OTHERS = f"{{where}} AND pid <> pg_backend_pid() AND application_name <> '{OURS}'"
_HERE = "datid = {database}"
# Those that outlive a transaction. Who has one is looked up only if there is one.
_ADVISORY = (
    "SELECT json_agg(json_build_array(l.pid, l.classid::int8, l.objid::int8, l.objsubid)) FROM pg_lock_status() l"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.database = {database} AND l.pid <> pg_backend_pid()"
    f" AND (SELECT a.application_name FROM pg_stat_get_activity(l.pid) a) IS DISTINCT FROM '{OURS}'"
)
# In this order, or a commit between the two goes unseen.
_QUESTIONS = (
    # `age` of any fixed id tells the next one, without using up any.
    "SELECT age('3'::xid), (pg_current_wal_insert_lsn() - '0/0')::int8, {settings},"
    " to_json(ARRAY(SELECT slot_name FROM pg_get_replication_slots())), to_json(ARRAY(SELECT datname FROM pg_database))",
    "SELECT count(*) FILTER (WHERE backend_type = 'client backend'),"
    " json_agg(json_build_array(pid, backend_type = 'client backend', backend_xid IS NOT NULL, coalesce(state, backend_type),"
    "  extract(epoch FROM now() - xact_start), coalesce(extract(epoch FROM xact_start), 0), left(query, 200)))"
    "  FILTER (WHERE " + _OTHERS + " AND {whose}"
    "   AND (xact_start IS NOT NULL AND backend_type = 'client backend' OR backend_xid IS NOT NULL)),"
    " to_json(ARRAY(SELECT quote_literal(p.gid) FROM pg_prepared_xact() p WHERE p.dbid = {database})),"
    " to_json(ARRAY(SELECT quote_literal(p.gid) FROM pg_prepared_xact() p WHERE p.dbid <> {database} AND {has_server})),"
    f" CASE WHEN count(*) FILTER (WHERE {_OTHERS}) > 0 THEN ({_ADVISORY}) END,"
    # Once more, and after the sessions were counted: who committed since the first question has written before this.
    " age('3'::xid), (pg_current_wal_insert_lsn() - '0/0')::int8,"
    f" pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() FROM {_ACTIVITY}",
)
_SETTINGS = "md5(pg_read_file('postgresql.auto.conf', 0, 1 << 20, true))"
_AT_WORK_IN = (
    "pid IN (SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
    " WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = '{schema}'))"
)
# What no query takes, or waits for, that only reads.
_STRONG = "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'relation' AND mode NOT IN ('AccessShareLock', 'RowShareLock')"
_IDLE = (
    f"SELECT pid FROM {_ACTIVITY} WHERE backend_type = 'client backend' AND {_OTHERS}"
    " AND state = 'idle' AND backend_start > to_timestamp({since})"
)


# A word, or all of a quoted text, though its end may be cut off.
_PASSWORD = re.compile(
    r"""(?i)(password["']?\s*[=:]?\s*(?:U&|E)?)('(?:[^']|'')*'?|"[^"]*"?|[^\s'",;)]+)"""
)
_IN_URL = re.compile(r"(://[^\s:/@]*:)[^\s@]+(?=@)")


def _hidden(match: re.Match[str]) -> str:
    quote = match[2][0] if match[2][0] in "'\"" else ""
    return f"{match[1]}{quote}***{quote}"


class Transaction(NamedTuple):
    """An open one. ``age`` and ``begun`` in seconds, the latter since 1970."""

    pid: int
    is_client: bool
    has_written: bool
    state: str
    age: float | None
    begun: float
    query: str

    def __str__(self) -> str:
        age = "" if self.age is None else f" for {self.age:.1f} s"
        query = _PASSWORD.sub(_hidden, " ".join(self.query.split()))
        query = _IN_URL.sub(r"\1***", query)
        printable = query.encode(errors="replace").decode()
        return f"{self.state}{age} (pid {self.pid}): {printable}"


class Advisory(NamedTuple):
    pid: int
    key1: int
    key2: int
    form: int


@dataclass(frozen=True, slots=True)
class Sight:
    """A moment. ``settings`` (a digest), ``slots``, ``databases`` and ``clients`` are the whole server's.

    What was committed when the sessions were looked at lies before ``until``; whatever lies behind ``mark`` may be new.
    """

    mark: Mark
    until: Mark
    settings: str
    slots: frozenset[str]
    databases: frozenset[str]
    clients: int
    transactions: tuple[Transaction, ...]
    prepared: tuple[str, ...]  # their names, as literals
    prepared_elsewhere: tuple[str, ...]  # in other databases of a server that is ours alone
    advisory: frozenset[Advisory]

    def __str__(self) -> str:
        """Who can still commit something."""
        return "; ".join((*map(str, self.transactions), *self.prepared, *self.prepared_elsewhere))

    @property
    def is_quiet(self) -> bool:
        """Nobody can still commit anything."""
        return not (self.prepared or self.prepared_elsewhere) and not any(
            one.has_written for one in self.transactions
        )


class StillOpen(Exception):
    """A transaction that cannot be ended."""


class Locked(Exception):
    """Somebody has a lock, and ending who may have it did not help."""


class Sessions:
    """Those of others in the database of ``connection``; our own have the name `OURS`.

    ``is_mighty``: as a superuser, who may read files of the server. With ``schema`` only sessions count that have a lock
    on something in it, for the others may be those of other workers. ``has_server``: transactions in all databases count,
    for roles and the like are written from any.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        name: str,
        *,
        is_mighty: bool = True,
        schema: str | None = None,
        has_server: bool = False,
    ) -> None:
        self._connection = connection
        settings = _SETTINGS if is_mighty else "''"
        self._is_alone = schema is None
        whose = "true" if schema is None else _AT_WORK_IN.format(schema=schema)
        oid = "SELECT oid::int8 FROM pg_database WHERE datname = current_database()"
        [[(self._database,)]] = _batch.run(connection, oid)
        given = {
            "settings": settings,
            "whose": whose,
            "database": self._database,
            "where": _HERE.format(database=self._database) if not has_server else "true",
            "has_server": has_server,
        }
        prepare = (
            f"PREPARE {name}_{number} AS {question.format(**given)}"
            for number, question in enumerate(_QUESTIONS)
        )
        _batch.run(connection, *prepare)
        # In transactions of their own: within one, `age` answers the same again.
        self._look = ["BEGIN", f"EXECUTE {name}_0", "COMMIT", f"EXECUTE {name}_1"]
        limit = (
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        [[(self._limit,)]] = _batch.run(connection, limit)
        seen = self.sight()
        self._known = seen.advisory
        self._long = {(one.pid, one.begun) for one in seen.transactions}  # told already
        [[(self._since,)]] = _batch.run(connection, "SELECT extract(epoch FROM clock_timestamp())")

    def sight(self) -> Sight:
        [first], [second] = _batch.run(self._connection, *self._look)
        xid, lsn, settings, slots, databases = first
        clients, transactions, prepared, elsewhere, advisory, end_xid, end, end_flushed = second
        return Sight(
            Mark(lsn, xid),
            Mark(end, end_xid, end_flushed),
            settings,
            frozenset(slots),
            frozenset(databases),
            clients,
            tuple(Transaction(*row) for row in transactions or ()),
            tuple(prepared) if self._is_alone else (),
            tuple(elsewhere),
            frozenset(Advisory(*row) for row in advisory or ()),
        )

    def is_known(self, seen: Sight) -> bool:
        """Whether nobody has a transaction or a lock that was not there at the baseline."""
        new = {(one.pid, one.begun) for one in seen.transactions} - self._long
        return seen.is_quiet and not new and seen.advisory <= self._known

    def quiet(self, leaks: list[str]) -> Sight:
        """A moment behind which nobody can still commit anything. Who has to be ended for it is told in ``leaks``.

        Raises `StillOpen`.
        """
        begun = time.monotonic()
        while True:
            seen = self.sight()
            new = {(one.pid, one.begun) for one in seen.transactions} - self._long
            if seen.is_quiet and not new:
                break
            waited = time.monotonic() - begun
            if waited < _GRACE and not seen.prepared:
                time.sleep(_PAUSE)
                continue
            if not self._end_open(seen, leaks):
                if seen.is_quiet:
                    break
                if waited > _PATIENCE:
                    what = "; ".join(map(str, seen.transactions))
                    raise StillOpen(f"a transaction does not end: {what}")
                time.sleep(_PAUSE)
        if self._is_alone:
            self._end_advisory(seen, leaks)
            self._end_idle(seen, leaks)
        return seen

    def _end_open(self, seen: Sight, leaks: list[str]) -> bool:
        """Whether there was something that could be ended."""
        if seen.prepared_elsewhere:
            names = ", ".join(seen.prepared_elsewhere)
            leaks.append(f"left a prepared transaction in another database: {names}")
            raise StillOpen(f"transactions prepared in another database: {names}")
        for gid in seen.prepared:
            leaks.append(f"left a prepared transaction: {gid}")
            _batch.run(self._connection, f"ROLLBACK PREPARED {gid}")
        clients = [one for one in seen.transactions if one.is_client]
        [strong] = _batch.run(self._connection, _STRONG) if clients else [[]]
        ended = []
        for one in clients:
            is_locking = (one.pid,) in strong
            if one.has_written or is_locking or one.state.startswith("idle"):
                ended.append(one.pid)
                leaks.append(f"left a transaction open, {one}")
            elif (one.pid, one.begun) not in self._long:
                self._long.add((one.pid, one.begun))
                leaks.append(f"left a query running, {one}")
        self._end(ended)
        return bool(ended or seen.prepared)

    def _end_advisory(self, seen: Sight, leaks: list[str]) -> None:
        """Those in transactions have gone with them; those from before the baseline are nobody's fault."""
        new = seen.advisory - self._known - {one for one in seen.advisory if one.pid in _pids(seen)}
        for lock in sorted(new):
            key = lock.key1 << 32 | lock.key2 if lock.form == 1 else f"{lock.key1}, {lock.key2}"
            leaks.append(f"left an advisory lock held: {key} (pid {lock.pid})")
        self._end(sorted({lock.pid for lock in new}))

    def _end_idle(self, seen: Sight, leaks: list[str]) -> None:
        """So many connections that the next test could hardly get one."""
        if self._limit - seen.clients > max(2, self._limit // 10):
            return
        [rows] = _batch.run(
            self._connection,
            _IDLE.format(where=_HERE.format(database=self._database), since=self._since),
        )
        if rows:
            leaks.append(f"left {len(rows)} connections open, of {self._limit} that there can be")
        self._end([pid for (pid,) in rows])

    def with_locks(self, work: Callable[[], T], leaks: list[str]) -> T:
        """What ``work`` gives, which is rolled back and tried again when it does not get a lock. Raises `Locked`."""
        from psycopg import errors

        for left in reversed(range(_TRIES)):
            try:
                return work()
            except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
                if not left:
                    raise Locked(f"locked: {error}") from error
                self._connection.rollback()
                self._end_transactions(leaks)
            finally:
                if not self._connection.closed:
                    self._connection.rollback()
        raise AssertionError("unreachable")

    def _end_transactions(self, leaks: list[str]) -> None:
        """All that are open: one of them has the lock that we waited for."""
        clients = [one for one in self.sight().transactions if one.is_client]
        leaks += [f"held a lock, {one}" for one in clients]
        self._end([one.pid for one in clients])

    def _end(self, pids: Sequence[int]) -> None:
        # Before 14 it does not wait.
        wait = f", {_ENDED_WITHIN}" if self._connection.info.server_version >= 140000 else ""
        ends = (f"SELECT pg_terminate_backend({pid}{wait})" for pid in pids)
        _batch.run(self._connection, *ends)


def _pids(seen: Sight) -> set[int]:
    return {one.pid for one in seen.transactions}
