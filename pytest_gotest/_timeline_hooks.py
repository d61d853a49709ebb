"""``--gotest-timeline``: gathers what the processes of a session noted, and writes it at the end.

Loaded only with that option. Items are known by pytest's reports, which the controller gets as they
come, so that they outlive their worker; the rest comes with xdist's ``workeroutput``.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gotest import _subtests, _timeline
from pytest_gotest._nodes import GoItem
from pytest_gotest._recorder import COLLECT, Recorder
from pytest_gotest._timeline import CRASH, START, Phase, Seen, Session, Span, Worker

if TYPE_CHECKING:
    from pytest_gotest._session import GoSession

_NOTED = "gotest_timeline"
_MAIN, _CONTROLLER = "main", "controller"


def start(config: pytest.Config, go: GoSession, file: Path) -> None:
    """Begin to note. Raises `pytest.UsageError` when ``file`` cannot be written."""
    go.recorder = Recorder()
    noting = Noting(go.recorder, controls=go.controls_workers)
    if not go.in_worker:
        _try_to_write(file)
        config.pluginmanager.register(Gathering(config, noting, file), "gotest-timeline")
    config.pluginmanager.register(noting, "gotest-recorder")


def _try_to_write(file: Path) -> None:
    was_there = file.exists()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "ab"):
            pass
        if not was_there:
            file.unlink()
    except OSError as error:
        raise pytest.UsageError(
            f"--gotest-timeline: {file} cannot be written: {error.strerror or error}"
        ) from None


class Noting:
    """In each process of the session."""

    def __init__(self, recorder: Recorder, *, controls: bool) -> None:
        self.recorder = recorder
        self.controls = controls  # xdist's controller collects nothing
        self.data: dict[str, Any] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        if self.controls:
            return (yield)
        with self.recorder.span(COLLECT, "collection"):
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """After the Go processes have been ended, and before xdist hands over what a worker has to say."""
        try:
            return (yield)
        finally:
            # An item that was never run has no test, where collecting it failed.
            items = [item for item in getattr(session, "items", ()) if isinstance(item, GoItem)]
            self.data = self.recorder.data({item.test: item.nodeid for item in items})
            output = getattr(session.config, "workeroutput", None)
            if output is not None:
                output[_NOTED] = self.data


class _Source:
    """A process of the session, as its controller sees it by its reports."""

    def __init__(self, name: str, asked: float, node: Any = None) -> None:
        self.name = name
        self.asked = asked
        self.node = node
        self.items: list[Seen] = []
        self.open: dict[str, Seen] = {}
        self.ahead = float("-inf")  # by the reports, see `_timeline.skew`
        self.last = asked
        self.gone: float | None = None

    def _begin(self, nodeid: str, location: tuple[Any, int | None, str]) -> Seen:
        path, line, _ = location
        seen = Seen(nodeid, str(path), 0 if line is None else line + 1)
        self.items.append(seen)
        self.open[nodeid] = seen
        return seen

    def start(self, nodeid: str, location: tuple[Any, int | None, str], now: float) -> None:
        """Pytest turns to an item: known where it is not a worker that does."""
        self._begin(nodeid, location).phases.append(Phase(START, now, now, ""))

    def take(self, report: pytest.TestReport, now: float) -> None:
        when: str = report.when or ""
        seen = self.open.get(report.nodeid)
        if seen is None or (when == "setup" and any(one.when == when for one in seen.phases)):
            seen = self._begin(report.nodeid, report.location)
        if when == CRASH:
            seen.phases.append(Phase(when, self.last, now, "failed"))
        else:
            seen.phases.append(Phase(when, report.start, report.stop, _word(report)))
            self.ahead = max(self.ahead, report.stop - now)
        if when in ("teardown", CRASH):
            self.open.pop(report.nodeid, None)
        self.last = now


def _word(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return str(report.outcome)


class Gathering:
    """In the process that the user started."""

    def __init__(self, config: pytest.Config, noting: Noting, file: Path) -> None:
        self.config = config
        self.noting = noting
        self.file = file
        self.said: list[tuple[str, bool]] = []  # at the end: a line, and whether it is a complaint
        self._sources: dict[str, _Source] = {}
        self._begin = noting.recorder.began

    # What comes in

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        name = node.gateway.id
        self._sources[name] = _Source(name, time.time(), node)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        source = self._sources.get(node.gateway.id)
        if source is not None:
            source.gone = time.time()

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        if not self.noting.controls:
            self._source(_MAIN, None).start(nodeid, location, time.time())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if _subtests.is_subtest(report):
            return
        node = getattr(report, "node", None)
        name = node.gateway.id if node is not None else _MAIN
        self._source(name, node).take(report, time.time())

    def _source(self, name: str, node: Any) -> _Source:
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = _Source(name, self._begin, node)
        return source

    # What goes out

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, object, object]:
        """Around the one above, which is registered later, and after xdist has heard its workers' last words.

        Within the terminal's, which then shows `said`.
        """
        try:
            return (yield)
        finally:
            try:
                self._write(self._session(int(session.exitstatus)))
            except OSError as error:
                what = f"{self.file} cannot be written: {error.strerror or error}"
                self.said.append((f"gotest: no timeline: {what}", True))
            except Exception as error:
                # A defect of ours, which must not take a finished session's report away.
                self.said.append((f"gotest: no timeline: {type(error).__name__}: {error}", True))

    def _write(self, session: Session) -> None:
        if self.file.suffix.lower() == ".html":
            from pytest_gotest import _timeline_page

            text = _timeline_page.page(session)
        else:
            import json

            text = json.dumps(_timeline.trace(session), separators=(",", ":"))
        self.file.write_text(text, encoding="utf-8")
        with contextlib.suppress(ValueError):  # on another drive
            shown = os.path.relpath(self.file, self.config.invocation_params.dir)
            self.said.append((f"gotest: timeline in {shown}", False))
        self._export(session)

    def _export(self, session: Session) -> None:
        from pytest_gotest import _otel

        problem = _otel.export(session)
        if problem:
            self.said.append((f"gotest: {problem}", True))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line, complaint in self.said:
            terminalreporter.write_line(line, yellow=complaint)

    def _session(self, status: int) -> Session:
        end = time.time()
        own = Worker(_MAIN, self._begin, end, controls=self.noting.controls)
        own.spans += _timeline.noted_spans(self.noting.data)
        own.processes += _timeline.noted_processes(self.noting.data)
        workers = [own]
        if own.controls:
            own.name = _CONTROLLER
        elif _MAIN in self._sources:
            own.spans += _items(self._sources[_MAIN], end)
        workers += [_worker(source, end) for name, source in self._sources.items() if name != _MAIN]
        told = [w for w in workers if w.spans or w.processes or not w.controls]
        return Session(self.config.rootpath.name, status, self._begin, end, told)


def _items(source: _Source, end: float) -> list[Span]:
    """The spans of all items; ``end`` is for one that was interrupted, by the clock of its reports."""
    last = source.items[-1] if source.items else None
    return [
        span
        for seen in source.items
        for span in _timeline.item_spans(seen, end=end, last=seen is last)
    ]


def _worker(source: _Source, now: float) -> Worker:
    """A worker of xdist, all in the controller's time."""
    data = (getattr(source.node, "workeroutput", None) or {}).get(_NOTED)
    phases = [phase for seen in source.items for phase in seen.phases if phase.when != CRASH]
    begins = [phase.begin for phase in phases] + ([data["began"]] if data else [])
    heard = [(source.ahead, 0.0)] if phases else []
    ahead = _timeline.skew(source.asked, begins, heard)
    for phase in phases:
        phase.begin -= ahead
        phase.end -= ahead
    end = source.gone if source.gone is not None else now
    worker = Worker(source.name, source.asked, end)
    if data:
        worker.end = max(data["ended"] - ahead, source.asked)
        worker.spans += [_timeline.shifted(one, -ahead) for one in _timeline.noted_spans(data)]
        worker.processes += [
            _timeline.moved(process, -ahead) for process in _timeline.noted_processes(data)
        ]
        began = max(source.asked, data["began"] - ahead)
        worker.spans.append(Span("pytest starts", "launch", source.asked, began))
    worker.spans += _items(source, worker.end)
    return worker
