"""Rows in files of CSV, YAML and JSON, each with the place it comes from; knows no database and reads nothing itself."""

from __future__ import annotations

import csv
import enum
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from pytest_gotest._errors import PostgresError


@dataclass(frozen=True, slots=True)
class Row:
    """Column to value; ``where`` is for people."""

    values: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Of one table: ``name`` or ``schema.name``."""

    table: str
    rows: tuple[Row, ...]

    @property
    def columns(self) -> dict[str, str]:
        """All that are given, and where first."""
        found: dict[str, str] = {}
        for row in self.rows:
            for column in row.values:
                found.setdefault(column, row.where)
        return found

    def located(self) -> Iterator[tuple[Mapping[str, Any], str]]:
        return ((row.values, row.where) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Sheet:
    """CSV with a header, as COPY reads it: empty without quotes is NULL."""

    table: str
    text: str
    file: PurePath

    @property
    def columns(self) -> dict[str, str]:
        return {column: f"{self.file}:1" for column in next(self._reader(), [])}

    def located(self) -> Iterator[tuple[Mapping[str, Any], str]]:
        reader = self._reader()
        header: list[str] = next(reader, [])
        line = reader.line_num
        for row in reader:
            yield dict(zip(header, row, strict=False)), f"{self.file}:{line + 1}"
            line = reader.line_num

    def _reader(self) -> Any:  # of _csv, which has no public type
        return csv.reader(io.StringIO(self.text, newline=""))


Source = Rows | Sheet
SUFFIXES = (".csv", ".json", ".yaml", ".yml")


def parse(file: PurePath, text: str) -> list[Source]:
    """Of one file. Raises `PostgresError` that names file and line."""
    if file.suffix == ".csv":
        return [_sheet(file, text)]
    if file.suffix == ".json":
        return _json(file, text)
    if file.suffix in (".yaml", ".yml"):
        return _yaml(file, text)
    raise PostgresError(f"{file}: rows are read from {', '.join(SUFFIXES)}")


def table_of(file: PurePath) -> str:
    """``2_users.csv`` and ``users.csv`` are of users, ``shop.users.csv`` of a table in a schema."""
    return re.sub(r"^\d+[_-]", "", file.stem)


def given(table: str, rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Those that a test has at hand."""
    return Rows(table, tuple(Row(row, f"row {n} of {table}") for n, row in enumerate(rows, 1)))


def _sheet(file: PurePath, text: str) -> Sheet:
    sheet = Sheet(table_of(file), text, file)
    if not sheet.columns:
        raise PostgresError(f"{file}:1: the first line names the columns, and there is none")
    return sheet


def _json(file: PurePath, text: str) -> list[Source]:
    try:
        tables = json.loads(text, parse_float=Decimal, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise PostgresError(f"{file}:{error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise PostgresError(f"{file}: {error}") from None
    if isinstance(tables, list):
        tables = {table_of(file): tables}
    if not isinstance(tables, dict):
        raise _shapeless(str(file), tables)
    return [_listed(file, table, rows) for table, rows in tables.items()]


def _listed(file: PurePath, table: str, rows: object) -> Rows:
    if not isinstance(rows, list):
        raise _shapeless(f"{file}: {table}", rows)
    found = []
    for number, row in enumerate(rows, 1):
        where = f"{file}: row {number} of {table}"
        if not isinstance(row, dict):
            raise _shapeless(where, row)
        found.append(Row(row, where))
    return Rows(table, tuple(found))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} is there twice")
    return found


def _shapeless(where: str, found: object) -> PostgresError:
    return PostgresError(
        f"{where}: {type(found).__name__} is not what is expected there",
        hint="a file is tables with lists of rows, or the rows of the table it is named for; a row is columns with values",
    )


def _yaml(file: PurePath, text: str) -> list[Source]:
    try:
        import yaml
    except ImportError:
        raise PostgresError(
            f"{file}: YAML is read by PyYAML, which is not installed",
            hint="pip install 'pytest-gotest[yaml]', or write the rows as JSON or CSV",
        ) from None

    try:
        loader = _core(yaml)(text)
        root = loader.get_single_node()
        if root is None:
            return []
        if isinstance(root, yaml.SequenceNode):
            return [_noded(file, table_of(file), root, loader, yaml)]
        return [
            _noded(file, key.value, rows, loader, yaml) for key, rows in _pairs(file, root, yaml)
        ]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise PostgresError(f"{file}{line}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise PostgresError(f"{file}: {error}") from None


def _noded(file: PurePath, table: str, node: Any, loader: Any, yaml: Any) -> Rows:
    where = f"{file}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.SequenceNode):
        if node.tag == "tag:yaml.org,2002:null":  # a table without rows
            return Rows(table, ())
        raise _shapeless(where, node.value)
    rows = []
    for row in node.value:
        _pairs(file, row, yaml)
        rows.append(
            Row(loader.construct_object(row, deep=True), f"{file}:{row.start_mark.line + 1}")
        )
    return Rows(table, tuple(rows))


def _pairs(file: PurePath, node: Any, yaml: Any) -> list[tuple[Any, Any]]:
    """Of a mapping in which no key is twice, which PyYAML lets pass."""
    where = f"{file}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        raise _shapeless(where, node.value)
    try:
        _unique([(key.value, None) for key, _ in node.value if key.value != "<<"])
    except ValueError as error:
        raise PostgresError(f"{where}: {error}") from None
    return list(node.value)


def _core(yaml: Any) -> Any:
    """YAML 1.2's core schema: `no` and `12:30:00` are text, for the column says what it is; so are dates."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's way

    prefix = "tag:yaml.org,2002:"
    for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
        ("merge", r"<<", ["<"]),
    ):
        Loader.add_implicit_resolver(prefix + tag, re.compile(rf"^(?:{pattern})$"), first)
    Loader.add_constructor(f"{prefix}int", lambda _, node: int(node.value))
    Loader.add_constructor(f"{prefix}float", lambda _, node: Decimal(node.value))
    return Loader


def encode(value: object) -> str:
    """JSON that the server turns into whatever the column is; numbers keep all their digits."""
    if isinstance(value, enum.Enum):
        return encode(value.value)
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(key))}: {encode(one)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(encode, value))}]"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return json.dumps("\\x" + bytes(value).hex())
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    if (
        value is None
        or isinstance(value, int)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return json.dumps(value)
    return json.dumps(str(value))
