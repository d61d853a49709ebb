"""Rows in files, without a database."""

from __future__ import annotations

import datetime
import sys
import uuid
from decimal import Decimal
from pathlib import PurePath

import pytest

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres.baseline import _rows
from pytest_gotest.postgres.baseline._rows import Row, Rows, Sheet, encode, parse


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("users.csv", "users"),
        ("01_users.csv", "users"),
        ("2-users.csv", "users"),
        ("shop.users.csv", "shop.users"),
        ("10_shop.users.yaml", "shop.users"),
        ("2fa_codes.csv", "2fa_codes"),
    ],
)
def test_a_file_is_named_for_its_table(name: str, table: str) -> None:
    assert _rows.table_of(PurePath("seeds", name)) == table


def test_csv() -> None:
    [sheet] = parse(PurePath("users.csv"), 'id,name\n1,"a\nb"\n2,\n')
    assert isinstance(sheet, Sheet)
    assert sheet.table == "users"
    assert list(sheet.columns) == ["id", "name"]
    assert list(sheet.located()) == [
        ({"id": "1", "name": "a\nb"}, "users.csv:2"),
        ({"id": "2", "name": ""}, "users.csv:4"),
    ]


YAML = """\
users:
  - id: 1
    name: ada
    born: 2000-01-02
    at: 12:30:00
    country: no
    on: true
    price: 12.50
    zip: 010
    nothing: ~
    empty:
    more: {a: [1, 2.50], b: null}

  - {id: 2, name: &n "yes", other: *n}
shop.orders: []
none:
"""


def test_yaml_is_what_it_looks_like() -> None:
    assert parse(PurePath("x.yaml"), YAML) == [
        Rows(
            "users",
            (
                Row(
                    {
                        "id": 1, "name": "ada", "born": "2000-01-02", "at": "12:30:00", "country": "no",
                        "on": True, "price": Decimal("12.50"), "zip": 10, "nothing": None, "empty": None,
                        "more": {"a": [1, Decimal("2.50")], "b": None},
                    },
                    "x.yaml:2",
                ),
                Row({"id": 2, "name": "yes", "other": "yes"}, "x.yaml:14"),
            ),
        ),
        Rows("shop.orders", ()),
        Rows("none", ()),
    ]  # fmt: skip


def test_rows_merge_as_yaml_has_it() -> None:
    [rows] = parse(PurePath("users.yml"), "- &one {a: 1, b: 2}\n- {<<: *one, b: 3}\n")
    assert rows == Rows(
        "users", (Row({"a": 1, "b": 2}, "users.yml:1"), Row({"a": 1, "b": 3}, "users.yml:2"))
    )
    assert parse(PurePath("users.yml"), "# nothing\n") == []


def test_json() -> None:
    found = parse(PurePath("x.json"), '{"users": [{"a": 1.50}, {}], "other": []}')
    assert found == [
        Rows(
            "users",
            (
                Row({"a": Decimal("1.50")}, "x.json: row 1 of users"),
                Row({}, "x.json: row 2 of users"),
            ),
        ),
        Rows("other", ()),
    ]
    assert parse(PurePath("1_users.json"), '[{"a": 1}]') == [
        Rows("users", (Row({"a": 1}, "1_users.json: row 1 of users"),))
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("u.csv", "", "u.csv:1: the first line names the columns"),
        ("u.json", "{\n,}", "u.json:2: Expecting property name"),
        ("u.json", "1", "u.json: int is not what is expected there\na file is tables"),
        ("u.json", '{"users": {}}', "u.json: users: dict is not what"),
        ("u.json", '{"users": [{}, 1]}', "u.json: row 2 of users: int is not what"),
        ("u.json", '[{"a": 1, "a": 2}]', "u.json: a is there twice"),
        ("u.yaml", "users:\n  - a: 1\n   b: 2", "u.yaml:3: expected <block end>, but found"),
        ("u.yaml", "users:\n  - a: *x", "u.yaml:2: found undefined alias"),
        ("u.yaml", "users:\n  a: 1", "u.yaml:2: list is not what"),
        ("u.yaml", "users:\n  - a", "u.yaml:2: str is not what"),
        ("u.yaml", "users: []\nusers: []", "u.yaml:1: users is there twice"),
        ("u.yaml", "users:\n  -\n    a: 1\n    a: 2", "u.yaml:3: a is there twice"),
        ("u.yaml", "a: [b: !!python/object:x.Y []]", "u.yaml:1: could not determine a constructor"),
        ("u.yaml", "\0", "u.yaml: unacceptable character"),
        ("u.txt", "", "u.txt: rows are read from .csv, .json, .yaml, .yml"),
    ],
)
def test_what_is_wrong_with_a_file(name: str, text: str, said: str) -> None:
    with pytest.raises(PostgresError) as caught:
        parse(PurePath(name), text)
    assert str(caught.value).startswith(said)


def test_yaml_without_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(PostgresError, match=r"u\.yaml: .*PyYAML, which is not installed\npip"):
        parse(PurePath("u.yaml"), "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (12345678901234567890, "12345678901234567890"),
        (Decimal("1.50"), "1.50"),
        (Decimal("NaN"), '"NaN"'),
        (0.1, "0.1"),
        (float("inf"), '"inf"'),
        (b"\x00a", '"\\\\x0061"'),
        (datetime.date(2000, 1, 2), '"2000-01-02"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ({"a": [1, (None, "x")]}, '{"a": [1, [null, "x"]]}'),
    ],
)
def test_values_as_the_server_reads_them(value: object, text: str) -> None:
    assert encode(value) == text
