"""Workers on other machines: ssh, sockets, proxies, and lines that are slow, lossy or cut.

The machines are an sshd on loopback and network namespaces, each with a checkout of its own; the line to a
namespace is link.py's.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hosts import Host, namespace, need_namespaces, need_sshd, server, sshd
from running import Outcome
from spreading import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def checkout(project: Project, name: str) -> Path:
    target = project.base / name
    shutil.copytree(project.root, target)
    return target


@pytest.fixture
def far(project: Project) -> Iterator[Host]:
    with server(checkout(project, "far"), project.base / "far.log", RAN=str(project.log)) as host:
        yield host


def test_a_worker_behind_a_socket(project: Project, far: Host) -> None:
    outcome = project.run("--dist=load", "--tx", far.spec)
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == project.ids
    assert project.runs == Counter(project.go_ids)
    left = {path.name for path in (project.base / "far").iterdir()}
    assert not left & {"pytest", "_pytest"}  # which xdist would have copied there


def test_workers_here_and_there(project: Project, far: Host) -> None:
    outcome = project.run("--dist=load", "--tx", "popen", "--tx", far.spec)
    assert outcome.exitstatus == 0, outcome.output
    assert {report["worker"] for report in outcome.reports} == {"gw0", "gw1"}
    assert project.runs == Counter(project.go_ids)


def test_tests_can_be_named_by_path_and_id(project: Project, far: Host) -> None:
    named = ["p1", str(project.root / "p2/p_test.go::TestT1"), "test_python.py::test_one"]
    outcome = project.run("--dist=load", "--tx", far.spec, *named)
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == {
        *(name for name in project.go_ids if name.startswith("p1/")),
        "p2/p_test.go::TestT1",
        "test_python.py::test_one",
    }


def test_workers_by_way_of_a_proxy(project: Project, far: Host) -> None:
    """Two workers on a machine to which there is one connection."""
    where = far.spec.partition("//")[0]
    place = project.base / "far"
    outcome = project.run(
        *("--dist=load", "--px", f"{where}//id=first", "--tx", f"2*popen//via=first//chdir={place}")
    )
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == project.ids
    assert project.runs == Counter(project.go_ids)


def test_ssh(project: Project) -> None:
    need_sshd()
    place = checkout(project, "far")
    with sshd(project.base / "sshd", RAN=str(project.log)) as config:
        spec = f"ssh=there//ssh_config={config}//python={sys.executable}//chdir={place}"
        outcome = project.run("--dist=load", "--tx", f"2*{spec}")
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == project.ids
    assert project.runs == Counter(project.go_ids)


def test_several_workers_by_way_of_one_ssh(project: Project) -> None:
    need_sshd()
    place = checkout(project, "far")
    with sshd(project.base / "sshd", RAN=str(project.log)) as config:
        proxy = f"ssh=there//ssh_config={config}//python={sys.executable}//id=first"
        workers = f"2*popen//via=first//python={sys.executable}//chdir={place}"
        outcome = project.run("--dist=load", "--px", proxy, "--tx", workers)
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == project.ids
    assert {report["worker"] for report in outcome.reports} == {"gw0", "gw1"}


def test_other_files_over_there_are_listed_and_nothing_runs(project: Project, far: Host) -> None:
    place = project.base / "far"
    (place / "p0" / "p_test.go").unlink()
    (place / "p1" / "testdata").mkdir()
    (place / "p1" / "testdata" / "golden").write_text("old")
    with (place / "p2" / "p_test.go").open("a") as file:
        file.write("// changed\n")
    outcome = project.run("--dist=load", "--tx", far.spec)
    assert outcome.exitstatus == 4, outcome.output
    assert "missing: p0/p_test.go" in outcome.output
    assert "extra: p1/testdata/golden" in outcome.output
    assert "changed: p2/p_test.go" in outcome.output
    assert "Traceback" not in outcome.output
    assert not project.ran


WAITS = """
import os, time

def test_waits():
    if os.environ.get("HERE"):
        return
    with open(os.environ["RAN"] + ".waits", "wb", buffering=0) as file:
        file.write(b"!")
        time.sleep(300)
"""


class Waits:
    """Hears of the test that waits elsewhere, by a pipe that it holds open."""

    def __init__(self, project: Project) -> None:
        self._project = project
        os.mkfifo(name := f"{project.log}.waits")
        self._pipe = os.open(name, os.O_RDONLY | os.O_NONBLOCK)

    def run(self, act: Callable[[], None], *arguments: str, heard: str = "setup") -> Outcome:
        """Run, and ``act`` as soon as the test waits and its report of ``heard`` has come, and all before it."""

        def watch() -> None:
            self._hear()
            until = time.monotonic() + 60
            while not self._has_come(heard) and time.monotonic() < until:
                time.sleep(0.01)
            act()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            return self._project.run(*arguments, HERE="1")
        finally:
            thread.join()

    def _has_come(self, when: str) -> bool:
        record = self._project.base / "record"
        lines = record.read_text().splitlines() if record.exists() else ()
        reports = [json.loads(line) for line in lines if line.endswith("}")]
        return ("test_waits.py::test_waits", when) in {(one["id"], one["when"]) for one in reports}

    def is_over(self) -> bool:
        """Whether it is interrupted, or its process gone, some time from now."""
        return self._hear() == b""

    def _hear(self) -> bytes | None:
        return os.read(self._pipe, 1) if select.select([self._pipe], [], [], 120)[0] else None

    def close(self) -> None:
        os.close(self._pipe)


@pytest.fixture
def waits(project: Project) -> Iterator[Waits]:
    made = Waits(project)
    yield made
    made.close()


def test_a_worker_that_dies_over_there_loses_nothing(project: Project, waits: Waits) -> None:
    """Its server dies with it, so one of this machine takes its place, and the test it ran is run again."""
    project.write("test_waits.py", WAITS)
    log = project.base / "far.log"
    with server(checkout(project, "far"), log, RAN=str(project.log), HERE="") as far:
        outcome = waits.run(far.crash, "--dist=load", "--tx", far.spec)
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == {*project.ids, "test_waits.py::test_waits"}
    assert "test_waits.py::test_waits among them" in outcome.output
    assert "is out of reach, a worker on this machine takes its place" in outcome.output


WAITS_AFTER = """
import os, time
import pytest

@pytest.fixture
def tears_down_slowly():
    yield
    if not os.environ.get("HERE"):
        with open(os.environ["RAN"] + ".waits", "wb", buffering=0) as file:
            file.write(b"!")
            time.sleep(300)

def test_waits(tears_down_slowly):
    with open(os.environ["RAN"] + ".called", "a") as file:
        file.write("called ")
"""


def test_a_worker_that_dies_in_a_tear_down_over_there_counts_its_test_once(
    project: Project, waits: Waits
) -> None:
    """Its verdict has come; that the tear-down did not end is an error of its own, as for a worker here."""
    project.write("test_waits.py", WAITS_AFTER)
    log = project.base / "far.log"
    with server(checkout(project, "far"), log, RAN=str(project.log), HERE="") as far:
        outcome = waits.run(far.crash, "--dist=load", "--tx", far.spec, heard="call")
    assert outcome.exitstatus == 1, outcome.output
    assert Path(f"{project.log}.called").read_text() == "called "
    assert f"1 failed, {len(project.ids) + 1} passed" in outcome.output
    assert "crashed while running 'test_waits.py::test_waits', in its teardown" in outcome.output
    assert project.runs == Counter(project.go_ids)


def test_ssh_by_a_slow_and_lossy_line(project: Project) -> None:
    need_namespaces()
    need_sshd()
    place = checkout(project, "far")
    log = project.base / "far.log"
    with (
        namespace(4, place, log, delay=0.05, loss=0.01) as far,
        sshd(project.base / "sshd", at=far, RAN=str(project.log)) as config,
    ):
        spec = f"ssh=there//ssh_config={config}//python={sys.executable}//chdir={place}"
        outcome = project.run("--dist=load", "--tx", f"2*{spec}")
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == project.ids
    assert project.runs == Counter(project.go_ids)


def test_two_machines_behind_slow_and_lossy_lines(project: Project) -> None:
    need_namespaces()
    with ExitStack() as stack:
        hosts = [
            stack.enter_context(
                namespace(
                    number,
                    checkout(project, f"far{number}"),
                    project.base / f"far{number}.log",
                    delay=0.05,
                    loss=0.01,
                    RAN=str(project.log),
                )
            )
            for number in (1, 2)
        ]
        specs = [word for host in hosts for word in ("--tx", host.spec)]
        outcome = project.run("--dist=load", *specs)
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == project.ids
    assert set(outcome.items.values()) == {"passed"}
    assert project.runs == Counter(project.go_ids)
    assert {report["worker"] for report in outcome.reports} == {"gw0", "gw1"}


def test_a_line_that_is_cut_is_noticed_at_both_ends(project: Project, waits: Waits) -> None:
    """Nobody says goodbye: the other side has to be asked whether it is there."""
    need_namespaces()
    project.write("test_waits.py", WAITS)
    log = project.base / "far.log"
    with namespace(3, checkout(project, "far"), log, RAN=str(project.log), HERE="") as far:
        outcome = waits.run(far.cut, "--dist=load", "--tx", far.spec)
        assert waits.is_over()
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == {*project.ids, "test_waits.py::test_waits"}
    assert "test_waits.py::test_waits among them" in outcome.output
    assert "is out of reach, a worker on this machine takes its place" in outcome.output


@pytest.mark.parametrize("by", [pytest.param("socket", marks=pytest.mark.campaign), "ssh"])
def test_a_line_to_a_proxy_that_is_cut_is_noticed_at_both_ends(
    project: Project, waits: Waits, by: str
) -> None:
    need_namespaces()
    project.write("test_waits.py", WAITS)
    log = project.base / "far.log"
    place = checkout(project, "far")
    with ExitStack() as stack:
        far = stack.enter_context(namespace(5, place, log, RAN=str(project.log), HERE=""))
        proxy = far.spec.partition("//")[0]
        if by == "ssh":
            need_sshd()
            ssh = sshd(project.base / "sshd", at=far, RAN=str(project.log))
            proxy = f"ssh=there//ssh_config={stack.enter_context(ssh)}//python={sys.executable}"
        outcome = waits.run(
            far.cut,
            *("--dist=load", "--px", f"{proxy}//id=first"),
            *("--tx", f"popen//via=first//python={sys.executable}//chdir={place}"),
        )
        assert outcome.exitstatus == 0, outcome.output
        assert set(outcome.items) == {*project.ids, "test_waits.py::test_waits"}
        assert "is out of reach, a worker on this machine takes its place" in outcome.output
        assert waits.is_over()


def test_another_checkout_on_this_machine_has_to_be_the_same(project: Project) -> None:
    place = checkout(project, "beside")
    outcome = project.run("--dist=load", "--tx", f"popen//chdir={place}")
    assert outcome.exitstatus == 0, outcome.output
    (place / "p0" / "p_test.go").unlink()
    outcome = project.run("--dist=load", "--tx", f"popen//chdir={place}")
    assert outcome.exitstatus == 4, outcome.output
    assert "missing: p0/p_test.go" in outcome.output
