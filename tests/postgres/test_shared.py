"""Servers that others use too: what a worker has on them is its own, is put back, and goes when it goes."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _databases, _server
from pytest_gotest.postgres._database import Database
from pytest_gotest.postgres._keeper import Keeper
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.reset._recorded import Recorded
from pytest_gotest.postgres.servers import _binaries, _provider
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._cluster import Cluster
from pytest_gotest.postgres.servers._shared import SharedServer, Worker

Start = Callable[..., Cluster]

SCHEMA = """
CREATE TABLE users (id bigserial PRIMARY KEY, name text NOT NULL);
CREATE TABLE posts (id int PRIMARY KEY, author int8 NOT NULL REFERENCES users ON DELETE CASCADE, answers int REFERENCES posts);
INSERT INTO users (name) VALUES ('ada'), ('grace');
INSERT INTO posts VALUES (1, 1, NULL), (2, 2, 1);
CREATE SEQUENCE alone;
"""
MORE = """
CREATE TABLE parted (k int) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF parted FOR VALUES IN (1);
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE RULE quiet AS ON INSERT TO parted DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW seen AS SELECT name FROM users;
"""
HARDLY_SEEN = [
    "ALTER TABLE parted DETACH PARTITION part1",
    "ALTER TABLE parted DISABLE RULE quiet",
    "ALTER TABLE users REPLICA IDENTITY FULL",
    "ALTER TABLE users FORCE ROW LEVEL SECURITY",
    "CREATE STATISTICS both_of ON id, name FROM users",
    "ALTER TABLE users ALTER COLUMN name SET STATISTICS 7",
    "ALTER TABLE users ALTER COLUMN name SET STORAGE PLAIN",
    "ALTER TABLE users ALTER COLUMN name SET (n_distinct = 5)",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO PUBLIC",
    "COMMENT ON FUNCTION one() IS 'two'",
    "COMMENT ON SCHEMA {schema} IS 'of this worker'",
    "GRANT EXECUTE ON FUNCTION one() TO CURRENT_USER WITH GRANT OPTION",
]
CHANGES = {
    "nothing": "SELECT 1",
    "insert": "INSERT INTO users (name) VALUES ('x')",
    "update a parent": "UPDATE users SET name = 'x'",
    "delete": "DELETE FROM users",
    "delete a child": "DELETE FROM posts WHERE id = 2",
    "truncate": "TRUNCATE users RESTART IDENTITY CASCADE",
    "sequence": "SELECT nextval('alone')",
    "table": "CREATE TABLE more (x int)",
    "column": "ALTER TABLE users ADD COLUMN age int",
    "drop": "DROP TABLE users CASCADE",
    "index": "CREATE INDEX ON users (name)",
    "function": "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
}
# Of the baseline everything that a client can see.
FACTS = """SELECT array(SELECT u::text FROM users u), array(SELECT p::text FROM posts p),
 (SELECT (last_value, is_called)::text FROM users_id_seq), (SELECT (last_value, is_called)::text FROM alone),
 to_regclass('more'), to_regproc('f'), (SELECT count(*) FROM pg_indexes WHERE tablename = 'users')"""


@pytest.fixture
def binaries() -> Binaries:
    """One version is enough: whose a database is, no version sees differently."""
    return _binaries.embedded()


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    schema = tmp_path / "schema.sql"
    schema.write_text(SCHEMA)
    return Baseline((schema,))


Role = Callable[[str], Server]


@pytest.fixture
def role(standing: Start, binaries: Binaries) -> Iterator[Role]:
    """The server as a role with these rights sees it, in a database that is there."""
    server = standing(binaries, Baseline()).server()

    def one(rights: str) -> Server:
        ask(server, "CREATE DATABASE apps")
        if rights == "SUPERUSER":
            return replace(server, dbname="apps")
        ask(server, f"CREATE ROLE app LOGIN PASSWORD 'geheim' {rights}")
        ask(server, "ALTER DATABASE apps OWNER TO app")
        return replace(server, user="app", password="geheim", dbname="apps")

    yield one
    with psycopg.connect(server.url, autocommit=True) as connection:
        for name in ("apps", *databases(server)):
            _databases.drop(connection, name)
        connection.execute("DROP ROLE IF EXISTS app")


def ask(server: Server, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def kept(
    server: Server, isolation: str, baseline: Baseline, way: str = "auto", name: str = "gw0"
) -> Iterator[Keeper]:
    instance = SharedServer(server, isolation, Worker(1, "run", name)).start(baseline)
    with contextlib.closing(contextlib.ExitStack()) as opened:
        opened.callback(instance.stop)
        keeper = Keeper(instance, way)
        opened.callback(keeper.close)
        yield keeper


RIGHTS = {
    "database": ["SUPERUSER", "CREATEDB"],
    "schema": ["SUPERUSER", "CREATEDB", ""],
    "shared": ["SUPERUSER", ""],
}
CASES = [(isolation, rights) for isolation, many in RIGHTS.items() for rights in many]


@pytest.mark.parametrize(("isolation", "rights"), CASES)
@pytest.mark.parametrize("way", ["auto", "truncate", "template"])
def test_what_is_put_back(
    role: Role, baseline: Baseline, isolation: str, rights: str, way: str
) -> None:
    with kept(role(rights), isolation, baseline, way) as keeper:
        before = ask(keeper.server, FACTS)
        if isolation == "shared" and way == "template":
            with pytest.raises(PostgresError, match="is not ours alone, and cannot be made anew"):
                keeper.begin("a test")
            return
        for change, statement in CHANGES.items():
            is_of_schema = change in ("table", "column", "drop", "index", "function")
            if is_of_schema and (way == "truncate" or isolation == "shared"):
                continue
            keeper.begin(change)
            ask(keeper.server, statement)
            restored = keeper.end(change)
            assert ask(keeper.server, FACTS) == before, (change, restored)


def test_a_template_that_could_not_be_filled_is_swept(role: Role, tmp_path: Path) -> None:
    server = role("CREATEDB")
    wrong = tmp_path / "wrong.sql"
    wrong.write_text("CREATE TABLE t (x nonsense);")
    with (
        pytest.raises(PostgresError, match="nonsense"),
        kept(server, "database", Baseline((wrong,))),
    ):
        pass
    with kept(server, "database", Baseline()):
        templates = [name for name in databases(server) if name.startswith("gotest_t_")]
        assert len(templates) == 1


def test_limits_of_a_role_are_not_for_ours(role: Role) -> None:
    server = role("CREATEDB")
    limits = ("statement_timeout", "lock_timeout", "idle_session_timeout")
    ask(
        server,
        "; ".join(f"ALTER ROLE app SET {limit} = '3ms'" for limit in limits)
        + "; ALTER ROLE app SET default_transaction_read_only = on",
    )
    without = replace(server, dbname="apps").dsn(
        options="-c statement_timeout=0 -c idle_session_timeout=0"
    )
    with psycopg.connect(without, autocommit=True) as connection:
        there = "SELECT count(*) FROM pg_database WHERE datname = %s"
        with kept(server, "database", Baseline()) as keeper:
            for _ in range(3):
                keeper.begin("a test")
                time.sleep(0.01)
                keeper.end("a test")
            name = keeper.server.dbname
            assert connection.execute(there, (name,)).fetchone() == (1,)
        assert connection.execute(there, (name,)).fetchone() == (0,)


def test_what_a_database_has_beside_its_content(role: Role, tmp_path: Path) -> None:
    """A migration gives it to the template, and CREATE DATABASE to no clone."""
    schema = tmp_path / "schema.sql"
    schema.write_text("""
        DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database()); END$$;
        DO $$BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END$$;
        CREATE SCHEMA app;
        CREATE TABLE app.users (name text);
    """)
    has_temporary = "SELECT has_database_privilege('public', current_database(), 'TEMPORARY')"
    with kept(role("CREATEDB"), "database", Baseline((schema,))) as keeper:
        for change in ("INSERT INTO users VALUES ('x')", "DROP TABLE users"):
            keeper.begin(change)
            assert ask(keeper.server, "SELECT count(*) FROM users") == [(0,)]
            assert ask(keeper.server, has_temporary) == [(False,)]
            ask(keeper.server, change)
            keeper.end(change)
        ask(keeper.server, f"ALTER DATABASE {keeper.server.dbname} SET work_mem = '5MB'")
        snapshot = Database(keeper).snapshot(schema=True)
        ask(keeper.server, "DROP TABLE users")
        snapshot.restore()
        assert ask(keeper.server, "SELECT count(*), current_setting('work_mem') FROM users") == [
            (0, "5MB")
        ]
        snapshot.close()


@contextlib.contextmanager
def neighbour(server: Server) -> Iterator[None]:
    """Somebody who writes to another database of the server all the time, and to what no database owns."""
    over, wrote = threading.Event(), threading.Event()

    def write() -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS busy (x int)")
            for number in itertools.count():
                connection.execute("INSERT INTO busy VALUES (1)")
                if number % 20 == 0:
                    memory = f"ALTER ROLE neighbour SET work_mem = '{64 + number}kB'"
                    connection.execute(memory.encode())
                wrote.set()
                if over.is_set():
                    return

    ask(server, "CREATE ROLE neighbour")
    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert wrote.wait(30)
        yield
    finally:
        over.set()
        thread.join()
        ask(server, "DROP TABLE busy")
        ask(server, "DROP ROLE neighbour")


@pytest.mark.parametrize("rights", ["SUPERUSER", "CREATEDB"])
def test_a_busy_neighbour(
    role: Role, standing: Start, binaries: Binaries, baseline: Baseline, rights: str
) -> None:
    """What others do to their databases and roles is no change of ours."""
    server = standing(binaries, Baseline()).server()
    with neighbour(server), kept(role(rights), "database", baseline) as keeper:
        for _ in range(20):
            keeper.begin("a test")
            ask(keeper.server, "UPDATE users SET name = 'x'")
            assert keeper.end("a test").kind == "delta"


def test_a_busy_neighbour_where_the_log_cannot_be_read(standing: Start, binaries: Binaries) -> None:
    server = standing(binaries, Baseline()).server()
    ask(server, "CREATE DATABASE no_log")
    there = replace(server, dbname="no_log")
    ask(there, "CREATE TABLE a AS SELECT 1 AS x")
    dsn = there.dsn(application_name=_provider.OURS)
    try:
        with (
            neighbour(server),
            psycopg.connect(dsn, autocommit=True) as ours,
            psycopg.connect(dsn, autocommit=True) as other,
        ):
            recorded = Recorded(ours, other, has_server=False)
            ask(there, "DELETE FROM a")
            assert recorded.restore([]).kind == "delta"
            assert ask(there, "SELECT x FROM a") == [(1,)]
    finally:
        ask(server, "DROP DATABASE no_log")


@pytest.mark.parametrize("isolation", ["database", "schema"])
def test_what_clients_hardly_see(
    role: Role, baseline: Baseline, tmp_path: Path, isolation: str
) -> None:
    """A role that may not read the log looks at the catalogs themselves."""
    more = tmp_path / "more.sql"
    more.write_text(MORE)
    everything = Baseline((*baseline.files, more))
    with kept(role("CREATEDB"), isolation, everything) as keeper:
        schema = keeper.instance.schema or "public"
        for statement in HARDLY_SEEN:
            keeper.begin(statement)
            ask(keeper.server, statement.format(schema=schema))
            assert keeper.end(statement).kind == "clone", statement
        keeper.begin("a view")
        ask(keeper.server, "INSERT INTO users (name) VALUES ('x')")
        ask(keeper.server, "REFRESH MATERIALIZED VIEW seen")
        restored = keeper.end("a view")
        assert restored.kind == "delta"
        assert [name.rpartition(".")[2] for name in restored.others] == ["seen"]
        assert ask(keeper.server, "SELECT name FROM seen") == [("ada",), ("grace",)]
        keeper.begin("nothing")
        assert keeper.end("nothing").kind == "clean"


def test_large_objects_of_a_weaker_role(role: Role, tmp_path: Path) -> None:
    schema = tmp_path / "schema.sql"
    schema.write_text("SELECT lo_from_bytea(4711, 'large')")
    with kept(role("CREATEDB"), "database", Baseline((schema,))) as keeper:
        for change, kind in (
            ("SELECT lo_from_bytea(0, 'more')", "delta"),
            ("SELECT lo_put(4711, 2, 'RGE')", "clone"),
            ("SELECT lo_unlink(4711)", "clone"),
            ("SELECT 1", "clean"),
        ):
            keeper.begin(change)
            ask(keeper.server, change)
            assert keeper.end(change).kind == kind
            found = ask(keeper.server, "SELECT oid, lo_get(oid) FROM pg_largeobject_metadata")
            assert found == [(4711, b"large")], change


def test_a_schema_that_cannot_be_put_back(role: Role, baseline: Baseline) -> None:
    """Of a database that others use: better an error than a wrong baseline."""
    with kept(role(""), "shared", baseline) as keeper:
        keeper.begin("a test")
        ask(keeper.server, "CREATE TABLE more (x int)")
        with pytest.raises(PostgresError, match="is not ours alone, and cannot be made anew"):
            keeper.end("a test")


def test_workers_take_turns(role: Role, baseline: Baseline) -> None:
    server = role("")
    with kept(server, "shared", baseline) as one, kept(server, "shared", baseline) as other:
        one.begin("one")
        ask(one.server, "DELETE FROM users")
        comes = threading.Thread(target=other.begin, args=("other",))
        comes.start()
        comes.join(0.3)
        assert comes.is_alive()
        assert one.end("one").kind == "delta"
        comes.join()
        assert other.end("other").kind == "clean"


def test_who_fails_to_begin_gives_the_turn_away(role: Role, baseline: Baseline) -> None:
    server = role("")
    with kept(server, "shared", baseline) as one, kept(server, "shared", baseline) as other:
        ask(server, "CREATE TABLE more (x int)")
        with pytest.raises(PostgresError, match="is not ours alone"):
            one.begin("one")
        ask(server, "DROP TABLE more")
        comes = threading.Thread(target=other.begin, args=("other",), daemon=True)
        comes.start()
        comes.join(10)
        assert not comes.is_alive()
        other.end("other")


@pytest.mark.parametrize("isolation", ["database", "schema"])
def test_no_snapshot_is_taken_while_somebody_writes(
    role: Role, baseline: Baseline, isolation: str
) -> None:
    with kept(role("CREATEDB"), isolation, baseline) as keeper:
        keeper.begin("a test")
        database = Database(keeper)
        with psycopg.connect(keeper.server.url) as writer:
            writer.execute("INSERT INTO users (name) VALUES ('x')")
            with pytest.raises(PostgresError, match=r"(?s)a snapshot cannot be taken: .*INSERT"):
                database.snapshot()
            writer.commit()
            database.snapshot().close()
        keeper.end("a test")


def test_a_snapshot_is_there_as_long_as_its_worker(role: Role, baseline: Baseline) -> None:
    """Whoever comes next removes what the dead left; this one lives."""
    server = role("CREATEDB")
    with kept(server, "database", baseline) as one:
        snapshot = Database(one).snapshot(schema=True)
        ask(one.server, "DROP TABLE posts")
        with kept(server, "database", baseline, name="gw1"):
            pass
        snapshot.restore()
        assert ask(one.server, "SELECT count(*) FROM posts") == [(2,)]
        snapshot.close()


@pytest.mark.parametrize("isolation", ["database", "shared"])
def test_a_superuser_reads_the_log(role: Role, baseline: Baseline, isolation: str) -> None:
    """And nothing is put into anybody else's database for it."""
    server = role("SUPERUSER")
    with kept(server, isolation, baseline) as keeper:
        keeper.begin("a test")
        ask(keeper.server, "INSERT INTO users (name) VALUES ('x')")
        restored = keeper.end("a test")
        assert (restored.kind, restored.tables) == ("delta", ("public.users",))
        assert ask(server, "SELECT extname FROM pg_extension") == [("plpgsql",)]
        assert "gotest_log" in databases(server)


def test_nobody_elses_transaction_is_ended(role: Role, baseline: Baseline) -> None:
    """What was open before the turn is no test's."""
    server = role("SUPERUSER")
    with kept(server, "shared", baseline) as keeper, psycopg.connect(server.url) as stranger:
        for last, told in (
            ("SELECT 1", r"session \d+ of postgres"),
            ("PREPARE TRANSACTION 'theirs'", "a transaction prepared by postgres as 'theirs'"),
        ):
            stranger.execute("INSERT INTO users (name) VALUES ('theirs')")
            stranger.execute(last.encode())
            with pytest.raises(PostgresError, match=f"apps is used by others.*\n{told}"):
                keeper.begin("a test")
        ask(server, "ROLLBACK PREPARED 'theirs'")
        stranger.rollback()
        keeper.begin("a test")
        test = psycopg.connect(server.url)
        test.execute("INSERT INTO users (name) VALUES ('left')")
        [leak] = keeper.end("a test").leaks
        assert "left a transaction open" in leak
        test.close()


def test_auto_takes_what_the_role_may_have(role: Role) -> None:
    chosen = SharedServer(role("SUPERUSER"), "auto", Worker(1, "r", "w"))
    assert chosen.isolation == "database"


@pytest.mark.parametrize(("rights", "isolation"), [("CREATEDB", "database"), ("", "schema")])
def test_auto_of_a_weaker_role(role: Role, rights: str, isolation: str) -> None:
    assert SharedServer(role(rights), "auto", Worker(1, "r", "w")).isolation == isolation


def test_a_right_that_is_missing(role: Role) -> None:
    with pytest.raises(PostgresError, match="the role app may not create a database"):
        SharedServer(role(""), "database", Worker(1, "r", "w"))


@pytest.mark.parametrize("isolation", ["database", "schema"])
def test_names_that_are_too_long_for_one(role: Role, baseline: Baseline, isolation: str) -> None:
    """Of a run, and of workers: PostgreSQL would cut them off where they differ."""
    server, run = role("CREATEDB"), "r" * 80
    names = ["gw0", "gw1", "o" * 80, "o" * 81]
    there = databases if isolation == "database" else schemas
    with contextlib.ExitStack() as opened:
        for name in names:
            shared = SharedServer(server, isolation, Worker(4294967295, run, name))
            one = shared.start(baseline)
            opened.callback(one.stop)
            one.keep()
        ours = {name for name in there(server) if name.startswith("gotest_w_")}
    plain = {name.removesuffix("_kept") for name in ours}
    assert len(plain) == len(names)
    assert max(map(len, plain)) + len("_snapshot_1234") <= 63
    assert not {name for name in there(server) if name.startswith("gotest_w_")}


def databases(server: Server) -> set[str]:
    rows = ask(server, "SELECT datname FROM pg_database WHERE datname LIKE 'gotest%'")
    return {str(name) for (name,) in rows}


def schemas(server: Server) -> set[str]:
    rows = ask(server, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'gotest%'")
    return {str(name) for (name,) in rows}


def test_two_roles_have_templates_of_their_own(
    standing: Start, binaries: Binaries, role: Role, baseline: Baseline
) -> None:
    """What is in one belongs to whoever made it."""
    app, mighty = role("CREATEDB"), standing(binaries, Baseline()).server()
    with kept(mighty, "database", baseline), kept(app, "database", baseline, name="gw1") as other:
        assert ask(other.server, "SELECT count(*) FROM users") == [(2,)]


def test_two_workers_and_what_is_left_of_them(role: Role, baseline: Baseline) -> None:
    server = role("CREATEDB")
    with (
        kept(server, "database", baseline) as one,
        kept(server, "database", baseline, name="gw1") as two,
    ):
        ask(one.server, "DELETE FROM users")
        assert ask(two.server, "SELECT count(*) FROM users") == [(2,)]
        assert len(databases(server)) == 3
    [template] = databases(server) - {"gotest_log"}  # for the next run
    assert template.startswith("gotest_t_")


@pytest.mark.parametrize("isolation", ["database", "schema"])
def test_what_a_dead_owner_left_goes_with_the_next(
    role: Role, baseline: Baseline, isolation: str
) -> None:
    server = role("CREATEDB")
    code = """
import sys, time
from pathlib import Path
from pytest_gotest.postgres import _server
from pytest_gotest.postgres.servers import _binaries, _provider
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers._shared import SharedServer, Worker
shared = SharedServer(_server.of_url(sys.argv[1]), sys.argv[2], Worker(1, "run", "dead"))
instance = shared.start(Baseline((Path(sys.argv[3]),)))
print("up", flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", code, server.url, isolation, str(baseline.files[0])]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE)
    there = databases if isolation == "database" else schemas
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        with kept(server, isolation, baseline, name="beside"):
            assert "gotest_w_1_run_dead" in there(server)  # it lives
    finally:
        owner.kill()
        owner.communicate()
    ask(server, 'CREATE SCHEMA "gotest_mine"')  # a name that is like ours
    with kept(server, isolation, baseline, name="next"):
        assert "gotest_w_1_run_dead" not in there(server)
    assert "gotest_mine" in schemas(server)


def test_sixteen_at_once_make_one_template(role: Role, baseline: Baseline) -> None:
    server = role("CREATEDB")
    code = """
import sys
from pathlib import Path
import psycopg
from pytest_gotest.postgres import _server
from pytest_gotest.postgres.servers import _binaries, _provider
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers._shared import SharedServer, Worker
shared = SharedServer(_server.of_url(sys.argv[1]), "database", Worker(1, "run", sys.argv[3]))
instance = shared.start(Baseline((Path(sys.argv[2]),)))
with psycopg.connect(instance.server().url) as connection:
    print(connection.execute("SELECT count(*) FROM users").fetchone())
instance.stop()
"""
    many = [
        subprocess.Popen(
            [sys.executable, "-c", code, server.url, str(baseline.files[0]), f"gw{number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for number in range(16)
    ]
    assert [process.communicate()[0] for process in many] == [b"(2,)\n"] * 16
    assert len(databases(server)) == 1


def test_a_failing_migration_leaves_nothing(role: Role, tmp_path: Path) -> None:
    broken = tmp_path / "broken.sql"
    broken.write_text("SELEKT")
    server = role("CREATEDB")
    for _ in range(2):
        with pytest.raises(PostgresError, match=r"broken\.sql:1: syntax error"):
            SharedServer(server, "database", Worker(1, "r", "w")).start(Baseline((broken,)))
    assert not any(ask(server, "SELECT 1 FROM pg_database WHERE datname LIKE 'gotest_w%'"))


def test_tables_that_are_not_ours(role: Role, baseline: Baseline) -> None:
    server = role("")
    ask(server, "CREATE TABLE theirs (x int)")
    with pytest.raises(PostgresError, match="database apps holds 1 tables, which are not those"):
        SharedServer(server, "shared", Worker(1, "r", "w")).start(baseline)
    assert ask(server, "SELECT count(*) FROM theirs") == [(0,)]


@pytest.mark.parametrize("change", ["password", "port", "dbname"])
def test_no_connection(role: Role, change: str) -> None:
    server = role("")
    server = {
        "password": replace(server, password="wrong-geheim"),
        "port": replace(server, port=1),
        "dbname": replace(server, dbname="nowhere"),
    }[change]
    with pytest.raises(PostgresError) as caught:
        SharedServer(server, "auto", Worker(1, "r", "w"))
    said = str(caught.value)
    assert f"127.0.0.1:{server.port}, database {server.dbname}, user app" in said
    assert "geheim" not in said


def test_urls() -> None:
    server = _server.of_url("postgresql://me:s%3Acret@[::1]:6543/my%20db?sslmode=require")
    assert (server.host, server.port, server.user, server.password) == ("::1", 6543, "me", "s:cret")
    assert (server.dbname, dict(server.parameters)) == ("my db", {"sslmode": "require"})
    assert server.url == "postgresql://me:s%3Acret@[::1]:6543/my%20db?sslmode=require"
    assert _server.of_url(_server.of_url("postgres://me@%2Frun%2Fpg/db").url).host == "/run/pg"
    for wrong in ("postgres://me:geheim@host:port/db", "postgres://h/db", "postgres://a@h1,h2/db"):
        with pytest.raises(ValueError, match=r"as libpq reads|has to name a user") as caught:
            _server.of_url(wrong)
        assert "geheim" not in str(caught.value)


def test_sixteen_workers_and_twenty_connections(
    start: Start, baseline: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that get some work, and the others are told what is short."""
    monkeypatch.setitem(_provider.SETTINGS, "max_connections", "20")
    server = start(cache=tmp_path / "cache").server()
    told: list[str] = []
    with contextlib.ExitStack() as opened:
        for number in range(16):
            try:
                keeper = opened.enter_context(
                    kept(server, "database", baseline, name=f"gw{number}")
                )
                keeper.begin("a test")
            except PostgresError as error:
                told.append(str(error))
    assert 0 < len(told) < 16
    for said in told:
        assert "too many clients" in said or "remaining connection slots" in said
        assert "take fewer workers" in said
        assert server.password not in said
