"""Puts rows into a database: in an order that foreign keys allow, with sequences behind them, and errors that name the row."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres.baseline import _inputs, _rows, _script
from pytest_gotest.postgres.baseline._rows import Row, Rows, Sheet, Source

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql
    from typing_extensions import LiteralString

    Connection = psycopg.Connection[Any]

_AT_ONCE = 1000  # rows of one statement


def files(connection: Connection, paths: Iterable[Path]) -> None:
    """SQL is run where it stands; rows of files next to each other go in together. Raises `PostgresError`."""
    for is_sql, group in itertools.groupby(paths, lambda path: path.suffix == ".sql"):
        if is_sql:
            for path in group:
                _script.run(connection, path, _inputs.text(path))
        else:
            load(
                connection, [one for path in group for one in _rows.parse(path, _inputs.text(path))]
            )


def load(connection: Connection, sources: Iterable[Source]) -> None:
    """All of them or, with `PostgresError`, none."""
    sources = list(sources)
    with _whole(connection, sources):
        tables = {source.table: _table(connection, source.table) for source in sources}
        for source in sources:
            _check_columns(source, tables[source.table])
        ordered, late = _in_order(list(tables.values()), _references(connection, tables.values()))
        late = [one for one in late if not _is_at_once(one, tables, sources)]
        place = {table.oid: number for number, table in enumerate(ordered)}
        with _deferred(connection, late, sources):
            for source in sorted(sources, key=lambda one: place[tables[one.table].oid]):
                _put(connection, source, tables[source.table], sources)


def insert(
    connection: Connection, table: str, rows: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The rows as they are then, with what the database added. Raises `PostgresError`."""
    source = _rows.given(table, rows)
    with _whole(connection, [source]):
        known = _table(connection, table)
        _check_columns(source, known)
        return _put_rows(connection, source, known, [source])


@contextmanager
def _whole(connection: Connection, sources: Sequence[Source]) -> Iterator[None]:
    """A transaction, at the end of which what the tables themselves defer may still fail."""
    import psycopg

    try:
        with connection.transaction():
            yield
    except psycopg.Error as error:
        _blame(error, sources)


# What the database says of a table


def _ask(
    connection: Connection, query: LiteralString, parameters: Sequence[object] = ()
) -> list[tuple[Any, ...]]:
    """Whatever rows the connection itself would make of it."""
    from psycopg.rows import tuple_row

    return connection.cursor(row_factory=tuple_row).execute(query, parameters).fetchall()


@dataclass(frozen=True, slots=True)
class Table:
    """``parts`` are schema and name, or the name alone; ``columns`` have types as SQL writes them.

    ``numbered`` are those that may take their value from a sequence.
    """

    parts: tuple[str, ...]
    oid: int
    columns: Mapping[str, str]
    numbered: frozenset[str]

    @property
    def identifier(self) -> sql.Identifier:
        from psycopg import sql

        return sql.Identifier(*self.parts)

    def __str__(self) -> str:
        return ".".join(self.parts)


def _table(connection: Connection, name: str) -> Table:
    from psycopg import sql

    parts = tuple(name.split(".", 1))
    quoted = sql.Identifier(*parts).as_string(connection)
    columns = _ask(
        connection,
        """
        SELECT attrelid, attname, format_type(atttypid, atttypmod), atthasdef OR attidentity <> '' FROM pg_attribute
        WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        """,
        (quoted,),
    )
    if not columns:
        names = "SELECT relid::regclass::text FROM pg_stat_user_tables ORDER BY 1"
        there = ", ".join(one for (one,) in _ask(connection, names)) or "none"
        raise PostgresError(f"there is no table {name} to put rows into (there are {there})")
    types = {column: type_ for _, column, type_, _ in columns}
    numbered = frozenset(column for _, column, _, has_default in columns if has_default)
    return Table(parts, columns[0][0], types, numbered)


def _check_columns(source: Source, table: Table) -> None:
    for column, where in source.columns.items():
        if column not in table.columns:
            raise PostgresError(
                f"{where}: {table} has no column {column} (it has {', '.join(table.columns)})"
            )


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key from ``child`` to ``parent``, both among the tables that rows are for."""

    child: int
    parent: int
    schema: str
    table: str
    name: str
    deferrable: bool


def _references(connection: Connection, tables: Iterable[Table]) -> list[Reference]:
    oids = [table.oid for table in tables]
    found = _ask(
        connection,
        """
        SELECT conrelid, confrelid, nspname, relname, conname, condeferrable
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY(%s) AND confrelid = ANY(%s) ORDER BY conname
        """,
        (oids, oids),
    )
    return [Reference(*row) for row in found]


def _in_order(
    tables: Sequence[Table], references: Sequence[Reference]
) -> tuple[list[Table], list[Reference]]:
    """What others refer to first, else as given; and the references that no order can serve."""
    by_oid = {table.oid: table for table in tables}
    ordered: list[Table] = []
    late: list[Reference] = []
    begun: set[int] = set()
    done: set[int] = set()

    def visit(table: Table) -> None:
        begun.add(table.oid)
        for reference in references:
            if reference.child != table.oid:
                continue
            parent = by_oid[reference.parent]
            if parent.oid not in begun:
                visit(parent)
            elif parent.oid not in done:
                late.append(reference)  # a circle, be it of one table
        ordered.append(table)
        done.add(table.oid)

    for table in by_oid.values():
        if table.oid not in begun:
            visit(table)
    return ordered, late


def _is_at_once(
    reference: Reference, tables: Mapping[str, Table], sources: Sequence[Source]
) -> bool:
    """Whether all rows of a table that refers to itself go in by one statement, at the end of which it is checked."""
    if reference.child != reference.parent:
        return False
    own = [source for source in sources if tables[source.table].oid == reference.child]
    return sum(1 if isinstance(source, Sheet) else len(list(_parts(source))) for source in own) < 2


@contextmanager
def _deferred(
    connection: Connection, late: Sequence[Reference], sources: Sequence[Source]
) -> Iterator[None]:
    """References that are checked when all rows are there. Not by switching triggers off: those of the user belong to it."""
    import psycopg
    from psycopg import sql

    def alter(how: str) -> None:
        for one in late:
            if not one.deferrable:
                names = sql.Identifier(one.schema, one.table), sql.Identifier(one.name)
                connection.execute(
                    sql.SQL("ALTER TABLE {} ALTER CONSTRAINT {} " + how).format(*names)
                )

    def check(when: str) -> None:
        names = sql.SQL(", ").join(sql.Identifier(one.schema, one.name) for one in late)
        connection.execute(sql.SQL("SET CONSTRAINTS {} " + when).format(names))

    if not late:
        yield
        return
    alter("DEFERRABLE")
    check("DEFERRED")
    yield
    try:
        check("IMMEDIATE")
    except psycopg.Error as error:
        _blame(error, sources)
    alter("NOT DEFERRABLE")


# Rows


def _put(connection: Connection, source: Source, table: Table, sources: Sequence[Source]) -> None:
    if isinstance(source, Sheet):
        _copy(connection, source, table, sources)
    else:
        _put_rows(connection, source, table, sources)


def _copy(connection: Connection, sheet: Sheet, table: Table, sources: Sequence[Source]) -> None:
    import psycopg
    from psycopg import sql

    columns = sql.SQL(", ").join(map(sql.Identifier, sheet.columns))
    command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER true)")
    try:
        with connection.cursor().copy(command.format(table.identifier, columns)) as copy:
            copy.write(sheet.text)
    except psycopg.Error as error:
        found = _COPY_PLACE.search(error.diag.context or "")
        if found is None:
            _blame(error, sources, sheet)
        column = found["column"] or error.diag.column_name
        raise _refused(f"{sheet.file}:{found['line']}", table, column, error) from error
    _move_sequences(connection, table, sheet.columns)


_COPY_PLACE = re.compile(r'^COPY .*, line (?P<line>\d+)(?:, column "?(?P<column>[^":]+)"?)?', re.M)


def _put_rows(
    connection: Connection, rows: Rows, table: Table, sources: Sequence[Source]
) -> list[dict[str, Any]]:
    import psycopg

    made: list[dict[str, Any]] = []
    for columns, some in _parts(rows):
        try:
            with connection.transaction():
                made += _insert(connection, table, columns, some)
        except psycopg.errors.ForeignKeyViolation as error:
            _blame(error, sources, rows)
        except psycopg.Error as error:
            _try_each(connection, table, columns, some)
            _blame(error, sources, rows)
        _move_sequences(connection, table, columns)
    return made


def _parts(rows: Rows) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """Neighbours with the same columns, which one statement takes."""
    for columns, alike in itertools.groupby(rows.rows, lambda row: tuple(row.values)):
        while some := list(itertools.islice(alike, _AT_ONCE)):
            yield columns, some


def _insert(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """The server makes its own types of JSON's; what is not given is as the table has it."""
    from psycopg import sql
    from psycopg.rows import dict_row

    cursor = connection.cursor(row_factory=dict_row)
    if not columns:
        empty = sql.SQL("INSERT INTO {} DEFAULT VALUES RETURNING *").format(table.identifier)
        return [row for _ in rows for row in cursor.execute(empty)]
    insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE {} RETURNING *").format(
        table.identifier,
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        _typed(table, columns),
    )
    return cursor.execute(insert, (_rows.encode([row.values for row in rows]),)).fetchall()


def _typed(table: Table, columns: Sequence[str]) -> sql.Composed:
    from psycopg import sql

    types = (
        # What format_type writes is SQL already.
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(table.columns[column]))
        for column in columns
    )
    return sql.SQL("SELECT * FROM json_to_recordset(%s) AS given({})").format(
        sql.SQL(", ").join(types)
    )


def _try_each(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Raises for the first that the server does not take by itself. All is undone afterwards."""
    import psycopg

    for row in rows:
        try:
            with connection.transaction():
                _insert(connection, table, columns, [row])
        except psycopg.Error as error:
            column = error.diag.column_name or _misfit(connection, table, row)
            raise _refused(row.where, table, column, error) from error


def _misfit(connection: Connection, table: Table, row: Row) -> str | None:
    """The column whose value is none of its type."""
    import psycopg

    for column, value in row.values.items():
        try:
            with connection.transaction():
                connection.execute(_typed(table, [column]), (_rows.encode([{column: value}]),))
        except psycopg.Error:
            return column
    return None


def _move_sequences(connection: Connection, table: Table, given: Iterable[str]) -> None:
    """Behind what was inserted: those that a column owns or takes its default from, where that was given.

    At once, for the next rows may leave it out.
    """
    from psycopg import sql

    columns = [column for column in given if column in table.numbered]
    found = _ask(connection, _SEQUENCES, (table.oid, columns)) if columns else []
    for column, schema, name, step in found:
        extreme, beyond = ("max", ">") if step > 0 else ("min", "<")
        connection.execute(
            sql.SQL(
                f"SELECT setval(%s::regclass, last) FROM (SELECT {extreme}({{}}) AS last FROM {{}}) AS found, {{}} AS now "
                f"WHERE last {beyond} last_value OR (last = last_value AND NOT is_called)"
            ).format(sql.Identifier(column), table.identifier, sql.Identifier(schema, name)),
            (sql.Identifier(schema, name).as_string(connection),),
        )


_SEQUENCES = """
    SELECT DISTINCT attname, nspname, relname, seqincrement
    FROM pg_attribute
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    JOIN pg_depend ON
        (classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
            AND refobjid = attrelid AND refobjsubid = attnum AND deptype IN ('a', 'i'))
        OR (classid = 'pg_attrdef'::regclass AND pg_depend.objid = pg_attrdef.oid AND refclassid = 'pg_class'::regclass)
    JOIN pg_sequence ON seqrelid = CASE classid WHEN 'pg_class'::regclass THEN pg_depend.objid ELSE refobjid END
    JOIN pg_class ON pg_class.oid = seqrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE attrelid = %s AND attname = ANY(%s) AND atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
"""


# Errors

_KEY = re.compile(r"^Key \((?P<columns>.*?)\)=\((?P<values>.*)\) ")


def _blame(error: psycopg.Error, sources: Sequence[Source], at: Source | None = None) -> NoReturn:
    """Of an error that is about a key: name the row that has it."""
    diag = error.diag
    concerned = [at] if at else []
    concerned += [
        one for one in sources if one is not at and one.table.split(".")[-1] == diag.table_name
    ]
    key = _KEY.match(diag.message_detail or "")
    names = [name.strip('"') for name in key["columns"].split(", ")] if key else []
    for source in concerned:
        for values, where in source.located() if key else ():
            if all(name in values for name in names):
                shown = ", ".join(_shown(values[name]) for name in names)
                if key and shown == key["values"]:
                    raise _refused(where, source.table, ", ".join(names), error) from error
    where = next((place for source in concerned for place in source.columns.values()), "rows")
    table = diag.table_name or (concerned or [*sources])[0].table
    raise _refused(where, table, diag.column_name, error) from error


def _shown(value: object) -> str:
    return value if isinstance(value, str) else _rows.encode(value).strip('"')


def _refused(
    where: str, table: Table | str, column: str | None, error: psycopg.Error
) -> PostgresError:
    what = f"{table}.{column}" if column else str(table)
    detail = f"\n{error.diag.message_detail}" if error.diag.message_detail else ""
    return PostgresError(f"{where}: {what}: {error.diag.message_primary or error}{detail}")
