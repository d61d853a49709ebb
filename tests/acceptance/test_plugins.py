"""Other people's pytest plugins on Go tests: each does its work, and no verdict changes.

Collected where all of them are installed, which GOTEST_PLUGINS=1 says: `tox -e plugins`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from running import Outcome, run_pytest
from test_docs import DOCS, fences

if os.environ.get("GOTEST_PLUGINS") != "1":
    pytest.skip(
        "other plugins are tried where all are installed: tox -e plugins", allow_module_level=True
    )

GO_TESTS = """\
package till

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
	t.Run("two", func(t *testing.T) { t.Error("two is wrong") })
	t.Run("three", func(t *testing.T) { t.Error("three is wrong") })
}

var ran int

// Fails until it has run alone in a process.
func TestFlaky(t *testing.T) {
	if os.Getenv("TILL_FLAKY") != "" && ran > 0 {
		t.Error("not alone")
	}
}

func TestCount(t *testing.T) { ran++ }

func TestHang(t *testing.T) {
	if os.Getenv("TILL_HANG") != "" {
		time.Sleep(time.Hour)
	}
}

//pytest:mark timeout(2)
func TestMarked(t *testing.T) {
	if os.Getenv("TILL_MARKED") != "" {
		time.Sleep(time.Hour)
	}
}

func TestLast(t *testing.T) {}
"""

PYTHON_TESTS = """\
import asyncio
from hypothesis import given, strategies as st

def test_python():
    pass

async def test_async():
    await asyncio.sleep(0)

@given(st.integers())
def test_any(n):
    assert n == n
"""

GO_VERDICTS = {
    "till_test.go::TestPass": "passed",
    "till_test.go::TestFail": "failed",
    "till_test.go::TestSkip": "skipped",
    "till_test.go::TestSub": "failed",
    "till_test.go::TestFlaky": "passed",
    "till_test.go::TestCount": "passed",
    "till_test.go::TestHang": "passed",
    "till_test.go::TestMarked": "passed",
    "till_test.go::TestLast": "passed",
}
VERDICTS = {
    **GO_VERDICTS,
    "test_python.py::test_python": "passed",
    "test_python.py::test_async": "passed",
    "test_python.py::test_any": "passed",
}
ALL = (
    "asyncio", "pytest_cov", "harvest", "html", "metadata", "hypothesispytest", "instafail",
    "randomly", "rerunfailures", "pytest-split", "sugar", "pytest-teamcity", "timeout", "xdist",
)  # fmt: skip


@pytest.fixture(scope="session")
def till(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with its tests, built once: the binary outlives the run that makes it."""
    module = tmp_path_factory.mktemp("till")
    (module / "go.mod").write_text("module example.com/till\n\ngo 1.22\n")
    (module / "till_test.go").write_text(GO_TESTS)
    (module / "test_python.py").write_text(PYTHON_TESTS)
    (module / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    return module


def run(
    till: Path, tmp_path: Path, plugins: list[str], *arguments: str, **variables: str
) -> Outcome:
    return run_pytest(
        till,
        "-p",
        "no:cacheprovider",
        *arguments,
        record=tmp_path / "record",
        env=variables,
        plugins=plugins if "asyncio" in plugins else ["asyncio", *plugins],
    )


@pytest.mark.parametrize(
    ("plugins", "arguments", "said"),
    [
        (["asyncio"], [], r"asyncio: mode=Mode\.AUTO"),
        (["pytest_cov"], ["--cov=.", "--cov-report=term"], r"test_python\.py .* 100%"),
        (["harvest", "xdist"], [], r"plugins: .*harvest"),
        (["hypothesispytest"], ["--hypothesis-seed=1"], r"plugins: .*hypothesis"),
        (["instafail"], ["--instafail"], r"(?s)E   got 2, want 1.*TestHang|E   got 2, want 1.*%\]"),
        (["randomly"], ["--randomly-seed=7"], r"Using --randomly-seed=7"),
        (["rerunfailures"], ["--reruns=1"], r"\b2 rerun\b"),
        (["sugar"], ["--force-sugar"], r"TestFail"),
        (["pytest-teamcity"], ["--teamcity"], r"teamcity\[testFailed .*TestFail"),
        (["timeout"], ["--timeout=120"], r"timeout: 120\.0s"),
        (["xdist"], ["-n2"], r"2 workers"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value else None,
)
def test_no_verdict_changes(
    till: Path, tmp_path: Path, plugins: list[str], arguments: list[str], said: str
) -> None:
    outcome = run(till, tmp_path, plugins, *arguments)
    assert outcome.items == VERDICTS, outcome.output
    subtests = outcome.subtests["till_test.go::TestSub"]
    assert subtests.pop("one", "passed") == "passed"  # teamcity makes pytest verbose
    assert subtests == {"two": "failed", "three": "failed"}
    assert re.search(said, outcome.output), outcome.output
    assert outcome.exitstatus == 1


def test_all_together(till: Path, tmp_path: Path) -> None:
    outcome = run(till, tmp_path, list(ALL), "-n2", "--timeout=60", "--reruns=1")
    assert outcome.items == VERDICTS, outcome.output


def test_html_report_shows_go_tests(till: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    outcome = run(till, tmp_path, ["html", "metadata"], f"--html={report}", "--self-contained-html")
    assert outcome.items == VERDICTS, outcome.output
    html = report.read_text(encoding="utf-8")
    assert "till_test.go::TestFail" in html
    assert "got 2, want 1" in html


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_a_rerun_is_that_test_alone_in_a_fresh_process(
    till: Path, tmp_path: Path, workers: list[str]
) -> None:
    outcome = run(
        till,
        tmp_path,
        ["rerunfailures", "xdist"],
        "--reruns=1",
        "--gotest-isolate=package",
        *workers,
        "till_test.go::TestCount",
        "till_test.go::TestFlaky",
        TILL_FLAKY="yes",
    )
    assert set(outcome.items.values()) == {"passed"}, outcome.output
    if not workers:
        assert "1 rerun" in outcome.output
    assert outcome.exitstatus == 0


def test_each_test_is_in_one_split(till: Path, tmp_path: Path) -> None:
    groups = [
        run(till, tmp_path, ["pytest-split"], "--splits=2", f"--group={group}") for group in (1, 2)
    ]
    assert all(group.items for group in groups)
    assert {**groups[0].items, **groups[1].items} == VERDICTS
    assert not groups[0].items.keys() & groups[1].items.keys()


def test_shards_by_our_durations_make_reports_that_add_up(till: Path, tmp_path: Path) -> None:
    cache = f"--gotest-cache-dir={tmp_path / 'cache'}"
    run(till, tmp_path, [], cache, f"--junitxml={tmp_path / 'whole.xml'}")
    kept_in = (tmp_path / "cache" / "durations").glob("*.json")
    (durations,) = (path for path in kept_in if ".starts" not in path.name)
    kept = json.loads(durations.read_text())
    assert set(VERDICTS) <= set(kept)
    # All in one test: whoever reads the file gives it a shard of its own.
    durations.write_text(json.dumps({**dict.fromkeys(kept, 0.0), "till_test.go::TestLast": 9.0}))
    shards = []
    for group in (1, 2):
        report = tmp_path / f"shard{group}.xml"
        outcome = run(
            till,
            tmp_path,
            ["pytest-split", "xdist"],
            cache,
            "-n2",
            *("--splits=2", f"--group={group}", f"--durations-path={durations}"),
            "--splitting-algorithm=least_duration",
            f"--junitxml={report}",
        )
        shards.append(outcome.items)
        durations.write_text(
            json.dumps({**dict.fromkeys(kept, 0.0), "till_test.go::TestLast": 9.0})
        )
    assert sorted(len(items) for items in shards) == [1, len(VERDICTS) - 1]
    assert {**shards[0], **shards[1]} == VERDICTS

    def cases(path: Path) -> list[tuple[str | None, str | None, int]]:
        found = ElementTree.parse(path).iter("testcase")
        return sorted((case.get("classname"), case.get("name"), len(case)) for case in found)

    whole = cases(tmp_path / "whole.xml")
    assert sorted(cases(tmp_path / "shard1.xml") + cases(tmp_path / "shard2.xml")) == whole


def test_randomly_mixes_go_tests(till: Path, tmp_path: Path) -> None:
    orders = set()
    for seed in (1, 2, 3):
        outcome = run(till, tmp_path, ["randomly"], f"--randomly-seed={seed}")
        assert outcome.items == VERDICTS
        orders.add(tuple(outcome.items))
    assert len(orders) > 1


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_pytest_timeout_ends_a_hanging_test(till: Path, tmp_path: Path, method: str) -> None:
    outcome = run(
        till, tmp_path, ["timeout"], "till_test.go", "--timeout=3", f"--timeout-method={method}",
        "-k", "Pass or Hang or Last", TILL_HANG="yes",
    )  # fmt: skip
    text = outcome.texts["till_test.go::TestHang"]
    assert outcome.items == {
        "till_test.go::TestPass": "passed",
        "till_test.go::TestHang": "failed",
        "till_test.go::TestLast": "passed",
    }, outcome.output
    assert "timed out after 3 s" in text
    assert "time.Sleep" in text


def test_its_marker_and_our_directive(till: Path, tmp_path: Path) -> None:
    outcome = run(
        till, tmp_path, ["timeout"], "till_test.go", "-k", "Marked or Last", TILL_MARKED="yes"
    )
    assert outcome.items == {
        "till_test.go::TestMarked": "failed",
        "till_test.go::TestLast": "passed",
    }, outcome.output
    assert "timed out after 2 s" in outcome.texts["till_test.go::TestMarked"]


def test_its_clock_does_not_count_the_build(till: Path, tmp_path: Path) -> None:
    """The whole module is built anew while the clock of a test would be running out."""
    outcome = run(
        till, tmp_path, ["timeout"], "till_test.go::TestLast", "--timeout=0.9",
        f"--gotest-cache-dir={tmp_path / 'cache'}", "--gotest-build-arg=-gcflags=-N",
    )  # fmt: skip
    assert outcome.items == {"till_test.go::TestLast": "passed"}, outcome.output


VSCODE = """
import json, os

class Explorer:
    '''What the Python extension of VS Code keeps of a run.'''

    def __init__(self):
        self.tests, self.results = {}, {}

    def pytest_collection_finish(self, session):
        for item in session.items:
            path, line, name = item.location
            self.tests[item.nodeid] = {"lineno": line + 1, "name": name, "path": str(item.path)}

    def pytest_report_teststatus(self, report, config):
        node = report.nodeid
        if report.when == "call" and node not in self.results:
            self.results[node] = report.outcome

    def pytest_unconfigure(self):
        with open(os.environ["EXPLORED"], "w") as file:
            json.dump([self.tests, self.results], file)

def pytest_configure(config):
    config.pluginmanager.register(Explorer())
"""


def test_explorer_of_vs_code(till: Path, tmp_path: Path) -> None:
    (tmp_path / "explorer.py").write_text(VSCODE)
    explored = tmp_path / "explored.json"
    run(
        till, tmp_path, ["explorer"], "till_test.go", "-v",
        EXPLORED=str(explored), PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    tests, results = json.loads(explored.read_text())
    lines = GO_TESTS.splitlines()
    for node, test in tests.items():
        assert lines[test["lineno"] - 1].startswith(f"func {node.partition('::')[2]}(")
        assert test["path"] == str(till / "till_test.go")
    # The first report of a test is what it keeps: of TestSub that is a failed subtest.
    assert results == GO_VERDICTS


DJANGO_TESTS = """\
import pytest
from books.models import Book
from django.test import TestCase

pytestmark = pytest.mark.filterwarnings("error::pytest_gotest.LeakWarning")

@pytest.mark.parametrize("turn", ["first", "second"])
def test_its_fixtures(db, rf, mailoutbox, django_assert_num_queries, turn):
    with django_assert_num_queries(1):
        assert Book.objects.create(title="Dune").id == 2

def test_locked():
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        Book.objects.count()

@pytest.mark.django_db
def test_marked():
    pass

def test_flushed(transactional_db):
    pass

class TestRolledBack(TestCase):
    def test_it(self):
        pass
"""


def test_django_as_the_documentation_has_it(tmp_path: Path) -> None:
    page = (DOCS / "how-to" / "databases-in-python.md").read_text(encoding="utf-8")
    # The last conftest.py of the page is the one for pytest-django.
    files = {fence.title: fence.body for fence in fences(page) if fence.title.startswith("shop/")}
    files["shop/test_more.py"] = DJANGO_TESTS
    files["shop/books/__init__.py"] = files["shop/books/migrations/__init__.py"] = ""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    outcome = run_pytest(tmp_path / "shop", record=tmp_path / "record", plugins=["django"])
    refused = {"test_marked", "test_flushed", "TestRolledBack::test_it"}
    for node, verdict in outcome.items.items():
        is_refused = node.partition("::")[2] in refused
        assert verdict == ("error" if is_refused else "passed"), outcome.output
        assert not is_refused or "ask for db instead" in outcome.texts[node]
    assert len(outcome.items) == 11, outcome.output
