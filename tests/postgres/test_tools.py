"""Files of migrations come to the same database, whether their own tool runs them or we do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline import _baseline
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.baseline._command import Command
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._cluster import Cluster

Start = Callable[..., Cluster]

# What every kind has to cope with: order, semicolons in bodies, an index that is built in no transaction, rows, undoing.
FUNCTION = """CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $x$
BEGIN
    NEW.name := NEW.name || ';'; -- ;
    RETURN NEW;
END $x$;
"""
TABLE = "CREATE TABLE users (id bigserial PRIMARY KEY, name text DEFAULT 'a;b');\n"
TRIGGER = "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();\nINSERT INTO users (name) VALUES ('ada');\n"
INDEX = "CREATE INDEX CONCURRENTLY i ON users (name);\n"
DOWN = "DROP TABLE users;\n"

FILES = {
    "golang-migrate": {
        "2_table.up.sql": TABLE,
        "2_table.down.sql": DOWN,
        "010_function.up.sql": FUNCTION + TRIGGER,
        "010_function.down.sql": "DROP FUNCTION f;",
        "11_index.up.sql": INDEX,
    },
    "goose": {
        "2_table.sql": f"-- +goose Up\n{TABLE}\n-- +goose Down\n{DOWN}",
        "010_function.sql": f"-- +goose up\n-- +goose StatementBegin\n{FUNCTION}-- +goose StatementEnd\n{TRIGGER}"
        "-- +goose down\nDROP FUNCTION f;\n",
        "11_index.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n{INDEX}SELECT 1;\n",
    },
    "sql-migrate": {
        "1_table.sql": f"-- +migrate Up\n{TABLE}\n-- +migrate Down\n{DOWN}",
        "2_function.sql": f"-- +migrate Up\n-- +migrate StatementBegin\n{FUNCTION}-- +migrate StatementEnd\n{TRIGGER}",
        "3_index.sql": f"-- +migrate Up notransaction\n{INDEX}\n-- +migrate Down notransaction\nDROP INDEX i;\n",
    },
    "tern": {
        "001_table.sql": f"{TABLE}\n---- create above / drop below ----\n\n{DOWN}",
        "002_function.sql": f"SET search_path = public;\n{FUNCTION}{TRIGGER}",
        "003_index.sql": f"---- tern: disable-tx ----\n{INDEX}\n---- create above / drop below ----\nDROP INDEX i;\n",
    },
}  # fmt: skip
OWN_TABLES = ("schema_migrations", "goose_db_version", "gorp_migrations", "schema_version")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("tools") / "tools"
    source = Path(__file__).with_name("tools")
    subprocess.run(["go", "build", "-o", program, "."], cwd=source, check=True)
    return program


@pytest.mark.parametrize("tool", FILES)
@pytest.mark.parametrize("binaries", ["embedded"], indirect=True)
def test_the_same_as_by_its_tool(
    start: Start, binaries: Binaries, tools: Path, tmp_path: Path, tool: str
) -> None:
    directory = tmp_path / "migrations"
    directory.mkdir()
    for name, text in FILES[tool].items():
        (directory / name).write_text(text)
    command = Command(f"{tools} {tool} {directory}", tmp_path, os.environ)
    theirs = start(Baseline((), command)).server()
    ours = start(Baseline(_baseline.migrations(["migrations/*.sql"], tmp_path))).server()
    said = _dump(binaries, ours)
    assert said == _dump(binaries, theirs)
    for word in ("CREATE INDEX i", "1\tada;", "CREATE TRIGGER t"):
        assert word in said


HAIRY = r"""-- no-transaction
\set ON_ERROR_STOP on
CREATE TABLE "odd; name" (a text, "b;c" int); /* ; /* ; */ */
COPY "odd; name" FROM stdin;
x;	1
\N	\N
\\.	2
\.
CREATE RULE r AS ON DELETE TO "odd; name" DO ALSO (NOTIFY a; NOTIFY b);
CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;
INSERT INTO "odd; name" VALUES (E'it\'s;', 3), ('\', 4), (U&'\0061;', 5), ($$;$$, 6), ($a$ $$;$b$ $a$, 7)
    -- ;
;
COPY "odd; name" (a) FROM STDIN (FORMAT csv);
"x
;"
\.
BEGIN; CREATE TABLE t (x int); ROLLBACK; VACUUM; CREATE INDEX CONCURRENTLY i ON "odd; name" (a)
"""


@pytest.mark.parametrize("binaries", ["embedded"], indirect=True)
def test_the_same_as_by_psql(start: Start, binaries: Binaries, tmp_path: Path) -> None:
    (tmp_path / "hairy.sql").write_text(HAIRY)
    command = Command(f"{binaries.directory}/psql -f hairy.sql {{url}}", tmp_path, os.environ)
    theirs = start(Baseline((), command)).server()
    ours = start(Baseline((tmp_path / "hairy.sql",))).server()
    said = _dump(binaries, ours)
    assert said == _dump(binaries, theirs)
    assert "it's;\t3" in said


def _dump(binaries: Binaries, server: Server) -> str:
    program = binaries.directory / "pg_dump"
    without = [f"--exclude-table={name}*" for name in OWN_TABLES]
    done = subprocess.run(
        [program, *without, server.url], check=True, capture_output=True, text=True
    )
    return "\n".join(line for line in done.stdout.split("\n") if "restrict" not in line)
