"""What ``//pytest:`` comments do to Go tests."""

from __future__ import annotations

import re

import pytest
from shopping import Shop, verdicts

FILE = "directives/directives_test.go"
COUNTER = """
import os
import pytest

@pytest.fixture
def counter(monkeypatch, request):
    monkeypatch.setenv("SHOP_COUNT", "12")
    print("counted for", request.node.name)
"""


@pytest.mark.parametrize(
    ("test", "verdict", "said"),
    [
        ("TestSkipped", "skipped", "SKIPPED * no till here"),
        ("TestSkippedIf", "skipped", "SKIPPED * needs nowhere"),
        ("TestNotSkipped", "passed", "*1 passed*"),
        ("TestKnown", "xfailed", "XFAIL *TestKnown - issue 12*"),
        ("TestMended", "xpassed", "XPASS *TestMended - issue 13"),
        ("TestMendedStrict", "failed", "*XPASS(strict)* issue 14"),
        ("TestTimeout", "failed", "E   timed out after 0.5 s"),
    ],
)
def test_verdicts(shop: Shop, test: str, verdict: str, said: str) -> None:
    result = shop.run(f"{FILE}::{test}", "-ra")
    assert verdicts(result) == {f"{FILE}::{test}": verdict}
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*it ran*")


def test_a_test_that_is_skipped_by_a_mark_builds_and_runs_nothing_else_for_it(shop: Shop) -> None:
    result = shop.run(f"{FILE}::TestSkipped")
    result.stdout.no_fnmatch_line("gotest: * in 1 process*")


def test_a_timeout_shows_what_the_goroutines_did(shop: Shop) -> None:
    result = shop.run(f"{FILE}::TestTimeout", f"{FILE}::TestPid")
    assert list(verdicts(result).values()) == ["failed", "passed"]
    result.stdout.fnmatch_lines(
        [
            ">   * time.Sleep(time.Hour) }",
            "E   timed out after 0.5 s",
            "E*goroutine * [[]sleep[]]:",
            "E*directives_test.go:38*",
        ]
    )


def test_usefixtures_on_a_function(shop: Shop) -> None:
    shop.write("directives/conftest.py", COUNTER)
    result = shop.run(f"{FILE}::TestFixture", "-rP")
    result.stdout.fnmatch_lines(["counted for TestFixture", "count is 12"])


def test_a_fixture_that_does_not_exist_is_an_error_of_the_item(shop: Shop) -> None:
    result = shop.run(f"{FILE}::TestFixture")
    assert verdicts(result) == {f"{FILE}::TestFixture": "error"}
    result.stdout.fnmatch_lines(["*fixture 'counter' not found"])


def test_isolate_gives_a_process_of_its_own(shop: Shop) -> None:
    result = shop.run("directives", "-rP", "-k", "TestIsolated or Pid")
    pids = re.findall(r"^pid (\d+)$", result.stdout.str(), re.MULTILINE)
    assert len(pids) == 3
    assert pids[1] == pids[2]
    assert pids[0] != pids[1]


def test_parallel_lets_tests_meet_although_a_fixture_acts(shop: Shop) -> None:
    shop.write(
        "together/conftest.py",
        "import pytest\n\n@pytest.fixture(autouse=True)\ndef acts(): pass\n",
    )
    result = shop.run("together", "-v")
    assert list(verdicts(result).values()) == ["passed", "passed"]
    result.stdout.fnmatch_lines(["*gated: acts acts around TestLeft"])


def test_directives_above_package_are_for_the_whole_file(shop: Shop) -> None:
    shop.write("filewide/conftest.py", COUNTER)
    result = shop.run("filewide", "-m", "slow", "-rP")
    assert list(verdicts(result).values()) == ["passed", "skipped"]
    result.stdout.fnmatch_lines(["counted for TestOne"])


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        (
            "malformed",
            "E   malformed/malformed_test.go:7: malformed directive //pytest:timeout soon: 'soon' is no number*",
        ),
        (
            "unknown",
            "E   unknown/unknown_test.go:5: unknown directive //pytest:usefixture, did you mean usefixtures?",
        ),
    ],
)
def test_a_wrong_directive_is_a_collection_error_at_its_line(
    shop: Shop, directory: str, said: str
) -> None:
    result = shop.run(directory, "toggle")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*ERROR collecting {directory}/{directory}_test.go*", said])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_strict_markers_hold_for_directives(shop: Shop) -> None:
    # Outside: this process knows the marker for good once it was allowed.
    outcome = shop.run_outside("directives", "--strict-markers", "-omarkers=owner", "--co")
    assert "'slow' not found in `markers` configuration option" in outcome.output
