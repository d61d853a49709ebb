"""What happened when in a session, as tracks of spans, trace events and totals; pure, knows no pytest.

A worker has one track for what pytest does and, below it, tracks for the Go processes that it
started. On one track spans nest or do not overlap, as the trace event format wants it; what does
not fit moves to a track beside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

# From outside to inside, for spans that begin and end at one time.
CATEGORIES = (
    "process", "launch", "collect", "build", "wait", "test", "setup", "call", "teardown", "reset", "start-up",
    "go test", "idle",
)  # fmt: skip
_RANK = {category: rank for rank, category in enumerate(CATEGORIES)}
SHORTEST_GAP = 0.001  # seconds; pytest's own work between two tests is no idleness worth a mark
# What is in place of setup, call or teardown: pytest turned to the item, which no report says;
# xdist says that the item took its worker along.
START, CRASH = "start", "???"
_LONGEST = 20
BAD = frozenset({"failed", "error", "crashed"})
_GO_OUTCOMES = {"pass": "passed", "fail": "failed", "skip": "skipped"}


@dataclass(frozen=True, slots=True)
class Span:
    """``begin`` and ``end`` are seconds since the epoch, and ``begin`` is not the later one."""

    name: str
    category: str
    begin: float
    end: float
    outcome: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Process:
    """A Go process, and within its time its start-up and tests."""

    span: Span
    inner: tuple[Span, ...] = ()


@dataclass(slots=True)
class Worker:
    """One process of the session: ``main``, a worker of xdist, or xdist's controller, which ``controls``."""

    name: str
    begin: float
    end: float
    spans: list[Span] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    controls: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """``root`` is the name of pytest's root directory, ``status`` pytest's exit status."""

    root: str
    status: int
    begin: float
    end: float
    workers: Sequence[Worker]


@dataclass(frozen=True, slots=True)
class Placed:
    """A span on a track: whole microseconds since the session began, and how many spans are around it."""

    span: Span
    begin: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Track:
    """``pid`` and ``tid`` are numbers of the trace event format, not of the system."""

    pid: int
    tid: int
    worker: str
    name: str
    placed: tuple[Placed, ...]


# Reports


@dataclass(slots=True)
class Phase:
    """A report of pytest: ``when`` is setup, call, teardown, `START` or `CRASH`. Times are seconds since the epoch."""

    when: str
    begin: float
    end: float
    outcome: str


@dataclass(slots=True)
class Seen:
    """One run of an item, and its phases so far. ``line`` counts from 1, 0 if unknown."""

    nodeid: str
    path: str = ""
    line: int = 0
    phases: list[Phase] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return any(phase.when == "teardown" for phase in self.phases)


_WEIGHT = ("passed", "xpassed", "skipped", "xfailed", "rerun", "failed", "error", "crashed")


def item_spans(seen: Seen, *, end: float, last: bool) -> Iterator[Span]:
    """The span of an item, then those of its phases.

    The ``last`` item of a worker without a teardown was interrupted, when the worker came to its ``end``.
    """
    phases = [phase for phase in seen.phases if phase.when in ("setup", "call", "teardown")]
    outcome = _outcome(seen)
    begin = min(phase.begin for phase in seen.phases)
    stop = max(begin, *(phase.end for phase in seen.phases))
    if last and not seen.over and outcome != "crashed":
        outcome, stop = "interrupted", max(stop, end)
    detail: dict[str, Any] = {"nodeid": seen.nodeid}
    if seen.path:
        detail["file"] = f"{seen.path}:{seen.line}" if seen.line else seen.path
    yield Span(seen.nodeid, "test", begin, stop, outcome, detail)
    for phase in phases:
        yield Span(
            phase.when, phase.when, phase.begin, max(phase.begin, phase.end), phase.outcome, detail
        )


def _outcome(seen: Seen) -> str:
    """The worst word of an item; a failure outside its call is an error, as in pytest's own counts."""
    words = []
    for phase in seen.phases:
        if phase.when == CRASH:
            words.append("crashed")
        elif phase.when == "call" or phase.outcome in ("skipped", "xfailed", "rerun"):
            words.append(phase.outcome)
        elif phase.outcome == "failed":
            words.append("error")
    known = [word for word in words if word in _WEIGHT]
    return max(known, key=_WEIGHT.index, default="passed" if seen.over else "")


def skew(asked: float, begins: Iterable[float], heard: Iterable[tuple[float, float]]) -> float:
    """Seconds that a worker's clock is ahead of the controller's; 0 where both may show the same time.

    The worker was ``asked`` to start at that time of the controller's clock, so none of its spans
    can have begun before; and a report that ended at a time of the worker's clock was ``heard`` at a
    later one of the controller's: ``(end, heard)``. Reports are quick, so that the tightest of these
    bounds is, within milliseconds, the difference.
    """
    ahead: float = max((end - when for end, when in heard), default=0.0)
    behind = min((begin - asked for begin in begins), default=0.0)
    if ahead > 0:
        return ahead
    return ahead if behind < 0 else 0.0


def shifted(span: Span, seconds: float) -> Span:
    return replace(span, begin=span.begin + seconds, end=span.end + seconds)


def moved(process: Process, seconds: float) -> Process:
    return Process(
        shifted(process.span, seconds), tuple(shifted(span, seconds) for span in process.inner)
    )


# What processes noted


def noted_spans(data: Mapping[str, Any]) -> list[Span]:
    """The spans in ``data``, which is what `Recorder.data` gives."""
    return [
        Span(name, category, begin, max(begin, end), detail=detail)
        for category, name, begin, end, detail in data["spans"]
    ]


def noted_processes(data: Mapping[str, Any]) -> list[Process]:
    """The Go processes in ``data``; one that did not start is left out."""
    return [_process(one, data["ended"]) for one in data["processes"] if one["pid"] is not None]


def _process(one: Mapping[str, Any], now: float) -> Process:
    package: str = one["package"]
    begin: float = one["begin"]
    end: float = max(begin, one["end"] if one["end"] is not None else now)
    detail = {"package": package, "pid": one["pid"], "exit": one["exit"] or "ended by the session"}
    if one["code"] is not None:
        detail["code"] = one["code"]

    def within(moment: float) -> float:
        return min(max(moment, begin), end)

    tests = [
        Span(
            name,
            "go test",
            within(start),
            max(within(start), within(stop)),
            _GO_OUTCOMES.get(verdict, verdict),
            {"package": package, **({"nodeid": nodeid} if nodeid else {})},
        )
        for name, nodeid, start, stop, verdict in one["tests"]
    ]
    inner = list(tests)
    if one["gate"] is not None:
        first = min((test.begin for test in tests), default=end)
        ready = min(within(one["gate"]), first)
        inner.append(Span("start-up", "start-up", begin, ready, detail={"package": package}))
    return Process(Span(package, "process", begin, end, detail=detail), tuple(inner))


# Tracks


def place(spans: Iterable[Span], zero: float) -> list[list[Placed]]:
    """Spans on as few rows as it takes for those of a row to nest or not to overlap.

    Tests that run beside each other do not nest, however their times lie: only a span of a category
    further inside does.
    """

    def micros(moment: float) -> int:
        return round((moment - zero) * 1e6)

    rows: list[list[Placed]] = []
    around: list[list[tuple[int, int]]] = []  # of each row, the ends and ranks of open spans
    timed = [(micros(span.begin), micros(span.end), _rank(span), span) for span in spans]
    for begin, end, rank, span in sorted(timed, key=lambda one: (one[0], -one[1], one[2])):
        for row, outer in zip(rows, around, strict=True):  # noqa: B007 - the one that fits
            while outer and _is_over(outer[-1], begin, end, rank):
                outer.pop()
            if not outer or (end <= outer[-1][0] and outer[-1][1] < rank):
                break
        else:
            row, outer = [], []
            rows.append(row)
            around.append(outer)
        row.append(Placed(span, begin, end, len(outer)))
        outer.append((end, rank))
    return rows


def _is_over(outer: tuple[int, int], begin: int, end: int, rank: int) -> bool:
    """What takes no time is still within what ends with it, but not within its neighbour."""
    outer_end, outer_rank = outer
    return outer_end < begin or (outer_end == begin and (begin < end or outer_rank >= rank))


def _rank(span: Span) -> int:
    return _RANK.get(span.category, len(_RANK))


def gaps(spans: Iterable[Span], begin: float, end: float, least: float = 0.0) -> list[Span]:
    """What lies between ``begin`` and ``end`` and in no span, from ``least`` seconds on."""
    found = []
    at = begin
    for span in sorted(spans, key=lambda span: span.begin):
        if span.begin > at and span.begin - at >= least:
            found.append(Span("idle", "idle", at, min(span.begin, end)))
        at = max(at, span.end)
    if end > at and end - at >= least:
        found.append(Span("idle", "idle", at, end))
    return [gap for gap in found if gap.begin < gap.end]


def _slots(processes: Iterable[Process]) -> list[list[Process]]:
    """Processes one after the other, in as few rows as run at once."""
    slots: list[list[Process]] = []
    for process in sorted(processes, key=lambda process: process.span.begin):
        for slot in slots:
            if slot[-1].span.end <= process.span.begin:
                slot.append(process)
                break
        else:
            slots.append([process])
    return slots


def tracks(session: Session) -> list[Track]:
    """All tracks, worker by worker: what pytest did, then the Go processes."""
    found: list[Track] = []
    for pid, worker in enumerate(session.workers, 1):
        names: list[tuple[str, list[Placed]]] = []
        spans = list(worker.spans)
        if not worker.controls:
            spans += gaps(worker.spans, worker.begin, worker.end, SHORTEST_GAP)
        for number, row in enumerate(place(spans, session.begin)):
            names.append(("pytest" if not number else f"pytest, beside {number}", row))
        for slot, members in enumerate(_slots(worker.processes), 1):
            every = [span for one in members for span in (one.span, *one.inner)]
            for number, row in enumerate(place(every, session.begin)):
                names.append((f"Go {slot}" if not number else f"Go {slot}, beside {number}", row))
        found += [
            Track(pid, tid, worker.name, name, tuple(row))
            for tid, (name, row) in enumerate(names, 1)
        ]
    return found


# Trace events


def trace(session: Session) -> dict[str, Any]:
    """The JSON object form of the trace event format. Times are microseconds since the session began."""
    events: list[dict[str, Any]] = []
    named: set[int] = set()
    for track in tracks(session):
        if track.pid not in named:
            named.add(track.pid)
            events.append(_meta("process_name", track.pid, 0, name=track.worker))
            events.append(_meta("process_sort_index", track.pid, 0, sort_index=track.pid))
        events.append(_meta("thread_name", track.pid, track.tid, name=track.name))
        events.append(_meta("thread_sort_index", track.pid, track.tid, sort_index=track.tid))
        events += [_event(track, placed) for placed in track.placed]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"began": session.begin, "root": session.root, "status": session.status},
    }


def _meta(kind: str, pid: int, tid: int, **args: object) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": args}


def _event(track: Track, placed: Placed) -> dict[str, Any]:
    span = placed.span
    args = dict(span.detail)
    if span.outcome:
        args["outcome"] = span.outcome
    return {
        "name": span.name,
        "cat": span.category,
        "ph": "X",
        "ts": placed.begin,
        "dur": placed.end - placed.begin,
        "pid": track.pid,
        "tid": track.tid,
        "args": args,
    }


# Totals


@dataclass(frozen=True, slots=True)
class Totals:
    """``longest``: node id, seconds, outcome, worker. ``categories``: seconds and number, the most first.

    ``idle``: worker, seconds idle, seconds in all.
    """

    outcomes: Mapping[str, int]
    longest: Sequence[tuple[str, float, str, str]]
    categories: Sequence[tuple[str, float, int]]
    idle: Sequence[tuple[str, float, float]]


def totals(session: Session) -> Totals:
    """A Go test that ran ahead of its item counts with the time of its own among the longest."""
    seconds: dict[str, float] = defaultdict(float)
    number: dict[str, int] = defaultdict(int)
    outcomes: dict[str, int] = defaultdict(int)
    tests: list[tuple[str, float, str, str]] = []
    idle: list[tuple[str, float, float]] = []
    for worker in session.workers:
        own: dict[str, float] = defaultdict(float)
        inner = [span for process in worker.processes for span in process.inner]
        for span in inner:
            if span.category == "go test" and "nodeid" in span.detail:
                own[span.detail["nodeid"]] = max(own[span.detail["nodeid"]], span.seconds)
        empty = [] if worker.controls else gaps(worker.spans, worker.begin, worker.end)
        around = [process.span for process in worker.processes]
        for span in [*worker.spans, *around, *inner, *empty]:
            seconds[span.category] += span.seconds
            number[span.category] += 1
            if span.category == "test":
                outcomes[span.outcome] += 1
                longest = max(span.seconds, own[span.name])
                tests.append((span.name, longest, span.outcome, worker.name))
        if not worker.controls:
            total = sum(gap.seconds for gap in empty)
            idle.append((worker.name, total, worker.end - worker.begin))
    tests.sort(key=lambda test: -test[1])
    categories = [(category, seconds[category], number[category]) for category in seconds]
    categories.sort(key=lambda one: -one[1])
    return Totals(dict(outcomes), tests[:_LONGEST], categories, idle)
