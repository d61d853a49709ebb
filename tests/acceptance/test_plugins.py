"""Other people's pytest plugins on Go tests: each does its work, and no verdict changes.

`tox -e plugins` has them all installed, so that all are active in each of these runs.
"""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest
from running import Outcome, run_pytest

GO_TESTS = """\
package shop

import (
	"os"
	"testing"
	"time"
)

func TestPass(t *testing.T) {}

func TestFail(t *testing.T) { t.Error("got 2, want 1") }

func TestSkip(t *testing.T) { t.Skip("no printer") }

func TestSub(t *testing.T) {
	t.Run("one", func(t *testing.T) {})
	t.Run("two", func(t *testing.T) {})
}

// Fails the first time that it runs with a given SHOP_MARK.
func TestFlaky(t *testing.T) {
	mark := os.Getenv("SHOP_MARK")
	if mark == "" {
		return
	}
	if _, err := os.Stat(mark); err != nil {
		os.WriteFile(mark, nil, 0o600)
		t.Error("not yet")
	}
}

func TestHang(t *testing.T) {
	if os.Getenv("SHOP_HANG") != "" {
		time.Sleep(time.Hour)
	}
}

func TestLast(t *testing.T) {}
"""

PYTHON_TESTS = """\
def test_python():
    pass
"""

VERDICTS = {
    "shop_test.go::TestPass": "passed",
    "shop_test.go::TestFail": "failed",
    "shop_test.go::TestSkip": "skipped",
    "shop_test.go::TestSub": "passed",
    "shop_test.go::TestFlaky": "passed",
    "shop_test.go::TestHang": "passed",
    "shop_test.go::TestLast": "passed",
    "test_python.py::test_python": "passed",
}


def needs(module: str) -> None:
    """Skips where a neighbour is not installed, unless all of them have to be."""
    if importlib.util.find_spec(module) is None:
        assert "GOTEST_ALL_NEIGHBOURS" not in os.environ, f"{module} is not installed"
        pytest.skip(f"{module} is not installed; tox -e plugins has it")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with its tests, built once: the binary outlives the run that makes it."""
    module = tmp_path_factory.mktemp("shop")
    (module / "go.mod").write_text("module example.com/shop\n\ngo 1.22\n")
    (module / "shop_test.go").write_text(GO_TESTS)
    (module / "test_python.py").write_text(PYTHON_TESTS)
    (module / "pytest.ini").write_text("[pytest]\n")
    return module


def run(shop: Path, tmp_path: Path, *arguments: str, **variables: str) -> Outcome:
    return run_pytest(shop, *arguments, record=tmp_path / "record", env=variables, timeout=60)


@pytest.mark.parametrize(
    ("module", "arguments", "said"),
    [
        ("pytest_asyncio", ["--asyncio-mode=auto"], r"asyncio: mode=Mode\.AUTO"),
        ("pytest_cov", ["--cov=.", "--cov-report=term"], r"test_python\.py .* 100%"),
        ("pytest_harvest", [], r"plugins: .*harvest"),
        ("hypothesis", ["--hypothesis-seed=1"], r"plugins: .*hypothesis"),
        ("pytest_instafail", ["--instafail"], r"(?s)got 2, want 1.*TestLast|got 2, want 1"),
        ("pytest_randomly", ["-prandomly", "--randomly-seed=7"], r"Using --randomly-seed=7"),
        ("pytest_rerunfailures", ["--reruns=1"], r"\b1 rerun\b"),
        ("pytest_sugar", ["-psugar", "--force-sugar"], r"TestFail"),
        ("teamcity", ["--teamcity"], r"teamcity\[testFailed .*TestFail"),
        ("pytest_timeout", ["--timeout=120"], r"timeout: 120\.0s"),
        ("xdist", ["-n2"], r"2 workers"),
    ],
)
def test_no_verdict_changes(
    shop: Path, tmp_path: Path, module: str, arguments: list[str], said: str
) -> None:
    needs(module)
    outcome = run(shop, tmp_path, *arguments)
    assert outcome.items == VERDICTS, outcome.output
    assert re.search(said, outcome.output), outcome.output
    assert outcome.exitstatus == 1


def test_html_report_shows_go_tests(shop: Path, tmp_path: Path) -> None:
    needs("pytest_html")
    report = tmp_path / "report.html"
    outcome = run(shop, tmp_path, f"--html={report}", "--self-contained-html")
    assert outcome.items == VERDICTS, outcome.output
    html = report.read_text(encoding="utf-8")
    assert "shop_test.go::TestFail" in html
    assert "got 2, want 1" in html


def test_a_flaky_test_passes_when_run_again(shop: Path, tmp_path: Path) -> None:
    needs("pytest_rerunfailures")
    mark = str(tmp_path / "mark")
    outcome = run(shop, tmp_path, "--reruns=1", "-k", "TestFlaky or TestLast", SHOP_MARK=mark)
    assert "2 passed" in outcome.output, outcome.output
    assert "1 rerun" in outcome.output
    assert outcome.exitstatus == 0


def test_each_test_is_in_one_split(shop: Path, tmp_path: Path) -> None:
    needs("pytest_split")
    groups = [
        # Two groups of one order; a group that pytest-randomly has mixed is another matter.
        run(shop, tmp_path, "-p", "no:randomly", "--splits=2", f"--group={group}")
        for group in (1, 2)
    ]
    assert all(group.items for group in groups)
    assert {**groups[0].items, **groups[1].items} == VERDICTS
    assert not groups[0].items.keys() & groups[1].items.keys()


def test_randomly_mixes_go_tests(shop: Path, tmp_path: Path) -> None:
    needs("pytest_randomly")
    orders = {
        tuple(run(shop, tmp_path, "-prandomly", f"--randomly-seed={seed}").items)
        for seed in (1, 2, 3)
    }
    assert len(orders) > 1


HANGS = "pytest-timeout fails the test, but its Go process runs on and teardown waits for it"


@pytest.mark.parametrize(
    "method", [pytest.param("signal", marks=pytest.mark.xfail(reason=HANGS)), "thread"]
)
def test_pytest_timeout_ends_a_hanging_test(shop: Path, tmp_path: Path, method: str) -> None:
    needs("pytest_timeout")
    # Built before, so that the seconds are the test's own.
    run(shop, tmp_path, "-k", "TestPass")
    outcome = run(
        shop, tmp_path, "-k", "TestHang or TestPass", "--timeout=3", f"--timeout-method={method}",
        SHOP_HANG="yes",
    )  # fmt: skip
    assert outcome.exitstatus == 1
    assert "Timeout" in outcome.output, outcome.output
    assert outcome.items["shop_test.go::TestPass"] == "passed"
