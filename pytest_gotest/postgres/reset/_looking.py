"""Back to the baseline without the rights of a superuser: every table is looked at, and those that differ are filled anew.

What a foreign key ties to them goes with them, children first, and comes back parents first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_gotest.postgres.reset import _batch, _catalogs
from pytest_gotest.postgres.reset._catalogs import Relation
from pytest_gotest.postgres.reset._kept_rows import KeptRows
from pytest_gotest.postgres.reset._kept_sequences import KeptSequences
from pytest_gotest.postgres.reset._recorded import Damaged, Restored, settle
from pytest_gotest.postgres.reset._sessions import Locked, Sessions, StillOpen

if TYPE_CHECKING:
    import psycopg

_NAME = "gotest_looking"
_FOREIGN_KEYS = "SELECT conrelid::int8, confrelid::int8 FROM pg_constraint WHERE contype = 'f'"
_TRIGGERS = (
    "SELECT DISTINCT tgrelid::int8 FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
)
# The schema as text, of what a role may read. ``{own}`` chooses the namespaces.
_SCHEMA = """WITH own AS (SELECT n.oid, n.nspname FROM pg_namespace n WHERE {own}),
c AS (SELECT c.* FROM pg_class c JOIN own ON own.oid = c.relnamespace WHERE c.relpersistence <> 't')
SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
  SELECT concat_ws(' ', 'class', oid, relname, relkind, relowner, relacl, reloptions, relrowsecurity, relpersistence,
    CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END, CASE WHEN relkind = 'i' THEN pg_get_indexdef(oid) END) AS line FROM c
  UNION ALL SELECT concat_ws(' ', 'column', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
    a.attidentity, a.attgenerated, a.attisdropped, a.attcollation, a.attacl, pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute a JOIN c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0
  UNION ALL SELECT concat_ws(' ', 'constraint', k.oid, k.conname, pg_get_constraintdef(k.oid), k.convalidated)
    FROM pg_constraint k JOIN own ON own.oid = k.connamespace
  UNION ALL SELECT concat_ws(' ', 'trigger', t.oid, t.tgenabled, pg_get_triggerdef(t.oid))
    FROM pg_trigger t JOIN c ON c.oid = t.tgrelid
  UNION ALL SELECT concat_ws(' ', 'policy', p::text) FROM pg_policy p JOIN c ON c.oid = p.polrelid
  UNION ALL SELECT concat_ws(' ', 'rule', pg_get_ruledef(r.oid)) FROM pg_rewrite r JOIN c ON c.oid = r.ev_class
  UNION ALL SELECT concat_ws(' ', 'sequence', s::text) FROM pg_sequence s JOIN c ON c.oid = s.seqrelid
  UNION ALL SELECT concat_ws(' ', 'function', f::text) FROM pg_proc f JOIN own ON own.oid = f.pronamespace
  UNION ALL SELECT concat_ws(' ', 'type', t.oid, t.typname, t.typtype, t.typnotnull, t.typdefault, t.typacl)
    FROM pg_type t JOIN own ON own.oid = t.typnamespace LEFT JOIN pg_class o ON o.oid = t.typrelid
    WHERE coalesce(o.relpersistence, 'p') <> 't'
  UNION ALL SELECT concat_ws(' ', 'label', e::text)
    FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN own ON own.oid = t.typnamespace
  UNION ALL SELECT concat_ws(' ', 'namespace', n.oid, n.nspname, n.nspacl) FROM pg_namespace n JOIN own USING (oid)
  UNION ALL SELECT concat_ws(' ', 'extension', extname, extversion) FROM pg_extension
  UNION ALL SELECT concat_ws(' ', 'comment', d.objoid, d.objsubid, d.description) FROM pg_description d JOIN c ON c.oid = d.objoid
) q"""
_ALL = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


class Looked:
    """The rows, sequences and schema of ``connection``'s database as they are now, or of its ``schema`` alone.

    Raises psycopg.Error.
    """

    def __init__(self, connection: psycopg.Connection[Any], schema: str | None) -> None:
        self._connection = connection
        settle(connection, is_mighty=False)
        self._sessions = Sessions(connection, _NAME, is_mighty=False, schema=schema)
        own = _ALL if schema is None else f"n.nspname = '{schema}'"
        self._fingerprint = _SCHEMA.format(own=own)
        relations = _catalogs.relations(connection, f"c.oid >= 16384 AND {own}").values()
        self._tables = {one.oid: one for one in relations if one.kind == "r"}
        self._sequences = {one.oid: one for one in relations if one.kind == "S"}
        with connection.transaction():
            self._kept_sequences = KeptSequences(connection, self._sequences.values())
            self._kept_rows = KeptRows(connection, _NAME, self._tables.values())
        [[(self._schema,)], keys, triggers] = _batch.run(
            connection, self._fingerprint, _FOREIGN_KEYS, _TRIGGERS
        )
        self._keys = {(child, parent) for child, parent in keys if child != parent}
        self._hard = {oid for (oid,) in triggers} | self._kept_rows.hard.keys()

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
        [[(schema,)]] = _batch.run(self._connection, self._fingerprint)
        if schema != self._schema:
            raise Damaged("the schema changed")
        differ = self._kept_rows.differing(self._tables.values())
        moved = self._kept_sequences.moved(self._sequences.values()) | self._kept_sequences.cached
        if not differ and not moved:
            return Restored("clean", leaks=tuple(leaks))
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
            leaks=tuple(leaks),
        )

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
