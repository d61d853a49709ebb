"""What a worker's database holds before any test, as the options say it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
from running import Outcome, run_pytest

MIGRATE = f"{sys.executable} migrate.py {{url}}"
FILES = {
    "pytest.ini": f"""
        [pytest]
        gotest_migrations = schema.sql
        gotest_migrate_command = {MIGRATE}
        gotest_seed = seeds/*
    """,
    "schema.sql": "CREATE TABLE users (id serial PRIMARY KEY, name text);\n",
    "migrate.py": """
        import os, sys, psycopg

        print("it knows", os.environ["PGPASSWORD"])
        with psycopg.connect(sys.argv[1]) as connection:
            connection.execute("ALTER TABLE users ADD email text")
        with open("ran", "a") as ran:
            ran.write("x")
    """,
    "seeds/1_users.csv": "id,name,email\n4,ada,\n",
    "test_users.py": """
        import psycopg, pytest

        @pytest.mark.parametrize("number", range(4))
        def test_users(gotest_postgres, number):
            with psycopg.connect(gotest_postgres.url) as connection:
                rows = connection.execute("SELECT * FROM users").fetchall()
            assert rows == [(4, "ada", None)]
    """,
}


class Project:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "shop"
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))

    def run(self, *arguments: str, **env: str) -> Outcome:
        cache = f"--gotest-cache-dir={self.base / 'cache'}"
        record = self.base / "record"
        return run_pytest(self.root, cache, *arguments, record=record, env=env, plugins=["xdist"])

    def runs(self) -> int:
        """Of the command, so far."""
        return len((self.root / "ran").read_text())

    def templates(self) -> int:
        return sum(path.is_dir() for path in (self.base / "cache" / "postgres").iterdir())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_command_runs_once_in_a_session_however_many_workers_there_are(project: Project) -> None:
    for number in (1, 2):
        outcome = project.run("-n2", "--dist=each")
        assert outcome.exitstatus == 0, outcome.output
        assert len([report for report in outcome.reports if report["when"] == "call"]) == 8
        assert project.runs() == number
    assert project.run().exitstatus == 0
    assert project.runs() == 3
    assert project.templates() == 4  # as initdb leaves it, migrated, and the last session's two


def test_without_go_tests_too(project: Project) -> None:
    for number in (1, 2):
        arguments = ["-o", "gotest=false", "-n2", "--dist=each", "--testrunuid=same"]
        outcome = project.run(*arguments)
        assert outcome.exitstatus == 0, outcome.output
        assert project.runs() == number


def test_a_command_with_inputs_runs_when_they_change(project: Project) -> None:
    inputs = "--gotest-migrate-inputs=migrate.py"
    for _ in range(2):
        assert project.run(inputs).exitstatus == 0
        assert project.runs() == 1
    project.write("seeds/2.sql", "SELECT 1;")
    assert project.run(inputs).exitstatus == 0
    assert project.runs() == 1  # not for a seed
    project.write("migrate.py", FILES["migrate.py"] + "\n        # changed\n")
    assert project.run(inputs).exitstatus == 0
    assert project.runs() == 2


def test_a_command_that_fails(project: Project) -> None:
    project.write("migrate.py", FILES["migrate.py"] + "\n        sys.exit('no such column')\n")
    outcome = project.run("-n2")
    assert outcome.exitstatus == 1
    assert set(outcome.items.values()) == {"error"}
    assert f"gotest_migrate_command = {MIGRATE}: exit 1:\n" in outcome.output
    assert "it knows ***" in outcome.output
    assert "no such column" in outcome.output
    assert "_command.py" not in outcome.output


def test_a_seed_that_does_not_fit(project: Project) -> None:
    project.write("seeds/1_users.csv", "id,name\n1,a\nx,b\n")
    outcome = project.run()
    assert outcome.exitstatus == 1
    assert "seeds/1_users.csv:3: users.id: invalid input syntax for type integer" in outcome.output
    project.write("seeds/readme.txt", "")
    assert "readme.txt ends in none of .sql, .csv, .json, .yaml, .yml" in project.run().output


def test_a_command_that_makes_no_sense(project: Project) -> None:
    outcome = project.run("--gotest-migrate-command=migrate {uri}")
    assert outcome.exitstatus == 4
    assert "{uri} is none of {url}" in outcome.output
