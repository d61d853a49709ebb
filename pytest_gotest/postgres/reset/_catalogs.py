"""What a database consists of: its relations and their files, and its schema as digests of the catalogs' rows.

A catalog is a table: if the rows in its touched blocks are the same set as before, so is the schema. Rows that are
written anew with what they had, as TRUNCATE does in pg_class and CREATE OR REPLACE in pg_proc, are told by their content;
of those that nobody writes anew, the system's own and columns, it is enough, and many times as fast, that their versions
are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_gotest.postgres.reset import _batch
from pytest_gotest.postgres.reset._wal import FileKey

if TYPE_CHECKING:
    import psycopg

Blocks = Collection[int] | None  # of a table's main fork; None: all of them
Digests = dict[
    int, list[str]
]  # of a catalog's rows, by block: one for each, and one for all that are told by version

PG_CLASS = 1259
_PUBLIC = 2200  # PG_PUBLIC_NAMESPACE (catalog/pg_namespace.dat)
_FIRST_OF_USERS = 16384  # FirstNormalObjectId (access/transam.h)


class Relation(NamedTuple):
    """``kind``: r table, m materialized view, S sequence, c catalog, l large objects, x nothing of its own.

    ``name`` is qualified and quoted.
    """

    file: FileKey
    oid: int
    name: str
    kind: str
    is_logged: bool
    is_shared: bool


# pg_largeobject and its metadata; statistics, which mean nothing to a schema. Of toast tables and indexes it is enough
# to know that they are there: what changes in them changes their table as well.
_RELATIONS = f"""SELECT coalesce(nullif(c.reltablespace, 0), d.dattablespace), pg_relation_filenode(c.oid), c.oid,
  format('%I.%I', n.nspname, c.relname),
  CASE WHEN c.oid IN ('pg_largeobject'::regclass, 'pg_largeobject_metadata'::regclass) THEN 'l'
    WHEN c.oid IN ('pg_statistic'::regclass, 'pg_statistic_ext_data'::regclass) THEN 'x'
    WHEN c.relkind = 'r' AND c.oid < {_FIRST_OF_USERS} THEN 'c'
    WHEN c.relkind IN ('r', 'm', 'S') THEN c.relkind::text ELSE 'x' END,
  c.relpersistence <> 'u', c.relisshared
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_database d ON d.datname = current_database()
WHERE c.relpersistence <> 't' AND c.relkind IN ('r', 'm', 'S', 'i', 't') AND pg_relation_filenode(c.oid) IS NOT NULL
  AND """

# Columns that vacuum, statistics or a new file change without changing what the schema means.
_VOLATILE = frozenset(
    (
        *("relfilenode", "relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid"),
        *("relminmxid", "relhasindex", "relhasrules", "relhastriggers", "relhassubclass"),
        *("relispopulated", "indcheckxmin", "datfrozenxid", "datminmxid", "dathasloginevt"),
    )
)
# With a new file a table has a new toast table; of that one only the options are schema.
_INSTEAD = {
    "reltoastrelid": "(SELECT ROW(t.reloptions) FROM pg_class t WHERE t.oid = x.reltoastrelid)"
}
# Columns that tell whose row it is. The first of a catalog that is there is its own.
_WHOSE = (
    *("oid", "attrelid", "adrelid", "indexrelid", "seqrelid", "inhrelid", "partrelid", "tgrelid"),
    *("ev_class", "objid", "objoid", "enumtypid", "rngtypid", "aggfnoid", "polrelid", "stxrelid"),
    "conrelid",
)
# What is written anew here has changed, or is nothing that a test does and undoes.
_BY_VERSION = frozenset(f"pg_catalog.pg_{name}" for name in ("attribute", "attrdef", "type"))
# Shared catalogs have rows of other databases too, and such as are of none, 0: on a server that is not ours alone,
# anybody's.
_MINE = {
    "pg_catalog.pg_database": "x.oid = {database}",
    "pg_catalog.pg_db_role_setting": "x.setdatabase IN ({databases})",
    "pg_catalog.pg_shdepend": "x.dbid IN ({databases})",
    "pg_catalog.pg_shdescription": "(x.classoid <> 'pg_database'::regclass OR x.objoid = {database})",
    "pg_catalog.pg_shseclabel": "(x.classoid <> 'pg_database'::regclass OR x.objoid = {database})",
    "pg_catalog.pg_subscription": "x.subdbid = {database}",
}
# Whatever hangs off a schema, by automatic dependencies only: an object of another one that merely uses one of it is
# not to be taken for its own.
_HANGS = """ UNION SELECT d.classid, d.objid FROM {0} t JOIN pg_depend d ON d.refclassid = t.class AND d.refobjid = t.oid
    AND (d.deptype IN ('a', 'i', 'P', 'S') OR d.deptype = 'n' AND t.class = 'pg_namespace'::regclass)"""
_SCHEMA = "SELECT 'pg_namespace'::regclass::oid, oid FROM pg_namespace WHERE nspname "
# What is temporary, and toast tables; and what is of the one schema that is asked for.
_WHOSE_SCHEMA = f"""WITH RECURSIVE temporary(class, oid) AS (
  {_SCHEMA} ~ '^pg_(toast_)?temp_[0-9]+$'{_HANGS.format("temporary")}),
no_schema(oid) AS MATERIALIZED (
  SELECT oid FROM temporary UNION ALL SELECT oid FROM pg_class WHERE relnamespace = 'pg_toast'::regnamespace),
hanging(class, oid) AS ({_SCHEMA} = '{{schema}}'{_HANGS.format("hanging")}),
own(oid) AS MATERIALIZED (SELECT oid FROM hanging) """


def is_of(catalog: Relation, *, has_server: bool) -> bool:
    """Whether its rows are facts of the database: those of shared ones may be of others, if there are any."""
    return has_server or not catalog.is_shared or catalog.name in _MINE


def relations(connection: psycopg.Connection[Any], where: str = "true") -> dict[FileKey, Relation]:
    """Those that have a file and are not temporary, by their file."""
    [rows] = _batch.run(connection, _RELATIONS + where)
    return {(space, node): Relation((space, node), *rest) for space, node, *rest in rows}


def digests(
    connection: psycopg.Connection[Any],
    database: int,
    catalogs: Mapping[Relation, Blocks],
    *,
    has_server: bool = False,
    schema: str | None = None,
    is_users: bool = False,
) -> dict[int, Digests]:
    """Of the rows in these blocks of these catalogs, but those of temporary objects and of other databases.

    With ``schema`` of those rows alone that are of something in it; with ``is_users`` of what others than the system
    made, and of the schema public.
    """
    found: dict[int, Digests] = {catalog.oid: {} for catalog in catalogs}
    if not found:
        return found
    by_oid = {catalog.oid: catalog for catalog in catalogs}
    [columns] = _batch.run(
        connection,
        "SELECT attrelid, json_agg(attname ORDER BY attnum) FROM pg_attribute"
        f" WHERE attnum > 0 AND attrelid IN ({','.join(map(str, found))}) GROUP BY 1",
    )
    parts = []
    for oid, attributes in columns:
        catalog = by_oid[oid]
        row = ", ".join(_INSTEAD.get(a, f"x.{a}") for a in attributes if a not in _VOLATILE)
        whose = [f"x.{a}" for a in _WHOSE if a in attributes]
        if schema is not None and not whose:
            continue
        if schema is not None:
            which = f"{whose[0]} IN (SELECT oid FROM own)"
        elif is_users and whose and not catalog.is_shared:
            which = f"({whose[0]} >= {_FIRST_OF_USERS} OR {whose[0]} = {_PUBLIC})"
        else:
            which = "true"
        conditions = [
            *(f"{column} NOT IN (SELECT oid FROM no_schema)" for column in whose),
            _MINE.get(catalog.name, "true").format(
                database=database, databases=f"0, {database}" if has_server else database
            ),
            within("x.ctid", catalogs[catalog]),
            which,
        ]
        if catalog.name in _BY_VERSION:
            has_content = "false"
        elif whose and not catalog.is_shared:
            has_content = f"{whose[0]} >= {_FIRST_OF_USERS}"
        else:
            has_content = "true"
        parts.append(
            f"SELECT {oid}::oid, block, to_json(array_remove(array_agg(content)"
            " || md5(string_agg(version, ' ' ORDER BY ctid)), NULL))"
            " FROM (SELECT x.ctid, (x.ctid::text::point)[0]::int AS block,"
            f" CASE WHEN {has_content} THEN md5(ROW({row})::text) END AS content,"
            f" CASE WHEN NOT {has_content} THEN concat(x.ctid, x.xmin) END AS version"
            f" FROM {catalog.name} x WHERE {' AND '.join(conditions)}) q GROUP BY 2"
        )
    [rows] = _batch.run(
        connection, _WHOSE_SCHEMA.format(schema=schema or "") + " UNION ALL ".join(parts)
    )
    for oid, block, hashes in rows:
        found[oid][block] = hashes
    return found


def same(before: Digests, now: Digests, blocks: Blocks) -> bool:
    """Whether ``now``, of these blocks, is what they held ``before``; where in them does not matter."""
    old = before.values() if blocks is None else (before.get(block, []) for block in blocks)
    return sorted(chain.from_iterable(old)) == sorted(chain.from_iterable(now.values()))


def runs(blocks: Iterable[int]) -> list[tuple[int, int]]:
    """Neighbours as (first, last)."""
    found: list[tuple[int, int]] = []
    for block in sorted(blocks):
        if found and found[-1][1] == block - 1:
            found[-1] = (found[-1][0], block)
        else:
            found.append((block, block))
    return found


def between(tid: str, run: tuple[int, int] | None) -> str:
    """A condition: that ``tid`` lies in these blocks; None: anywhere."""
    return f"{tid} >= '({run[0]},0)' AND {tid} < '({run[1] + 1},0)'" if run else "true"


def within(tid: str, blocks: Blocks) -> str:
    if blocks is None:
        return "true"
    return f"({' OR '.join(between(tid, run) for run in runs(blocks)) or 'false'})"
