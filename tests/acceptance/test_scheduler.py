"""How work is spread over real xdist workers: each test once, whatever happens to a worker."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from spreading import PACKAGES, TESTS, Project

from pytest_gotest._cpus import available


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("dist", ["load", "loadfile", "loadscope", "loadgroup", "worksteal"])
def test_each_test_runs_once_however_work_is_spread(project: Project, dist: str) -> None:
    outcome = project.run("-n2", f"--dist={dist}")
    assert outcome.exitstatus == 0, outcome.output
    assert {name.partition("@")[0] for name in outcome.items} == project.ids
    assert set(outcome.items.values()) == {"passed"}
    assert project.runs == Counter(project.go_ids)


@pytest.mark.parametrize("isolate", ["package", "gate", "auto"])
def test_what_may_be_stolen_never_runs_ahead(project: Project, isolate: str) -> None:
    body = "".join(
        f"//pytest:parallel\nfunc TestP{number}(t *testing.T) {{ t.Parallel(); note(t) }}\n\n"
        for number in range(30)
    )
    project.write("p0/many_test.go", f'package p0\n\nimport "testing"\n\n{body}')
    outcome = project.run("-n2", "--dist=worksteal", f"--gotest-isolate={isolate}")
    assert outcome.exitstatus == 0, outcome.output
    assert set(project.runs.values()) == {1}, project.runs
    assert len(project.runs) == len(project.go_ids) + 30


def test_with_each_every_worker_runs_all(project: Project) -> None:
    outcome = project.run("-n2", "--dist=each")
    assert f"{2 * len(project.ids)} passed" in outcome.output, outcome.output
    assert project.runs == Counter([*project.go_ids, *project.go_ids])


@pytest.mark.parametrize("options", [("--dist=no",), ("--tx", "2*popen")])
def test_without_spreading_xdist_changes_nothing(
    project: Project, options: tuple[str, ...]
) -> None:
    outcome = project.run(*options)
    assert outcome.exitstatus == 0, outcome.output
    assert project.runs == Counter(project.go_ids)


def test_a_package_runs_in_one_process_of_one_worker(project: Project) -> None:
    outcome = project.run("-n2")
    assert f"gotest: {PACKAGES * TESTS} Go tests in {PACKAGES} processes" in outcome.output
    processes = {(name.partition("/")[0], pid) for name, pid, _ in project.ran}
    assert len(processes) == PACKAGES


def test_the_longest_package_begins_first_once_durations_are_known(project: Project) -> None:
    project.write(
        "p4/slow_test.go",
        'package p4\n\nimport (\n\t"testing"\n\t"time"\n)\n\n'
        "func TestSlow(t *testing.T) {\n\ttime.Sleep(300 * time.Millisecond)\n\tnote(t)\n}\n",
    )
    assert project.run("-n2").exitstatus == 0
    durations = json.loads(project.durations.read_text())
    assert durations["p4/slow_test.go::TestSlow"] > 0.25
    assert project.ids <= durations.keys()
    outcome = project.run("-n2")
    assert outcome.exitstatus == 0, outcome.output
    first: dict[str, str] = {}
    for report in outcome.reports:
        first.setdefault(report["worker"], report["id"])
    assert any(name.startswith("p4/") for name in first.values()), first


FIXTURES = """
import time
import pytest

@pytest.fixture(scope="{scope}")
def slow():
    time.sleep(0.05)

def test_one(slow):
    pass

def test_two(slow):
    pass
"""


@pytest.mark.parametrize("options", [(), ("-n2",)])
def test_a_start_is_what_a_file_needs_once(project: Project, options: tuple[str, ...]) -> None:
    shared = FIXTURES.format(scope="session").replace("slow", "shared").partition("def test")[0]
    project.write("conftest.py", shared)
    project.write("test_a.py", "def test_a(shared): pass")
    project.write("test_b.py", "def test_b(shared): pass")
    for scope in ("session", "module", "function"):
        project.write(f"test_{scope}.py", FIXTURES.format(scope=scope))
    project.write(
        "p0/conftest.py",
        FIXTURES.format(scope="package").replace("slow", "gotest_env").partition("def test")[0]
        + "    return {}",
    )
    project.write("p0/__init__.py", "")
    outcome = project.run(*options)
    assert outcome.exitstatus == 0, outcome.output
    starts = {place for place in project.starts if place.endswith(".py")}
    # A session's fixture that a file defines is that file's; one of conftest.py is nobody's.
    assert starts == {"test_session.py", "test_module.py"}
    assert project.starts["p0"] >= 0.05
    assert project.starts["p1"] > 0


def test_a_crash_does_not_change_what_is_known(project: Project) -> None:
    project.write("test_kill.py", KILLS.format(number=1))
    project.write("test_fail.py", "def test_fail(absent): pass")
    known = {"test_kill.py::test_kills_its_worker[0]": 7.0, "test_fail.py::test_fail": 8.0}
    project.run("-n2", "test_python.py")
    project.durations.write_text(json.dumps(known))
    assert project.run("-n2").exitstatus == 1
    kept = json.loads(project.durations.read_text())
    assert known.items() <= kept.items()
    assert "test_kill.py::test_after" in kept


def test_with_each_a_test_takes_as_long_as_on_one_worker(project: Project) -> None:
    outcome = project.run("-n2", "--dist=each", "test_python.py")
    took: Counter[tuple[str, str]] = Counter()
    for report in outcome.reports:
        took[report["id"], report["worker"]] += report["duration"]
    name = "test_python.py::test_one"
    longest = max(took[name, worker] for worker in ("gw0", "gw1"))
    assert json.loads(project.durations.read_text())[name] == pytest.approx(longest, abs=1e-6)


KILLS = """
import os, signal
import pytest

@pytest.mark.parametrize("number", range({number}))
def test_kills_its_worker(number):
    os.kill(os.getpid(), signal.SIGKILL)

def test_after():
    pass
"""


@pytest.mark.parametrize("number", [1, 2])
def test_workers_that_crash_take_no_other_test_with_them(project: Project, number: int) -> None:
    project.write("test_kill.py", KILLS.format(number=number))
    outcome = project.run("-n2")
    assert outcome.exitstatus == 1
    killed = [f"test_kill.py::test_kills_its_worker[{index}]" for index in range(number)]
    for name in killed:
        assert f"crashed while running '{name}'" in outcome.output, outcome.output
    others = {name: verdict for name, verdict in outcome.items.items() if name not in killed}
    assert others.keys() == {*project.ids, "test_kill.py::test_after"}
    assert set(others.values()) == {"passed"}, outcome.output
    assert set(project.runs) == project.go_ids


def test_what_a_crashed_worker_held_is_told(project: Project) -> None:
    project.write("test_kill.py", KILLS.format(number=1))
    outcome = project.run("-n1")
    assert re.search("without a verdict from gw0 waits? for another worker", outcome.output)


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_the_first_failure_ends_the_session(project: Project, option: str) -> None:
    for number in range(PACKAGES):
        fails = 'package {p}\n\nimport "testing"\n\nfunc TestA(t *testing.T) {{ t.Fatal() }}\n'
        project.write(f"p{number}/a_test.go", fails.format(p=f"p{number}"))
    outcome = project.run("-n2", option)
    assert outcome.exitstatus in (1, 2)
    failed = [name for name, verdict in outcome.items.items() if verdict == "failed"]
    # As many as there are workers may have been at work; no more.
    assert 1 <= len(failed) <= 2, outcome.output
    assert "stopping after 1 failures" in outcome.output


@pytest.mark.parametrize("workers", [["-n4", "--maxprocesses=1"], ["-n6"]])
def test_fewer_and_more_workers_than_there_is_work_for(
    project: Project, workers: list[str]
) -> None:
    outcome = project.run(*workers, "p0", "test_python.py::test_one")
    assert outcome.exitstatus == 0, outcome.output
    assert len(outcome.items) == TESTS + 1
    assert project.runs == Counter({name for name in project.go_ids if name.startswith("p0/")})


def test_a_unit_is_no_larger_than_asked_for(project: Project) -> None:
    outcome = project.run("-n2", "--maxschedchunk=1")
    assert outcome.exitstatus == 0, outcome.output
    assert project.runs == Counter(project.go_ids)


def test_the_machine_is_shared_out(project: Project) -> None:
    outcome = project.run("-n2")
    cpus = available()
    shares = {max(1, cpus // 2), max(1, cpus - cpus // 2)}
    assert {share for _, _, share in project.ran} <= shares
    each = " or ".join(str(share) for share in sorted(shares))
    assert f"GOMAXPROCS {each} for each of 2 workers on {cpus} CPU" in outcome.output


@pytest.mark.parametrize("engine", ["binary", "gotest"])
@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, available()), ({"GOMAXPROCS": "3"}, 3)],
    ids=["ours", "the user's"],
)
def test_as_many_run_beside_each_other_as_without_workers(
    project: Project, engine: str, own: dict[str, str], expected: int
) -> None:
    """Those that wait for each other would never end where a worker's share is one CPU."""
    project.write(
        "p0/parallel_test.go",
        f"""
        package p0

        import (
            "flag"
            "testing"
        )

        func TestParallel(t *testing.T) {{
            if got := flag.Lookup("test.parallel").Value.String(); got != "{expected}" {{
                t.Fatal(got)
            }}
        }}
        """,
    )
    outcome = project.run("-n2", f"--gotest-engine={engine}", "p0", **own)
    assert outcome.exitstatus == 0, outcome.output
    assert outcome.items["p0/parallel_test.go::TestParallel"] == "passed"


def test_the_users_own_share_counts(project: Project) -> None:
    outcome = project.run("-n2", GOMAXPROCS="3")
    assert {share for _, _, share in project.ran} == {3}
    assert "GOMAXPROCS 3 as set" in outcome.output


def test_without_workers_go_decides(project: Project) -> None:
    assert "GOMAXPROCS" not in os.environ
    outcome = project.run("p0")
    assert {share for _, _, share in project.ran} == {available()}
    assert "GOMAXPROCS" not in outcome.output


def test_a_group_that_asks_to_run_together_runs_once(project: Project) -> None:
    """Under the gate, too, and only with those that are on the same worker."""
    project.write(
        "p0/together_test.go",
        'package p0\n\nimport "testing"\n\n'
        + "".join(
            f"//pytest:parallel\nfunc TestP{number}(t *testing.T) {{ t.Parallel(); note(t) }}\n\n"
            for number in range(4)
        ),
    )
    outcome = project.run("-n2", "--maxschedchunk=2", "--gotest-isolate=gate")
    assert outcome.exitstatus == 0, outcome.output
    grouped = {f"p0/p_test.go::TestP{number}" for number in range(4)}
    assert project.runs == Counter({*project.go_ids, *grouped})


def test_a_worker_that_dies_in_a_tear_down_leaves_its_test_s_verdict(project: Project) -> None:
    project.write(
        "test_deadly.py",
        """
        import os, signal
        import pytest

        @pytest.fixture
        def deadly():
            yield
            os.kill(os.getpid(), signal.SIGKILL)

        def test_deadly(deadly):
            pass
        """,
    )
    outcome = project.run("-n2")
    assert outcome.exitstatus == 1, outcome.output
    assert f"1 failed, {len(project.ids) + 1} passed" in outcome.output
    assert "crashed while running 'test_deadly.py::test_deadly', in its teardown" in outcome.output
    assert project.runs == Counter(project.go_ids)
