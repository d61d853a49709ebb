"""A server in a container for every worker, as Go tests and Python tests meet it."""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path

import postgres_image
import pytest
from running import Outcome, run_pytest, start_pytest
from selling import WITH_DRIVER

from pytest_gotest.postgres.servers._daemon import Daemon

FILES = {
    **WITH_DRIVER,
    "migrations/1.sql": "CREATE TABLE users (name text);\nINSERT INTO users VALUES ('ada');\n",
    "store/store_test.go": """
        package store

        import (
            "database/sql"
            "os"
            "testing"

            _ "github.com/lib/pq"
        )

        func check(t *testing.T) {
            db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
            if err != nil {
                t.Fatal(err)
            }
            defer db.Close()
            var count int
            if err := db.QueryRow("SELECT count(*) FROM users").Scan(&count); err != nil || count != 1 {
                t.Fatal(count, err)
            }
        }

        func TestOne(t *testing.T) { check(t) }

        func TestOther(t *testing.T) { check(t) }
    """,
    "test_shop.py": """
        import pytest

        @pytest.mark.parametrize("damage", [
            "SELECT 1", "DELETE FROM users", "DROP TABLE users", "CREATE ROLE somebody",
            "ALTER SYSTEM SET work_mem = '8MB'", "SELECT 1",
        ])
        def test_baseline(gotest_db, damage):
            assert gotest_db.rows("users") == [{"name": "ada"}]
            assert gotest_db.execute(
                "SELECT to_regrole('somebody') IS NULL, current_setting('work_mem')"
            ).fetchone() == (True, "4MB")
            gotest_db.execute(damage)

        def test_provider(gotest_postgres):
            assert gotest_postgres.provider == "container"
    """,
    "pytest.ini": """
        [pytest]
        gotest = true
        gotest_postgres = container
        gotest_postgres_env = DATABASE_URL={url}
        gotest_migrations = migrations/*.sql
    """,
}


class Project:
    def __init__(self, base: Path, image: str) -> None:
        self.base = base
        self.image = image
        self.root = base / "shop"
        self.env = {"DOCKER_HOST": os.environ[postgres_image.HOST]}
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))

    @property
    def arguments(self) -> list[str]:
        return [f"--gotest-cache-dir={self.base}/cache", f"--gotest-postgres-image={self.image}"]

    def run(self, *arguments: str, **env: str) -> Outcome:
        return run_pytest(
            self.root,
            *self.arguments,
            *arguments,
            record=self.base / "record",
            env={**self.env, **env},
            plugins=["xdist"],
        )


@pytest.fixture
def daemon() -> Daemon:
    return postgres_image.daemon()


@pytest.fixture(params=["embedded", "local"])
def project(request: pytest.FixtureRequest, tmp_path: Path, daemon: Daemon) -> Project:
    """With images of two versions."""
    return Project(tmp_path, postgres_image.image(request.param))


ONE = pytest.mark.parametrize("project", ["embedded"], indirect=True)


def test_go_and_python_tests_begin_with_the_baseline(project: Project) -> None:
    outcome = project.run()
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items.values()) == {"passed"}
    assert len(outcome.items) == 9
    assert f"postgres {project.image} container, a server per worker" in outcome.output


@ONE
def test_each_worker_has_its_own(project: Project) -> None:
    outcome = project.run("-n2", "--dist=each")
    assert outcome.exitstatus == 0, outcome.output
    assert len([report for report in outcome.reports if report["when"] == "call"]) == 18


@ONE
@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_pytest_that_is_killed_leaves_nothing(
    project: Project, daemon: Daemon, workers: tuple[str, ...]
) -> None:
    project.write(
        "test_shop.py",
        """
        import os, pathlib, time

        def test_waits(gotest_postgres):
            pathlib.Path(f"port-{os.getpid()}").write_text(str(gotest_postgres.port))
            time.sleep(600)

        test_other = test_waits
        """,
    )
    environ = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    process = start_pytest(
        project.root, *project.arguments, *workers, "test_shop.py", env=environ | project.env
    )
    count = max(1, len(workers) * 2)
    try:
        ports = _within(120, lambda: [p.read_text() for p in project.root.glob("port-*")], count)
    finally:
        process.kill()  # the controller alone
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    late = time.monotonic() + 60
    while [port for port in ports if _is_bound(daemon, port)]:
        assert time.monotonic() < late, "a container is there"
        time.sleep(0.05)


def _within(seconds: float, ask: object, count: int) -> list[str]:
    late = time.monotonic() + seconds
    while True:
        found = [text for text in ask() if text]  # type: ignore[operator]
        if len(found) == count:
            return found
        assert time.monotonic() < late, found
        time.sleep(0.05)


def _is_bound(daemon: Daemon, port: str) -> bool:
    bound = [one["Ports"] for one in daemon.client.api.containers(all=True)]
    return any(str(each.get("PublicPort")) == port for ports in bound for each in ports)


@ONE
def test_an_image_that_cannot_be_had(project: Project) -> None:
    project.image = "localhost:1/nobody/nothing:9"
    outcome = project.run()
    assert outcome.exitstatus == 4
    assert "gotest: pulling localhost:1/nobody/nothing:9" in outcome.output
    assert "the image localhost:1/nobody/nothing:9 is not there and cannot" in outcome.output
    assert "--gotest-postgres-image" in outcome.output
    assert "Traceback" not in outcome.output
    # Another server will do for who has not asked for this one.
    outcome = project.run("--gotest-postgres=auto", "store")
    assert outcome.exitstatus == 0, outcome.output
    assert " embedded, a server per worker" in outcome.output


@ONE
@pytest.mark.parametrize("host", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1"])
def test_a_daemon_that_does_not_answer(project: Project, host: str) -> None:
    outcome = project.run(DOCKER_HOST=host)
    assert outcome.exitstatus == 4
    assert f"container: no daemon answers at {host}" in outcome.output
    assert "Traceback" not in outcome.output


@ONE
def test_no_password_is_shown(project: Project) -> None:
    """Of a test that fails with all it has at hand, as loud as can be."""
    project.write(
        "test_shop.py",
        """
        import pathlib, psycopg

        def test_fails(gotest_postgres):
            pathlib.Path("secret").write_text(gotest_postgres.password)
            server = gotest_postgres
            with psycopg.connect(server.dsn()):
                assert server == 1
        """,
    )
    outcome = project.run("-vvv", "--showlocals", "--setup-show", "test_shop.py", "store")
    secret = (project.root / "secret").read_text()
    assert len(secret) > 20
    assert "1 failed" in outcome.output
    assert secret not in outcome.output
