"""`gotest_db` as tests use it: each begins with the baseline, whatever the one before did."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from running import Outcome, run_pytest

from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers import _binaries
from pytest_gotest.postgres.servers._cluster import Clusters

FILES = {
    "go.mod": "module example.com/shop\n\ngo 1.22\n",
    "migrations/1.sql": """
        CREATE TABLE users (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE);
        INSERT INTO users (name) VALUES ('ada');
    """,
    "pytest.ini": """
        [pytest]
        gotest = true
        gotest_migrations = migrations/*.sql
    """,
}
Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs pytest on a project with the files given, on the embedded server unless told otherwise."""
    cache = tmp_path_factory.getbasetemp() / "databases-cache"
    root = tmp_path / "shop"

    def one(*arguments: str, go: bool = True, **files: str) -> Outcome:
        for name, text in {**FILES, **files}.items():
            path = root / name.replace("__", "/")
            path = path if path.suffix else path.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return run_pytest(
            root,
            f"--gotest-cache-dir={cache}",
            *arguments,
            plugins=["xdist"],
            record=tmp_path / "r",
            go=go,
        )

    return one


PYTHON_ALONE = """
    [pytest]
    gotest_migrations = migrations/*.sql
"""


ORDER = """
    import pytest

    NAMES = [{"id": 1, "name": "ada"}]

    @pytest.mark.parametrize("turn", range(4))
    def test_rows(gotest_db, turn):
        assert gotest_db.rows("users") == NAMES
        gotest_db.execute("INSERT INTO users (name) VALUES (%s)", ["grace"])
        assert gotest_db.rows("public.users") == [*NAMES, {"id": 2, "name": "grace"}]

    @pytest.mark.parametrize("turn", range(2))
    def test_own_connection(gotest_db, turn):
        with gotest_db.connect() as connection:
            connection.execute("DELETE FROM users")
        assert gotest_db.rows("users") == []
"""


@pytest.mark.parametrize("way", ["auto", "truncate", "transaction", "template"])
def test_each_begins_with_the_baseline(run: Run, way: str) -> None:
    outcome = run(f"--gotest-reset={way}", test_it=ORDER)
    assert outcome.exitstatus == 0, outcome.output
    assert len(outcome.items) == 6
    assert "6 of 6 tests wrote to the database; put back" in outcome.output


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_without_go_tests_the_summary_says_what_was_used(
    run: Run, workers: tuple[str, ...]
) -> None:
    outcome = run(*workers, go=False, test_it=ORDER, **{"pytest.ini": PYTHON_ALONE})
    assert outcome.exitstatus == 0, outcome.output
    [line] = [line for line in outcome.output.splitlines() if line.startswith("gotest: ")]
    assert re.match(
        r"gotest: postgres [\d.]+ embedded; 6 of 6 tests wrote to the database; put back \d by",
        line,
    )


READS = """
    def test_reads(gotest_db):
        assert len(gotest_db.rows("users")) == 1
"""


def test_a_database_that_nobody_uses(run: Run) -> None:
    files = {"pytest.ini": PYTHON_ALONE}
    for options, test, missing in (
        ([], READS, False),
        (["--gotest-require-db"], "def test_nothing(): pass", True),
        (["--gotest-require-db"], READS, True),
        (["--gotest-require-db", "-n", "2"], READS, True),
        (["--gotest-require-db", "-n", "2"], ORDER, False),
        (["-o", "gotest_require_db=true"], READS, True),
        (["--gotest-require-db", "--co"], READS, False),
    ):
        outcome = run(*options, go=False, test_it=test, **files)
        assert outcome.exitstatus == int(missing), (options, outcome.output)
        assert ("--gotest-require-db: no test wrote" in outcome.output) is missing
    outcome = run(
        "--gotest-require-db", "--gotest-reset=truncate", go=False, test_it=READS, **files
    )
    assert outcome.exitstatus == 4
    assert "--gotest-require-db cannot tell with --gotest-reset=truncate" in outcome.output


def test_a_go_test_that_writes_is_enough(run: Run) -> None:
    env = """
        import pytest

        @pytest.fixture(scope="package")
        def gotest_env(gotest_postgres):
            return {"DSN": gotest_postgres.url, "PSQL": "x"}
    """
    # Without a module of a driver: Python does what the Go test asks for.
    code = """
        package shop

        import ("os"; "os/exec"; "testing")

        func TestWrites(t *testing.T) {
            said, err := exec.Command(os.Getenv("PYTHON"), "-c",
                "import os, psycopg; psycopg.connect(os.environ['DSN'], autocommit=True).execute('DELETE FROM users')").CombinedOutput()
            if err != nil { t.Fatalf("%v: %s", err, said) }
        }
    """
    env = env.replace('"x"', '"x", "PYTHON": __import__("sys").executable')
    for workers in ((), ("-n", "2")):
        outcome = run(
            "--gotest-require-db",
            *workers,
            "-o",
            "gotest_postgres_env=DSN={url}",
            conftest=env,
            **{"shop_test.go": code},
        )
        assert outcome.items == {"shop_test.go::TestWrites": "passed"}, outcome.output
        assert outcome.exitstatus == 0, outcome.output


@pytest.mark.parametrize("go", [True, False])
def test_what_cannot_be_is_told_once_before_anything_starts(run: Run, go: bool) -> None:
    for option, said in (
        ("--gotest-postgres=mysql://x", "--gotest-postgres (ini: gotest_postgres) takes"),
        ("--gotest-postgres=postgresql://h/d", "it has to name a user"),
    ):
        outcome = run(option, go=go, test_it=ORDER)
        assert outcome.exitstatus == 4, outcome.output
        assert outcome.output.count(said) == 1
        assert "Traceback" not in outcome.output
    url = "postgresql://me:geheim@127.0.0.1:1/x"
    outcome = run(f"--gotest-postgres={url}", "--gotest-isolation=server", go=go, test_it=ORDER)
    assert outcome.exitstatus == 4, outcome.output
    assert outcome.output.count("of a URL there is one server") == 1
    assert "geheim" not in outcome.output


def test_who_only_looks_starts_and_fetches_nothing(run: Run) -> None:
    for option in ("--collect-only", "--setup-plan"):
        outcome = run(
            option,
            "--gotest-postgres=container",  # there is no daemon
            "-o",
            "gotest_postgres_env=DSN={url}",
            test_it=ORDER,
        )
        assert outcome.exitstatus == 0, outcome.output


def test_none_leaves_it_as_it_is(run: Run) -> None:
    outcome = run("--gotest-reset=none", test_it=ORDER)
    assert outcome.exitstatus == 1
    assert "3 failed, 3 passed" in outcome.output


def test_under_xdist_each_worker_has_its_own(run: Run) -> None:
    outcome = run("-n", "2", test_it=ORDER)
    assert outcome.exitstatus == 0, outcome.output
    assert "6 of 6 tests wrote to the database; put back" in outcome.output


def test_a_schema_change_is_undone_and_told(run: Run) -> None:
    outcome = run(
        "-v",
        test_it="""
        def test_first(gotest_db):
            gotest_db.execute("DROP TABLE users")

        def test_second(gotest_db):
            assert len(gotest_db.rows("users")) == 1
        """,
    )
    assert outcome.exitstatus == 0, outcome.output
    assert (
        "gotest: test_it.py::test_first: a new database, for the schema changed" in outcome.output
    )
    assert "1 by a new database (median" in outcome.output


LEAKS = """
    import psycopg

    def test_leaves_it_open(gotest_db):
        global kept
        kept = psycopg.connect(gotest_db.url)
        kept.execute("INSERT INTO users (name) VALUES ('grace')")

    def test_next(gotest_db):
        gotest_db.execute("INSERT INTO users (name) VALUES ('grace')")
        kept.close()
"""


def test_who_leaves_a_transaction_open_is_named(run: Run) -> None:
    outcome = run(test_it=LEAKS)
    assert outcome.exitstatus == 0, outcome.output
    assert "LeakWarning: left a transaction open, idle in transaction" in outcome.output
    [line] = [line for line in outcome.output.splitlines() if line.startswith("gotest: test_it")]
    assert line.startswith("gotest: test_it.py::test_leaves_it_open left a transaction open")


def test_a_leak_is_an_error_where_warnings_are(run: Run) -> None:
    outcome = run("-W", "error::pytest_gotest.LeakWarning", test_it=LEAKS)
    assert outcome.exitstatus == 1
    assert "ERROR test_it.py::test_leaves_it_open - pytest_gotest" in outcome.output


def test_a_baseline_in_python(run: Run) -> None:
    """Part of what every kind of restore comes back to."""
    outcome = run(
        conftest="""
        import psycopg, pytest

        @pytest.fixture(scope="session")
        def gotest_baseline(gotest_postgres):
            with psycopg.connect(gotest_postgres.url) as connection:
                connection.execute("INSERT INTO users (name) VALUES ('grace')")
                connection.execute("CREATE TABLE made_in_python (x int)")
        """,
        test_it="""
        import pytest

        @pytest.mark.parametrize("damage", [
            "SELECT 1", "DELETE FROM users", "DROP TABLE users", "DROP TABLE made_in_python", "CREATE ROLE somebody",
        ])
        def test_it(gotest_db, damage):
            assert [row["name"] for row in gotest_db.rows("users")] == ["ada", "grace"]
            assert gotest_db.rows("made_in_python") == []
            gotest_db.execute(damage)

        def test_last(gotest_db):
            assert [row["name"] for row in gotest_db.rows("users")] == ["ada", "grace"]
            assert gotest_db.execute("SELECT to_regrole('somebody')").fetchone() == (None,)
        """,
    )
    assert outcome.exitstatus == 0, outcome.output


SNAPSHOTS = """
    import pytest
    from pytest_gotest import PostgresError

    def names(db):
        return sorted(row["name"] for row in db.rows("users"))

    def test_with(gotest_db):
        gotest_db.execute("INSERT INTO users (name) VALUES ('grace')")
        for _ in range(3):
            with gotest_db.snapshot():
                gotest_db.execute("DELETE FROM users")
                assert names(gotest_db) == []
            assert names(gotest_db) == ["ada", "grace"]

    def test_by_hand_and_within_each_other(gotest_db):
        first = gotest_db.snapshot()
        gotest_db.execute("INSERT INTO users (name) VALUES ('grace')")
        second = gotest_db.snapshot()
        gotest_db.execute("DELETE FROM users")
        second.restore()
        assert names(gotest_db) == ["ada", "grace"]
        gotest_db.execute("DELETE FROM users")
        second.restore()
        assert names(gotest_db) == ["ada", "grace"]
        first.restore()
        assert names(gotest_db) == ["ada"]

    def test_next(gotest_db):
        assert names(gotest_db) == ["ada"]
"""


@pytest.mark.parametrize("way", ["auto", "truncate", "transaction", "template"])
def test_snapshots(run: Run, way: str) -> None:
    outcome = run(f"--gotest-reset={way}", test_it=SNAPSHOTS)
    assert outcome.exitstatus == 0, outcome.output


def test_a_snapshot_is_of_what_the_worker_has(run: Run) -> None:
    """Other schemas of the database are those of other workers."""
    outcome = run(
        "--gotest-isolation=schema",
        test_it=SNAPSHOTS,
        test_others="""
        import pytest
        from pytest_gotest import PostgresError

        def test_others(gotest_db):
            gotest_db.execute("CREATE SCHEMA others")
            gotest_db.execute("CREATE TABLE others.things (x int)")
            with gotest_db.snapshot():
                gotest_db.execute("INSERT INTO others.things VALUES (1)")
                gotest_db.execute("DELETE FROM users")
            assert len(gotest_db.rows("users")) == 1
            assert len(gotest_db.rows("others.things")) == 1

        def test_all(gotest_db):
            with pytest.raises(PostgresError, match="not this worker's alone(.|\\n)*--gotest-isolation"):
                gotest_db.snapshot(schema=True)
        """,
    )
    assert outcome.exitstatus == 0, outcome.output


@pytest.mark.parametrize("rights", ["CREATEDB", "NOCREATEDB"])
def test_a_snapshot_by_who_is_no_superuser(run: Run, tmp_path: Path, rights: str) -> None:
    clusters = Clusters(_binaries.embedded(), tmp_path / "theirs", os.environ)
    cluster = clusters.start(Baseline())
    try:
        with psycopg.connect(cluster.server().url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE ci LOGIN PASSWORD 'x' {rights}".encode())
            connection.execute("CREATE DATABASE ci OWNER ci")
        server = replace(cluster.server(), user="ci", password="x", dbname="ci")
        outcome = run(f"--gotest-postgres={server.url}", test_it=SNAPSHOTS)
        assert outcome.exitstatus == 0, outcome.output
    finally:
        cluster.stop()


def test_a_snapshot_of_the_schema(run: Run) -> None:
    outcome = run(
        test_it="""
        import pytest
        from pytest_gotest import PostgresError

        def test_rows_only(gotest_db):
            with pytest.raises(PostgresError, match="the schema changed(.|\\n)*schema=True"):
                with gotest_db.snapshot():
                    gotest_db.execute("ALTER TABLE users ADD COLUMN age int")

        def test_all(gotest_db):
            gotest_db.execute("INSERT INTO users (name) VALUES ('grace')")
            with gotest_db.snapshot(schema=True):
                gotest_db.execute("DROP TABLE users")
            assert len(gotest_db.rows("users")) == 2

        def test_next(gotest_db):
            assert gotest_db.rows("users") == [{"id": 1, "name": "ada"}]
            found = gotest_db.execute("SELECT datname FROM pg_database WHERE datname LIKE '%snapshot%'")
            assert found.fetchall() == []

        def test_restore_in_the_middle(gotest_db):
            gotest_db.execute("DELETE FROM users")
            gotest_db.restore()
            assert gotest_db.rows("users") == [{"id": 1, "name": "ada"}]

        def test_not_while_somebody_writes(gotest_db):
            with gotest_db.connect() as connection:
                connection.execute("DELETE FROM users")
                with pytest.raises(PostgresError, match="commit or roll back first"):
                    gotest_db.snapshot()
        """,
    )
    assert outcome.exitstatus == 0, outcome.output


def test_a_transaction_that_never_ends(run: Run) -> None:
    outcome = run(
        "--gotest-reset=transaction",
        test_it="""
        import psycopg, pytest
        from pytest_gotest import PostgresError

        def test_commits_and_failures(gotest_db):
            connection = gotest_db.connect()
            connection.execute("INSERT INTO users (name) VALUES ('grace')")
            connection.commit()
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("INSERT INTO users (name) VALUES ('ada')")
            connection.rollback()
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (2,)
            with connection.transaction():
                connection.execute("DELETE FROM users")
            connection.rollback()  # of the transaction that psycopg's block was part of
            with psycopg.connect(gotest_db.url) as other:
                assert other.execute("SELECT name FROM users").fetchall() == [("ada",)]

        def test_one_at_a_time(gotest_db):
            with gotest_db.connect() as connection:
                with pytest.raises(PostgresError, match="a second connection"):
                    gotest_db.connect()
            gotest_db.connect().close()
            with pytest.raises(PostgresError, match="autocommit"):
                gotest_db.connect(autocommit=True)
            with pytest.raises(psycopg.errors.UniqueViolation):
                gotest_db.execute("INSERT INTO users (name) VALUES ('ada')")
            assert len(gotest_db.rows("users")) == 1

        def test_sequences_too(gotest_db):
            assert gotest_db.execute("INSERT INTO users (name) VALUES ('x') RETURNING id").fetchone() == (2,)

        def test_sequences_again(gotest_db):
            assert gotest_db.execute("INSERT INTO users (name) VALUES ('x') RETURNING id").fetchone() == (2,)
        """,
    )
    assert outcome.exitstatus == 0, outcome.output


@pytest.mark.parametrize("isolation", ["database", "schema", "shared"])
@pytest.mark.parametrize("workers", ["0", "3"])
def test_one_server_for_all_workers(run: Run, isolation: str, workers: str) -> None:
    """Which the controller starts, and which ends with it."""
    order = ORDER.replace("public.", "")
    outcome = run("-n", workers, f"--gotest-isolation={isolation}", test_it=order)
    assert outcome.exitstatus == 0, outcome.output
    assert len(outcome.items) == 6
    assert "6 of 6 tests wrote to the database; put back" in outcome.output


def test_one_server_without_any_test_of_go(run: Run) -> None:
    ports = """
        import pytest

        @pytest.mark.parametrize("turn", range(4))
        def test_port(gotest_db, turn):
            print("PORT", gotest_db.server.port)
    """
    outcome = run(
        "-n", "2", "-rP", "--gotest-isolation=schema", "-o", "gotest=false", test_it=ports
    )
    assert outcome.exitstatus == 0, outcome.output
    assert len(set(re.findall(r"^PORT (\d+)$", outcome.output, flags=re.MULTILINE))) == 1


def test_a_server_that_is_there(run: Run, tmp_path: Path) -> None:
    """As in CI, where somebody else has started it; nothing but the template is left on it."""
    clusters = Clusters(_binaries.embedded(), tmp_path / "theirs", os.environ)
    cluster = clusters.start(Baseline())
    try:
        url = cluster.server().url
        for workers in ("0", "3"):
            outcome = run("-n", workers, f"--gotest-postgres={url}", test_it=ORDER)
            assert outcome.exitstatus == 0, outcome.output
            assert cluster.server().password not in outcome.output
        with psycopg.connect(url) as connection:
            names = connection.execute("SELECT datname FROM pg_database").fetchall()
        ours = sorted(name for (name,) in names if name.startswith("gotest"))
        assert [name[:9] for name in ours] == ["gotest_lo", "gotest_t_"]
    finally:
        cluster.stop()


def test_workers_without_a_database_where_there_is_none(run: Run) -> None:
    arguments = ("-n2", "--gotest-isolation=database", "--gotest-postgres=off")
    outcome = run(*arguments, test_plain="def test_plain(): pass")
    assert outcome.exitstatus == 0, outcome.output


def test_what_a_baseline_leaves_open_is_told(run: Run) -> None:
    """With the place of the server and what to do, and without our frames."""
    conftest = """
        import psycopg, pytest

        @pytest.fixture(scope="session")
        def gotest_baseline(gotest_postgres):
            with psycopg.connect(gotest_postgres.url, autocommit=True) as connection:
                connection.execute("BEGIN; CREATE TABLE t (x int); PREPARE TRANSACTION 'left'")
    """
    outcome = run(conftest=conftest, test_db="def test_db(gotest_db): pass")
    assert outcome.exitstatus == 1
    assert "what gotest_baseline has added to postgres " in outcome.output
    assert "commit or roll back, and close all connections" in outcome.output
    assert "_provide.py" not in outcome.output


def test_no_server_is_asked_for(run: Run) -> None:
    outcome = run("--gotest-postgres=off", test_it=ORDER)
    assert outcome.exitstatus == 1
    assert "a database was asked for, but --gotest-postgres is off" in outcome.output


def test_a_server_per_worker_of_a_url(run: Run) -> None:
    url = "postgresql://me:geheim@127.0.0.1:1/db"
    outcome = run(f"--gotest-postgres={url}", "--gotest-isolation=server", test_it=ORDER)
    assert "--gotest-isolation=server: of a URL there is one server" in outcome.output
    outcome = run(f"--gotest-postgres={url}", test_it=ORDER)
    assert "no connection to 127.0.0.1:1, database db, user me" in outcome.output
    assert "geheim" not in outcome.output


def test_the_timeline_has_the_resets(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "time.json"
    outcome = run(f"--gotest-timeline={file}", test_it=ORDER)
    assert outcome.exitstatus == 0, outcome.output
    events = json.loads(file.read_text())["traceEvents"]
    resets = [event for event in events if event.get("cat") == "reset"]
    names = [event["name"] for event in resets]
    assert names.count("reset (delta)") == 6
    assert set(names) == {"reset (delta)", "reset (clean)"}
    assert any(event["args"].get("tables") == "public.users" for event in resets)
