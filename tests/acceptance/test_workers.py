"""Go tests under pytest-xdist: the same verdicts, and none lost with a worker."""

from __future__ import annotations

import pytest
from shopping import Shop

PLACES = (
    "basics",
    "toggle",
    "env",
    "crash/crash_test.go::TestBefore",
    "crash/crash_test.go::TestExit",
)


def test_two_workers_report_what_one_process_does(shop: Shop) -> None:
    broken = {"SHOP_BROKEN": "TestFirst,TestTable/plain"}
    alone = shop.run_outside(*PLACES, "--gotest-subtests=all", **broken)
    both = shop.run_outside(*PLACES, "--gotest-subtests=all", "-n2", plugins=["xdist"], **broken)
    assert both.items == alone.items
    assert both.subtests == alone.subtests
    assert both.exitstatus == alone.exitstatus == 1
    assert "basics/basics_test.go:16: in TestFail" in both.output
    assert "E   2 + 2 = 4, want 5" in both.output


@pytest.mark.parametrize("dist", ["loadfile", "loadscope", "worksteal"])
def test_ways_to_spread(shop: Shop, dist: str) -> None:
    outcome = shop.run_outside("toggle", "env", "-n2", f"--dist={dist}", plugins=["xdist"])
    assert len(outcome.items) == 7
    assert set(outcome.items.values()) == {"passed"}, outcome.output


def test_every_worker_runs_all(shop: Shop) -> None:
    outcome = shop.run_outside("toggle", "-n2", "--dist=each", plugins=["xdist"])
    assert "8 passed" in outcome.output, outcome.output


def test_a_failed_build_is_told_by_workers_too(shop: Shop) -> None:
    outcome = shop.run_outside("broken", "toggle", "-n2", plugins=["xdist"])
    assert [outcome.items[f"broken/broken_test.go::Test{n}"] for n in ("One", "Two", "Three")] == [
        "error"
    ] * 3
    assert list(outcome.items.values()).count("passed") == 4
    assert "broken/broken_test.go:6:2: undefined: undefined" in outcome.output


def test_when_a_worker_dies_all_other_tests_get_verdicts(shop: Shop) -> None:
    shop.write(
        "toggle/conftest.py",
        """
import os, signal
import pytest

@pytest.fixture(autouse=True)
def deadly(request):
    if request.node.name == "TestSecond":
        os.kill(os.getpid(), signal.SIGKILL)
""",
    )
    outcome = shop.run_outside("toggle", "env", "-n2", plugins=["xdist"])
    assert outcome.exitstatus == 1
    node = "toggle/toggle_test.go::TestSecond"
    assert "crashed while running" in outcome.output
    others = {name: verdict for name, verdict in outcome.items.items() if name != node}
    assert len(others) == 6
    assert set(others.values()) == {"passed"}, outcome.output


def test_lists_are_fetched_and_built_for_no_worker_twice(shop: Shop) -> None:
    """The controller builds nothing; workers find what the first of them built."""
    cache = shop.scratch / "gotest-cache"
    arguments = ["toggle", "-n2", f"--gotest-cache-dir={cache}"]
    first = shop.run_outside(*arguments, plugins=["xdist"])
    binaries = sorted((cache / "bin").rglob("*.test"))
    assert len(binaries) == 1
    written = binaries[0].stat().st_ino
    again = shop.run_outside(*arguments, plugins=["xdist"])
    assert first.items == again.items
    assert binaries[0].stat().st_ino == written
