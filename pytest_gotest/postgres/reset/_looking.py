"""Back to the baseline without the rights of a superuser: every table is looked at, and those that differ are filled anew.

What a foreign key ties to them goes with them, children first, and comes back parents first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_gotest.postgres.reset import _batch, _catalogs
from pytest_gotest.postgres.reset._catalogs import Blocks, Digests, Relation
from pytest_gotest.postgres.reset._kept_rows import KeptRows
from pytest_gotest.postgres.reset._kept_sequences import KeptSequences
from pytest_gotest.postgres.reset._kept_views import KeptViews
from pytest_gotest.postgres.reset._recorded import Damaged, Restored, settle
from pytest_gotest.postgres.reset._sessions import Locked, Sessions, StillOpen

if TYPE_CHECKING:
    import psycopg

_NAME = "gotest_looking"
_DATABASE = "SELECT oid::int8 FROM pg_database WHERE datname = current_database()"
_FOREIGN_KEYS = "SELECT conrelid::int8, confrelid::int8 FROM pg_constraint WHERE contype = 'f'"
_TRIGGERS = (
    "SELECT DISTINCT tgrelid::int8 FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
)
# What is in a large object only its owner may read, and nobody else can have changed it.
_LARGE_OBJECTS = (
    "SELECT oid::int8, md5(lo_get(oid)) || coalesce(lomacl::text, '') FROM pg_largeobject_metadata"
    " WHERE pg_has_role(lomowner, 'USAGE')"
)
_CATALOGS = "c.oid < 16384 AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')"
_ALL = "c.oid >= 16384"


class Looked:
    """What is in ``connection``'s database as it is now, or in its ``schema`` alone, as far as a role may see it.

    Raises `Damaged` where somebody is writing, psycopg.Error.
    """

    def __init__(self, connection: psycopg.Connection[Any], schema: str | None) -> None:
        self._connection = connection
        settle(connection, is_mighty=False)
        self._sessions = Sessions(connection, _NAME, is_mighty=False, schema=schema)
        start = self._sessions.sight()
        if not start.is_quiet:
            raise Damaged(f"somebody is writing: {start}")
        self._own = schema
        [[(self._database,)]] = _batch.run(connection, _DATABASE)
        relations = _catalogs.relations(
            connection, _ALL if schema is None else f"{_ALL} AND n.nspname = '{schema}'"
        ).values()
        self._tables = {one.oid: one for one in relations if one.kind == "r"}
        self._sequences = {one.oid: one for one in relations if one.kind == "S"}
        catalogs = _catalogs.relations(connection, _CATALOGS).values()
        self._catalogs: dict[Relation, Blocks] = {
            one: None
            for one in catalogs
            if one.kind == "c" and _catalogs.is_of(one, has_server=False)
        }
        with connection.transaction():
            self._kept_sequences = KeptSequences(connection, self._sequences.values())
            self._kept_rows = KeptRows(connection, _NAME, self._tables.values())
        self._kept_views = KeptViews(connection, [one for one in relations if one.kind == "m"])
        self._schema = self._digests()
        self._objects = self._large_objects()
        [keys, triggers] = _batch.run(connection, _FOREIGN_KEYS, _TRIGGERS)
        self._keys = {(child, parent) for child, parent in keys if child != parent}
        self._hard = {oid for (oid,) in triggers} | self._kept_rows.hard.keys()

    def _digests(self) -> dict[int, Digests]:
        return _catalogs.digests(
            self._connection, self._database, self._catalogs, schema=self._own, is_users=True
        )

    def _large_objects(self) -> dict[int, str]:
        """Nobody knows of which schema one is."""
        if self._own is not None:
            return {}
        [objects] = _batch.run(self._connection, _LARGE_OBJECTS)
        return dict(objects)

    def restore(self, leaks: list[str], *, everything: bool = False) -> Restored:
        """``everything``: all tables are truncated, whatever was done to them. Raises `Damaged`, psycopg.Error."""
        restore = self._truncate if everything else self._restore
        try:
            self._sessions.quiet(leaks)
            return self._sessions.with_locks(lambda: restore(leaks), leaks)
        except (Locked, StillOpen) as error:
            raise Damaged(str(error)) from error

    def _truncate(self, leaks: list[str]) -> Restored:
        tables = self._in_order(set(self._tables))
        names = ", ".join(table.name for table in tables)
        empty = [f"TRUNCATE {names} RESTART IDENTITY CASCADE"] if tables else []
        self._fill(empty, tables, set(self._sequences))
        return Restored("truncate", tuple(table.name for table in tables), leaks=tuple(leaks))

    def _restore(self, leaks: list[str]) -> Restored:
        others = self._unlink()
        self._check_schema()
        differ = self._kept_rows.differing(self._tables.values())
        moved = self._kept_sequences.moved(self._sequences.values()) | self._kept_sequences.cached
        if not differ and not moved:
            others += self._refresh()
            kind = "delta" if others else "clean"
            return Restored(kind, others=others, leaks=tuple(leaks), wrote=bool(others))
        tied = self._tied_to(differ)
        if hard := {oid for oid in tied & self._hard if oid in self._kept_rows.counts}:
            names = ", ".join(self._tables[oid].name for oid in sorted(hard))
            raise Damaged(f"{names}: triggers or rules stand in the way of putting rows back")
        children_first = self._in_order(tied)
        empty = [f"DELETE FROM ONLY {table.name}" for table in children_first]
        self._fill(empty, children_first, moved)
        return Restored(
            "delta",
            tuple(table.name for table in children_first),
            tuple(self._sequences[oid].name for oid in sorted(moved)),
            others + self._refresh(),
            leaks=tuple(leaks),
        )

    def _check_schema(self) -> None:
        now = self._digests()
        changed = [
            one.name.removeprefix("pg_catalog.")
            for one in self._catalogs
            if not _catalogs.same(self._schema[one.oid], now[one.oid], None)
        ]
        if changed:
            raise Damaged(f"the schema changed ({', '.join(sorted(changed))})")

    def _unlink(self) -> tuple[str, ...]:
        now = self._large_objects()
        if any(now.get(oid) != known for oid, known in self._objects.items()):
            raise Damaged("a large object of the baseline changed")
        new = now.keys() - self._objects.keys()
        _batch.run(self._connection, *(f"SELECT lo_unlink({oid})" for oid in new))
        return (f"{len(new)} large objects",) if new else ()

    def _refresh(self) -> tuple[str, ...]:
        refreshed, wrong = self._kept_views.refresh()
        if wrong:
            raise Damaged(f"{', '.join(wrong)} cannot be refreshed to what it was")
        return tuple(refreshed)

    def _fill(self, empty: list[str], children_first: list[Relation], moved: set[int]) -> None:
        fill = [
            self._kept_rows.fill(table)
            for table in reversed(children_first)
            if table.oid in self._kept_rows.counts
        ]
        fill += self._kept_sequences.put_back(self._sequences[oid] for oid in sorted(moved))
        _batch.run(self._connection, "BEGIN", *empty, *fill, "COMMIT")

    def _tied_to(self, tables: Iterable[int]) -> set[int]:
        """And all that refer to them."""
        found, todo = set(tables), list(tables)
        while todo:
            parent = todo.pop()
            new = {child for child, of in self._keys if of == parent} - found
            found |= new
            todo += new
        return found & self._tables.keys()

    def _in_order(self, tables: set[int]) -> list[Relation]:
        """Children before those that they refer to. Raises `Damaged` where they go round in circles."""
        left, order = set(tables), []
        while left:
            free = {one for one in left if not any((child, one) in self._keys for child in left)}
            if not free:
                names = ", ".join(self._tables[oid].name for oid in sorted(left))
                raise Damaged(f"foreign keys go round in a circle: {names}")
            order += sorted(free)
            left -= free
        return [self._tables[oid] for oid in order]
