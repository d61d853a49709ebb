"""A process that is told at its start what to run: `go test -json`, or a binary without the harness."""

from __future__ import annotations

import time

from pytest_gotest._events import Event
from pytest_gotest._outcome import ERROR, FAIL, Exit, Record, Result
from pytest_gotest._plan import Test
from pytest_gotest._run import Run, Work
from pytest_gotest._source import Kind


class ListedRun(Run):
    """One process for one group."""

    def __init__(self, work: Work) -> None:
        group = work.take(lambda group: True)
        assert group is not None, "a process without orders is started for a group"
        super().__init__(work, {test.name for test in group.tests})
        self.group = group
        self._expect(group)
        if self.launch.json:
            self._deadline = None  # go builds first, for as long as it takes
        env = dict(self.launch.env)
        for name, value in group.env.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
        self._start(self.launch.argv(group), env)

    def _act(self, found: set[str]) -> None:
        pass

    def _is_last_run(self, record: Record) -> bool:
        assert self.group is not None
        return len(record.verdicts) >= self.group.times

    def _timed_by_events(self) -> bool:
        return self.group is not None

    def _feed(self, events: list[Event]) -> None:
        super()._feed(events)
        if events and self._kill_at is None:
            idle = not self.tests.running
            self._deadline = time.monotonic() + self.launch.timeout if idle else None

    def _ended(self, exit: Exit, dump: str) -> None:
        group, self.group = self.group, None
        assert group is not None
        tail = self._tail() + dump
        waiting = self._open_tests(group)
        begun = [test for test in waiting if test.name in self.tests.tests]
        if self._whole(begun, exit):
            for test in begun:
                self._deliver(test, self._result(test, self.tests.tests[test.name], ok=True))
            if exit.code and not self._failed and begun:
                self._say(f"the tests ended, then the package failed ({exit})\n{tail}")
        if self._whole(begun, exit) or not self.tests.tests:
            for test in self._open_tests(group):
                self._deliver(test, self._never_ran(test, exit, tail))
        else:
            self._group_died(group, exit, dump)

    def _whole(self, begun: list[Test], exit: Exit) -> bool:
        """Whether the process ended by itself after its last test."""
        if self._overdue:
            return False
        ended = self.tests.closing is not None or (exit.code == 0 and self.launch.json)
        return ended and all(
            not self.tests.tests[test.name].running or test.kind is Kind.BENCHMARK for test in begun
        )

    def _never_ran(self, test: Test, exit: Exit, tail: str) -> Result:
        if self._overdue:
            return Result(FAIL, problem=f"timed out after {test.timeout:g} s", evidence=tail)
        if exit.code == 0:
            return Result(FAIL, problem="TestMain ran no test", evidence=tail)
        if self.tests.failed_build or "build failed]" in tail or "setup failed]" in tail:
            return Result(ERROR, problem=f"{test.package} does not build", evidence=tail)
        return Result(ERROR, problem=f"TestMain ended before any test ({exit})", evidence=tail)
