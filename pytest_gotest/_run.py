"""One process that runs Go tests, from its start to its end: the loop, the clocks, and who is to blame.

How it is told what to run is for `_steered` and `_listed`.
"""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from pytest_gotest._events import Event, JsonDecoder, RawDecoder
from pytest_gotest._launch import Launch
from pytest_gotest._outcome import (
    FAIL,
    Exit,
    Output,
    PackageRun,
    Record,
    Result,
    benchmark_result,
    death,
    result_of,
)
from pytest_gotest._plan import Group, Test
from pytest_gotest._process import CHUNK, Child
from pytest_gotest._source import Kind

GRACE = 2.0  # seconds a process has to print its goroutines after SIGQUIT
_FLOOD = 32  # chunks of output taken before anything else is looked at
_CLOCK = 0.2  # seconds between two looks at tests that are timed by their events


class Work(Protocol):
    """Where a run gets its groups and leaves its results: a lane."""

    launch: Launch
    restarted: int
    problems: list[str]

    @property
    def stopped(self) -> bool: ...
    @property
    def known(self) -> set[str]: ...
    def take(self, fits: Callable[[Group], bool]) -> Group | None: ...
    def next(self, fits: Callable[[Group], bool]) -> tuple[Group | None, bool]: ...
    def put_back(self, groups: Iterable[Group]) -> None: ...
    def deliver(self, test: Test, result: Result) -> None: ...
    def condemn(self, fate: Result) -> None: ...
    def stands(self) -> None: ...
    def falls(self) -> None: ...
    def echo(self, text: str) -> None: ...


class Run(ABC):
    """One process of a lane."""

    def __init__(self, work: Work, known: set[str]) -> None:
        self.work = work
        self.launch = work.launch
        self.delivered = 0
        self.group: Group | None = None  # what runs now
        self.tests = PackageRun(self.launch.package, known)
        self._pending: dict[str, list[Test]] = {}  # of the group, those without a result
        self._failed = False
        self._dump: Output | None = None
        self._overdue: list[str] = []
        self._overdue_what = ""
        self._deadline: float | None = time.monotonic() + self.launch.timeout
        self._kill_at: float | None = None
        self._decoder: RawDecoder | JsonDecoder
        if self.launch.json:
            self._decoder = JsonDecoder()
        else:
            self._decoder = RawDecoder(self.launch.package, escapes=self.launch.escapes)
        self._child: Child | None = None
        self.exit: Exit | None = None  # once it has ended by itself

    def _start(
        self, argv: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int] = ()
    ) -> None:
        self._child = Child(argv, cwd=self.launch.cwd, env=env, pass_fds=pass_fds)

    @property
    def child(self) -> Child:
        assert self._child is not None
        return self._child

    def wake(self) -> None:
        """From another thread: there is something new to do."""
        if self._child is not None:
            self._child.wake()

    def close(self) -> None:
        if self._child is not None:
            self._child.close()

    def unfinished(self) -> list[Group]:
        """The group that runs, when somebody else has to see to it."""
        return [self.group] if self.group is not None else []

    # The loop

    def run(self) -> None:
        """Until the process has ended and every test that it began has a result."""
        while True:
            now = time.monotonic()
            self._look_at_clocks(now)
            found = self.child.wait(self._patience(now))
            if self.work.stopped:
                return
            if "output" in found and "gate" not in found:
                # Who is at a gate has it read what was written before; each needless read lets go
                # of Python's lock, and pytest's thread takes it.
                self._read(_FLOOD)
            self._act(found)
            if "exit" in found:
                break
        for chunk in self.child.drain():
            self._take(chunk)
        self._last_words()
        exit = self.exit = self.child.exit()
        self._feed(self._decoder.close())
        self._ended(exit, str(self._dump) if self._dump is not None else "")

    @abstractmethod
    def _act(self, found: set[str]) -> None:
        """Act on what the child reports beside its output."""

    def _last_words(self) -> None:  # noqa: B027 - most have none
        """The process has ended: read what else it left."""

    @abstractmethod
    def _ended(self, exit: Exit, dump: str) -> None:
        """Give every test of the group its result."""

    def _read(self, chunks: int) -> None:
        for _ in range(chunks):
            chunk = self.child.read()
            if chunk:
                self._take(chunk)
            if len(chunk) < CHUNK:
                break

    def _take(self, chunk: bytes) -> None:
        if self._dump is not None and not self.launch.json:
            self._dump.append(chunk.decode("utf-8", "replace"))
        else:
            self._feed(self._decoder.feed(chunk))

    def _feed(self, events: list[Event]) -> None:
        for event in events:
            if event.action == "output" and event.output:
                self.work.echo(event.output)
            ended = self.tests.feed(event)
            if ended is not None:
                self._test_ended(ended)

    def _test_ended(self, record: Record) -> None:
        """In a group of many each result goes out as it comes."""
        group = self.group
        if group is None or group.again or len(group.tests) < 2 or self.launch.hold:
            return
        waiting = self._pending.get(record.name)
        if waiting and record.verdict != FAIL and self._is_last_run(record):
            # A failure waits for the end of its group: the trace of a panic follows its verdict.
            self._deliver(waiting[0], result_of(record))

    @abstractmethod
    def _is_last_run(self, record: Record) -> bool:
        """Whether this end of a test is its last in the group (--gotest-count)."""

    # Verdicts

    def _expect(self, group: Group) -> None:
        self._pending = {}
        for test in group.tests:
            self._pending.setdefault(test.name, []).append(test)

    def _open_tests(self, group: Group) -> list[Test]:
        return [test for test in group.tests if test in self._pending.get(test.name, ())]

    def _has_ended(self, test: Test) -> bool:
        record = self.tests.tests.get(test.name)
        return record is not None and bool(record.verdicts) and not record.running

    def _result(self, test: Test, record: Record | None, *, ok: bool) -> Result:
        if test.kind is Kind.BENCHMARK:
            return benchmark_result(record, ok=ok)
        if record is None:
            return Result(FAIL, problem="it did not run: the run ended before it (-test.failfast?)")
        if not record.verdicts:
            return Result(FAIL, problem="it began and left no verdict", evidence=self._tail())
        return result_of(record, select=test.select)

    def _deliver(self, test: Test, result: Result) -> None:
        self.delivered += 1
        self._failed = self._failed or result.verdict == FAIL
        waiting = self._pending.get(test.name)
        if waiting and test in waiting:
            waiting.remove(test)
        self.work.deliver(test, result)

    def _say(self, problem: str) -> None:
        self.work.problems.append(problem)

    def _tail(self) -> str:
        return str(self.tests.output)

    # Clocks

    def _timed_by_events(self) -> bool:
        """Whether each test is timed by its own events, and not by the order that began it."""
        return self.group is not None and len(self.group.tests) > 1

    def _patience(self, now: float) -> float | None:
        moments = [moment for moment in (self._deadline, self._kill_at) if moment is not None]
        if self._timed_by_events():
            moments.append(now + _CLOCK)
        return min(moments) - now if moments else None

    def _look_at_clocks(self, now: float) -> None:
        if self._kill_at is not None:
            if now >= self._kill_at:
                self.child.kill()
                self._kill_at = now + GRACE
        elif self._deadline is not None and now >= self._deadline:
            waiting = self._open_tests(self.group) if self.group else []
            self._quit([test.name for test in waiting if not self._has_ended(test)], now)
        elif self.group is not None and self._timed_by_events():
            limits = {test.name: test.timeout for test in self.group.tests}
            clock = time.time()
            late = [
                record.name
                for record in self.tests.running
                if record.since is not None
                and record.name in limits
                and record.spent + clock - record.since > limits[record.name]
            ]
            if late:
                self._quit(late, now)

    def _quit(self, names: list[str], now: float) -> None:
        """SIGQUIT first: Go prints its goroutines. SIGKILL follows."""
        self._read(_FLOOD)
        self._overdue, self._dump = names, Output(head=16 << 10, tail=64 << 10)
        if not names:
            self._overdue_what = self._what_is_late()
        self.child.signal(signal.SIGQUIT, group=self.launch.json)
        self._kill_at = now + GRACE

    def _what_is_late(self) -> str:
        if self._past_its_tests():
            return f"the process did not end within {self.launch.timeout:g} s of its last test"
        return f"no test had begun after {self.launch.timeout:g} s"

    @abstractmethod
    def _past_its_tests(self) -> bool:
        """Whether a process in which no test runs has had its tests, and only its end is awaited."""

    # Deaths

    def _group_died(self, group: Group, exit: Exit, dump: str) -> None:
        """Find the culprit; whoever had not begun goes into a fresh process.

        A test that has failed by its own word may have ended the process by a panic. Of several
        that ran beside each other nobody knows: each runs again, alone.
        """
        how = f"process died ({exit})"
        tail = self._tail() + (f"\n{dump}" if dump else "")
        records = {test: self.tests.tests.get(test.name) for test in group.tests}
        waiting = self._open_tests(group)
        alone = len(group.tests) == 1
        ended = [t for t in waiting if (r := records[t]) and r.verdict and not r.running]
        running = [
            t
            for t in waiting
            if t not in ended and (((r := records[t]) and r.running) or t.name in self._overdue)
        ]
        for test in ended:
            record = records[test]
            assert record is not None
            by_word = record.verdict == FAIL
            if by_word or test.kind is Kind.BENCHMARK or alone:
                headline = "" if by_word else how
                self._deliver(test, death(record, exit, tail, headline=headline))
            else:
                self._deliver(test, result_of(record))
        failed = any((r := records[test]) and r.verdict == FAIL for test in ended)
        again: list[Test] = []
        for test in running:
            if test.name in self._overdue:
                headline = f"timed out after {test.timeout:g} s"
                self._deliver(test, death(records[test], exit, tail, headline=headline))
            elif self._overdue or failed or len(running) > 1:
                again.append(test)
            else:
                self._deliver(test, death(records[test], exit, tail, headline=how))
        if again and not failed and not self._overdue:
            names = ", ".join(test.name for test in again)
            self._say(f"{how} while these ran beside each other: {names}; each ran again\n{tail}")
        rest = [test for test in waiting if test not in ended and test not in running]
        self.work.restarted += len(rest) + len(again)
        fresh = [replace(group, tests=(test,), again=False) for test in again]
        if rest:
            fresh.append(replace(group, tests=tuple(rest), again=False))
        self.work.put_back(fresh)
