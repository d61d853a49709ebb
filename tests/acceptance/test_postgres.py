"""A PostgreSQL server for every worker, as Go tests with a real driver and Python tests meet it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Outcome, run_pytest
from selling import WITH_DRIVER

from pytest_gotest.postgres.servers import _places

FILES = {
    **WITH_DRIVER,
    "migrations/1.sql": "CREATE TABLE users (name text);\n",
    "migrations/2.sql": "INSERT INTO users VALUES ('ada');\n",
    "store/store_test.go": """
        package store

        import (
            "database/sql"
            "os"
            "strings"
            "testing"

            _ "github.com/lib/pq"
        )

        func open(t *testing.T) *sql.DB {
            db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
            if err != nil {
                t.Fatal(err)
            }
            t.Cleanup(func() { db.Close() })
            return db
        }

        func TestMigrated(t *testing.T) {
            var name string
            if err := open(t).QueryRow("SELECT name FROM users").Scan(&name); err != nil || name != "ada" {
                t.Fatal(name, err)
            }
        }

        func TestLeaves(t *testing.T) {
            if _, err := open(t).Exec("CREATE TABLE left_by_go (x int)"); err != nil {
                t.Fatal(err)
            }
        }

        func TestVariables(t *testing.T) {
            for _, variable := range os.Environ() {
                if strings.HasPrefix(variable, "PG") {
                    t.Error(variable)
                }
            }
        }
    """,
    "plain/plain_test.go": """
        package plain

        import "testing"

        func TestPlain(t *testing.T) {}
    """,
    "test_shop.py": """
        import psycopg

        def test_same_server(gotest_postgres):
            with psycopg.connect(gotest_postgres.url) as connection:
                rows = connection.execute("SELECT name FROM users").fetchall()
                left = connection.execute("SELECT to_regclass('left_by_go')").fetchone()
            assert rows == [("ada",)]
            print("LEFT", left)
    """,
    "pytest.ini": """
        [pytest]
        gotest = true
        gotest_postgres_env = DATABASE_URL={url}
        gotest_migrations = migrations/*.sql
    """,
}
GO = {f"store/store_test.go::Test{name}" for name in ("Migrated", "Leaves", "Variables")}


class Project:
    def __init__(self, base: Path, cache: Path) -> None:
        self.base = base
        self.cache = cache  # of all tests: initdb is dear
        self.root = base / "shop"
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))

    def run(self, *arguments: str, **env: str) -> Outcome:
        cache = f"--gotest-cache-dir={self.cache}"
        record = self.base / "record"
        return run_pytest(self.root, cache, *arguments, record=record, env=env, plugins=["xdist"])


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    yield Project(tmp_path, tmp_path_factory.getbasetemp() / "postgres-cache")
    owners = {path: _places.owner(path) for path in _places.all_in(_places.base())}
    assert [path for path, pid in owners.items() if pid and not is_alive(pid)] == []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_go_and_python_tests_share_a_migrated_server(project: Project) -> None:
    outcome = project.run("-rP")
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == {
        *GO,
        "plain/plain_test.go::TestPlain",
        "test_shop.py::test_same_server",
    }
    assert "LEFT (None,)" in outcome.output
    assert ", a server per worker" in outcome.output


@pytest.mark.parametrize("isolate", ["package", "gate", "test"])
def test_however_go_tests_run(project: Project, isolate: str) -> None:
    outcome = project.run(f"--gotest-isolate={isolate}")
    assert outcome.exitstatus == 0, outcome.output


def test_go_test_itself_reaches_it_too(project: Project) -> None:
    outcome = project.run("--gotest-engine=gotest")
    assert outcome.exitstatus == 0, outcome.output


def test_each_worker_has_its_own(project: Project) -> None:
    """Each runs all, and nothing is in the other one's way."""
    outcome = project.run("-n2", "--dist=each")
    assert outcome.exitstatus == 0, outcome.output
    assert len([report for report in outcome.reports if report["when"] == "call"]) == 10


@pytest.mark.parametrize("provider", ["embedded", "local"])
def test_whichever_server(project: Project, provider: str) -> None:
    outcome = project.run(f"--gotest-postgres={provider}")
    if "hint" in outcome.output and "CI" not in os.environ:
        pytest.skip(f"there is no {provider} server here")
    assert outcome.exitstatus == 0, outcome.output
    assert f" {provider}, a server per worker" in outcome.output


def test_the_users_own_variables_reach_no_test(project: Project) -> None:
    outcome = project.run(PGHOST="nonsense", PGSERVICE="nonsense", PGPASSWORD="nonsense", PGTZ="X")
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items.values()) == {"passed"}


def test_a_server_only_where_one_is_asked_for(project: Project) -> None:
    project.cache = project.base / "cache"
    project.write("pytest.ini", "[pytest]\ngotest = true\n")
    outcome = project.run("plain")
    assert outcome.exitstatus == 0, outcome.output
    assert "postgres" not in outcome.output.partition("rootdir")[0]
    assert not (project.cache / "postgres").exists()


def test_a_projects_own_word_counts_more(project: Project) -> None:
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="package")
        def gotest_env(gotest_postgres):
            return {"DATABASE_URL": gotest_postgres.url + "&application_name=mine"}
        """,
    )
    project.write(
        "store/more_test.go",
        """
        package store

        import "testing"

        func TestName(t *testing.T) {
            var name string
            if err := open(t).QueryRow("SHOW application_name").Scan(&name); err != nil || name != "mine" {
                t.Fatal(name, err)
            }
        }
        """,
    )
    outcome = project.run("store")
    assert outcome.items["store/more_test.go::TestName"] == "passed", outcome.output


def test_packages_that_clean_up_find_the_server_still_there(project: Project) -> None:
    project.write(
        "store/main_test.go",
        """
        package store

        import (
            "database/sql"
            "fmt"
            "os"
            "testing"
        )

        func TestMain(m *testing.M) {
            code := m.Run()
            db, _ := sql.Open("postgres", os.Getenv("DATABASE_URL"))
            if _, err := db.Exec("DROP TABLE users"); err != nil {
                fmt.Println(err)
                code = 1
            }
            os.Exit(code)
        }
        """,
    )
    outcome = project.run("store")
    assert outcome.exitstatus == 0, outcome.output


def test_a_migration_that_fails(project: Project) -> None:
    project.write("migrations/2.sql", "SELECT 1;\nSELEKT 2;\n")
    outcome = project.run()
    assert outcome.exitstatus == 1
    assert outcome.items["store/store_test.go::TestMigrated"] == "error"
    assert outcome.items["test_shop.py::test_same_server"] == "error"
    assert "migrations/2.sql:2: syntax error at or near" in outcome.output
    assert "_cluster.py" not in outcome.output


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        ("gotest_postgres_env = {url}", "NAME=TEMPLATE, such as DATABASE_URL={url}"),
        ("gotest_postgres_env = A={nothing}", "{nothing} is none of {url}"),
        ("gotest_postgres = mysql", "one of auto, container, embedded, local, off, or a URL"),
    ],
)
def test_settings_that_make_no_sense(project: Project, ini: str, said: str) -> None:
    project.write("pytest.ini", f"[pytest]\ngotest = true\n{ini}\n")
    outcome = project.run()
    assert outcome.exitstatus == 4
    assert said in outcome.output
    assert "Traceback" not in outcome.output


def test_migrations_that_are_nowhere(project: Project) -> None:
    project.write("pytest.ini", FILES["pytest.ini"].replace("migrations/*", "schema/**/*"))
    outcome = project.run()
    assert "gotest_migrations: nothing matches schema/**/*.sql in" in outcome.output


def test_no_password_is_shown(project: Project) -> None:
    """Of a test that fails with all it has at hand, as loud as can be."""
    project.write(
        "test_shop.py",
        """
        import pathlib, psycopg, pytest

        def test_fails(gotest_postgres):
            pathlib.Path("secret").write_text(gotest_postgres.password)
            server = gotest_postgres
            with psycopg.connect(server.dsn()):
                assert server == 1

        def test_cannot_connect(gotest_postgres):
            psycopg.connect(gotest_postgres.url, options="-c nothing=1")

        def test_cannot_connect_by_us(gotest_db):
            gotest_db.connect(options="-c nothing=1")

        def test_compares(gotest_postgres):
            import dataclasses

            assert gotest_postgres == dataclasses.replace(gotest_postgres, password="x", port=1)

        @pytest.fixture
        def prints(gotest_postgres):
            print("by", gotest_postgres.url)
            raise ValueError(gotest_postgres.url)

        def test_prints(prints):
            pass
        """,
    )
    xml = project.base / "report.xml"
    outcome = project.run(
        *("-vvv", "--showlocals", "--setup-show", f"--junitxml={xml}", "-ojunit_logging=all"),
        *("test_shop.py", "plain"),
    )
    secret = (project.root / "secret").read_text()
    assert len(secret) > 20
    assert "4 failed" in outcome.output
    assert "1 error" in outcome.output
    assert "user=postgres password=***" in outcome.output
    assert "by postgresql://postgres:***@" in outcome.output
    assert secret not in outcome.output
    assert secret not in xml.read_text()


def test_no_password_is_shown_of_a_url_that_is_wrong(project: Project) -> None:
    for url in ("postgresq://ci:s3cret@h/db", "postgresql://ci:s3cret@one,two/db"):
        outcome = project.run("--showlocals", f"--gotest-postgres={url}", "test_shop.py")
        assert outcome.exitstatus in (1, 4)
        assert "--gotest-postgres" in outcome.output
        assert "s3cret" not in outcome.output


INSERTS = """
    package NAME

    import (
        "database/sql"
        "os"
        "testing"

        _ "github.com/lib/pq"
    )

    var db *sql.DB

    func TestMain(m *testing.M) {
        db, _ = sql.Open("postgres", os.Getenv("DATABASE_URL"))
        os.Exit(m.Run())
    }

    func insert(t *testing.T) {
        var count int
        if err := db.QueryRow("SELECT count(*) FROM users").Scan(&count); err != nil || count != 1 {
            t.Fatal(count, err)
        }
        if _, err := db.Exec("INSERT INTO users VALUES ('grace')"); err != nil {
            t.Fatal(err)
        }
    }

    DIRECTIVE
    func TestOne(t *testing.T) { insert(t) }

    DIRECTIVE
    func TestOther(t *testing.T) { OTHER }
"""


def inserting(name: str, directive: str, other: str) -> str:
    text = INSERTS.replace("NAME", name).replace("OTHER", other)
    return text.replace("DIRECTIVE", directive)


def test_each_package_begins_with_the_baseline(project: Project) -> None:
    for name in ("a", "b"):
        project.write(f"{name}/{name}_test.go", inserting(name, "", "_ = db"))
    outcome = project.run("a", "b")
    assert outcome.exitstatus == 0, outcome.output
    assert "put back 2 by what was touched" in outcome.output


def test_each_go_test_that_asks_for_it_begins_with_the_baseline(project: Project) -> None:
    """In one process, with its connections open."""
    directive = "//pytest:usefixtures gotest_db"
    project.write("a/a_test.go", inserting("a", directive, "insert(t)"))
    outcome = project.run("a")
    assert outcome.exitstatus == 0, outcome.output
    assert "2 of 2 tests wrote to the database; put back 2 by what was touched" in outcome.output
    assert "2 Go tests in 1 process" in outcome.output


def test_a_process_after_a_crash_begins_with_the_baseline(project: Project) -> None:
    crash = 'insert(t); if os.Getenv("ONCE") == "" { os.Exit(3) }'
    project.write(
        "a/a_test.go", inserting("a", "", crash) + "\nfunc TestZ(t *testing.T) { insert(t) }\n"
    )
    outcome = project.run("a", "--deselect=a/a_test.go::TestOne")
    assert outcome.items["a/a_test.go::TestOther"] == "failed"
    assert outcome.items["a/a_test.go::TestZ"] == "passed", outcome.output
