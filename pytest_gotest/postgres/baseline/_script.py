"""Runs a file of SQL as its own tool or psql would, and says where it stumbled."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres.baseline import _migrations, _statements
from pytest_gotest.postgres.baseline._migrations import ForeignError
from pytest_gotest.postgres.baseline._statements import Statement

if TYPE_CHECKING:
    import psycopg

# Commands of psql that mean nothing here, by their names: in what pg_dump writes, and in what people put at the top.
_IGNORED = {
    "\\restrict", "\\unrestrict", "\\.", "\\echo", "\\qecho", "\\warn", "\\timing", "\\pset", "\\x", "\\set",
    "\\unset", "\\t", "\\a",
}  # fmt: skip
_COPY_LINE = re.compile(r"^COPY .*, line (\d+)", re.MULTILINE)
_IDLE = 0  # PQTRANS_IDLE
# So that no file sees the search_path or the role of another one; what pg_dump writes empties the former. Like DISCARD
# ALL, but for what psycopg has prepared.
_AS_IT_WAS = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP"


def run(connection: psycopg.Connection[Any], file: Path, text: str) -> None:
    """What of ``text`` leads upward, and then the session as it was. Raises `PostgresError`.

    A connection within a transaction runs all of it there, and keeps the session.
    """
    try:
        script = _migrations.upward(text)
    except ForeignError as error:
        raise PostgresError(
            f"{file}:{error.line}: `{error}` is something only the tool that knows it can do",
            hint="run that tool by gotest_migrate_command",
        ) from None
    statements = list(_statements.split(script.text))
    if not connection.autocommit or connection.info.transaction_status != _IDLE:
        with connection.transaction():
            _by_one(connection, file, statements)
        return
    if not script.transaction or any(map(_needs_its_turn, statements)):
        _by_one(connection, file, statements)
    elif statements:
        _at_once(connection, file, script.text, statements)
    if connection.info.transaction_status != _IDLE:
        raise PostgresError(f"{file} begins a transaction and does not end it")
    connection.execute(_AS_IT_WAS)


def _needs_its_turn(statement: Statement) -> bool:
    return statement.is_alone or statement.is_command or statement.data is not None


def _at_once(
    connection: psycopg.Connection[Any], file: Path, text: str, statements: list[Statement]
) -> None:
    """In one transaction, as the simple protocol has it."""
    import psycopg

    try:
        connection.execute(text)
    except psycopg.Error as error:
        if error.diag.statement_position is None and len(statements) > 1:
            # It does not say where. Nothing of it has happened, so look.
            connection.execute("BEGIN")
            _by_one(connection, file, statements)
        raise _failed(file, Statement(text, 1), error) from error


def _by_one(
    connection: psycopg.Connection[Any], file: Path, statements: Iterable[Statement]
) -> None:
    for statement in statements:
        _execute(connection, file, statement)


def _execute(connection: psycopg.Connection[Any], file: Path, statement: Statement) -> None:
    import psycopg

    if statement.is_command:
        _check_command(file, statement)
        return
    try:
        if statement.data is None:
            # Without parameters, for only then may there be several.
            connection.execute(statement.text)
        else:
            with connection.cursor().copy(statement.text) as copy:
                copy.write(statement.data)
    except psycopg.Error as error:
        raise _failed(file, statement, error) from error


def _failed(file: Path, statement: Statement, error: psycopg.Error) -> PostgresError:
    return PostgresError(f"{file}:{_line(statement, error)}: {error}", hint=_hint(error))


def _check_command(file: Path, statement: Statement) -> None:
    """Most of psql's commands change what is run."""
    name = statement.text.split()[0]
    if name in _IGNORED:
        return
    hint = "run it by gotest_migrate_command = psql -v ON_ERROR_STOP=1 -f FILE"
    if name in ("\\connect", "\\c"):
        hint = "the baseline is one database: let pg_dump write it without --create"
    if name in ("\\i", "\\ir", "\\include", "\\include_relative"):
        hint = "name the other file in gotest_migrations, or " + hint
    raise PostgresError(f"{file}:{statement.line}: {name} is a command of psql", hint=hint)


def _line(statement: Statement, error: psycopg.Error) -> int:
    """Where the server says that it stumbled: it counts letters, from one, or lines of COPY's data."""
    position, context = error.diag.statement_position, error.diag.context
    if position is not None:
        return statement.line + statement.text.count("\n", 0, int(position) - 1)
    if statement.data is not None and (found := _COPY_LINE.search(context or "")):
        return statement.data_line + int(found[1]) - 1
    return statement.line


def _hint(error: psycopg.Error) -> str:
    import psycopg.errors

    if isinstance(error, psycopg.errors.ActiveSqlTransaction):
        return (
            "begin the file with the line `-- no-transaction`: each statement is then run by itself"
        )
    return ""
