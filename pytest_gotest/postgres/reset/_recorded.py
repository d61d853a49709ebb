"""A database's state, recorded, and the way back that touches only what was changed since.

Rows, sequences, large objects and materialized views are put back; that the schema and what concerns the whole server
are as they were is made sure of. Where they are not, `Damaged` says so: then the database is to be thrown away.

1. Was no transaction id given out since, nothing was written.
2. Otherwise the log tells the files and blocks that were (`_wal`). Unlogged tables are always looked at.
3. Touched catalogs must hold the rows that they held (`_catalogs`).
4. Touched tables get their rows back (`_kept_rows`), moved sequences their values (`_kept_sequences`).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client, _databases
from pytest_gotest.postgres.reset import _batch, _catalogs
from pytest_gotest.postgres.reset._catalogs import PG_CLASS, Blocks, Digests, Relation
from pytest_gotest.postgres.reset._kept_rows import KeptRows
from pytest_gotest.postgres.reset._kept_sequences import KeptSequences
from pytest_gotest.postgres.reset._kept_views import KeptViews
from pytest_gotest.postgres.reset._sessions import Locked, Sessions, Sight, StillOpen
from pytest_gotest.postgres.reset._wal import FileKey, Log, Mark, Touched
from pytest_gotest.postgres.servers._provider import OURS

if TYPE_CHECKING:
    import psycopg

_LOCK_TIMEOUT = 200  # ms

# Whatever a database or a role has set by default, dumps are to be exact, and nothing is to stop us.
_SETTINGS = {
    "synchronous_commit": "on",
    "session_replication_role": "replica",
    "event_triggers": "off",
    "row_security": "off",
    "default_transaction_isolation": "'read committed'",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "array_nulls": "on",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "'UTC'",
    "xmloption": "content",
    "jit": "off",
    "synchronize_seqscans": "off",
    "enable_nestloop": "off",  # no statistics keep up with what is put back
    "client_min_messages": "error",
    "lock_timeout": str(_LOCK_TIMEOUT),
}
_EVENT_TRIGGERS = 170000  # since then they can be switched off
_NAMED = f"SET application_name = '{OURS}'"
_SINCE = {
    "idle_session_timeout": 140000,
    "transaction_timeout": 170000,
    "event_triggers": _EVENT_TRIGGERS,
}
_OF_SUPERUSERS = {"session_replication_role", "event_triggers"}

_LARGE_OBJECTS = (
    "SELECT concat((SELECT md5(string_agg(ROW(x.*)::text, '' ORDER BY oid)) FROM pg_largeobject_metadata x),"
    " (SELECT md5(string_agg(md5(ROW(x.*)::text), '' ORDER BY loid, pageno)) FROM pg_largeobject x))"
)
_ALWAYS = "SELECT quote_ident(evtname) FROM pg_event_trigger WHERE evtenabled IN ('A', 'R')"
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Restored:
    """``kind``: clean, delta, clone or recopy. ``why``: of the last two. ``leaks``: what was left open and had to be ended.

    ``wrote``: whether somebody wrote, as far as that is known, be it that he put it back himself.
    """

    kind: str
    tables: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    others: tuple[str, ...] = ()  # materialized views refreshed, large objects unlinked
    why: str = ""
    leaks: tuple[str, ...] = ()
    wrote: bool = True


class Damaged(Exception):
    """More than rows and sequences differ: ``is_server_wide`` when more than this database does."""

    def __init__(self, why: str, *, is_server_wide: bool = False) -> None:
        super().__init__(why)
        self.is_server_wide = is_server_wide


@dataclass(slots=True)
class _Work:
    """Of one restore: what is to be put back, by oid, and what was done already in the open transaction."""

    relations: Mapping[int, Relation]  # as they are now
    moved: dict[int, Relation]  # the recorded ones that may have another file or name now
    hits: dict[int, Blocks]
    replaced: set[int]  # those that have another file
    tables: set[int] = field(default_factory=set)
    sequences: set[int] = field(default_factory=set)
    others: list[str] = field(default_factory=list)
    is_open: bool = False

    def of_kind(self, kind: str) -> set[int]:
        return {oid for oid in (*self.hits, *self.replaced) if self.relations[oid].kind == kind}


class Recorded:
    """The state of ``connection``'s database as it is now; the log is read by ``other``, to a database that stays.

    Both are ours alone, in autocommit, of superusers. ``has_server``: nobody else has anything on the server, and what
    concerns it as a whole is part of the state. Raises `Damaged` where the state cannot be pinned down, for somebody is
    writing; psycopg.Error.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        other: psycopg.Connection[Any],
        *,
        has_server: bool = True,
    ) -> None:
        self._connection = connection
        self._other = other
        self._has_server = has_server
        settle(connection)
        other.execute(_NAMED.encode())
        [[(level, self._database)]] = _batch.run(
            connection,
            "SELECT current_setting('wal_level'), oid::int8 FROM pg_database WHERE datname = current_database()",
        )
        self._log = Log(other, self._database, self._others() if has_server else ())
        if level == "minimal":
            self._log.is_readable = False  # writes of new tables are not in it
        name = f"gotest_baseline_{next(_NUMBERS)}"
        self._sessions = Sessions(connection, name, has_server=has_server)
        try:
            self._record(name)
        finally:
            connection.rollback()

    def _run(self, *statements: str) -> list[_batch.Rows]:
        return _batch.run(self._connection, *statements)

    def _others(self) -> tuple[int, ...]:
        """Databases that nobody but a test has any business in; what it makes and leaves is no other's."""
        [rows] = self._run(
            "SELECT oid::int8 FROM pg_database WHERE datallowconn AND datname <> current_database()"
        )
        return tuple(oid for (oid,) in rows)

    # Recording

    def _record(self, name: str) -> None:
        start = self._sessions.sight()
        if not start.is_quiet:
            raise Damaged(f"somebody is writing: {start}")
        self._start = start
        self._run("BEGIN")
        before = _catalogs.relations(self._connection).values()
        self._kept_sequences = KeptSequences(
            self._connection, [one for one in before if one.kind == "S"]
        )
        self._files = _catalogs.relations(self._connection)
        self._relations = {one.oid: one for one in self._files.values()}
        tables = self._of_kind("r")
        self._unlogged = [one for one in tables if not one.is_logged]
        self._unlogged_sequences = [one for one in self._of_kind("S") if not one.is_logged]
        self._kept_rows = KeptRows(self._connection, name, tables)
        [objects] = self._run("SELECT oid FROM pg_largeobject_metadata")
        self._object_oids = ",".join(str(oid) for (oid,) in objects)
        self._objects = self._large_objects()
        self._kept_views = KeptViews(self._connection, self._of_kind("m"))
        self._schema = self._digests(
            dict.fromkeys(
                one.oid
                for one in self._of_kind("c")
                if _catalogs.is_of(one, has_server=self._has_server)
            )
        )
        # Catalogs that have the rows they had, but not where we know them.
        self._stale: set[int] = set()
        self._mark, _ = self._commit(start.mark, ())
        if self._mark.skip:
            # Somebody else got an id meanwhile: harmless, if it was not for this database.
            touched = self._log.touched(self._mark, self._sessions.sight().until)
            if (
                self._differs()
                if touched.blocks is None
                else any(map(self._is_ours, touched.blocks))
            ):
                raise Damaged("somebody was writing")

    def _differs(self) -> bool:
        """Whether anything is not what was recorded; by looking at everything."""
        sequences = [
            one for one in self._of_kind("S") if one.oid not in self._kept_sequences.cached
        ]
        now = self._digests(dict.fromkeys(self._schema))
        return (
            bool(self._kept_rows.differing(self._of_kind("r")))
            or bool(self._kept_sequences.moved(sequences))
            or not all(_catalogs.same(self._schema[oid], now[oid], None) for oid in now)
        )

    def _is_ours(self, file: FileKey) -> bool:
        """Whether it can only be written to from within this database, and means something."""
        one = self._files.get(file)
        return one is not None and one.kind != "x" and (self._has_server or not one.is_shared)

    def _of_kind(self, kind: str) -> list[Relation]:
        return [one for one in self._relations.values() if one.kind == kind]

    def _digests(self, catalogs: dict[int, Blocks]) -> dict[int, Digests]:
        return _catalogs.digests(
            self._connection,
            self._database,
            {self._relations[oid]: blocks for oid, blocks in catalogs.items()},
            has_server=self._has_server,
        )

    def _large_objects(self) -> str:
        [[(digest,)]] = self._run(_LARGE_OBJECTS)
        return str(digest)

    # Restoring

    def is_untouched(self) -> bool:
        """Whether nothing has been written, and nobody has anything open that was not open then."""
        if self._unlogged_sequences:  # which use up no id
            return False
        now = self._sessions.sight()
        return now.until.next_xid == self._mark.next_xid and self._sessions.is_known(now)

    def restore(self, leaks: list[str]) -> Restored:
        """Put it back; what was left open is told in ``leaks``.

        Raises `Damaged` and psycopg.Error, after which this object is of no more use.
        """
        try:
            return self._sessions.with_locks(lambda: self._restore(leaks), leaks)
        except Locked as error:
            raise Damaged(str(error)) from error
        except StillOpen as error:
            raise Damaged(str(error), is_server_wide=True) from error

    def _restore(self, leaks: list[str]) -> Restored:
        now = self._sessions.quiet(leaks)
        if self._has_server:
            now = self._check_server(now, leaks)
        has_written = now.until.next_xid != self._mark.next_xid
        if not has_written and not self._unlogged_sequences:
            return Restored("clean", leaks=tuple(leaks), wrote=False)
        touched = self._log.touched(self._mark, now.until) if has_written else Touched({})
        blocks, used = touched.blocks, touched.used
        if touched.is_elsewhere:
            raise Damaged("another database of the server was written to", is_server_wide=True)
        work = self._resolve(blocks)
        catalogs: dict[int, Blocks] = {
            oid: None if oid in work.replaced or oid in self._stale else work.hits[oid]
            for oid in work.of_kind("c") & self._schema.keys()
        }
        if catalogs or work.of_kind("l"):
            self._unlink(work)
        digests = self._digests(catalogs)
        self._check_schema(catalogs, digests)
        self._choose(work, is_known=blocks is not None, has_written=has_written)
        mark = self._put_back(work, now.mark, used)
        for oid, looked_at in catalogs.items():
            known = self._schema[oid]
            known.update({block: [] for block in (known if looked_at is None else looked_at)})
            known.update(digests[oid])
        self._stale -= {oid for oid, looked_at in catalogs.items() if looked_at is None}
        if work.others or work.sequences & self._kept_sequences.cached:
            self._stale = set(self._schema)  # ALTER SEQUENCE and REFRESH move rows of catalogs
        self._mark = mark
        self._moved(work.moved)
        # ANALYZE comes by itself, and writes to pg_class.
        files = catalogs.keys() - {PG_CLASS} or work.of_kind("r") or work.of_kind("l")
        return Restored(
            "delta" if work.tables or work.sequences or work.others else "clean",
            tuple(work.relations[oid].name for oid in sorted(work.tables)),
            tuple(work.relations[oid].name for oid in sorted(work.sequences)),
            tuple(work.others),
            leaks=tuple(leaks),
            wrote=bool(files or work.tables or work.sequences or work.others),
        )

    def _check_server(self, now: Sight, leaks: list[str]) -> Sight:
        if now.settings != self._start.settings:
            raise Damaged("ALTER SYSTEM changed the server's settings", is_server_wide=True)
        if now.slots != self._start.slots:
            raise Damaged("replication slots came or went", is_server_wide=True)
        if missing := self._start.databases - now.databases:
            raise Damaged(f"databases are gone: {', '.join(sorted(missing))}", is_server_wide=True)
        new = sorted(now.databases - self._start.databases)
        if not new:
            return now
        import psycopg

        for name in new:
            leaks.append(f"left a database behind: {name}")
            try:
                _databases.drop(self._other, name)
            except psycopg.Error as error:  # it has a subscription, say
                raise Damaged(
                    f"the database {name} cannot be dropped: {_client.first_line(error)}",
                    is_server_wide=True,
                ) from error
        return self._sessions.quiet(leaks)

    def _resolve(self, blocks: dict[FileKey, set[int]] | None) -> _Work:
        """The recorded relations as they are now, and which blocks of which were touched."""
        files: dict[FileKey, Relation] = {}  # those read anew
        hits: dict[int, Blocks] = {}
        if blocks is None:
            files = _catalogs.relations(self._connection)
            hits = dict.fromkeys(self._relations)
        else:
            if rows := blocks.get(self._relations[PG_CLASS].file):
                files = _catalogs.relations(self._connection, _catalogs.within("c.ctid", rows))
            if any(file not in files and file not in self._files for file in blocks):
                files = _catalogs.relations(self._connection)
            found: dict[int, set[int]] = {}
            for file, touched in blocks.items():
                # Else it came, or came and went.
                one = files.get(file) or self._files.get(file)
                if one and one.oid in self._relations:
                    found.setdefault(one.oid, set()).update(touched)
            hits |= found
        moved = {one.oid: one for one in files.values() if one.oid in self._relations}
        replaced = {
            oid
            for oid, one in moved.items()
            if one.kind != "x" and self._relations[oid].file != one.file
        }
        return _Work(ChainMap(moved, self._relations), moved, hits, replaced)

    def _moved(self, relations: dict[int, Relation]) -> None:
        for oid, one in relations.items():
            self._files.pop(self._relations[oid].file, None)
            self._relations[oid] = one
        self._files |= {one.file: one for one in relations.values()}

    def _unlink(self, work: _Work) -> None:
        """Large objects that are not ours go; whether those that are ours changed is looked at."""
        unlink = f"SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE oid <> ALL('{{{self._object_oids}}}')"
        [unlinked] = self._run("BEGIN", unlink)
        work.is_open = True
        if unlinked:
            work.others.append(f"{len(unlinked)} large objects")
        if work.of_kind("l") and self._large_objects() != self._objects:
            raise Damaged("a large object of the baseline changed")

    def _check_schema(self, catalogs: dict[int, Blocks], digests: dict[int, Digests]) -> None:
        changed = [
            self._relations[oid]
            for oid, blocks in catalogs.items()
            if not _catalogs.same(self._schema[oid], digests[oid], blocks)
        ]
        if changed:
            names = ", ".join(sorted(one.name.removeprefix("pg_catalog.") for one in changed))
            # Of what is shared only pg_shdepend changes with this database alone.
            shared = [
                one for one in changed if one.is_shared and not one.name.endswith("pg_shdepend")
            ]
            raise Damaged(f"the schema changed ({names})", is_server_wide=bool(shared))

    def _choose(self, work: _Work, *, is_known: bool, has_written: bool) -> None:
        """Which tables and sequences are to be put back. ``is_known``: the log told."""
        tables, sequences = work.of_kind("r"), work.of_kind("S")
        now = work.relations
        if not is_known:
            tables = (tables & work.replaced) | self._kept_rows.differing(
                now[oid] for oid in tables - work.replaced
            )
            moved = self._kept_sequences.moved(now[oid] for oid in sequences)
            sequences = moved | self._kept_sequences.cached
        elif has_written:
            tables |= self._kept_rows.differing(
                now[one.oid] for one in self._unlogged if one.oid not in work.replaced
            )
        sequences |= self._kept_sequences.moved(now[one.oid] for one in self._unlogged_sequences)
        hard = tables & self._kept_rows.hard.keys()
        if damaged := self._kept_rows.differing(now[oid] for oid in hard):
            why = (f"{now[oid].name}: {self._kept_rows.hard[oid]}" for oid in sorted(damaged))
            raise Damaged("; ".join(why))
        work.tables, work.sequences = tables - hard, sequences

    def _put_back(self, work: _Work, now: Mark, used: tuple[int, ...]) -> Mark:
        statements = [] if work.is_open else ["BEGIN"]
        for oid in sorted(work.tables):
            is_new = oid in work.replaced
            statements += self._kept_rows.put_back(work.relations[oid], work.hits.get(oid), is_new)
        statements += self._kept_sequences.put_back(
            work.relations[oid] for oid in sorted(work.sequences)
        )
        if views := work.of_kind("m"):
            self._run(*statements)
            statements = []
            refreshed, wrong = self._kept_views.refresh(work.relations[oid] for oid in views)
            if wrong:
                raise Damaged(f"{', '.join(wrong)} cannot be refreshed to what it was")
            work.others += refreshed
        files: Iterable[Relation] = ()
        if work.others or work.sequences & self._kept_sequences.cached:
            self._run(*statements)
            statements = []
            # Before the commit: afterwards they could be somebody else's.
            files = _catalogs.relations(self._connection).values()
        mark = Mark(now.lsn, now.next_xid + len(used))
        if not (work.tables or work.sequences or work.others):
            self._connection.rollback()
            return mark
        mark, overgrown = self._commit(now, used, *statements, grown=work.tables)
        if not mark.skip:
            work.moved |= {one.oid: one for one in files if one.oid in self._relations}
        for name in overgrown:  # nobody else vacuums a temporary table
            self._run(f"VACUUM (ANALYZE, SKIP_LOCKED) {name}")
        return mark

    def _commit(
        self, before: Mark, used: tuple[int, ...], *statements: str, grown: Iterable[int] = ()
    ) -> tuple[Mark, list[str]]:
        """The mark behind the commit, if nobody else got an id since ``before``; else ``before``, and our ids to skip.
        And the names of tables to be vacuumed."""
        *_, [(own,)], [(lsn, xid, overgrown)] = self._run(
            *statements,
            "SELECT pg_current_xact_id_if_assigned()::xid::text",
            "COMMIT",
            "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8, age('3'::xid),"
            f" {self._kept_rows.overgrown(grown)}",
        )
        ids = (*used, *([int(own)] if own else ()))
        is_alone = xid - before.next_xid == len(ids)
        mark = Mark(lsn, xid) if is_alone else Mark(before.lsn, -1, skip=ids)
        return mark, overgrown


def settle(connection: psycopg.Connection[Any], *, is_mighty: bool = True) -> None:
    """So that dumps are exact and nothing stops us, as far as a role may that is not ``is_mighty``.

    Raises `PostgresError` where something would act that cannot be stopped.
    """
    # Or psycopg sends DEALLOCATE ALL after a rollback, and what we have prepared is gone.
    connection.prepare_threshold = None
    version = connection.info.server_version
    left_out = {name for name, since in _SINCE.items() if version < since}
    if not is_mighty:
        left_out |= _OF_SUPERUSERS
    known = [name for name in _SETTINGS if name not in left_out]
    # There names may be anything, and the server refuses to call them UTF-8.
    raw = connection.info.parameter_status("server_encoding") == "SQL_ASCII"
    encoding = ["SET client_encoding = SQL_ASCII"] if raw else []
    _batch.run(
        connection, _NAMED, *encoding, *(f"SET {name} = {_SETTINGS[name]}" for name in known)
    )
    if is_mighty and version < _EVENT_TRIGGERS:
        [always] = _batch.run(connection, _ALWAYS)
        if always:
            raise PostgresError(
                f"the event trigger {always[0][0]} fires whatever the session's role, and so for the tables that rows are kept in",
                hint="enable it plainly, or choose --gotest-reset=template, or PostgreSQL 17 and newer",
            )
