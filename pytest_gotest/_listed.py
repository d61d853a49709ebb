"""A process that is told at its start what to run: `go test -json`, or a binary without the harness."""

from __future__ import annotations

import time
from dataclasses import replace

from pytest_gotest._events import Event
from pytest_gotest._outcome import ERROR, FAIL, Exit, Record, Result, exit_in
from pytest_gotest._plan import Group, Test
from pytest_gotest._run import Run, Work
from pytest_gotest._source import Kind

_LONGEST = 60_000  # characters of names on a command line; Linux takes 128 KiB in one argument


def _fitting(group: Group) -> tuple[Group, Group | None]:
    """As many tests as one argument can name, and the others."""
    room = _LONGEST
    for number, test in enumerate(group.tests):
        room -= len(test.name.encode()) + 1
        if room < 0 and number:
            head, tail = group.tests[:number], group.tests[number:]
            return replace(group, tests=head), replace(group, tests=tail)
    return group, None


class ListedRun(Run):
    """One process for one group."""

    def __init__(self, work: Work) -> None:
        taken = work.take(lambda group: True)
        assert taken is not None, "a process without orders is started for a group"
        group, rest = _fitting(taken)
        if rest is not None:
            work.put_back([rest])
        super().__init__(work, {test.name for test in group.tests})
        self.group = group
        self._times = group.times
        self._idle = not self.launch.json  # go builds first; a binary begins with TestMain
        self._expect(group)
        if self.launch.json:
            self._deadline = None  # go builds first, for as long as it takes
        env = dict(self.launch.env)
        for name, value in group.env.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
        try:
            self._start(self.launch.argv(group), env)
        except BaseException:
            work.put_back([group])  # its tests are told why
            raise

    def _act(self, found: set[str]) -> None:
        pass

    def _is_last_run(self, record: Record) -> bool:
        assert self.group is not None
        twins = sum(test.name == record.name for test in self.group.tests) > 1
        return not twins and len(record.verdicts) >= self.group.times

    def _timed_by_events(self) -> bool:
        return self.group is not None

    def _feed(self, events: list[Event]) -> None:
        super()._feed(events)
        if self.tests.tests:
            self.work.stands()
        idle = not self.tests.running
        if events and idle != self._idle and self._kill_at is None:
            # Only the change counts: who goes on talking is not waited for without end.
            self._deadline = time.monotonic() + self.launch.timeout if idle else None
            self._idle = idle

    def _past_its_tests(self) -> bool:
        return bool(self.tests.tests)

    def _ended(self, exit: Exit, dump: str) -> None:
        group, self.group = self.group, None
        assert group is not None
        tail = self._tail() + dump
        if self.launch.json:
            exit = exit_in(tail, exit)
        if self._overdue_what and self.tests.tests:
            self._say(
                f"{self._overdue_what}; something that a test started held its stdout?\n{tail}"
            )
        waiting = self._open_tests(group)
        begun = [test for test in waiting if test.name in self.tests.tests]
        if not self.tests.tests:
            for test in waiting:
                self._deliver(test, self._never_ran(test, exit, tail))
        elif self._whole(group, exit):
            for test in begun:
                self._deliver(test, self._result_of_twin(test))
            if exit.code and not self._failed and not self._overdue_what:
                self._say(f"the tests ended, then the package failed ({exit})\n{tail}")
        else:
            self._group_died(group, exit, dump)

    def _whole(self, group: Group, exit: Exit) -> bool:
        """Whether each test has begun and ended. Whoever has not runs in a process of its own."""
        if self._overdue or not all(test.name in self.tests.tests for test in group.tests):
            return False
        ended = (
            self.tests.closing is not None
            or (exit.code == 0 and self.launch.json)
            or bool(self._overdue_what)
        )
        return ended and all(
            not self.tests.tests[test.name].running or test.kind is Kind.BENCHMARK
            for test in group.tests
        )

    def _result_of_twin(self, test: Test) -> Result:
        """A package and its external test package may share a name: the internal one runs first."""
        record = self.tests.tests[test.name]
        result = self._result(test, record, ok=True)
        if len(record.verdicts) == 2 and self._times == 1:
            return replace(result, verdict=record.verdicts[int(test.external)])
        return result

    def _never_ran(self, test: Test, exit: Exit, tail: str) -> Result:
        if self._overdue:
            return Result(FAIL, problem=f"timed out after {test.timeout:g} s", evidence=tail)
        if exit.code == 0:
            return Result(FAIL, problem="TestMain ran no test", evidence=tail)
        if self.tests.failed_build or "build failed]" in tail or "setup failed]" in tail:
            return Result(ERROR, problem=f"{test.package} does not build", evidence=tail)
        return Result(ERROR, problem=f"TestMain ended before any test ({exit})", evidence=tail)
