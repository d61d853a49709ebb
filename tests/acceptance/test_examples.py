"""The examples that need a database, by one worker and by two; their pages are run by test_docs.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running import run_pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("example", "workers", "passed", "skipped"),
    [("ledger", "2", 5, 0), ("bookstore", "0", 28, 1), ("bookstore", "2", 28, 1)],
)
def test_example(tmp_path: Path, example: str, passed: int, skipped: int, workers: str) -> None:
    copy = tmp_path / example
    shutil.copytree(EXAMPLES / example, copy, ignore=shutil.ignore_patterns(".*"))
    outcome = run_pytest(copy, "-n", workers, record=tmp_path / "record", plugins=["xdist"])
    verdicts = list(outcome.items.values())
    assert (verdicts.count("passed"), verdicts.count("skipped")) == (passed, skipped), (
        outcome.output
    )
    assert outcome.exitstatus == 0, outcome.output
    assert "LeakWarning" not in outcome.output


def test_what_a_main_made_is_gone_when_the_next_package_begins(tmp_path: Path) -> None:
    """Of the ledger, in whatever order: each TestMain finds no table, and each test what its own one has made."""
    copy = tmp_path / "ledger"
    shutil.copytree(EXAMPLES / "ledger", copy)
    migrate = copy / "schema" / "schema.go"
    anew = migrate.read_text().replace("CREATE TABLE IF NOT EXISTS", "CREATE TABLE")
    migrate.write_text(anew)
    for order in (("accounts", "journal"), ("journal", "accounts")):
        outcome = run_pytest(copy, *order, record=tmp_path / "record")
        assert set(outcome.items.values()) == {"passed"}, outcome.output
        assert len(outcome.items) == 4
