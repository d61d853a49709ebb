"""The processes of one package, one after the other, until each of its tests has a verdict; knows no pytest.

A lane is a thread. Groups of tests are put into it, results come out. With the harness one process
takes group after group; without, each group is a process of its own. Whoever dies, the tests that
had not begun run in a fresh process.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_gotest import _harness
from pytest_gotest._events import Event, JsonDecoder, RawDecoder
from pytest_gotest._harness import Channel, EventFilter, Hello, Ready, describe_left
from pytest_gotest._outcome import (
    ERROR,
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
from pytest_gotest._process import Child
from pytest_gotest._source import Kind

GRACE = 2.0  # seconds a process has to print its goroutines after SIGQUIT
_FLOOD = 32  # chunks of output taken before anything else is looked at
_FRUITLESS = 3  # processes in a row that may end without a verdict

_LISTS: dict[Kind, _harness.Kind] = {
    Kind.TEST: "tests",
    Kind.FUZZ: "fuzz",
    Kind.EXAMPLE: "examples",
    Kind.BENCHMARK: "benchmarks",
}


@dataclass(frozen=True, slots=True)
class Test:
    """One Go test as it can be asked for.

    ``external``: declared by the external test package (pkg_test) while the package itself has a
    test of the same name. ``select`` is one subtest of it, as Go writes its name. ``timeout`` is
    in seconds.
    """

    package: str
    name: str
    kind: Kind = Kind.TEST
    external: bool = False
    select: str = ""
    timeout: float = 600.0

    __test__ = False


@dataclass(slots=True)
class Group:
    """Tests that run together, with variables of their own. Alone in its group a test has nobody beside it."""

    tests: tuple[Test, ...]
    env: Mapping[str, str | None] = field(default_factory=dict)
    times: int = 1
    again: bool = False  # TestMain runs the tests once more: only what differs is news


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the processes of one package.

    ``argv`` gives the command for a group. ``harness``: it takes orders. ``json``: its output is that of
    `go test -json` and not a binary's own.
    """

    package: str
    argv: Callable[[Group], Sequence[str]]
    cwd: str
    env: Mapping[str, str]
    harness: bool = True
    json: bool = False
    escapes: bool = True  # Go 1.27 and later: see RawDecoder
    timeout: float = 600.0  # for what belongs to no test: initialisation, TestMain
    hold: bool = False  # TestMain may run the tests several times: no verdict before the end


class HarnessRefused(Exception):
    """The binary's own check says that it cannot be steered."""


class Lane(threading.Thread):
    """Runs groups for one package and hands each result to ``deliver``.

    ``echo`` gets output as it comes. A closed lane ends when its groups are done.
    """

    def __init__(
        self,
        launch: Launch,
        deliver: Callable[[Test, Result], None],
        *,
        echo: Callable[[str], None] | None = None,
        plain: Callable[[str], Launch] | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name=f"gotest {launch.package}", daemon=True)
        self.launch = launch
        self.processes = 0
        self.problems: list[str] = []  # of the package, beside what its tests say
        self.restarted = 0  # tests that ran again because a neighbour ended their process
        self.standing = threading.Event()  # set at the first gate, and whenever waiting is in vain
        self._deliver = deliver
        self._echo = echo
        self._plain = plain
        self._ended = ended
        self._changed = threading.Condition()
        self._waiting: deque[Group] = deque()
        self._known: set[str] = set()
        self._open = True
        self._stopped = False
        self._process: _Process | None = None
        self._fate: Result | None = None

    # From other threads

    def put(self, group: Group) -> None:
        with self._changed:
            fate = self._fate
            if fate is None:
                self._known |= {test.name for test in group.tests}
                self._waiting.append(group)
                self._notify()
        if fate is not None:
            for test in group.tests:
                self._deliver(test, fate)

    def close(self) -> None:
        """No more groups will come."""
        with self._changed:
            self._open = False
            self._notify()

    def stop(self) -> None:
        """End the process now; tests without a verdict stay without."""
        with self._changed:
            self._stopped, self._open = True, False
            self._waiting.clear()
            self._notify()

    def _notify(self) -> None:
        self._changed.notify_all()
        if self._process is not None:
            self._process.child.wake()

    # In its own thread

    def run(self) -> None:
        fruitless = 0
        process: _Process | None = None
        try:
            while self._wanted():
                process = _Process(self)
                self.processes += 1
                try:
                    with self._changed:
                        self._process = process
                    process.run()
                except HarnessRefused as refused:
                    self._fall_back(str(refused), process.unfinished())
                    continue
                finally:
                    self.standing.set()
                    with (
                        self._changed
                    ):  # nobody may wake what is closed: its descriptors get new owners
                        self._process = None
                    process.close()
                fruitless = 0 if process.delivered else fruitless + 1
                if fruitless >= _FRUITLESS:
                    raise RuntimeError(
                        f"{fruitless} processes of the package ended without a verdict"
                    )
        except (
            Exception
        ) as error:  # a defect or a full disk must not leave an item waiting for ever
            with self._changed:
                left = list(self._waiting)
                self._waiting.clear()
                fate = self._fate = Result(ERROR, problem=f"{error}")
            for group in [*(process.unfinished() if process else ()), *left]:
                for test in group.tests:
                    self._deliver(test, fate)
        finally:
            self.standing.set()
            if self._ended is not None:
                self._ended()

    @property
    def fate(self) -> Result | None:
        """What every test of the package gets, when no process reaches its tests."""
        return self._fate

    def _wanted(self) -> bool:
        """Whether another process is needed; waits while nobody knows."""
        with self._changed:
            if not self.processes and self.launch.harness and self._open:
                return True  # TestMain's set-up comes before the first order
            while not self._waiting and self._open:
                self._changed.wait()
            return bool(self._waiting) and not self._stopped

    def _fall_back(self, why: str, unfinished: Iterable[Group]) -> None:
        if self._plain is None:
            raise RuntimeError(why)
        self.launch = self._plain(why)
        with self._changed:
            groups = [*unfinished, *self._waiting]
            self._waiting = deque(
                replace(group, tests=(test,)) for group in groups for test in group.tests
            )
        self.standing.set()

    def condemn(self, fate: Result) -> None:
        """No process of this package gets to its tests: all that comes has the same result."""
        with self._changed:
            self._fate = fate

    def take(self, fits: Callable[[Group], bool]) -> Group | None:
        with self._changed:
            for group in self._waiting:
                if fits(group):
                    self._waiting.remove(group)
                    return group
        return None

    def put_back(self, groups: Iterable[Group]) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(list(groups)))

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    @property
    def may_get_more(self) -> bool:
        return self._open

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def known(self) -> set[str]:
        return self._known

    def deliver(self, test: Test, result: Result) -> None:
        self._deliver(test, result)

    def echo(self, text: str) -> None:
        if self._echo is not None:
            self._echo(text)


class _Process:
    """One process of a lane, from its start to its end."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.launch = launch = lane.launch
        self.delivered = 0
        self.group: Group | None = None
        self.left_to_run = 0
        self.channel = Channel() if launch.harness else None
        self.hello: Hello | None = None
        self.phase = ""
        self.over = {"test": False, "fuzz": False}
        self.history: list[Group] = []
        self.failed = False
        self.state: tuple[str, ...] = ()
        self.goroutines = 0
        self.dump: Output | None = None
        self.overdue: list[str] = []
        self.overdue_what = ""
        self.deadline: float | None = time.monotonic() + launch.timeout
        self.kill_at: float | None = None
        self.finished: dict[str, str] = {}
        self.filter = EventFilter()
        self.decoder: RawDecoder | JsonDecoder
        if launch.json:
            self.decoder = JsonDecoder()
        else:
            self.decoder = RawDecoder(launch.package, escapes=launch.escapes)
        env = dict(launch.env)
        if self.channel is None:
            self.group = lane.take(lambda group: True)
            self.left_to_run = 1
            if self.group is not None:
                env |= {name: value for name, value in self.group.env.items() if value is not None}
        known = (
            lane.known
            if self.channel
            else {t.name for t in self.group.tests}
            if self.group
            else set()
        )
        self.tests = PackageRun(launch.package, known)
        self.pending: dict[str, list[Test]] = {}
        self._child: Child | None = None
        if self.channel is None and self.group is not None:
            self._expect(self.group)
        if launch.json:
            self.deadline = None  # go builds first, for as long as it takes
        try:
            self.child = self._child = Child(
                launch.argv(self.group or Group(())),
                cwd=launch.cwd,
                env={**env, **(self.channel.environment(64) if self.channel else {})},
                pass_fds=self.channel.child_fds if self.channel else (),
            )
        except BaseException:
            self.close()
            if self.group is not None:
                lane.put_back([self.group])
            raise
        if self.channel is not None:
            self.channel.close_child_ends()
            self.child.watch(self.channel.fileno(), "gate")

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
        if self.channel is not None:
            self.channel.close()

    def unfinished(self) -> list[Group]:
        return [self.group] if self.group is not None else []

    # The loop

    def run(self) -> None:
        while True:
            now = time.monotonic()
            self._look_at_clocks(now)
            found = self.child.wait(self._patience(now))
            if self.lane.stopped:
                return
            if "output" in found:
                self._read(_FLOOD)
            if "gate" in found:
                self._listen()
            if "wake" in found and self.channel is not None and self.phase and self.group is None:
                self._advance()
            if "exit" in found:
                break
        for chunk in self.child.drain():
            self._take(chunk)
        if self.channel is not None:
            self._listen(steering=False)
        exit = self.child.exit()
        self._feed(self.decoder.close())
        self._ended(exit)

    def _read(self, chunks: int) -> None:
        for _ in range(chunks):
            chunk = self.child.read()
            if not chunk:
                break
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        if self.dump is not None and not self.launch.json:
            self.dump.append(chunk.decode("utf-8", "replace"))
        else:
            self._feed(self.decoder.feed(chunk))

    def _feed(self, events: list[Event]) -> None:
        if self.channel is not None:
            events = self.filter.feed(events)
        for event in events:
            if event.action == "output" and event.output:
                self.lane.echo(event.output)
            ended = self.tests.feed(event)
            if ended is not None:
                self._test_ended(ended)
        if events and self.channel is None and self.kill_at is None:
            self.deadline = None if self.tests.running else time.monotonic() + self.launch.timeout

    # Orders

    def _listen(self, *, steering: bool = True) -> None:
        assert self.channel is not None
        ended_before = self.channel.eof
        messages = self.channel.read_messages()
        if self.channel.eof and not ended_before:
            self.child.unwatch(self.channel.fileno())
        for message in messages:
            if isinstance(message, Hello):
                self.hello = message
                self.channel.send((), {})
                continue
            # What the group said is on its way already: it was written before the message was.
            self._read(1 << 10)
            assert isinstance(self.decoder, RawDecoder)
            self._feed(self.decoder.settle())
            self._gate(message)
            if steering:
                self._advance()

    def _gate(self, ready: Ready) -> None:
        """The process stands still; the group before is over."""
        if self.over[ready.kind]:
            # m.Run again: what ran in the first round runs in each.
            self.over[ready.kind] = False
            self.lane.put_back(
                replace(group, again=True)
                for group in self.history
                if (group.tests[0].kind is Kind.FUZZ) == (ready.kind == "fuzz")
            )
        self.phase, self.deadline = ready.kind, None
        left = self._left(ready)
        if self.group is not None:
            self.left_to_run -= 1
            if self.left_to_run > 0:
                self._order(self.group)
            else:
                group, self.group = self.group, None
                self._conclude(group, ready, left)
        self.lane.standing.set()

    def _left(self, ready: Ready) -> list[str]:
        first = not self.state
        left: list[str] = []
        state = ready.state if ready.state is not None else self.state
        if not first:
            left = describe_left(
                self.state,
                state,
                goroutines=ready.goroutines - self.goroutines,
                stacks=ready.stacks,
            )
        self.state, self.goroutines = state, ready.goroutines
        return left

    def _advance(self) -> None:
        """Hand out the next group that this phase can run, or end the phase, or stand still."""
        assert self.channel is not None
        if self.group is not None or self.over.get(self.phase, True):
            return
        fuzzing = self.phase == "fuzz"
        group = self.lane.take(
            lambda g: (
                g.tests[0].kind in (Kind.EXAMPLE, Kind.BENCHMARK)
                or (g.tests[0].kind is Kind.FUZZ) == fuzzing
            )
        )
        while group is not None and not (group := self._without_strangers(group)).tests:
            group = self.lane.take(lambda g: (g.tests[0].kind is Kind.FUZZ) == fuzzing)
        if group is not None:
            self.group, self.left_to_run = group, group.times
            self._expect(group)
            if not group.again:
                self.history.append(group)
            self._order(group)
        elif self.lane.waiting or not self.lane.may_get_more:
            self.over[self.phase] = True
            self.deadline = time.monotonic() + self.launch.timeout
            self.channel.send()

    def _without_strangers(self, group: Group) -> Group:
        """A test that the binary does not have: its file was read by another rule than go's."""
        known = tuple(test for test in group.tests if self._index(test) is not None)
        for test in set(group.tests) - set(known):
            self._deliver(
                test,
                Result(ERROR, problem=f"the test binary of {test.package} has no {test.name}"),
            )
        return replace(group, tests=known)

    def _index(self, test: Test) -> int | None:
        assert self.hello is not None
        return self.hello.index(_LISTS[test.kind], test.name, 1 if test.external else 0)

    def _order(self, group: Group) -> None:
        assert self.channel is not None
        if len(group.tests) == 1:
            self.deadline = time.monotonic() + group.tests[0].timeout
        indexes = [index for test in group.tests if (index := self._index(test)) is not None]
        self.channel.send(indexes, group.env)

    # Verdicts

    def _expect(self, group: Group) -> None:
        self.pending = {}
        for test in group.tests:
            self.pending.setdefault(test.name, []).append(test)

    def _test_ended(self, record: Record) -> None:
        """In a group of many each result goes out as it comes."""
        group = self.group
        if group is None or group.again or len(group.tests) < 2 or self.launch.hold:
            if group is None and record.verdict == FAIL and record.name in self.finished:
                self._say(f"{record.name} was said to fail after its end")
            return
        if self.left_to_run > 1 or len(record.verdicts) < (1 if self.channel else group.times):
            return
        waiting = self.pending.get(record.name)
        if waiting and record.verdict != FAIL:
            # A failure waits for the end of its group: the trace of a panic follows its verdict.
            self._deliver(waiting[0], result_of(record))

    def _conclude(self, group: Group, ready: Ready, left: list[str]) -> None:
        if not ready.ok:
            self.failed = True
        if self.launch.hold:
            return
        alone = len(group.tests) == 1
        for test in group.tests:
            record = self.tests.tests.get(test.name)
            if group.again:
                if (
                    record is not None
                    and record.verdict == FAIL
                    and self.finished.get(test.name) != FAIL
                ):
                    self._say(
                        f"{test.name} failed when TestMain ran the tests again:\n{record.output}"
                    )
                self.tests.forget(test.name)
                continue
            if test not in self.pending.get(test.name, ()):
                continue  # delivered
            result = self._result(test, record, ok=ready.ok)
            if alone:
                result = replace(result, left=tuple(left))
                if group.times == 1 and test.kind is not Kind.BENCHMARK:
                    result = replace(result, seconds=ready.seconds)
            self._deliver(test, result)
            self.tests.forget(test.name)

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
        if result.verdict == FAIL:
            self.failed = True
        self.finished[test.name] = result.verdict
        waiting = self.pending.get(test.name)
        if waiting and test in waiting:
            waiting.remove(test)
        self.lane.deliver(test, result)

    def _say(self, problem: str) -> None:
        self.lane.problems.append(problem)

    def _tail(self) -> str:
        return str(self.tests.output)

    # Clocks

    def _patience(self, now: float) -> float | None:
        moments = [moment for moment in (self.deadline, self.kill_at) if moment is not None]
        if self._many():
            moments.append(now + 0.2)
        return min(moments) - now if moments else None

    def _many(self) -> bool:
        """Whether each test is timed by its own events, and not by the order that began it."""
        return self.group is not None and (len(self.group.tests) > 1 or self.channel is None)

    def _look_at_clocks(self, now: float) -> None:
        if self.kill_at is not None:
            if now >= self.kill_at:
                self.child.kill()
                self.kill_at = now + GRACE
            return
        if self.deadline is not None and now >= self.deadline:
            group = self.group
            self._quit([test.name for test in group.tests] if group else [], now)
        elif self.group is not None and self._many():
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
        self._read(_FLOOD)
        self.overdue, self.dump = names, Output(head=16 << 10, tail=64 << 10)
        if not names:
            limit = f"{self.launch.timeout:g} s"
            if self.phase and self.over.get(self.phase):
                self.overdue_what = f"the process did not end within {limit} of its last test"
            else:
                self.overdue_what = f"no test had begun after {limit}"
        self.child.signal(signal.SIGQUIT, group=self.launch.json)
        self.kill_at = now + GRACE

    # The end

    def _ended(self, exit: Exit) -> None:
        dump = str(self.dump) if self.dump is not None else ""
        if self.channel is None:
            self._list_ended(exit, dump)
            return
        if self.hello is None:
            self._died_at_start(exit, dump)
        elif not self.phase:
            self._never_ready(exit, dump)
        elif self.group is not None:
            group, self.group = self.group, None
            self._group_died(group, exit, dump)
        elif not self.over.get(self.phase, False):
            names = ", ".join(list(self.finished)[-1:]) or "no test"
            self._say(f"process died ({exit}) between two tests, after {names}\n{self._tail()}")
        else:
            self._hand_out_held()
            self._judge_end(exit, dump)

    def _everything_waiting(self) -> list[Test]:
        tests = [test for group in self.unfinished() for test in group.tests]
        while (group := self.lane.take(lambda group: True)) is not None:
            tests += group.tests
        return tests

    def _all(self, result: Result) -> None:
        for test in self._everything_waiting():
            self._deliver(test, result)
        self.lane.condemn(result)

    def _died_at_start(self, exit: Exit, dump: str) -> None:
        said = self._tail()
        if "pytest-gotest harness: " in said:
            line = next(line for line in said.splitlines() if "pytest-gotest harness: " in line)
            raise HarnessRefused(line.partition("pytest-gotest harness: ")[2])
        what = self.overdue_what or f"the test binary died before its first test ({exit})"
        self._all(Result(ERROR, problem=what, evidence=said + dump))

    def _never_ready(self, exit: Exit, dump: str) -> None:
        if self.overdue_what:
            result = Result(
                ERROR, problem=f"TestMain: {self.overdue_what}", evidence=self._tail() + dump
            )
        elif exit.code == 0:
            result = Result(FAIL, problem="TestMain ran no test", evidence=self._tail())
        else:
            result = Result(
                ERROR, problem=f"TestMain ended before any test ({exit})", evidence=self._tail()
            )
        self._all(result)

    def _group_died(self, group: Group, exit: Exit, dump: str) -> None:
        """Find the culprit; whoever had not begun goes into a fresh process."""
        how = f"process died ({exit})"
        tail = self._tail() + (f"\n{dump}" if dump else "")
        records = {test: self.tests.tests.get(test.name) for test in group.tests}
        open_tests = [test for test in group.tests if test in self.pending.get(test.name, ())]
        ended = [
            t for t in open_tests if (r := records[t]) is not None and r.verdict and not r.running
        ]
        running = [t for t in open_tests if (r := records[t]) is not None and r.running]
        if len(group.tests) == 1 and not ended:
            running = list(open_tests)
        for test in ended:
            record = records[test]
            assert record is not None
            result = death(record, exit, tail) if record.verdict == FAIL else result_of(record)
            if test.kind is Kind.BENCHMARK or (len(group.tests) == 1 and record.verdict != FAIL):
                result = death(record, exit, tail, headline=how)
            self._deliver(test, result)
        guilty = [t for t in ended if (r := records[t]) is not None and r.verdict == FAIL]
        innocent: list[Test] = []
        for test in running:
            if self.overdue:
                if test.name in self.overdue:
                    headline = f"timed out after {test.timeout:g} s"
                    self._deliver(test, death(records[test], exit, tail, headline=headline))
                else:
                    innocent.append(test)
            elif guilty:
                innocent.append(test)
            elif len(running) == 1:
                self._deliver(test, death(records[test], exit, tail, headline=how))
            else:
                innocent.append(test)
        begun = set(ended) | set(running)
        rest = [test for test in open_tests if test not in begun]
        self.lane.restarted += len(rest) + len(innocent)
        suspects = [replace(group, tests=(test,)) for test in innocent]
        if innocent and not guilty and not self.overdue:
            names = ", ".join(test.name for test in innocent)
            self._say(
                f"{how} while these ran beside each other: {names}; each ran again alone\n{tail}"
            )
        self.lane.put_back([*suspects, *([replace(group, tests=tuple(rest))] if rest else [])])

    def _hand_out_held(self) -> None:
        if not self.launch.hold:
            return
        for group in self.history:
            for test in group.tests:
                record = self.tests.tests.get(test.name)
                self._deliver(test, self._result(test, record, ok=True))

    def _judge_end(self, exit: Exit, dump: str) -> None:
        if self.overdue_what:
            self._say(f"{self.overdue_what}\n{self._tail()}{dump}")
        elif "WARNING: DATA RACE" in self._tail() and exit.code == 66:
            self._say(f"data race after the tests ({exit})\n{self._tail()}")
        elif exit.code != 0 and not (self.failed and exit.code == 1):
            self._say(f"the tests ended, then the package failed ({exit})\n{self._tail()}")
        elif exit.code == 0 and self.tests.closing is None and not self.launch.hold:
            self._say(
                f"the process ended without a last word of its tests ({exit})\n{self._tail()}"
            )
        elif exit.io_incomplete:
            self._say(
                "Test I/O incomplete: a process that a test started outlived the test binary and held its stdout"
            )

    def _list_ended(self, exit: Exit, dump: str) -> None:
        """A process that ran a fixed list of tests and took no orders."""
        group, self.group = self.group, None
        assert group is not None
        tail = self._tail() + dump
        whole = self.tests.closing is not None or exit.code == 0
        open_tests = [test for test in group.tests if test in self.pending.get(test.name, ())]
        begun = [test for test in open_tests if self.tests.tests.get(test.name) is not None]
        if (not self.launch.json and self.tests.closing is None) or self.overdue:
            whole = False
        crashed = [t for t in begun if (r := self.tests.tests[t.name]).running]
        benchmarks = {t for t in begun if t.kind is Kind.BENCHMARK}
        if whole and not (set(crashed) - benchmarks):
            for test in begun:
                self._deliver(test, self._result(test, self.tests.tests[test.name], ok=True))
            missing = [test for test in open_tests if test not in begun]
            for test in missing:
                self._deliver(test, self._never_ran(test, exit, tail))
            if exit.code and not self.failed:
                self._say(f"the tests ended, then the package failed ({exit})\n{tail}")
        elif not begun and len(open_tests) == len(group.tests):
            for test in open_tests:
                self._deliver(test, self._never_ran(test, exit, tail))
        else:
            self._group_died(replace(group, tests=tuple(group.tests)), exit, dump)

    def _never_ran(self, test: Test, exit: Exit, tail: str) -> Result:
        if self.overdue:
            return Result(FAIL, problem=f"timed out after {test.timeout:g} s", evidence=tail)
        if exit.code == 0:
            return Result(FAIL, problem="TestMain ran no test", evidence=tail)
        if self.tests.failed_build:
            return Result(ERROR, problem=f"{test.package} does not build", evidence=tail)
        return Result(ERROR, problem=f"TestMain ended before any test ({exit})", evidence=tail)
