"""Notes when what happened in one process of a session; knows no pytest, no file and no layout.

Loaded only with ``--gotest-timeline``. All times are seconds since the epoch by this machine's
clock, as those of pytest's reports are. What is noted leaves as plain lists and dictionaries,
which xdist can carry.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_gotest._outcome import Exit, Result
from pytest_gotest._plan import Test

BUILD, WAIT, RESET, COLLECT = "build", "wait", "reset", "collect"


class ProcessRecord:
    """One Go process, seen from the thread that runs it."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.begin = time.time()
        self.pid: int | None = None
        self.gate: float | None = None
        self.end: float | None = None
        self.exit: Exit | None = None
        self.tests: list[tuple[Test, float, float, str]] = []

    def stands(self) -> None:
        """It stands at a gate, or has begun its first test."""
        if self.gate is None:
            self.gate = time.time()

    def test(self, test: Test, result: Result) -> None:
        """A test has its result. One that never ran has no time to be noted."""
        if result.began is not None:
            end = result.ended if result.ended is not None else time.time()
            # Output is read in chunks, so that a short test may seem to begin when it was over.
            begin = min(result.began, end - result.seconds)
            self.tests.append((test, begin, end, result.verdict))

    def ended(self, exit: Exit | None) -> None:
        self.end, self.exit = time.time(), exit


class Recorder:
    """What a process of a session notes, besides the reports that pytest makes anyway."""

    def __init__(self) -> None:
        self.began = time.time()
        self.processes: list[ProcessRecord] = []
        self._spans: list[tuple[str, str, float, float, dict[str, Any]]] = []

    @contextlib.contextmanager
    def span(self, category: str, name: str, **detail: Any) -> Iterator[None]:
        """Note how long the body takes, whatever becomes of it.

        ``category`` is `BUILD`, `WAIT`, `RESET` (a database put back to its baseline) or `COLLECT`.
        ``detail`` is shown with it: numbers and text.
        """
        begin = time.time()
        try:
            yield
        finally:
            self.note(category, name, begin, **detail)

    def note(self, category: str, name: str, begin: float, **detail: Any) -> None:
        """What began then and ends now."""
        self._spans.append((category, name, begin, time.time(), detail))

    def process(self, package: str) -> ProcessRecord:
        """A process of ``package`` is about to start."""
        record = ProcessRecord(package)
        self.processes.append(record)
        return record

    def data(self, nodeids: Mapping[Test, str]) -> dict[str, Any]:
        """All that was noted until now, for `_timeline`; ``nodeids`` says which item a test is of."""
        return {
            "began": self.began,
            "ended": time.time(),
            "spans": [list(span) for span in self._spans],
            "processes": [_plain(record, nodeids) for record in self.processes],
        }


def _plain(record: ProcessRecord, nodeids: Mapping[Test, str]) -> dict[str, Any]:
    return {
        "package": record.package,
        "begin": record.begin,
        "gate": record.gate,
        "end": record.end,
        "pid": record.pid,
        "code": record.exit.code if record.exit is not None else None,
        "exit": str(record.exit) if record.exit is not None else "",
        "tests": [
            [
                f"{test.name}/{test.select}" if test.select else test.name,
                nodeids.get(test, ""),
                begin,
                end,
                verdict,
            ]
            for test, begin, end, verdict in record.tests
        ],
    }
