"""Rows in real tables."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres.baseline import _load, _rows
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.baseline._load import Reference, Table
from pytest_gotest.postgres.servers import _binaries
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._cluster import Cluster

Start = Callable[..., Cluster]
Connection = psycopg.Connection[Any]
Seed = Callable[..., None]

SCHEMA = """
CREATE SCHEMA shop;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE teams (id serial PRIMARY KEY, name text NOT NULL UNIQUE, owner int);
CREATE TABLE users (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    team int REFERENCES teams,
    boss int REFERENCES users,
    mood mood DEFAULT 'ok',
    born date,
    tags text[],
    more jsonb,
    price numeric(10, 3),
    raw bytea,
    upper text GENERATED ALWAYS AS (upper(name)) STORED,
    CHECK (price > 0)
);
CREATE TABLE shop."Orders" (id bigint PRIMARY KEY, "user" int NOT NULL REFERENCES users);
"""


@pytest.fixture
def binaries() -> Binaries:
    """One version is enough: what SQL means is not what these are about."""
    return _binaries.embedded()


@pytest.fixture
def connection(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """To a database with the tables above."""
    file = tmp_path_factory.mktemp("schema") / "schema.sql"
    file.write_text(SCHEMA)
    server = start(Baseline((file,))).server()
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def seed(connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seed:
    """Writes files and loads them, in the order given."""
    monkeypatch.chdir(tmp_path)

    def one(files: dict[str, str]) -> None:
        for name, text in files.items():
            Path(name).write_text(text)
        _load.files(connection, map(Path, files))

    return one


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_what_others_refer_to_comes_first(pairs: list[tuple[int, int]]) -> None:
    tables = [Table((str(oid),), oid, {}, frozenset()) for oid in range(1, 7)]
    references = [Reference(*pair, "", "", str(n), False) for n, pair in enumerate(pairs)]
    ordered, late = _load._in_order(tables, references)
    place = {table.oid: number for number, table in enumerate(ordered)}
    assert sorted(place) == [1, 2, 3, 4, 5, 6]
    for one in references:
        assert (one in late) == (place[one.child] <= place[one.parent])
    if all(child > parent for child, parent in pairs):
        assert ordered == tables  # as given, for that serves
        assert late == []


# Files


def test_csv(connection: Connection, seed: Seed) -> None:
    seed({"1_users.csv": 'name,id,born,tags\nada,7,,{a}\n"",8,2000-01-02,\n'})
    assert rows(connection, "SELECT id, name, born, tags, mood FROM users ORDER BY id") == [
        (7, "ada", None, ["a"], "ok"),
        (8, "", datetime.date(2000, 1, 2), None, "ok"),
    ]
    assert rows(connection, "INSERT INTO users (name) VALUES ('x') RETURNING id") == [(9,)]


def test_yaml_and_json_mean_the_same(connection: Connection, seed: Seed) -> None:
    text = '{"users": [{"name": "ada", "born": "2000-01-02", "tags": ["a", null], "more": {"x": [1.50]}, "price": 12.5, "raw": "\\\\x00"}]}'
    seed({"a.json": text, "b.yaml": text})
    one, other = rows(
        connection, "SELECT name, born, tags, more::text, price, raw, mood FROM users"
    )
    assert one == other == (
        "ada", datetime.date(2000, 1, 2), ["a", None], '{"x": [1.50]}', Decimal("12.500"), b"\0", "ok",
    )  # fmt: skip


def test_sequences_are_behind_what_was_inserted(connection: Connection, seed: Seed) -> None:
    connection.execute(
        "CREATE SEQUENCE down INCREMENT -1; CREATE TABLE counted (a int DEFAULT nextval('down'), b smallserial);"
        "SELECT setval('counted_b_seq', 40)"
    )
    seed({"x.yaml": "teams: [{id: 5, name: a}, {name: b, id: 3}]\ncounted: [{a: -7, b: 2}]"})
    assert rows(connection, "INSERT INTO teams (name) VALUES ('c') RETURNING id") == [(6,)]
    assert rows(connection, "INSERT INTO counted DEFAULT VALUES RETURNING *") == [(-8, 41)]
    seed(
        {
            "1_teams.csv": "id,name\n20,d\n",
            "y.yaml": "teams: [{name: e}, {id: 30, name: f}, {name: g}]",
        }
    )
    made = rows(connection, "SELECT id FROM teams WHERE id > 6 ORDER BY id")
    assert made == [(20,), (21,), (30,), (31,)]


def test_tables_that_refer_to_each_other(connection: Connection, seed: Seed) -> None:
    """In whatever order the files are; the constraints are afterwards as they were."""
    connection.execute(
        "ALTER TABLE teams ADD FOREIGN KEY (owner) REFERENCES users (id);"
        "ALTER TABLE users ADD UNIQUE (name, id) DEFERRABLE"
    )
    constraints = "SELECT * FROM pg_constraint ORDER BY oid"
    triggers = "SELECT * FROM pg_trigger ORDER BY oid"
    before = rows(connection, constraints), rows(connection, triggers)
    seed(
        {
            "1_shop.Orders.csv": "id,user\n1,2\n",
            "2.yaml": "users: [{id: 2, name: b, boss: 1, team: 1}, {id: 1, name: a}]",
            "3.json": '{"teams": [{"id": 1, "name": "t", "owner": 2}]}',
        }
    )
    assert rows(
        connection, 'SELECT team, boss FROM shop."Orders" o JOIN users ON users.id = o."user"'
    ) == [(1, 1)]
    assert (rows(connection, constraints), rows(connection, triggers)) == before


def test_a_table_that_refers_to_itself(connection: Connection, seed: Seed) -> None:
    """What goes in at once is in nobody's way: no constraint is altered for it."""
    before = rows(connection, "SELECT xmin FROM pg_constraint ORDER BY oid")
    seed({"users.csv": "id,name,boss\n2,b,1\n1,a,\n", "x.yaml": "teams: [{name: t}]"})
    assert rows(connection, "SELECT xmin FROM pg_constraint ORDER BY oid") == before
    seed({"users.yaml": "- {id: 4, name: d, boss: 3}\n- {id: 3, name: c}"})
    assert rows(connection, "SELECT boss FROM users ORDER BY id") == [(None,), (1,), (None,), (3,)]


def test_what_the_table_itself_defers(connection: Connection, seed: Seed) -> None:
    connection.execute(
        "CREATE TABLE late (team int REFERENCES teams DEFERRABLE INITIALLY DEFERRED)"
    )
    with pytest.raises(PostgresError, match=r"^late\.yaml:2: late\.team: insert or update"):
        seed({"late.yaml": "-\n  team: 9"})
    with connection.transaction():
        _load.insert(connection, "late", [{"team": 1}])
        _load.insert(connection, "teams", [{"name": "a"}])


def test_triggers_do_their_work(connection: Connection, seed: Seed) -> None:
    connection.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name || '!'; RETURN NEW; END $$;"
        "CREATE TRIGGER t BEFORE INSERT ON teams FOR EACH ROW EXECUTE FUNCTION f()"
    )
    seed({"teams.csv": "name\na\n", "teams.yaml": "- name: b"})
    assert rows(connection, "SELECT name FROM teams ORDER BY id") == [("a!",), ("b!",)]


def test_sql_is_run_where_it_stands(connection: Connection, seed: Seed) -> None:
    seed(
        {
            "teams.csv": "name\na\n",
            "2.sql": "UPDATE teams SET name = 'b';",
            "3.yaml": "teams: [{name: a}]",
        }
    )
    assert rows(connection, "SELECT name FROM teams ORDER BY id") == [("b",), ("a",)]


def test_many_files_in_turn(connection: Connection, seed: Seed) -> None:
    """psycopg prepares what it has asked often; what puts a session back must leave that."""
    turns = [(f"{n}_teams.csv", f"name\n{n}\n") for n in range(9)]
    seed({name: text for turn in turns for name, text in (turn, (f"{turn[0]}.sql", "SELECT 1;"))})
    assert rows(connection, "SELECT count(*) FROM teams") == [(9,)]


def test_whatever_rows_the_connection_makes(connection: Connection, seed: Seed) -> None:
    connection.row_factory = dict_row
    seed({"users.yaml": "- {id: 4, name: d, boss: 3}\n- {id: 3, name: c}"})
    assert _load.insert(connection, "users", [{"name": "e"}])[0]["id"] == 5


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"users.csv": "id,name\n1,a\nx,b\n"}, 'users.csv:3: users.id: invalid input syntax for type integer: "x"'),
        ({"users.csv": 'id,name\n1,"a\nb"\n1,b\n'}, "users.csv:4: users: duplicate key value violates unique constraint"),
        ({"users.csv": "id,name\n1,\n"}, 'users.csv:2: users.name: null value in column "name"'),
        ({"users.csv": "id,name\n1,a,b\n"}, "users.csv:2: users: extra data after last expected column"),
        ({"users.csv": "id,name\n1\n"}, 'users.csv:2: users: missing data for column "name"'),
        ({"users.csv": "id,nme\n1,a\n"}, "users.csv:1: users has no column nme (it has id, name, team,"),
        ({"users.csv": "name,upper\na,b\n"}, 'users.csv:1: users: column "upper" is a generated column'),
        ({"user.csv": "name\na\n"}, 'there is no table user to put rows into (there are shop."Orders", teams, users)'),
        ({"users.csv": "id,name,team\n1,a,\n2,b,9\n"}, "users.csv:3: users.team: insert or update on table"),
        ({"shop.Orders.csv": "id,user\n1,5\n"}, "shop.Orders.csv:2: shop.Orders.user: insert or update on table"),
        ({"u.yaml": "users:\n  - name: a\n  - name: b\n    mood: bad"}, 'u.yaml:3: users.mood: invalid input value for enum mood: "bad"'),
        ({"u.yaml": "users:\n  - name: a\n  - mood: ok"}, 'u.yaml:3: users.name: null value in column "name"'),
        ({"u.yaml": "users:\n  - name: a\n  - name: b\n    size: 1"}, "u.yaml:3: users has no column size"),
        ({"u.yaml": "teams:\n  - name: a\n  - name: b\n  - name: a"}, "u.yaml:4: teams: duplicate key value"),
        ({"u.yaml": "users:\n  - name: a\n    price: -1"}, 'u.yaml:2: users: new row for relation "users" violates check'),
        ({"u.yaml": "users:\n  - name: a\n  - name: b\n    team: 7"}, "u.yaml:3: users.team: insert or update on table"),
        ({"u.json": '{"users": [{"id": 1, "name": "a", "boss": 4}]}'}, "u.json: row 1 of users: users.boss: insert or update"),
        ({"1_users.csv": "id,name,team\n1,a,2\n", "2_teams.csv": "id,name\n1,t\n"}, "1_users.csv:2: users.team: insert or update"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be(
    connection: Connection, seed: Seed, files: dict[str, str], said: str
) -> None:
    with pytest.raises(PostgresError) as caught:
        seed(files)
    assert str(caught.value).startswith(said)
    assert rows(connection, "SELECT count(*) FROM users") == [(0,)]


# Rows at hand


def test_inserted_rows_come_back(connection: Connection) -> None:
    made = _load.insert(
        connection,
        "users",
        [
            {"name": "a", "born": datetime.date(2000, 1, 2), "more": {"x": uuid.UUID(int=1)}},
            {"name": "b", "tags": ["x"], "price": Decimal("1.5"), "raw": b"\x01"},
            {"name": "c", "born": None, "more": None},
        ],
    )
    assert [row["id"] for row in made] == [1, 2, 3]
    assert made[0]["more"] == {"x": "00000000-0000-0000-0000-000000000001"}
    assert (made[1]["tags"], made[1]["price"], made[1]["raw"]) == (["x"], Decimal("1.500"), b"\x01")
    assert [row["upper"] for row in made] == ["A", "B", "C"]


def test_no_rows_and_rows_of_nothing(connection: Connection) -> None:
    assert _load.insert(connection, "users", []) == []
    connection.execute("CREATE TABLE seen (id serial, at timestamptz DEFAULT now())")
    assert [row["id"] for row in _load.insert(connection, "seen", [{}, {}])] == [1, 2]


def test_many_rows(connection: Connection) -> None:
    made = _load.insert(connection, "teams", ({"name": str(number)} for number in range(2500)))
    assert [row["name"] for row in made] == [str(number) for number in range(2500)]


def test_rows_within_a_transaction_go_with_it(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        _load.insert(connection, "shop.Orders", []) or _load.insert(
            connection, "teams", [{"name": "a"}]
        )
    assert rows(connection, "SELECT count(*) FROM teams") == [(0,)]


def test_files_within_a_transaction_go_with_it(connection: Connection, tmp_path: Path) -> None:
    one, other = tmp_path / "1.sql", tmp_path / "teams.csv"
    one.write_text(
        "SET search_path = shop, public; INSERT INTO teams (name) VALUES ('a');\nCOPY teams (name) FROM stdin;\nb\n\\.\n"
    )
    other.write_text("name\nc\n")
    with connection.transaction(force_rollback=True):
        _load.files(connection, [one, other])
        assert rows(connection, "SELECT count(*) FROM teams") == [(3,)]
    assert rows(connection, "SELECT count(*) FROM teams") == [(0,)]
    one.write_text("SELECT 1;\nVACUUM;")
    said = r"1\.sql:2: VACUUM cannot run inside a transaction block"
    with pytest.raises(PostgresError, match=said), connection.transaction():
        _load.files(connection, [one])


def test_a_row_at_hand_that_cannot_be(connection: Connection) -> None:
    with pytest.raises(PostgresError, match=r"row 2 of teams: teams\.id: invalid input syntax"):
        _load.insert(connection, "teams", [{"name": "a", "id": 1}, {"name": "b", "id": "x"}])
    _load.load(connection, [_rows.given("teams", [{"name": "a"}])])
    assert rows(connection, "SELECT count(*) FROM teams") == [(1,)]


def test_seeds_are_part_of_a_baseline(start: Start, tmp_path: Path) -> None:
    schema, seeds = tmp_path / "1.sql", tmp_path / "users.csv"
    schema.write_text("CREATE TABLE users (name text); CREATE TABLE people (name text);")
    seeds.write_text("name\nada\n")
    one = Baseline((schema,), None, (seeds,))
    with psycopg.connect(start(one).server().url) as connection:
        assert rows(connection, "SELECT name FROM users") == [("ada",)]
    keys = {one.key(), Baseline((schema,)).key(), Baseline((schema, seeds)).key()}
    keys.add(Baseline((schema,), None, (seeds.rename(tmp_path / "people.csv"),)).key())
    assert len(keys) == 4
