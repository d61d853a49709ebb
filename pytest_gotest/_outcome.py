"""From events to a verdict for every test of one package; pure, knows no process and no pytest.

The quirks of Go's stream are decided here, once, for all sources of events. Where the rule comes
from Go itself its place is named.
"""

from __future__ import annotations

import re
import signal
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from pytest_gotest._events import Event

PASS, FAIL, SKIP, ERROR = "pass", "fail", "skip", "error"
WAITS = "waits"  # for another test: it runs beside others then, and nobody is told this verdict
_WORST = {
    PASS: 0,
    SKIP: 1,
    FAIL: 2,
}  # a test that ran and passed once and was skipped once, was skipped
_TERMINAL = frozenset(_WORST)

_NOTES, _ATTRS = 50, 10_000  # kept of one test
HEAD, TAIL = 64 << 10, 192 << 10
# After so many characters in the subtests of one test, each further subtest is kept of shorter.
_MUCH = 32 << 20
_SHORT_HEAD, _SHORT_TAIL = 1 << 10, 3 << 10


class Output:
    """Text of bounded size: the beginning and the end are kept, what lies between is counted.

    ``head`` and ``tail`` are in characters. Appending costs the length of what is appended.
    """

    __slots__ = ("_head", "_head_left", "_tail", "_tail_limit", "_tail_size", "cut")

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._head: list[str] = []
        self._head_left = head
        self._tail: deque[str] = deque()
        self._tail_limit = tail
        self._tail_size = 0
        self.cut = 0

    def append(self, text: str) -> None:
        if self._head_left > 0:
            kept = text[: self._head_left]
            self._head.append(kept)
            self._head_left -= len(kept)
            text = text[len(kept) :]
        if not text:
            return
        if (over := len(text) - self._tail_limit) > 0:
            self.cut += self._tail_size + over
            self._tail.clear()
            self._tail_size, text = 0, text[over:]
        self._tail.append(text)
        self._tail_size += len(text)
        while self._tail_size - len(self._tail[0]) >= self._tail_limit:
            dropped = len(self._tail.popleft())
            self._tail_size -= dropped
            self.cut += dropped

    def __bool__(self) -> bool:
        return bool(self._head)

    def __str__(self) -> str:
        said = f"\n[... {self.cut:,} characters cut by pytest-gotest ...]\n" if self.cut else ""
        return "".join(self._head) + said + "".join(self._tail)


@dataclass(slots=True)
class Record:
    """All that was seen of one test or subtest, over all its runs. Times are seconds."""

    name: str
    output: Output = field(default_factory=Output)
    verdicts: list[str] = field(default_factory=list)  # one a finished run
    running: bool = False
    seconds: float = 0.0  # of the longest run, pauses excluded
    attrs: list[tuple[str, str]] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    subtests: dict[str, Record] = field(default_factory=dict)  # all descendants, by full name
    heard: int = 0  # characters that its subtests wrote
    since: float | None = None
    spent: float = 0.0
    began: float | None = None  # the first run, as if it had never paused
    ended: float | None = None  # the last run

    def note(self, text: str) -> None:
        """Keep a note; a test that prints frames without end does not fill the memory with them."""
        if len(self.notes) < _NOTES:
            self.notes.append(text)

    @property
    def verdict(self) -> str | None:
        """The worst of all finished runs; None before the first has ended."""
        return max(self.verdicts, key=_WORST.__getitem__) if self.verdicts else None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. ``code`` is negative for a signal, as in `subprocess`; None when it is not known."""

    code: int | None
    io_incomplete: bool = False  # something that it started still held its output

    def __str__(self) -> str:
        if self.code is None:
            return "end unknown"
        if self.code < 0:
            try:
                return f"signal {signal.Signals(-self.code).name}"
            except ValueError:
                return f"signal {-self.code}"
        return f"exit {self.code}"


# What cmd/go prints about a process that did not end with 0 (os/exec, ExitError).
_EXIT = re.compile(r"^(?:exit status (\d+)|signal: ([\w ]+?)(?: \(core dumped\))?)$", re.M)
_SIGNALS = {
    "killed": -9,
    "terminated": -15,
    "quit": -3,
    "interrupt": -2,
    "segmentation fault": -11,
    "aborted": -6,
}


def exit_in(said: str, otherwise: Exit) -> Exit:
    """How a test process ended by what cmd/go printed of it."""
    match = _EXIT.search(said)
    if match is None:
        return otherwise
    return Exit(int(match[1]) if match[1] else _SIGNALS.get(match[2]))


@dataclass(frozen=True, slots=True)
class Subtest:
    """A finished subtest: ``name`` is without the test's own, ``verdict`` pass, fail or skip."""

    name: str
    verdict: str
    output: str
    seconds: float
    notes: tuple[str, ...] = ()
    attrs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict of one collected Go test.

    ``verdict`` is pass, fail, skip, or error: then nothing of the test ran, through no fault of
    its own. ``problem`` is a headline where the verdict is not the test's own word ("process died
    (exit 3)"), ``evidence`` what stands below it. ``seconds`` is Go's own duration.
    ``began`` and ``ended`` are seconds since the epoch, where the stream tells them.
    """

    verdict: str
    output: str = ""
    seconds: float = 0.0
    problem: str = ""
    evidence: str = ""
    subtests: tuple[Subtest, ...] = ()
    attrs: tuple[tuple[str, str], ...] = ()
    artifacts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()  # what the test left behind in its process
    began: float | None = None
    ended: float | None = None

    def noting(self, *notes: str) -> Result:
        return replace(self, notes=(*self.notes, *notes))


def worse(one: Result, other: Result) -> Result:
    """Of two runs of a test; the seconds are those of both."""
    rank = {**_WORST, ERROR: 3}
    chosen = max(one, other, key=lambda result: rank[result.verdict])
    return replace(chosen, seconds=one.seconds + other.seconds)


_FRAME = re.compile(
    r"=== (?:RUN|PAUSE|CONT|NAME|ATTR|ARTIFACTS)\s|\s*--- (?:PASS|FAIL|SKIP|BENCH): .* \(\d+\.\d+s\)$"
)
# "BenchmarkX-8 \t 100 \t 12 ns/op", printed in one piece or after its name; testing/benchmark.go, prettyPrint.
_BENCH_LINE = re.compile(r"\s*(?:Benchmark\S*\s+)?\d+\t\s*[\d.]+(?:e[+-]?\d+)? \S+")


class PackageRun:
    """Takes the events of one package in the order they came and keeps a record of each test.

    ``known`` are the top-level names that may appear: another name is a phantom that a test or
    a child process printed, and its words belong to the test that was running. None allows all.
    """

    def __init__(self, package: str, known: Collection[str] | None = None) -> None:
        self.package = package
        self.known = known
        self.tests: dict[str, Record] = {}
        self.output = Output()
        self.closing: str | None = None  # the package's own last word, pass, fail or skip
        self.failed_build = ""
        self.cached = False
        self._last: Record | None = None

    def feed(self, event: Event) -> Record | None:
        """Returns the top-level test whose run this event ended, if it did."""
        if not event.test:
            self._feed_package(event)
            return None
        top = event.test.partition("/")[0]
        if self.known is not None and top not in self.known:
            bare = self._without_cpu_suffix(top)
            if bare is None:
                self._phantom(event)
                return None
            top = bare
        owner = self.tests.get(top)
        if owner is None:
            owner = self.tests[top] = Record(top)
        self._last = owner
        if "/" in event.test:
            record = owner.subtests.get(event.test)
            if record is None:
                record = owner.subtests[event.test] = Record(event.test)
                if owner.heard > _MUCH:
                    record.output = Output(_SHORT_HEAD, _SHORT_TAIL)
            owner.heard += len(event.output)
        else:
            record = owner
        ended = self._apply(record, event)
        return owner if ended and record is owner else None

    @property
    def running(self) -> list[Record]:
        """Top-level tests that have begun a run and not ended it, in the order they began."""
        return [record for record in self.tests.values() if record.running]

    def forget(self, name: str) -> Record | None:
        """Take a test's record out, so that memory follows what is not yet reported."""
        record = self.tests.pop(name, None)
        if record is self._last:
            self._last = None
        return record

    def _without_cpu_suffix(self, top: str) -> str | None:
        """BenchmarkX-8 is BenchmarkX (testing/benchmark.go, benchmarkName)."""
        bare, dash, digits = top.rpartition("-")
        assert self.known is not None
        return bare if dash and digits.isdigit() and bare in self.known else None

    def _phantom(self, event: Event) -> None:
        if event.action == "output":
            (self._last.output if self._last else self.output).append(event.output)
        elif self._last and event.action in _TERMINAL:
            self._last.note(
                f"the output held the frame of a test that is not in this package: {event.test} ({event.action})"
            )

    def _feed_package(self, event: Event) -> None:
        if event.action == "output":
            self.output.append(event.output)
            if event.output.startswith("ok ") and event.output.rstrip().endswith("(cached)"):
                self.cached = True
        elif event.action == "build-output":
            self.output.append(event.output)
        elif event.action in _TERMINAL:
            # Whoever swallows a failure may say PASS after FAIL; the last word is the package's.
            self.closing = event.action
            self.failed_build = event.failed_build or self.failed_build

    def _apply(self, record: Record, event: Event) -> bool:
        action = event.action
        if action == "output":
            self._output(record, event)
        elif action == "run":
            if record.running and record.since is not None:
                record.note(f"{record.name} was said to start while it ran")
            record.running = True
            record.since, record.spent = event.time, 0.0
            if not record.verdicts:
                record.began = event.time
        elif action == "pause":
            self._stop_clock(record, event)
        elif action == "cont":
            record.since = event.time
            if not record.verdicts and event.time is not None:
                record.began = event.time - record.spent
        elif action in _TERMINAL:
            return self._end(record, event)
        elif action == "attr":
            if len(record.attrs) < _ATTRS:
                record.attrs.append((event.key, event.value))
        elif action == "artifacts":
            record.artifacts.append(event.path)
        elif action == "bench":
            record.running = False
            record.verdicts.append(PASS)
            return True
        return False

    def _end(self, record: Record, event: Event) -> bool:
        again = not record.running and bool(record.verdicts)
        if again:
            # A child that runs with -test.v=test2json ends its parent's tests too. The test's own end is the last.
            if record.verdicts[-1] != event.action:
                record.note(
                    f"{record.name} was said to {record.verdicts[-1]} and then to {event.action}; the last word counts"
                )
            record.verdicts[-1] = event.action
        else:
            record.verdicts.append(event.action)
        self._stop_clock(record, event)
        record.running = False
        record.ended = event.time
        record.seconds = max(record.seconds, record.spent or event.elapsed or 0.0)
        return True

    @staticmethod
    def _stop_clock(record: Record, event: Event) -> None:
        if record.since is not None and event.time is not None:
            record.spent += max(0.0, event.time - record.since)
        record.since = None

    @staticmethod
    def _output(record: Record, event: Event) -> None:
        text = event.output
        if event.output_type == "frame" or (
            text.lstrip(" ").startswith(("=== ", "--- ")) and _is_frame(text, event.test)
        ):
            return
        record.output.append(text)


def _is_frame(text: str, test: str) -> bool:
    return test in text and _FRAME.match(text.rstrip("\n")) is not None


def result_of(record: Record, *, left: Iterable[str] = (), select: str = "") -> Result:
    """The result of a test that has ended all its runs by itself.

    ``select`` is the one subtest that was asked for: the verdict is then that subtest's, and the
    subtests reported are those below it. An unfinished subtest of an ended test is one that was
    interrupted: it fails, since nothing says that it passed.
    """
    verdict = record.verdict or FAIL
    own, prefix, problem = record, record.name + "/", ""
    if select:
        chosen = record.subtests.get(f"{record.name}/{select}")
        if chosen is None:
            below = any(name.startswith(f"{record.name}/{select}/") for name in record.subtests)
            if not below and verdict != FAIL:
                # Of those beside it Go starts none: who misspelt it has to be told where to look.
                known = ", ".join(name.partition("/")[2] for name in record.subtests)
                seen = f"there were: {known}" if known else f"{record.name} alone shows what it has"
                verdict, problem = FAIL, f"no subtest {select!r} ran; {seen}"
        else:
            own = chosen
            if verdict != FAIL:
                verdict = chosen.verdict or FAIL
        prefix = f"{record.name}/{select}/"
    subtests = tuple(
        Subtest(
            name=sub.name.removeprefix(record.name + "/"),
            verdict=sub.verdict or FAIL,
            output=str(sub.output),
            seconds=sub.seconds,
            notes=tuple(sub.notes) if sub.verdict else (*sub.notes, "it never ended"),
            attrs=tuple(sub.attrs),
        )
        for sub in record.subtests.values()
        if sub.name.startswith(prefix)
    )
    if (
        not select
        and verdict != FAIL
        and any(sub.verdict == FAIL for sub in subtests)
        and not record.verdict
    ):
        verdict = FAIL
    output = str(own.output) if own is record else str(own.output) + str(record.output)
    return Result(
        verdict=verdict,
        output=output,
        seconds=own.seconds,
        problem=problem,
        subtests=subtests,
        attrs=tuple(record.attrs if own is record else own.attrs),
        artifacts=tuple(record.artifacts),
        notes=tuple(record.notes),
        left=tuple(left),
        began=own.began,
        ended=own.ended,
    )


def benchmark_result(record: Record | None, *, ok: bool) -> Result:
    """A benchmark that passes has no terminal event: its result line and an undisturbed end say so."""
    if record is None:
        return Result(FAIL, problem="the benchmark printed nothing")
    if record.verdict:
        return result_of(record)
    text = str(record.output)
    measured = any(_BENCH_LINE.match(line) for line in text.splitlines()) or any(
        _BENCH_LINE.match(line)
        for sub in record.subtests.values()
        for line in str(sub.output).splitlines()
    )
    record.running = False
    record.verdicts.append(PASS if ok and measured else FAIL)
    for sub in record.subtests.values():
        if not sub.verdicts:
            sub.verdicts.append(PASS if ok else FAIL)
    result = result_of(record)
    return result if ok and measured else replace(result, problem="the benchmark printed no result")


def death(record: Record | None, how: Exit, tail: str, *, headline: str = "") -> Result:
    """The result of a test that was running when its process ended.

    A panic in the test itself has already been said to fail it; then its own output holds the
    trace and the verdict stands. ``tail`` is the last of the package's own output.
    """
    if record is not None and record.verdict == FAIL and not record.running and not headline:
        return replace(result_of(record), evidence=tail)
    problem = headline or f"process died ({how})"
    if record is None:
        return Result(FAIL, problem=problem, evidence=tail)
    base = result_of(record)
    return replace(base, verdict=FAIL, problem=problem, evidence=tail)
