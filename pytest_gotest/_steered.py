"""A test binary with the harness: it is told at each gate what to run next."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from pytest_gotest import _harness
from pytest_gotest._events import Event, RawDecoder
from pytest_gotest._harness import Channel, EventFilter, Hello, Ready, Still, describe_left, waits
from pytest_gotest._outcome import ERROR, FAIL, WAITS, Exit, Record, Result
from pytest_gotest._plan import Group, Test
from pytest_gotest._run import Run, Work
from pytest_gotest._source import Kind

_FUZZ_ROUNDS = 64  # how often each fuzz target may be ordered in one process
# Chunks of output read before a gate is acted on: what was written before it.
_BEFORE_READY = 1 << 10

_STILL = 5.0  # seconds between two looks at a test that may wait for another one

_LISTS: dict[Kind, _harness.Kind] = {
    Kind.TEST: "tests",
    Kind.FUZZ: "fuzz",
    Kind.EXAMPLE: "examples",
    Kind.BENCHMARK: "benchmarks",
}
_ANY_PHASE = (Kind.EXAMPLE, Kind.BENCHMARK)
_REFUSAL = "pytest-gotest harness: "


class HarnessRefused(Exception):
    """The binary's own check says that it cannot be steered."""


class SteeredRun(Run):
    """One process that takes group after group."""

    def __init__(self, work: Work) -> None:
        super().__init__(work, work.known)
        self._hello: Hello | None = None
        self._phase = ""  # "test", then "fuzz" if there are targets; empty before the first gate
        self._over = {"test": False, "fuzz": False}
        self._history: list[Group] = []
        self._left_to_run = 0
        self._state: tuple[str, ...] = ()
        self._goroutines = 0
        self._finished: dict[Test, str] = {}
        self._looked = ""  # at the group that runs, when it is watched
        self._waits = ""  # where it waits for a test that is not in it
        self._filter = EventFilter()
        self._channel = Channel()
        try:
            rounds = max(_FUZZ_ROUNDS, self.launch.count)
            env = {**self.launch.env, **self._channel.environment(rounds)}
            self._start(self.launch.argv(Group(())), env, self._channel.child_fds)
        except BaseException:
            self._channel.close()
            raise
        self._channel.close_child_ends()
        self.child.watch(self._channel.fileno(), "gate")

    def close(self) -> None:
        super().close()
        self._channel.close()

    def _feed(self, events: list[Event]) -> None:
        super()._feed(self._filter.feed(events))

    def _is_last_run(self, record: Record) -> bool:
        return self._left_to_run <= 1

    # Orders

    def _act(self, found: set[str]) -> None:
        if "gate" in found:
            self._listen()
        if "wake" in found and self._phase and self.group is None:
            self._advance()

    def _last_words(self) -> None:
        self._listen(steering=False)

    def _listen(self, *, steering: bool = True) -> None:
        ended_before = self._channel.eof
        messages = self._channel.read_messages()
        if self._channel.eof and not ended_before:
            self.child.unwatch(self._channel.fileno())
        for message in messages:
            if isinstance(message, Hello):
                self._hello = message
                self._channel.send()
                continue
            if isinstance(message, Still):
                self._look(message.stacks)
                continue
            # What the group said is on its way already: it was written before the message was.
            self._read(_BEFORE_READY)
            assert isinstance(self._decoder, RawDecoder)
            self._feed(self._decoder.settle())
            self._gate(message)
            if steering:
                self._advance()

    def _look(self, stacks: str) -> None:
        """A test that waits for another one would do so for ever: it stands alone."""
        before, self._looked = self._looked, stacks
        if self._waits or self._kill_at is not None or not (place := waits(before, stacks)):
            return
        self._waits = place
        self.child.kill()

    def _gate(self, ready: Ready) -> None:
        """The process stands still; the group before is over."""
        if self._over[ready.kind]:
            # m.Run again: what ran in the first round runs in each.
            self._over[ready.kind] = False
            self.work.put_back(
                replace(group, again=True)
                for group in self._history
                if (group.tests[0].kind is Kind.FUZZ) == (ready.kind == "fuzz")
            )
        self._phase, self._deadline = ready.kind, None
        left = self._left_behind(ready)
        if self.group is not None:
            self._left_to_run -= 1
            if self._left_to_run > 0:
                self._order(self.group)
            else:
                group, self.group = self.group, None
                self._conclude(group, ready, left)
        self.work.stands()

    def _left_behind(self, ready: Ready) -> list[str]:
        state = ready.state if ready.state is not None else self._state
        left: list[str] = []
        if self._state:
            more = ready.goroutines - self._goroutines
            left = describe_left(self._state, state, goroutines=more, stacks=ready.stacks)
        self._state, self._goroutines = state, ready.goroutines
        return left

    def _advance(self) -> None:
        """Hand out the next group that this phase can run, or end the phase, or stand still."""
        if self.group is not None or self._over.get(self._phase, True):
            return
        group, more = self.work.next(self._fits)
        while group is not None and not (group := self._without_strangers(group)).tests:
            group, more = self.work.next(self._fits)
        if group is not None:
            self.group, self._left_to_run = group, group.times
            self._expect(group)
            if not group.again:
                self._history.append(group)
                for test in group.tests:  # it may have been asked for before
                    self._finished.pop(test, None)
            self._order(group)
        elif not more:
            self._over[self._phase] = True
            self._deadline = time.monotonic() + self.launch.timeout
            self._channel.send()

    def _fits(self, group: Group) -> bool:
        kind = group.tests[0].kind
        return kind in _ANY_PHASE or (kind is Kind.FUZZ) == (self._phase == "fuzz")

    def _without_strangers(self, group: Group) -> Group:
        """A test that the binary does not have: its file was read by another rule than go's."""
        strangers = {test for test in group.tests if self._index(test) is None}
        if not strangers:
            return group
        for test in strangers:
            problem = f"the test binary of {test.package} has no {test.name}"
            self._deliver(test, Result(ERROR, problem=problem))
        return replace(group, tests=tuple(test for test in group.tests if test not in strangers))

    def _index(self, test: Test) -> int | None:
        assert self._hello is not None
        return self._hello.index(_LISTS[test.kind], test.name, 1 if test.external else 0)

    def _order(self, group: Group) -> None:
        if len(group.tests) == 1:
            self._deadline = time.monotonic() + group.tests[0].timeout
        indexes = [index for test in group.tests if (index := self._index(test)) is not None]
        self._looked = ""
        self._channel.send(indexes, group.env, _STILL if group.watched else 0.0)

    def _past_its_tests(self) -> bool:
        return self._over.get(self._phase, False)

    # Verdicts

    def _conclude(self, group: Group, ready: Ready, left: list[str]) -> None:
        if self.launch.hold:
            self._failed = self._failed or not ready.ok
            return
        if group.again:
            self._compare(group.tests)
            return
        alone = len(group.tests) == 1
        told = [test.name for test in group.tests if self._finished_late(test)]
        for test in self._open_tests(group):
            result = self._result(test, self.tests.tests.get(test.name), ok=ready.ok)
            if alone:
                once = group.times == 1 and test.kind is not Kind.BENCHMARK
                seconds = ready.seconds if once else result.seconds
                result = replace(result, left=tuple(left), seconds=seconds)
            if alone and not ready.ok and result.verdict != FAIL:
                # A data race after its end, say: testing charges it to what stands around the test.
                problem = "the test ended, and then its process said that it failed"
                result = replace(result, verdict=FAIL, problem=problem, evidence=self._tail())
            self._deliver(test, result)
        if (
            not ready.ok
            and not told
            and FAIL not in {self._finished.get(test) for test in group.tests}
        ):
            names = ", ".join(test.name for test in group.tests)
            self._say(f"a failure that is no test's own, while these ran: {names}\n{self._tail()}")
        for test in group.tests:
            self.tests.forget(test.name)

    def _finished_late(self, test: Test) -> bool:
        """Whether a test that was reported said something worse afterwards."""
        record = self.tests.tests.get(test.name)
        late = (
            record is not None and record.verdict == FAIL and self._finished.get(test, FAIL) != FAIL
        )
        if late:
            self._say(
                f"{test.name} had been reported, and then it failed:\n{record and record.output}"
            )
        return late

    def _compare(self, tests: Iterable[Test]) -> None:
        """Of a later round only a failure is news: the first one has been reported."""
        for test in tests:
            record = self.tests.forget(test.name)
            if record and record.verdict == FAIL and self._finished.get(test) != FAIL:
                self._say(f"{test.name} failed when TestMain ran the tests again:\n{record.output}")

    def _deliver(self, test: Test, result: Result) -> None:
        self._finished[test] = result.verdict
        super()._deliver(test, result)

    # The end

    def _ended(self, exit: Exit, dump: str) -> None:
        self.work.falls()
        while self.work.take(lambda group: group.again) is not None:
            pass
        if self._hello is None:
            self._died_at_start(exit, dump)
        elif not self._phase:
            self._never_ready(exit, dump)
        else:
            self._hand_out_held()
            self._ended_after_gates(exit, dump)

    def _ended_after_gates(self, exit: Exit, dump: str) -> None:
        group, self.group = self.group, None
        if group is not None and group.again and not self.launch.hold:
            names = ", ".join(test.name for test in group.tests)
            self._say(
                f"process died ({exit}) when TestMain ran {names} again\n{self._tail()}{dump}"
            )
        elif group is not None and self._waits:
            for test in self._open_tests(group):
                self._deliver(test, Result(WAITS, problem=self._waits))
        elif group is not None:
            if not self._overdue and not any(t.name in self.tests.tests for t in group.tests):
                self._died_between(exit)
            self._group_died(group, exit, dump)
        elif not self._over.get(self._phase, False):
            self._died_between(exit)
        else:
            self._judge_end(exit, dump)

    def _died_between(self, exit: Exit) -> None:
        last = next((test.name for test in reversed(self._finished)), "no test")
        self._say(f"process died ({exit}) between two tests, after {last}\n{self._tail()}")

    def _all(self, result: Result) -> None:
        """No test can run in this package."""
        while (group := self.work.take(lambda group: True)) is not None:
            for test in group.tests:
                self._deliver(test, result)
        self.work.condemn(result)

    def _died_at_start(self, exit: Exit, dump: str) -> None:
        said = self._tail()
        if _REFUSAL in said:
            raise HarnessRefused(said.partition(_REFUSAL)[2].partition("\n")[0])
        what = self._overdue_what or f"the test binary died before its first test ({exit})"
        self._all(Result(ERROR, problem=what, evidence=said + dump))

    def _never_ready(self, exit: Exit, dump: str) -> None:
        if self._overdue_what:
            verdict, problem = ERROR, f"TestMain: {self._overdue_what}"
        elif exit.code == 0:
            verdict, problem = FAIL, "TestMain ran no test"
        else:
            verdict, problem = ERROR, f"TestMain ended before any test ({exit})"
        self._all(Result(verdict, problem=problem, evidence=self._tail() + dump))

    def _hand_out_held(self) -> None:
        """What waited for further rounds; the group that runs is seen to apart."""
        if not self.launch.hold:
            return
        running = set(self.group.tests) if self.group is not None else set()
        for group in self._history:
            self._expect(group)
            for test in group.tests:
                if test not in running:
                    self._deliver(
                        test, self._result(test, self.tests.tests.get(test.name), ok=True)
                    )
        if self.group is not None:
            self._expect(self.group)

    def _judge_end(self, exit: Exit, dump: str) -> None:
        said = self._tail()
        if self._overdue_what:
            self._say(f"{self._overdue_what}\n{said}{dump}")
        elif "WARNING: DATA RACE" in said and exit.code == 66:
            self._say(f"data race after the tests ({exit})\n{said}")
        elif exit.code != 0 and not (self._failed and exit.code == 1):
            self._say(f"the tests ended, then the package failed ({exit})\n{said}")
        elif exit.code == 0 and self.tests.closing is None:
            self._say(f"the process ended without a last word of its tests ({exit})\n{said}")
        elif exit.io_incomplete:
            self._say(
                "Test I/O incomplete: a process that a test started outlived the test binary "
                "and held its stdout"
            )
