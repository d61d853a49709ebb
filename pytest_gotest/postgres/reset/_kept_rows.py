"""The rows that tables had: kept in a temporary table of our session, compared by version, put back where they are missing.

A version of a row never changes: the same place (ctid) and the same transaction id (xmin) in the same file are the
same row. So what is compared is a pair of numbers, and only in the blocks that were touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count as numbers
from typing import TYPE_CHECKING, Any

from pytest_gotest.postgres.reset import _batch
from pytest_gotest.postgres.reset._catalogs import Blocks, Relation, between, runs

if TYPE_CHECKING:
    import psycopg

_MANY_RUNS = 8  # of touched blocks, beyond which one pass over the table is cheaper
_FEW_ROWS = 200  # up to so many a table is put back in its physical order too
_SPARE = 1 << 20  # bytes that a table may outgrow thrice its size before it is vacuumed
_AT_ONCE = 100  # SELECTs in one UNION: the planner's time grows faster than their number

# Tables that DELETE and INSERT in replica role do not put back exactly.
_HARD = """SELECT tgrelid, format('trigger %I fires in replica role too', tgname) FROM pg_trigger WHERE tgenabled IN ('A', 'R')
UNION ALL SELECT ev_class, format('rule %I applies in replica role too', rulename) FROM pg_rewrite WHERE ev_enabled IN ('A', 'R')
UNION ALL SELECT c.oid, format('its access method is %I', amname) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
  WHERE c.relkind = 'r' AND a.amname <> 'heap'
UNION ALL SELECT a.attrelid, format('column %I is of xml, whose text has no declaration', a.attname) FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid WHERE 'xml'::regtype IN (t.oid, t.typelem, t.typbasetype)"""
_COLUMNS = """SELECT a.attrelid, json_agg(format('%%I', a.attname) ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''),
  string_agg(format('x.%%I IS DISTINCT FROM (%%s)', a.attname, pg_get_expr(d.adbin, d.adrelid)), ' OR ')
    FILTER (WHERE a.attgenerated = 's')
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY('{%s}') AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1"""


class KeptRows:
    """Of ``tables``, as they are in the transaction that ``connection`` has open. ``name`` is of a table to be made."""

    def __init__(
        self, connection: psycopg.Connection[Any], name: str, tables: Iterable[Relation]
    ) -> None:
        self._connection = connection
        self._name = name
        self._kept = f"pg_temp.{name}"
        self._prepared: dict[int, list[str]] = {}
        self._numbers = numbers()
        names = {table.oid: table.name for table in tables}
        # As text: every type's own output, and no dependency on any type. The number is the physical order.
        _batch.run(
            connection,
            f"CREATE TEMP TABLE {name} (rel oid, tid tid, xid xid, n int8, line text)",
            *(
                f"INSERT INTO {self._kept} SELECT {oid}, x.ctid, x.xmin, row_number() OVER (), (x.*)::text FROM ONLY {table} x"
                for oid, table in names.items()
            ),
            f"CREATE INDEX ON {self._kept} (rel, tid)",
            f"ANALYZE {self._kept}",
        )
        [[(self._oid,)], counts, sizes] = _batch.run(
            connection,
            f"SELECT '{self._kept}'::regclass::oid",
            f"SELECT rel, count(*) FROM {self._kept} GROUP BY 1",
            f"SELECT o, 3 * pg_relation_size(o) + {_SPARE}"
            f" FROM unnest('{{{_list(names)}}}'::oid[] || '{self._kept}'::regclass::oid) o",
        )
        self.counts: dict[int, int] = dict(counts)
        self._limits: dict[int, int] = dict(sizes)
        hard, columns = _batch.run(connection, _HARD, _COLUMNS % _list(self.counts))
        self.hard: dict[int, str] = dict(hard)
        self._columns: dict[int, list[str]] = {oid: given or [] for oid, given, _ in columns}
        for oid, _, differs in columns:
            if differs and self._any(f"FROM ONLY {names[oid]} x WHERE {differs}"):
                self.hard[oid] = "a generated column is not what its expression gives"

    def _any(self, what: str) -> bool:
        [rows] = _batch.run(self._connection, f"SELECT {what} LIMIT 1")
        return bool(rows)

    def differing(self, tables: Iterable[Relation]) -> set[int]:
        """Those that do not have just the versions of rows that they had; exact without any log."""
        return {oid for (oid,) in union(self._connection, map(self._differs, tables))}

    def _differs(self, table: Relation) -> str:
        count = self.counts.get(table.oid)
        if not count:
            return f"SELECT {table.oid}::oid WHERE EXISTS (SELECT FROM ONLY {table.name})"
        return (
            f"SELECT {table.oid}::oid WHERE (SELECT ROW(count(*), count(b.tid)) FROM ONLY {table.name} x"
            f" LEFT JOIN {self._kept} b ON b.rel = {table.oid} AND b.tid = x.ctid AND b.xid = x.xmin)"
            f" <> ROW({count}::int8, {count}::int8)"
        )

    def fill(self, table: Relation) -> str:
        """A statement for a table that is empty."""
        return self._refill(table, None, f"{self._kept} b WHERE b.rel = {table.oid}", "false")

    def put_back(self, table: Relation, blocks: Blocks, is_new_file: bool) -> Iterable[str]:
        """Statements, for replica role: out with the rows that are strangers, in with those that are missing.

        ``is_new_file``: places and ids mean nothing in it.
        """
        count = self.counts.get(table.oid, 0)
        if not count:
            return [f"DELETE FROM ONLY {table.name}"]
        if count > _FEW_ROWS or is_new_file:
            return self._statements(table, count, blocks, is_new_file)
        # What is written to once is written to again: to plan them takes longer than to run them.
        if table.oid not in self._prepared:
            names, todo = [], []
            for statement in self._statements(table, count, None, False):
                names.append(f"{self._name}_row_{next(self._numbers)}")
                todo.append(f"PREPARE {names[-1]} AS {statement}")
            _batch.run(self._connection, *todo)
            self._prepared[table.oid] = [f"EXECUTE {name}" for name in names]
        return self._prepared[table.oid]

    def _statements(
        self, table: Relation, count: int, blocks: Blocks, is_new_file: bool
    ) -> Iterator[str]:
        is_small = count <= _FEW_ROWS
        spans: list[tuple[int, int] | None] = [None]
        if blocks and not is_new_file and not is_small and len(found := runs(blocks)) <= _MANY_RUNS:
            spans = [*found]
        same = "false" if is_new_file else "b.tid = x.ctid AND b.xid = x.xmin"
        kept = f"{self._kept} b WHERE b.rel = {table.oid}"
        for span in spans:
            yield (
                f"DELETE FROM ONLY {table.name} x WHERE {between('x.ctid', span)}"
                f" AND NOT EXISTS (SELECT FROM {kept} AND {between('b.tid', span)} AND {same})"
            )
        if is_small:
            # Is one missing, all go and come: a SELECT without ORDER BY is to see them as it did.
            yield (
                f"DELETE FROM ONLY {table.name} WHERE (SELECT count(*) FROM ONLY {table.name}) < {count}"
            )
        for span in spans:
            yield self._refill(table, span, kept, same)

    def _refill(self, table: Relation, span: tuple[int, int] | None, kept: str, same: str) -> str:
        """What is missing goes in, and is kept under its new place and id."""
        columns = self._columns.get(table.oid, [])
        into = f"({', '.join(columns)})" if columns else ""
        values = ", ".join(f"(q.line).{column}" for column in columns)
        return (
            f"WITH gone AS (DELETE FROM {kept} AND {between('b.tid', span)} AND NOT EXISTS (SELECT FROM ONLY {table.name} x"
            f" WHERE {between('x.ctid', span)} AND {same}) RETURNING b.n, b.line),"
            f" back AS (INSERT INTO {table.name} AS x {into} OVERRIDING SYSTEM VALUE SELECT {values}"
            f" FROM (SELECT line::{table.name} FROM gone ORDER BY n OFFSET 0) q RETURNING x.ctid, x.xmin, (x.*)::text AS line)"
            f" INSERT INTO {self._kept} SELECT {table.oid}, ctid, xmin,"
            f" (ARRAY(SELECT n FROM gone ORDER BY n))[row_number() OVER ()], line FROM back"
        )

    def overgrown(self, tables: Iterable[int]) -> str:
        """An expression, the names of those that have grown beyond their limits, ours among them."""
        limits = {oid: self._limits[oid] for oid in (self._oid, *tables)}
        return (
            f"to_json(ARRAY(SELECT o::regclass::text FROM unnest('{{{_list(limits)}}}'::oid[], '{{{_list(limits.values())}}}'::int8[])"
            " u(o, size) WHERE pg_relation_size(o) > size))"
        )


def union(connection: psycopg.Connection[Any], selects: Iterable[str]) -> _batch.Rows:
    todo, found = list(selects), []
    for first in range(0, len(todo), _AT_ONCE):
        [rows] = _batch.run(connection, " UNION ALL ".join(todo[first : first + _AT_ONCE]))
        found += rows
    return found


def _list(values: Iterable[object]) -> str:
    return ",".join(map(str, values))
