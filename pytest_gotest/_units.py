"""Cut a session's tests into units of work for several workers, by what they cost before; pure.

A unit is tests of one *home* in pytest's order: of one Go package, which costs the start of a process
and its TestMain, or of one Python file, which costs its wide fixtures. A home is cut only where the
whole session is over sooner for it, starts included.
"""

from __future__ import annotations

import heapq
import math
import posixpath
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby, pairwise

_GO = "_test.go"
_OVERHEAD = (
    0.001  # seconds that pytest takes for a test beside what it reports: about this, on any machine
)
_UNKNOWN = 0.01  # seconds of a test, where nothing at all was recorded
_UNKNOWN_START = 0.05  # of a Go package: its process, initialisation and TestMain
_DEAR = 4.0  # a part of a home runs at least this many times as long as its start takes
_GAIN = 0.98  # what is cut finer has to be over in less than this of the time
_SHARES = (0.1, 0.2, 0.4, 1.0)  # of all work, to be cut finer
_FINENESS = (2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds, as recorded: of tests by node id, and of starts by home."""

    tests: Mapping[str, float] = field(default_factory=dict)
    starts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unit:
    """Indices of a collection that one worker gets together, and the seconds they will take by themselves."""

    home: str
    indices: tuple[int, ...]
    seconds: float
    start: float = 0.0

    @property
    def cost(self) -> float:
        return self.start + self.seconds


def home(nodeid: str) -> str:
    """Where a test belongs, by its id alone: the directory of a Go test file, or any other file."""
    path = nodeid.partition("::")[0]
    return (posixpath.dirname(path) or ".") if _is_go(nodeid) else path


def estimate(nodeids: Sequence[str], costs: Costs) -> list[float]:
    """Seconds of each test: as recorded, or else the median of its home, or of all that are known."""
    known = [costs.tests.get(nodeid) for nodeid in nodeids]
    by_home: dict[str, list[float]] = defaultdict(list)
    missing = any(seconds is None for seconds in known)
    if missing:
        for nodeid, seconds in zip(nodeids, known, strict=True):
            if seconds is not None:
                by_home[home(nodeid)].append(seconds)
    medians = {place: _median(found) for place, found in by_home.items()}
    everywhere = _median(costs.tests.values()) if missing and costs.tests else _UNKNOWN
    return [
        max(0.0, medians.get(home(nodeid), everywhere) if seconds is None else seconds) + _OVERHEAD
        for nodeid, seconds in zip(nodeids, known, strict=True)
    ]


def _median(seconds: Iterable[float]) -> float:
    return (ordered := sorted(seconds))[len(ordered) // 2]


def plan_units(
    nodeids: Sequence[str], costs: Costs, workers: int, *, most: int | None = None
) -> list[Unit]:
    """All of ``nodeids`` in units, longest first. ``most`` tests are in a unit, if that is given.

    Takes time and memory in proportion to the number of tests.
    """
    seconds = estimate(nodeids, costs)
    homes = _homes(nodeids, seconds, costs)
    chosen, shortest = homes, float("inf")
    for units in _cuttings(homes, seconds, workers) if workers > 1 else ():
        over = makespan([unit.cost for unit in units], workers)
        if over < _GAIN * shortest:
            chosen, shortest = units, over
    if most is not None:
        chosen = [part for unit in chosen for part in _no_longer(unit, seconds, most)]
    return longest_first(chosen)


def _cuttings(
    homes: Sequence[Unit], seconds: Sequence[float], workers: int
) -> Iterator[list[Unit]]:
    """Ways to cut, those with the fewest parts first.

    None is longer than a worker's part of all the time; beside that a share of the work is cut finer, where starts
    are cheapest: enough to fill what whole packages leave open at the end.
    """
    target = sum(whole.cost for whole in homes) / workers
    coarse = {whole: _cut(whole, seconds, target) for whole in homes}
    yield [part for parts in coarse.values() for part in parts]
    work = sum(whole.seconds for whole in homes)
    cheapest = sorted(homes, key=lambda whole: whole.start / max(whole.seconds, 1e-9))
    before = list(accumulate((whole.seconds for whole in cheapest), initial=0.0))
    for share in _SHARES:
        for fineness in _FINENESS:
            cut = dict(coarse)
            for whole, done in zip(cheapest, before, strict=False):
                if done >= share * work:
                    break
                cut[whole] = _cut(whole, seconds, target / fineness)
            yield [part for parts in cut.values() for part in parts]


def longest_first(units: Iterable[Unit]) -> list[Unit]:
    """Those that take as long stay in pytest's order."""
    return sorted(units, key=lambda unit: (-unit.cost, unit.indices))


def makespan(costs: Iterable[float], workers: int) -> float:
    """Seconds until all is over when each free worker takes the longest that is left."""
    free = [0.0] * max(1, workers)
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(free, free[0] + cost)
    return max(free)


def regroup(nodeids: Sequence[str], indices: Iterable[int], costs: Costs) -> list[Unit]:
    """What a lost worker had left, as units in the same order."""
    left = list(indices)
    seconds = dict(zip(left, estimate([nodeids[index] for index in left], costs), strict=True))
    return [
        _whole(nodeids, place, members, seconds, costs)
        for place, group in groupby(left, key=lambda index: home(nodeids[index]))
        if (members := list(group))
    ]


def _homes(nodeids: Sequence[str], seconds: Sequence[float], costs: Costs) -> list[Unit]:
    """Each home as one unit; of a Python file each run of tests that stand together.

    pytest sorts tests by their parametrized wide fixtures, which would be set up once more for each
    time that the order is left. What was so sorted, a file comes up several times.
    """
    members: dict[tuple[str, int], list[int]] = {}
    last, number = "", 0
    for index, nodeid in enumerate(nodeids):
        place = home(nodeid)
        if place != last:
            last, number = place, number + 1
        members.setdefault((place, 0 if _is_go(nodeid) else number), []).append(index)
    return [_whole(nodeids, place, found, seconds, costs) for (place, _), found in members.items()]


def _whole(
    nodeids: Sequence[str],
    place: str,
    indices: Sequence[int],
    seconds: Sequence[float] | Mapping[int, float],
    costs: Costs,
) -> Unit:
    guess = _UNKNOWN_START if _is_go(nodeids[indices[0]]) else 0.0
    start = max(0.0, costs.starts.get(place, guess))
    return Unit(place, tuple(indices), sum(seconds[index] for index in indices), start)


def _is_go(nodeid: str) -> bool:
    return nodeid.partition("::")[0].endswith(_GO)


def _cut(whole: Unit, seconds: Sequence[float], longest: float) -> list[Unit]:
    """Parts of about equal time, none much over ``longest`` where that pays."""
    least = max(longest, _DEAR * whole.start)
    parts = min(math.ceil(whole.seconds / least), len(whole.indices))
    if parts < 2:
        return [whole]
    ends = list(accumulate(seconds[index] for index in whole.indices))
    borders = [bisect_left(ends, whole.seconds * part / parts) + 1 for part in range(1, parts)]
    cuts = sorted({0, len(ends), *(min(border, len(ends)) for border in borders)})
    return [
        Unit(
            whole.home,
            whole.indices[begin:end],
            ends[end - 1] - (ends[begin - 1] if begin else 0.0),
            whole.start,
        )
        for begin, end in pairwise(cuts)
    ]


def _no_longer(unit: Unit, seconds: Sequence[float], most: int) -> list[Unit]:
    return [
        Unit(unit.home, part, sum(seconds[index] for index in part), unit.start)
        for begin in range(0, len(unit.indices), most)
        if (part := unit.indices[begin : begin + most])
    ]
