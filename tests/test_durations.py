"""What is kept of how long tests took: what counts, what is forgotten, and when it is written."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_gotest._durations import Durations, WideSetUps

FILE = "t.py"
ONE, TWO = "t.py::test_one", "t.py::test_two"


class Sessions:
    """Of one root directory that has a file ``t.py`` and a Go package ``p``."""

    def __init__(self, base: Path) -> None:
        self.root, self.cache = base / "root", base / "cache"
        (self.root / "p").mkdir(parents=True)
        (self.root / FILE).touch()
        (self.root / "p" / "x_test.go").touch()

    def new(self) -> Durations:
        return Durations(self.root, self.cache)

    def ran(self, tests: dict[str, float], start: float = 0.0, beyond: float = 0.0) -> None:
        """A session of these tests. In the set-up of the first are ``start`` for its file, and ``beyond`` for more."""
        durations = self.new()
        for number, (nodeid, seconds) in enumerate(tests.items()):
            run(durations, nodeid, seconds, **({} if number else wide(start, beyond)))
        durations.write({})

    @property
    def tests(self) -> dict[str, float]:
        return dict(self.new().read().tests)

    @property
    def starts(self) -> dict[str, float]:
        return dict(self.new().read().starts)


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(tmp_path)


def report(nodeid: str, when: Any, seconds: float = 0.0, **fields: Any) -> pytest.TestReport:
    given: dict[str, Any] = {"outcome": "passed", "longrepr": None, **fields}
    return pytest.TestReport(
        nodeid=nodeid, location=("", 0, ""), keywords={}, when=when, duration=seconds, **given
    )


def run(durations: Durations, nodeid: str, call: float, node: Any = None, **setup: Any) -> None:
    """A test that passes; what its file and others needed belongs to its set-up."""
    before = setup.get("gotest_shared", 0.0)
    durations.note(report(nodeid, "setup", before, node=node, **setup))
    durations.note(report(nodeid, "call", call, node=node))
    durations.note(report(nodeid, "teardown", node=node))


def wide(start: float, beyond: float = 0.0) -> dict[str, float]:
    return {"gotest_start": start, "gotest_shared": start + beyond}


def crashed(nodeid: str) -> pytest.TestReport:
    """As xdist reports it (xdist.dsession.DSession.handle_crashitem)."""
    return report(nodeid, "???", outcome="failed", longrepr="crashed")


def test_a_test_takes_all_its_phases(sessions: Sessions) -> None:
    durations = sessions.new()
    for when, seconds in (("setup", 0.25), ("call", 1.0), ("teardown", 0.5)):
        durations.note(report(ONE, when, seconds))
    durations.write({})
    assert sessions.tests == {ONE: 1.75}


def test_the_newest_counts(sessions: Sessions) -> None:
    sessions.ran({ONE: 1.0, TWO: 1.0})
    sessions.ran({ONE: 3.0})
    assert sessions.tests == {ONE: 3.0, TWO: 1.0}


# Starts


def test_what_a_file_needs_once_is_its_start_and_no_tests_time(sessions: Sessions) -> None:
    sessions.ran({ONE: 1.0, TWO: 1.0}, start=5.0, beyond=3.0)
    assert sessions.starts == {FILE: 5.0}
    assert sessions.tests == {ONE: 1.0, TWO: 1.0}


def test_what_lasts_for_the_session_is_nobodys(sessions: Sessions) -> None:
    sessions.ran({ONE: 1.0}, beyond=5.0)
    assert sessions.starts == {}
    assert sessions.tests == {ONE: 1.0}


def test_what_each_test_needs_for_itself_is_no_start(sessions: Sessions) -> None:
    durations = sessions.new()
    durations.note(report(ONE, "setup", 2.0))
    durations.note(report(ONE, "teardown"))
    durations.write({})
    assert sessions.starts == {}
    assert sessions.tests == {ONE: 2.0}


def test_a_start_that_is_not_seen_again_is_forgotten(sessions: Sessions) -> None:
    sessions.ran({ONE: 1.0}, start=5.0)
    sessions.ran({"p/x_test.go::TestA": 1.0})
    assert sessions.starts == {FILE: 5.0}  # nothing is known of it
    sessions.ran({ONE: 1.0})
    assert sessions.starts == {FILE: 2.5}
    for _ in range(10):
        sessions.ran({ONE: 1.0})
    assert sessions.starts == {}


def test_a_start_that_could_not_be_made_is_not_forgotten(sessions: Sessions) -> None:
    sessions.ran({ONE: 1.0}, start=5.0)
    durations = sessions.new()
    durations.note(report(ONE, "setup", outcome="failed", longrepr="no database"))
    durations.note(report(ONE, "teardown"))
    durations.note(report(TWO, "setup", outcome="skipped", longrepr=("", 0, "")))
    durations.note(report(TWO, "teardown"))
    durations.write({})
    assert sessions.starts == {FILE: 5.0}


def test_the_start_of_a_process_and_of_its_fixtures_come_together(sessions: Sessions) -> None:
    durations = sessions.new()
    run(durations, "p/x_test.go::TestA", 1.0, **wide(2.0))
    durations.write({"p": 0.25})
    assert sessions.starts == {"p": 2.25}
    durations = sessions.new()
    run(durations, "p/x_test.go::TestA", 1.0)
    durations.write({"p": 0.002})
    assert sessions.starts == {"p": 1.125}
    for _ in range(10):
        durations.write({"p": 0.002})
    assert 0 < sessions.starts["p"] < 0.01  # of a process it is kept, however short


def test_a_fixture_that_asks_for_another_does_not_count_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    wide_set_ups = WideSetUps()

    def fixture(base: str, node: str) -> contextlib.AbstractContextManager[None]:
        fixturedef: Any = SimpleNamespace(baseid=base)
        request: Any = SimpleNamespace(node=SimpleNamespace(nodeid=node))
        return wide_set_ups.timed(fixturedef, request)

    with fixture(FILE, FILE):  # of the module
        now += 1.0
        with fixture("", ""):  # of the session
            now += 10.0
            with fixture("", ""):
                now += 100.0
    with fixture(FILE, ""):  # of the session, but defined in the file
        now += 1000.0
    with fixture("", f"{FILE}::TestA"):  # of the class
        now += 10000.0
    with fixture("", f"{FILE}::TestA::test_a"):  # of a class, but the test is in none
        now += 100000.0
    first, second = (report(f"{FILE}::TestA::test_a", "setup") for _ in range(2))
    wide_set_ups.tell(first)
    wide_set_ups.tell(second)
    assert (first.gotest_start, first.gotest_shared) == (11001.0, 1111.0)
    assert not hasattr(second, "gotest_start")


# What is no measure


def test_a_crash_is_no_measure(sessions: Sessions) -> None:
    sessions.ran({ONE: 3.0})
    durations = sessions.new()
    for nodeid in (ONE, TWO):
        durations.note(report(nodeid, "setup", 0.1))
        durations.note(crashed(nodeid))
    durations.write({})
    assert sessions.tests == {ONE: 3.0}


def test_a_set_up_that_failed_is_no_measure(sessions: Sessions) -> None:
    sessions.ran({ONE: 3.0})
    durations = sessions.new()
    for nodeid in (ONE, TWO):
        durations.note(report(nodeid, "setup", 0.1, outcome="failed", longrepr="no database"))
        durations.note(report(nodeid, "teardown"))
    durations.write({})
    assert sessions.tests == {ONE: 3.0}


def test_a_test_that_is_skipped_takes_what_it_took(sessions: Sessions) -> None:
    sessions.ran({ONE: 3.0})
    durations = sessions.new()
    durations.note(report(ONE, "setup", 0.1, outcome="skipped", longrepr=("", 0, "")))
    durations.note(report(ONE, "teardown"))
    durations.write({})
    assert sessions.tests == {ONE: 0.1}


def test_of_a_test_that_runs_again_the_last_run_counts(sessions: Sessions) -> None:
    durations = sessions.new()
    durations.note(report(ONE, "setup", 0.1))
    durations.note(report(ONE, "call", 9.0, outcome="rerun"))
    run(durations, ONE, 2.0)
    durations.write({})
    assert sessions.tests == {ONE: 2.0}


def test_workers_that_run_the_same_test_do_not_add_up(sessions: Sessions) -> None:
    durations = sessions.new()
    for when, seconds in (("setup", 0.0), ("call", 1.0), ("teardown", 0.0)):
        for worker in ("gw0", "gw1"):
            slower = 0.5 if worker == "gw1" and when == "call" else 0.0
            durations.note(report(ONE, when, seconds + slower, node=worker))
    durations.write({})
    assert sessions.tests == {ONE: 1.5}


def test_a_subtest_is_part_of_its_test(sessions: Sessions) -> None:
    durations = sessions.new()
    durations.note(report(ONE, "setup"))
    durations.note(pytest.SubtestReport(ONE, ("", 0, ""), {}, "passed", None, "call", duration=2.0))
    durations.note(report(ONE, "call", 2.5))
    durations.note(report(ONE, "teardown"))
    durations.write({})
    assert sessions.tests == {ONE: 2.5}


# What is kept


def test_what_has_no_file_any_more_goes(sessions: Sessions) -> None:
    sessions.ran({ONE: 1.0, "p/x_test.go::TestA": 1.0}, start=1.0)
    (sessions.root / FILE).unlink()
    sessions.ran({"p/x_test.go::TestA": 2.0})
    assert sessions.tests == {"p/x_test.go::TestA": 2.0}
    assert sessions.starts == {}


def test_parameters_that_differ_each_time_do_not_pile_up(sessions: Sessions) -> None:
    for session in range(300):
        sessions.ran({f"{ONE}[{session}-{number}]": 1.0 for number in range(2)})
    kept = sessions.tests
    assert len(kept) <= 102
    assert {f"{ONE}[{session}-0]" for session in range(250, 300)} <= kept.keys()


def test_one_of_many_tests_that_runs_alone_leaves_the_others(sessions: Sessions) -> None:
    many = {f"{ONE}[{number}]": 1.0 for number in range(100)} | {TWO: 1.0}
    sessions.ran(many)
    for number in range(5):
        sessions.ran({f"{ONE}[{number}]": 2.0 + number})
    assert sessions.tests.keys() == many.keys()


def test_nothing_is_written_where_little_changed(sessions: Sessions) -> None:
    tests = {ONE: 1.0, TWO: 0.001}
    sessions.ran(tests, start=1.0)
    files = list((sessions.cache / "durations").glob("*.json"))
    for path in files:
        os.utime(path, (0, 0))
    sessions.ran({ONE: 1.1, TWO: 0.004}, start=0.9)  # a tenth, and 3 ms
    assert [path.stat().st_mtime for path in files] == [0, 0]
    sessions.ran({ONE: 1.3, TWO: 0.004}, start=0.9)
    assert sessions.tests == {ONE: 1.3, TWO: 0.004}
    assert sessions.starts == {FILE: 1.0}


def test_the_format_is_that_of_pytest_split(sessions: Sessions) -> None:
    sessions.ran({ONE: 1.0, f"{TWO}[\u20ac]": 2.0})
    text = sessions.new().path.read_text()
    assert json.loads(text) == {ONE: 1.0, f"{TWO}[\u20ac]": 2.0}
    assert len(text.splitlines()) == 2  # for people


@pytest.mark.parametrize("text", ["", "[]", "{", '{"t.py::test_one": "long"}'])
def test_a_file_that_says_nothing_counts_for_nothing(sessions: Sessions, text: str) -> None:
    path = sessions.new().path
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert sessions.tests == {}
    sessions.ran({TWO: 1.0})
    assert sessions.tests == {TWO: 1.0}


# Several sessions at once


def test_two_sessions_at_once_lose_nothing_of_each_other(sessions: Sessions) -> None:
    first, second = sessions.new(), sessions.new()
    run(first, ONE, 1.0)
    run(second, TWO, 2.0)
    second.write({})
    first.write({})
    assert sessions.tests == {ONE: 1.0, TWO: 2.0}


WRITER = """
import sys
from pathlib import Path
from test_durations import Durations, run
root, cache, who = sys.argv[1:]
for number in range(20):
    durations = Durations(Path(root), Path(cache))
    run(durations, f"t.py::test_{who}_{number}", 1.0)
    durations.write({})
"""


def test_many_sessions_at_once_lose_nothing_of_each_other(sessions: Sessions) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(sessions.root), str(sessions.cache), who],
            env={**os.environ, "PYTHONPATH": path},
        )
        for who in "abc"
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert sessions.tests.keys() == {
        f"t.py::test_{who}_{number}" for who in "abc" for number in range(20)
    }


# Holds the lock until it is told to end.
KEEPER = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_who_cannot_have_the_lock_writes_nothing(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_gotest._durations._WAIT", 0.1)
    sessions.ran({ONE: 1.0})
    lock = sessions.new().path.with_suffix(".lock")
    with subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as keeper:  # fmt: skip
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "mine\n"
        sessions.ran({ONE: 2.0})
        assert sessions.tests == {ONE: 1.0}
        keeper.communicate()
    sessions.ran({ONE: 2.0})
    assert sessions.tests == {ONE: 2.0}


def test_a_cache_that_cannot_be_written_to_stays_as_it_is(sessions: Sessions) -> None:
    sessions.cache.write_text("no directory")
    sessions.ran({ONE: 1.0})
    assert sessions.tests == {}
