"""The hooks of pytest-xdist's controller: what its workers are told and tell, and who takes a lost one's place."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _pytest
import pytest
from execnet import XSpec

from pytest_gotest import _compat, _cpus, _line, _remote, _subtests
from pytest_gotest._checkout import Checkout
from pytest_gotest._durations import Durations
from pytest_gotest._errors import RemoteError
from pytest_gotest._scheduling import Told, UnitScheduling
from pytest_gotest._session import TOLD
from pytest_gotest._summary import Summary

_PATIENCE = 30  # seconds for a proxy's answer


class Controller:
    """Registered where workers run the tests. ``tell`` gives what all of them are told."""

    def __init__(
        self,
        config: pytest.Config,
        tell: Callable[[], dict[str, object]],
        durations: Durations,
        summary: Summary,
        *,
        cut: bool = True,
    ) -> None:
        self.config = config
        self._tell = tell
        self._durations = durations
        self._summary = summary
        self._cut = cut
        self._checkout = Checkout(config.invocation_params.dir, config.rootpath)
        self._params = config.invocation_params
        self._paths, self._words = _remote.split_paths(
            config.args, self._params.args, self._params.dir
        )
        self._seats = _cpus.Seats()
        self._heard: dict[Any, tuple[str, Told]] = {}  # the last test of each worker
        option = config.option
        for name in ("tx", "px"):
            setattr(option, name, _remote.with_signs_of_life(getattr(option, name, ())))
        option.px = _remote.with_threads(option.px)

    def shares(self) -> str:
        """For the header; other machines have other CPUs."""
        own = os.environ.get("GOMAXPROCS")
        if own:
            return f"GOMAXPROCS {own} as set"
        here = sum(number for number, spec in self._specs() if not _remote.host(XSpec(spec)))
        if not here:
            return "all workers on other machines"
        cpus = _cpus.available()
        most, least = _cpus.share(cpus, here, 0), _cpus.share(cpus, here, here - 1)
        each = f"{least}" if least == most else f"{least} or {most}"
        workers = "1 worker" if here == 1 else f"each of {here} workers"
        return f"GOMAXPROCS {each} for {workers} on {cpus} CPU{'s' if cpus != 1 else ''}"

    def _specs(self) -> list[tuple[int, str]]:
        """``3*popen`` are three (xdist.workermanage.parse_tx_spec_config)."""
        specs = []
        for given in self.config.getoption("tx"):
            number, star, rest = given.partition("*")
            specs.append((int(number), rest) if star and number.isdigit() else (1, given))
        return specs

    @property
    def _manager(self) -> Any:
        session: Any = self.config.pluginmanager.get_plugin("dsession")
        return session.nodemanager

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        """Before there are workers, all there is are proxies (--px). Both ends of a connection have to notice its loss."""
        for gateway in self._manager.group:
            _line.keep_alive(gateway)
            gateway.remote_exec(_line).waitclose(_PATIENCE)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_newgateway(self, gateway: Any) -> None:
        """For a worker in another directory xdist would copy pytest there, and refuse every path (xdist#1081).

        pytest is there already, beside this plugin; and the paths reach the worker another way.
        """
        manager = self._manager
        own = {Path(str(module.__file__)).resolve() for module in (pytest, _pytest)}
        manager.roots = [root for root in manager.roots if Path(root, "__init__.py") not in own]
        if gateway.spec.chdir and not manager.roots:
            params = dataclasses.replace(self._params, args=tuple(self._words))
            self.config.invocation_params = params

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Every worker shuffles alike, reads the same log and knows its share of the machine.

        One on another machine works on the same files.
        """
        self.config.invocation_params = self._params
        _line.keep_alive(node.gateway)
        spec = node.gateway.spec
        if _remote.host(spec) or spec.chdir:
            try:
                self._checkout.check(node)
            except RemoteError as error:
                raise pytest.UsageError(str(error)) from None
        index, workers = self._seat(node)
        node.workerinput[TOLD] = {
            **self._tell(),
            "args": self._paths if node.gateway.spec.chdir else [],
            "index": index,
            "workers": workers,
            "dist": self.config.getoption("dist"),
        }

    def _seat(self, node: Any) -> tuple[int, int]:
        """Which of how many workers on its machine it is."""
        place = _remote.host(node.gateway.spec)
        workers = sum(_remote.host(spec) == place for spec in node.nodemanager.specs)
        index = self._seats.take(place, node)
        return index % max(1, workers), max(1, workers)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config) -> UnitScheduling | None:
        if config.getoption("dist") != "load":
            return None
        return UnitScheduling(
            config,
            self._durations.read(),
            sum(number for number, _ in self._specs()),
            restarts=self._restarts(),
            cut=self._cut,
            most=config.getoption("maxschedchunk"),
            told=self._told,
            say=lambda line: _compat.write_line(config, line, yellow=True),
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        node = getattr(report, "node", None)
        if node is not None and not _subtests.is_subtest(report):
            self._heard[node] = report.nodeid, _told(report)

    def _told(self, node: Any, nodeid: str) -> Told:
        last, told = self._heard.get(node, ("", Told.NOTHING))
        return told if last == nodeid else Told.NOTHING

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        if self._told(report.node, crashitem) is Told.VERDICT:
            report.longrepr += ", in its teardown; the verdict of the test itself had come before"

    def _restarts(self) -> int | None:
        """As xdist counts them (xdist.dsession.get_default_max_worker_restart)."""
        option = self.config.option
        if option.maxworkerrestart is not None:
            return int(option.maxworkerrestart)
        return 4 * option.numprocesses if option.numprocesses else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        self._seats.leave(node)
        if error:
            self._stay_here(node)
        output = getattr(node, "workeroutput", {}).get(TOLD)  # none of one that crashed
        if output is not None:
            self._summary.add(output)

    def _stay_here(self, node: Any) -> None:
        """xdist replaces a lost worker by one at the same place; where that is out of reach, here."""
        spec = node.gateway.spec
        if _remote.host(spec) and not _remote.reachable(spec, node.nodemanager.group):
            words = f"gotest: {node.gateway.id} ({_remote.host(spec)}) is out of reach, "
            words += "a worker on this machine takes its place"
            _compat.write_line(self.config, words, yellow=True)
            _remote.forget(node.gateway)
            node.gateway.spec = type(spec)("popen")


def _told(report: pytest.TestReport) -> Told:
    if report.outcome not in ("passed", "failed", "skipped"):
        return Told.NOTHING  # the test runs again (pytest-rerunfailures)
    if report.when == "setup" and report.passed:
        return Told.NOTHING
    return Told.ALL if report.when == "teardown" else Told.VERDICT
