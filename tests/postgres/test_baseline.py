"""What a database holds before any test, made on real servers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline import _baseline, _script
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.baseline._command import Command
from pytest_gotest.postgres.servers import _binaries
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._cluster import Cluster

Start = Callable[..., Cluster]
Write = Callable[..., Path]


@pytest.fixture
def binaries() -> Binaries:
    """One version is enough: what SQL means is not what these are about."""
    return _binaries.embedded()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def one(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return one


@pytest.fixture
def server(start: Start) -> Server:
    """Without a baseline; tests apply their own to it."""
    return start().server()


def ask(server: Server, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def apply(server: Server, *files: Path) -> None:
    Baseline(files).apply(server)


# Files


def test_a_file_is_one_transaction(server: Server, write: Write) -> None:
    apply(
        server,
        write("1.sql", "SET LOCAL lock_timeout = '1s'; CREATE TABLE t (x int); LOCK TABLE t;"),
        write("2.sql", "CREATE TABLE u AS SELECT txid_current() AS id; INSERT INTO u SELECT txid_current();"),
    )  # fmt: skip
    assert ask(server, "SELECT count(DISTINCT id) FROM u") == [(1,)]
    with pytest.raises(PostgresError, match=r"3\.sql:2: relation \"t\" already exists"):
        apply(server, write("3.sql", "DROP TABLE u;\nCREATE TABLE t (x int);"))
    assert ask(server, "SELECT count(*) FROM u") == [(2,)]


def test_statements_that_can_be_in_no_transaction(server: Server, write: Write) -> None:
    text = "CREATE TABLE t (x int);\nCREATE INDEX CONCURRENTLY i ON t (x);\nVACUUM t;\n"
    apply(server, write("1.sql", text))
    assert ask(server, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == [
        (True,)
    ]


def test_a_file_with_transactions_of_its_own(server: Server, write: Write) -> None:
    apply(server, write("1.sql", "BEGIN;\nCREATE TABLE t (x int);\nCOMMIT;\nVACUUM t;"))
    assert ask(server, "SELECT count(*) FROM t") == [(0,)]
    with pytest.raises(PostgresError, match=r"2\.sql begins a transaction and does not end it"):
        apply(server, write("2.sql", "BEGIN; CREATE TABLE u ();"))


def test_what_the_server_alone_knows_to_need_no_transaction(server: Server, write: Write) -> None:
    text = "CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';\nCALL p();"
    with pytest.raises(PostgresError, match=r"1\.sql:2: invalid transaction termination"):
        apply(server, write("1.sql", text))
    apply(server, write("2.sql", f"-- no-transaction\n{text}"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SELECT 1;\n\nSELEKT 2;", 3),
        ("CREATE TABLE t (x int UNIQUE);\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES (1);", 3),
        ("BEGIN;\nCREATE TABLE t (x int);\nINSERT INTO t\nVALUES ('a');\nCOMMIT;", 4),
        ("CREATE TABLE t (x int);\nCOPY t FROM stdin;\n1\na\n\\.\n", 4),
        ("-- +goose Down\nDROP TABLE t;\n-- +goose Up\n\nSELECT\nnothing;", 6),
        ("DO $$ BEGIN\nRAISE 'no'; END $$;", 1),
    ],
)
def test_where_it_fails(server: Server, write: Write, text: str, line: int) -> None:
    with pytest.raises(PostgresError, match=rf"1\.sql:{line}: "):
        apply(server, write("1.sql", text))


def test_a_file_finds_the_session_as_it_was(server: Server, write: Write) -> None:
    first = "CREATE ROLE other; SELECT set_config('search_path', '', false); SET ROLE other;"
    apply(server, write("1.sql", first), write("2.sql", "CREATE TABLE t (x int);"))
    assert ask(server, "SELECT tableowner, schemaname FROM pg_tables WHERE tablename = 't'") == [
        ("postgres", "public")
    ]


def test_a_mark_of_byte_order_and_other_line_ends(server: Server, write: Write) -> None:
    path = write("1.sql", "")
    path.write_bytes(
        "\ufeffCREATE TABLE t (x text);\r\nCOPY t FROM stdin;\r\né\r\n\\.\r\n".encode()
    )
    apply(server, path)
    assert ask(server, "SELECT x FROM t") == [("é",)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("\\connect other", r"\\connect is a command of psql\n.*without --create"),
        ("\\i other.sql", r"\\i is a command of psql\n.*name the other file"),
        ("\\gexec", r"\\gexec is a command of psql\n.*gotest_migrate_command = psql"),
        ("-- atlas:delimiter x", "atlas:delimiter x` is something only the tool"),
    ],
)
def test_what_cannot_be_done(server: Server, write: Write, line: str, said: str) -> None:
    with pytest.raises(PostgresError, match=rf"(?s)1\.sql:2: .*{said}"):
        apply(server, write("1.sql", f"SELECT 1;\n{line}\n"))


def test_what_pg_dump_writes(server: Server, start: Start, tmp_path: Path) -> None:
    programs = _programs(server)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            """
            CREATE SCHEMA app;
            CREATE TYPE app.mood AS ENUM ('sad', 'ok');
            CREATE TABLE app.t (id serial PRIMARY KEY, mood app.mood, note text DEFAULT 'a;b');
            CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS $_$ BEGIN NEW.note := ';'; RETURN NEW; END $_$;
            CREATE RULE r AS ON DELETE TO app.t DO ALSO (NOTIFY a; NOTIFY b);
            INSERT INTO app.t (mood, note) VALUES ('ok', E'x\\ty\\n\\\\.'), (NULL, NULL);
            CREATE TABLE "Odd; name" ();
            """
        )
        if server.server_version >= (14,):
            connection.execute(
                "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END"
            )
    first = _dump(programs, server, tmp_path / "first.sql")
    copy = start(Baseline((first,))).server()
    second = _dump(programs, copy, tmp_path / "second.sql")
    assert _plain(first) == _plain(second)
    assert "COPY app.t" in first.read_text()
    assert ask(copy, "SELECT nextval('app.t_id_seq')") == [(3,)]


def _programs(server: Server) -> Path:
    from pytest_gotest.postgres.servers import _binaries

    found = _binaries.embedded() if server.provider == "embedded" else _binaries.local(os.environ)
    if not (found.directory / "pg_dump").exists():
        pytest.skip("there is no pg_dump beside the server")
    return found.directory


def _dump(programs: Path, server: Server, to: Path) -> Path:
    subprocess.run([programs / "pg_dump", "--file", to, server.url], check=True, timeout=60)
    return to


def _plain(dump: Path) -> list[str]:
    return [line for line in dump.read_text().split("\n") if "restrict" not in line]


def test_which_files(write: Write, tmp_path: Path) -> None:
    for name in ("m/2_b.up.sql", "m/2_b.down.sql", "m/10_c.up.sql", "m/atlas.sum", "n/1.sql"):
        write(name, "SELECT 1;")
    found = _baseline.migrations(["m/*.sql", "**/*.sql"], tmp_path)
    assert [path.name for path in found] == ["2_b.up.sql", "10_c.up.sql", "1.sql"]
    with pytest.raises(PostgresError, match="gotest_migrations: nothing matches x"):
        _baseline.migrations(["x"], tmp_path)
    with pytest.raises(PostgresError, match=r"m/2_b\.down\.sql is only what undoes"):
        _baseline.migrations(["m/2_b.down.sql"], tmp_path)


# The command


@pytest.fixture
def command(tmp_path: Path, write: Write) -> Callable[..., Command]:
    """Python, with the driver, in the place of a tool."""

    def one(
        code: str,
        arguments: str = "",
        environ: dict[str, str] | None = None,
        inputs: tuple[str, ...] = (),
    ) -> Command:
        write("migrate.py", f"import os, sys, psycopg\n{code}\n")
        text = f"{sys.executable} migrate.py {arguments}"
        return Command(text, tmp_path, {**os.environ, **(environ or {})}, inputs, "run")

    return one  # fmt: skip


CREATE = "psycopg.connect({}, autocommit=True).execute('CREATE TABLE made ()')"


@pytest.mark.parametrize("how", ["''", "os.environ['DATABASE_URL']", "sys.argv[1]"])
def test_how_a_command_reaches_the_database(
    server: Server, command: Callable[..., Command], how: str
) -> None:
    users = {"PGHOST": "nonsense", "PGSERVICE": "nonsense", "DATABASE_URL": "nonsense"}
    Baseline((), command(CREATE.format(how), "{dsn}", users)).apply(server)
    assert ask(server, "SELECT count(*) FROM made") == [(0,)]


def test_a_command_that_fails(server: Server, command: Callable[..., Command]) -> None:
    code = "print(*range(99), os.environ['DATABASE_URL'], sep='\\n')\nsys.exit(3)"
    failing = command(code, "--to {url}")
    with pytest.raises(PostgresError) as caught:
        Baseline((), failing).apply(server)
    said = str(caught.value)
    assert "migrate.py --to {url}: exit 3:\n" in said
    assert "\n98\npostgresql://postgres:***@127.0.0.1" in said
    assert "\n50\n" not in said
    assert server.password not in said


def test_a_command_that_is_none(server: Server, tmp_path: Path) -> None:
    nothing = Command("no-such-tool up", tmp_path, os.environ)
    with pytest.raises(PostgresError, match="no-such-tool up: cannot start no-such-tool"):
        nothing.apply(server)


def test_a_command_that_takes_long_shows_what_it_says(
    server: Server, command: Callable[..., Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from pytest_gotest.postgres.baseline import _command

    monkeypatch.setattr(_command, "_PATIENCE", 0.01)
    said: list[str] = []
    code = "print('step', os.environ['PGPASSWORD'], flush=True)\nimport time; time.sleep(2)"
    replace(command(code), say=said.append).apply(server)
    assert said[0].startswith("gotest: migrating: ")
    assert any(line.startswith("gotest: migrating: step *** (") for line in said)


def test_what_a_command_hangs_on(
    command: Callable[..., Command], write: Write, tmp_path: Path
) -> None:
    write("m/1.sql", "a")
    keys = [command("", inputs=("m", "*.py")).key()]
    keys.append(command("pass", inputs=("m", "*.py")).key())
    keys.append(command("pass", "up", inputs=("m", "*.py")).key())
    write("m/1.sql", "b")
    keys.append(command("pass", "up", inputs=("m", "*.py")).key())
    write("m/2.sql", "")
    keys.append(command("pass", "up", inputs=("m", "*.py")).key())
    assert len(set(keys)) == len(keys)
    write("elsewhere/1.sql", "")
    (tmp_path / "m" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "m")
    keys.append(command("pass", "up", inputs=("m", "*.py")).key())
    write("elsewhere/1.sql", "changed")
    keys.append(command("pass", "up", inputs=("m", "*.py")).key())
    assert len(set(keys)) == len(keys)
    write("m/__pycache__/x.pyc", "")
    write("other", "")
    assert command("pass", "up", inputs=("m", "*.py")).key() == keys[-1]
    with pytest.raises(PostgresError, match="gotest_migrate_inputs: nothing matches x"):
        command("", inputs=("x",)).key()


def test_a_command_nobody_knows_about_is_run_in_each_session(
    start: Start, command: Callable[..., Command], tmp_path: Path
) -> None:
    from dataclasses import replace

    migrate = command(f"open('ran', 'a').write('x')\n{CREATE.format(repr(''))}")
    ran = tmp_path / "ran"
    cache = tmp_path / "cache"
    for run_id in ("one", "one", "two", "two"):
        made = start(Baseline((), replace(migrate, run_id=run_id)), cache).server()
        assert ask(made, "SELECT count(*) FROM made") == [(0,)]
    assert ran.read_text() == "xx"
    for run_id in ("one", "two", "three"):
        start(Baseline((), replace(migrate, run_id=run_id, inputs=("migrate.py",))), cache)
    assert ran.read_text() == "xxx"


def test_a_change_runs_only_what_comes_after_it(
    start: Start, write: Write, command: Callable[..., Command], tmp_path: Path
) -> None:
    migrate = command("open('ran', 'a').write('x')", inputs=("migrate.py",))
    schema = write("1.sql", "CREATE TABLE t (x int);")
    for rows in ("1", "2"):
        made = Baseline((schema,), migrate, (write("t.csv", f"x\n{rows}\n"),))
        server = start(made, tmp_path / "cache").server()
        assert ask(server, "SELECT x::text FROM t") == [(rows,)]
    assert (tmp_path / "ran").read_text() == "x"


def test_what_is_of_use_to_one_session_goes_with_it(
    start: Start, command: Callable[..., Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_gotest.postgres.servers import _places

    cache = tmp_path / "cache"

    def kept() -> list[str]:
        return [path.name for path in (cache / "postgres").iterdir() if "-run-" in path.name and path.is_dir()]  # fmt: skip

    start(Baseline((), command("")), cache)
    assert len(kept()) == 1
    start(cache=cache)
    assert len(kept()) == 1  # this process lives
    for path in list(_places._HELD):
        if path.is_relative_to(cache):
            os.close(_places._HELD.pop(path))
    start(cache=cache)
    assert kept() == []
    assert not list((cache / "postgres").glob("*-run-*"))


def test_the_splitter_is_asked_nothing_where_nothing_is_in_a_file(
    server: Server, write: Write
) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        _script.run(connection, Path("x"), "-- nothing\n")
