"""The controller's part under xdist, as far as it needs no worker; real ones are in acceptance/."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.subtests import SubtestContext, SubtestReport
from execnet import XSpec

from pytest_gotest._durations import Durations
from pytest_gotest._scheduling import Told
from pytest_gotest._session import TOLD
from pytest_gotest._summary import Summary
from pytest_gotest._xdist import Controller

NODEID = "till/till_test.go::TestOpen"


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    config: Any = SimpleNamespace(
        invocation_params=SimpleNamespace(dir=tmp_path, args=()),
        rootpath=tmp_path,
        args=[],
        option=SimpleNamespace(tx=["2*popen"], px=[], maxworkerrestart=None, numprocesses=None),
        getoption={"dist": "load", "maxschedchunk": None, "tx": ["2*popen"]}.get,
    )
    return Controller(config, dict, Durations(tmp_path, tmp_path), Summary())


def node(specs: list[XSpec], spec: XSpec) -> Any:
    manager = SimpleNamespace(specs=specs)
    return SimpleNamespace(
        gateway=SimpleNamespace(id="gw", spec=spec), nodemanager=manager, workerinput={}
    )


def index(controller: Controller, worker: Any) -> int:
    controller.pytest_configure_node(worker)
    told: int = worker.workerinput[TOLD]["index"]
    return told


def test_who_replaces_a_lost_worker_has_its_share(controller: Controller) -> None:
    """On five CPUs the first of two workers has three, so the second must not be replaced by another first."""
    specs = [XSpec("popen"), XSpec("popen")]
    workers = [node(specs, spec) for spec in specs]
    assert [index(controller, worker) for worker in workers] == [0, 1]
    for _ in range(3):
        controller.pytest_testnodedown(workers[1], "Not properly terminated")
        workers[1] = node(specs, specs[1])
        assert index(controller, workers[1]) == 1


def report(worker: object, when: str, outcome: str) -> Any:
    made: Any = pytest.TestReport(NODEID, ("", 1, ""), {}, outcome, None, when)  # type: ignore[arg-type]
    made.node = worker
    return made


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ("", Told.NOTHING),
        ("setup passed", Told.NOTHING),
        ("setup failed", Told.VERDICT),
        ("setup skipped", Told.VERDICT),
        ("setup passed, call passed", Told.VERDICT),
        ("setup passed, call failed", Told.VERDICT),
        ("setup passed, call passed, teardown passed", Told.ALL),
        ("setup passed, call rerun", Told.NOTHING),  # pytest-rerunfailures
        ("setup passed, call rerun, setup passed, call failed", Told.VERDICT),
        ("setup passed, call passed, teardown passed, setup passed", Told.NOTHING),
    ],
)
def test_what_a_worker_told_of_a_test(controller: Controller, reports: str, expected: Told) -> None:
    worker = object()
    for words in filter(None, reports.split(", ")):
        controller.pytest_runtest_logreport(report(worker, *words.split()))
    scheduler = controller.pytest_xdist_make_scheduler(controller.config)
    assert scheduler is not None
    assert scheduler._told(worker, NODEID) is expected
    assert scheduler._told(object(), NODEID) is Told.NOTHING
    assert scheduler._told(worker, "another") is Told.NOTHING


def test_the_verdict_of_a_subtest_is_not_its_test_s(controller: Controller) -> None:
    worker = object()
    subtest: Any = SubtestReport._new(
        report(worker, "call", "passed"), SubtestContext(msg="sub", kwargs={}), None, None
    )
    subtest.node = worker
    controller.pytest_runtest_logreport(subtest)
    assert crash_of(controller, worker) == "crashed"


def test_a_crash_in_a_tear_down_says_so(controller: Controller) -> None:
    worker = object()
    controller.pytest_runtest_logreport(report(worker, "call", "passed"))
    assert crash_of(controller, worker).startswith("crashed, in its teardown")


def crash_of(controller: Controller, worker: object) -> str:
    made = report(worker, "???", "failed")
    made.longrepr = "crashed"
    controller.pytest_handlecrashitem(NODEID, made)
    text: str = made.longrepr
    return text
