"""Tests that leave their database in any state: the next one starts from the baseline, and the culprit is named."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from randomly import dump

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres._keeper import Keeper
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.reset._recorded import Recorded
from pytest_gotest.postgres.servers import _places
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._cluster import Cluster, Clusters

Start = Callable[..., Cluster]
Connection = psycopg.Connection[Any]

SCHEMA = """
CREATE TABLE users (id bigserial PRIMARY KEY, name text NOT NULL);
INSERT INTO users (name) VALUES ('ada'), ('grace');
CREATE SEQUENCE alone;
CREATE MATERIALIZED VIEW names AS SELECT name FROM users;
SELECT lo_from_bytea(4711, 'large');
CREATE ROLE reader;
GRANT SELECT ON users TO reader;
ALTER DATABASE test SET work_mem = '5MB';
ALTER DATABASE test SET search_path = "$user", public, "odd, one";
ALTER ROLE reader IN DATABASE test SET application_name = 'it''s';
REVOKE CONNECT ON DATABASE test FROM PUBLIC;
GRANT CREATE ON DATABASE test TO reader WITH GRANT OPTION;
ALTER DATABASE test CONNECTION LIMIT 77;
COMMENT ON DATABASE test IS 'of the tests';
"""


class Bench:
    """A database with a keeper, and connections as tests have them."""

    def __init__(self, cluster: Cluster, programs: Path, before: str) -> None:
        self.cluster = cluster
        self.keeper = Keeper(cluster, "auto")
        self.programs = programs
        self.connections: list[Connection] = []
        self.before = before

    def connect(self, **changes: str) -> Connection:
        dsn = self.cluster.server().dsn(**changes)
        self.connections.append(psycopg.connect(dsn, autocommit=True))
        return self.connections[-1]

    def run(self, *statements: str) -> Connection:
        connection = self.connect()
        for statement in statements:
            connection.execute(statement.encode())
        return connection

    def restored(self) -> tuple[str, list[str], list[str]]:
        """How; who made that necessary; who left what. And the baseline is there."""
        restored = self.keeper.end("test_culprit")
        assert dump(self.cluster, self.programs) == self.before, restored
        counts = self.keeper.counts
        return restored.kind, counts.renewed, counts.left


@contextlib.contextmanager
def kept(cluster: Cluster, programs: Path, before: str = "") -> Iterator[Bench]:
    bench = Bench(cluster, programs, before or dump(cluster, programs))
    bench.keeper.begin("test_culprit")
    yield bench
    for connection in bench.connections:
        connection.close()
    bench.keeper.end("test_culprit")
    bench.keeper.close()


@pytest.fixture(scope="module")
def dumps() -> dict[str, str]:
    """Of the baseline, by provider."""
    return {}


@pytest.fixture
def bench(
    standing: Start, dumps: dict[str, str], binaries: Binaries, tmp_path: Path
) -> Iterator[Bench]:
    """On a server that all tests share: each leaves it as it was, which is what they are about."""
    schema = tmp_path / "schema.sql"
    schema.write_text(SCHEMA)
    cluster = standing(binaries, Baseline((schema,)))
    if binaries.provider not in dumps:
        dumps[binaries.provider] = dump(cluster, binaries.directory)
    with kept(cluster, binaries.directory, dumps[binaries.provider]) as bench:
        yield bench


def test_nothing_at_all(bench: Bench) -> None:
    bench.run("SELECT * FROM users")
    assert bench.restored() == ("clean", [], [])


CHANGES = {
    "insert": "INSERT INTO users (name) VALUES ('x')",
    "update": "UPDATE users SET name = 'x'",
    "delete": "DELETE FROM users",
    "truncate": "TRUNCATE users RESTART IDENTITY",
    "sequence": "SELECT nextval('alone')",
    "setval": "SELECT setval('users_id_seq', 99)",
    "view": "DELETE FROM users; REFRESH MATERIALIZED VIEW names",
    "new large object": "SELECT lo_from_bytea(0, 'more')",
    "new file": "INSERT INTO users (name) VALUES ('x'); VACUUM FULL users",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_put_back_in_place(bench: Bench, change: str) -> None:
    bench.run(*CHANGES[change].split("; "))
    kind, renewed, left = bench.restored()
    assert (kind, renewed, left) == ("delta", [], [])


CLONED = {
    "table": ("CREATE TABLE more (x int)", "the schema changed (pg_"),
    "column": ("ALTER TABLE users ADD COLUMN age int", "the schema changed (pg_"),
    "comment": ("COMMENT ON TABLE users IS 'x'", "the schema changed (pg_description)"),
    "grant": ("GRANT INSERT ON users TO reader", "the schema changed (pg_"),
    "extension": ("CREATE EXTENSION hstore", "the schema changed (pg_"),
    "large object": ("SELECT lo_unlink(4711)", "large object"),
}


@pytest.mark.parametrize("change", CLONED)
def test_what_takes_a_new_database(bench: Bench, change: str) -> None:
    """It has what the old one had beside its content: settings, privileges, a comment."""
    statement, why = CLONED[change]
    for _ in range(2):  # and once more, from the clone
        bench.run(statement)
        kind, renewed, left = bench.restored()
        assert (kind, left) == ("clone", [])
        assert renewed[-1].startswith("test_culprit: a new database, for ")
        assert why in renewed[-1]


RENEWED = {
    "new role": ("CREATE ROLE somebody", "pg_authid"),
    "role": ("ALTER ROLE postgres PASSWORD 'mine'", "pg_authid"),
    "role setting": ("ALTER ROLE reader SET work_mem = '9MB'", "pg_db_role_setting"),
    "database setting": ("ALTER DATABASE test SET work_mem = '9MB'", "pg_db_role_setting"),
    "server setting": ("ALTER SYSTEM SET work_mem = '9MB'", "ALTER SYSTEM"),
    "database comment": ("COMMENT ON DATABASE test IS 'x'", "pg_shdescription"),
    "slot": ("SELECT pg_create_physical_replication_slot('s')", "replication slots"),
}


@pytest.mark.parametrize("change", RENEWED)
def test_what_takes_a_new_server(bench: Bench, change: str) -> None:
    statement, why = RENEWED[change]
    bench.run(statement)
    kind, [renewed], _ = bench.restored()
    assert kind == "recopy"
    assert renewed.startswith("test_culprit: a new server, for ")
    assert why in renewed


def test_an_open_transaction(bench: Bench) -> None:
    bench.run("BEGIN", "INSERT INTO users (name) VALUES ('x')")
    kind, _, [left] = bench.restored()
    assert kind == "delta"  # of the sequence, which knows no transactions
    assert left.startswith("test_culprit left a transaction open, idle in transaction for ")
    assert "INSERT INTO users (name) VALUES ('x')" in left


@pytest.mark.parametrize("lock", ["LOCK TABLE users", "SELECT 1"])
def test_an_open_transaction_that_has_not_written(bench: Bench, lock: str) -> None:
    """It may have locks that the next test would wait for."""
    bench.run("BEGIN", lock)
    kind, _, [left] = bench.restored()
    assert kind == "clean"
    assert left.startswith("test_culprit left a transaction open")
    bench.keeper.begin("next")
    bench.run("SET lock_timeout = 1000", "TRUNCATE users")


def test_a_lock_that_is_in_our_way(bench: Bench) -> None:
    bench.run("DELETE FROM users")
    bench.run("BEGIN", "LOCK TABLE users")
    kind, _, [left] = bench.restored()
    assert kind == "delta"
    assert left.startswith("test_culprit left a transaction open")


def test_a_statement_that_runs_on(bench: Bench) -> None:
    """With a lock that it got in the same breath."""
    connection = bench.connect()
    statement = "DO $$BEGIN LOCK TABLE users; PERFORM pg_sleep(600); END$$"
    runs = threading.Thread(target=_quietly, args=(connection, statement))
    runs.start()
    probe = bench.connect()
    while not probe.execute(
        "SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'users'::regclass AND granted"
    ).fetchall():
        time.sleep(0.01)
    kind, _, [left] = bench.restored()
    runs.join()
    assert kind == "clean"
    assert "pg_sleep(600)" in left


def _quietly(connection: Connection, statement: str) -> None:
    with contextlib.suppress(psycopg.Error):
        connection.execute(statement.encode())


def test_advisory_locks(bench: Bench) -> None:
    bench.run("SELECT pg_advisory_lock(4711)", "SELECT pg_advisory_lock(1, 2)")
    kind, _, left = bench.restored()
    assert kind == "clean"
    assert sorted(one.partition(" (pid")[0] for one in left) == [
        "test_culprit left an advisory lock held: 1, 2",
        "test_culprit left an advisory lock held: 4711",
    ]
    bench.keeper.begin("next")
    bench.run("SET statement_timeout = 1000", "SELECT pg_advisory_lock(4711)")


@pytest.mark.parametrize("binaries", ["embedded"], indirect=True)
def test_all_connections(bench: Bench) -> None:
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            bench.connect()
    assert len(bench.connections) > 50
    kind, _, [left] = bench.restored()
    assert kind == "clean"
    assert "connections open, of " in left
    bench.keeper.begin("next")
    bench.run("SELECT 1")


def test_a_prepared_transaction(bench: Bench) -> None:
    bench.run("BEGIN", "INSERT INTO users (name) VALUES ('x')", "PREPARE TRANSACTION 'it''s'")
    kind, _, [left] = bench.restored()
    assert kind in ("clean", "delta")
    assert left == "test_culprit left a prepared transaction: 'it''s'"


def test_a_transaction_open_in_another_database(bench: Bench) -> None:
    """Roles are made from any."""
    connection = bench.connect(dbname="postgres")
    connection.execute("BEGIN; CREATE ROLE late")
    kind, _, [left] = bench.restored()
    assert kind == "clean"
    assert left.startswith("test_culprit left a transaction open")
    assert "CREATE ROLE late" in left
    assert connection.closed or _is_broken(connection)


def _is_broken(connection: Connection) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        connection.execute("COMMIT")
    return connection.broken


def test_a_transaction_prepared_in_another_database(bench: Bench) -> None:
    connection = bench.connect(dbname="postgres")
    connection.execute("BEGIN; CREATE ROLE late; PREPARE TRANSACTION 'far'")
    kind, [renewed], [left] = bench.restored()
    assert kind == "recopy"
    assert "prepared in another database: 'far'" in renewed
    assert left == "test_culprit left a prepared transaction in another database: 'far'"


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_what_is_written_to_another_database(bench: Bench, database: str) -> None:
    bench.connect(dbname=database).execute("CREATE TABLE stays ()")
    kind, [renewed], _ = bench.restored()
    assert kind == "recopy"
    assert "another database of the server was written to" in renewed
    probe = bench.connect(dbname=database)
    assert probe.execute("SELECT to_regclass('stays')").fetchone() == (None,)
    probe.execute("VACUUM ANALYZE")  # as autovacuum does by itself
    assert bench.restored()[0] == "clean"


def test_a_database_of_a_tests_own_costs_nothing(bench: Bench) -> None:
    bench.run("CREATE DATABASE own")
    with psycopg.connect(bench.cluster.server().dsn(dbname="own"), autocommit=True) as connection:
        connection.execute("CREATE TABLE any_number ()")
    bench.run("DROP DATABASE own")
    assert bench.restored() == ("clean", [], [])


def test_a_database_left_behind(bench: Bench) -> None:
    bench.run('CREATE DATABASE "my own"')
    _, _, [left] = bench.restored()
    assert left == "test_culprit left a database behind: my own"


def test_the_database_dropped(bench: Bench) -> None:
    maintenance = psycopg.connect(bench.cluster.maintenance().dsn(), autocommit=True)
    bench.connections.append(maintenance)
    maintenance.execute("DROP DATABASE test WITH (FORCE)")
    kind, [renewed], _ = bench.restored()
    assert kind == "clone"
    assert renewed.startswith("test_culprit: ")


def test_all_other_sessions_ended(bench: Bench) -> None:
    """Ours among them."""
    bench.run("INSERT INTO users (name) VALUES ('x')")
    bench.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    )
    kind, [renewed], _ = bench.restored()
    assert kind == "recopy"
    assert renewed.startswith("test_culprit: a new server, for ")


@pytest.mark.parametrize("whom", ["postmaster", "a session"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_killed(bench: Bench, whom: str, number: signal.Signals) -> None:
    connection = bench.run("INSERT INTO users (name) VALUES ('x')")
    postmaster = int((bench.cluster.data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster if whom == "postmaster" else connection.info.backend_pid, number)
    late = time.monotonic() + 60
    crashes = whom == "a session" and number == signal.SIGKILL
    while time.monotonic() < late and (
        (whom == "postmaster" and bench.cluster.is_up())
        or (crashes and "terminating any other active" not in bench.cluster.log())
    ):
        time.sleep(0.01)
    time.sleep(0.2 * crashes)  # in which the others get the signal
    kind, renewed, _ = bench.restored()
    # Who ends one session politely harms nobody else.
    if (whom, number) == ("a session", signal.SIGTERM):
        assert (kind, renewed) == ("delta", [])
    else:
        assert kind == "recopy"
        assert renewed[0].startswith("test_culprit: a new server, for ")
    bench.run("SELECT 1")


def test_a_database_that_cannot_be_dropped(bench: Bench) -> None:
    """It is no part of the baseline from then on."""
    bench.run("CREATE DATABASE stray")
    subscribe = "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect = false)"
    with bench.connect(dbname="stray") as connection:
        connection.execute(subscribe)
    kind, [renewed], _ = bench.restored()
    assert kind == "recopy"
    assert "the database stray cannot be dropped" in renewed
    with bench.connect() as connection:
        there = connection.execute("SELECT FROM pg_database WHERE datname = 'stray'").fetchall()
        assert there == []


def test_again_and_again(bench: Bench) -> None:
    """Whatever came before, the next restore is as exact."""
    for statement, _ in (*RENEWED.values(),)[::4]:
        bench.run(statement)
        bench.restored()
        bench.run("INSERT INTO users (name) VALUES ('x')")
        assert bench.restored()[0] == "delta"


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 150 MB, where servers are: by a short path, for there are sockets as well."""
    disk = Path(tempfile.mkdtemp(prefix="gt-", dir="/tmp"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=150m,mode=711", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        disk.rmdir()
        pytest.skip(f"no file system of its own can be had: {done.stderr.strip()}")
    monkeypatch.setattr(_places, "base", lambda: disk)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)
    disk.rmdir()


def test_a_disk_that_a_test_fills(
    small_disk: Path, binaries: Binaries, cache: Path, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.sql"
    schema.write_text(SCHEMA)
    cluster = Clusters(binaries, cache, os.environ).start(Baseline((schema,)))
    try:
        with kept(cluster, binaries.directory) as bench:
            bench.connect().execute("CREATE TABLE big (x text)")
            bench.restored()
            connection = bench.connect()
            rows = "INSERT INTO users (name) SELECT repeat('x', 1000) FROM generate_series(1, 5000)"
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    connection.execute(rows)
            bench.restored()
            bench.keeper.begin("next")
            bench.run("INSERT INTO users (name) VALUES ('x')")
            assert bench.restored()[0] == "delta"
    finally:
        cluster.stop()


def test_no_room_for_a_server(small_disk: Path, binaries: Binaries, tmp_path: Path) -> None:
    (small_disk / "full").write_bytes(b"x" * (140 << 20))
    with pytest.raises(PostgresError, match="No space left on device"):
        Clusters(binaries, tmp_path / "cache", os.environ).start(Baseline())
    assert [path.name for path in small_disk.iterdir() if path.name.startswith("s-")] == []


def test_who_commits_while_we_look(bench: Bench) -> None:
    """Between the question where the log ends and the one who is writing."""
    sessions = bench.keeper._reset._recorded._sessions  # type: ignore[attr-defined]
    look = sessions._look
    sessions._look = [*look[:-1], "DO $$ BEGIN PERFORM pg_sleep(0.4); END $$", look[-1]]
    connection = bench.connect()

    def late() -> None:
        time.sleep(0.15)
        connection.execute("INSERT INTO users (name) VALUES ('late')")

    thread = threading.Thread(target=late)
    thread.start()
    bench.keeper.restore()
    thread.join()
    sessions._look = look
    assert dump(bench.cluster, bench.programs) == bench.before


def test_a_query_that_is_still_to_write(bench: Bench) -> None:
    """It has no transaction id yet, and could be taken for one that reads."""
    connection = bench.connect()

    def writes() -> None:
        with contextlib.suppress(psycopg.Error):
            connection.execute("INSERT INTO users SELECT 77, 'late' FROM (SELECT pg_sleep(2)) q")

    thread = threading.Thread(target=writes)
    thread.start()
    time.sleep(0.3)
    kind, _, left = bench.restored()
    thread.join()
    assert kind in ("clean", "delta")
    assert "left a transaction open, active" in left[0]
    assert dump(bench.cluster, bench.programs) == bench.before


def test_a_password_in_what_is_named(bench: Bench) -> None:
    bench.run("BEGIN", "ALTER ROLE reader PASSWORD 'hunter2'")
    _, _, left = bench.restored()
    assert "ALTER ROLE reader PASSWORD '***'" in left[0]
    assert "hunter2" not in left[0]
    password = bench.cluster.server().password
    bench.run("BEGIN", f"SELECT 'dblink: {password}', txid_current()")
    assert "SELECT 'dblink: ***', txid_current()" in bench.restored()[2][-1]


def test_what_is_written_anew_as_it_was_is_no_change(
    start: Start, binaries: Binaries, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.sql"
    schema.write_text("""
        CREATE TABLE a (id int PRIMARY KEY, up int CONSTRAINT up REFERENCES a);
        COMMENT ON TABLE a IS 'hi';
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE VIEW v AS SELECT id FROM a;
    """)
    cluster = start(Baseline((schema,)))
    with kept(cluster, binaries.directory) as bench:
        for statement in (
            "ALTER TABLE a ALTER CONSTRAINT up DEFERRABLE; ALTER TABLE a ALTER CONSTRAINT up NOT DEFERRABLE",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "COMMENT ON TABLE a IS 'hi'",
        ):
            bench.run(statement)
            assert bench.restored()[:2] == ("clean", []), statement


def test_the_log_is_still_read_after_many_databases_were_left(bench: Bench) -> None:
    for number in range(7):
        bench.run(f"CREATE DATABASE left{number}", "INSERT INTO users (name) VALUES ('x')")
        assert bench.restored()[0] == "delta"
    log = bench.keeper._reset._recorded._log  # type: ignore[attr-defined]
    rows = log._connection.execute("SELECT name FROM pg_prepared_statements").fetchall()
    assert (log._name,) in rows


def test_odd_defaults_of_a_database(start: Start, binaries: Binaries, tmp_path: Path) -> None:
    """Rows pass through as text."""
    schema = tmp_path / "schema.sql"
    schema.write_text("""
        CREATE TABLE a (x text[]);
        INSERT INTO a VALUES (ARRAY[NULL, 'x']);
        ALTER DATABASE test SET array_nulls = off;
    """)
    cluster = start(Baseline((schema,)))
    with kept(cluster, binaries.directory) as bench:
        bench.run("TRUNCATE a")
        assert bench.restored()[0] == "delta"


def test_a_database_of_any_bytes(start: Start, binaries: Binaries, tmp_path: Path) -> None:
    """In SQL_ASCII names and queries need not be UTF-8."""
    cluster = start(Baseline())
    with psycopg.connect(cluster.maintenance().dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bytes ENCODING SQL_ASCII TEMPLATE template0 LOCALE 'C'")
    server = cluster.server()
    dsn = server.dsn(dbname="bytes", client_encoding="sql_ascii")
    ours = psycopg.connect(server.dsn(dbname="bytes"), autocommit=True)
    other = psycopg.connect(cluster.maintenance().dsn(), autocommit=True)
    with psycopg.connect(dsn, autocommit=True) as test, ours, other:
        test.execute(b'CREATE TABLE u ("na\xefve" int, t text)')
        test.execute(b"INSERT INTO u VALUES (1, '\xe9')")
        recorded = Recorded(ours, other, has_server=False)
        test.execute(b"DELETE FROM u")
        leaks: list[str] = []
        left = psycopg.connect(dsn)
        left.execute(b"SELECT '\xe9' FROM u")
        assert recorded.restore(leaks).kind == "delta"
        left.close()
        assert test.execute(b"SELECT * FROM u").fetchall() == [(1, b"\xe9")]
        leaks[0].encode()


@pytest.mark.parametrize("binaries", ["local"], indirect=True)  # the wheel knows no XML
def test_xml_comes_back_as_it_was_written(start: Start, binaries: Binaries, tmp_path: Path) -> None:
    """A column's text has no declaration, in dumps as well."""
    schema = tmp_path / "schema.sql"
    schema.write_text("""
        CREATE TABLE a (x xml[]);
        INSERT INTO a VALUES (ARRAY['<?xml version="1.0" encoding="UTF-8"?><a/>'::xml]);
    """)
    cluster = start(Baseline((schema,)))
    with kept(cluster, binaries.directory) as bench:
        written = "SELECT xmlserialize(DOCUMENT x[1] AS text) FROM a"
        [before] = bench.connect().execute(written)
        bench.run("DELETE FROM a")
        bench.restored()
        assert [*bench.connect().execute(written)] == [before]


def test_event_triggers_that_fire_always(start: Start, binaries: Binaries, tmp_path: Path) -> None:
    """What we do to a database is none of theirs."""
    schema = tmp_path / "schema.sql"
    schema.write_text("""
        CREATE TABLE a (x int);
        CREATE TABLE said (tag text);
        CREATE FUNCTION say() RETURNS event_trigger LANGUAGE plpgsql
            AS $$BEGIN INSERT INTO public.said VALUES (tg_tag); END$$;
        CREATE EVENT TRIGGER says ON ddl_command_end EXECUTE FUNCTION say();
        ALTER EVENT TRIGGER says ENABLE ALWAYS;
    """)
    cluster = start(Baseline((schema,)))
    before = dump(cluster, binaries.directory)
    if cluster.server().server_version < (17,):  # which can switch them off
        with pytest.raises(
            PostgresError, match=r"(?s)event trigger says .*--gotest-reset=template"
        ):
            Keeper(cluster, "auto")
        return
    with kept(cluster, binaries.directory, before) as bench:
        assert dump(cluster, binaries.directory) == before
        bench.run("INSERT INTO a VALUES (1)")
        assert bench.restored()[0] == "delta"
        bench.run("CREATE TABLE b ()")
        assert bench.restored()[0] == "clone"
