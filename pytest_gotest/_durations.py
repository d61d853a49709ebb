"""How long each test took, kept from session to session; knows fixtures, reports and files, and nothing of Go.

The file of tests is that of pytest-split: a JSON object, node id -> seconds, set-up and tear-down included.
Fixtures that last for a whole file or longer are not: those of a file are its *start*, kept beside it by home (see
`_units.home`), and what lasts longer each worker pays once, wherever it begins.

What was seen last stands last, and for a test function that ran some of its ids are kept that did not: ids may be
random, and selection cannot be told from that. A session that saw nothing new writes nothing.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_gotest._files import named_after, write_whole
from pytest_gotest._units import Costs, home

_SPLIT = ".test_durations"  # where pytest-split keeps its own, by default
_WIDE = 0.01  # seconds from which the fixtures of a file are worth to be known
_FADES = 0.5  # what is left of a start, each time its file runs without it: it may have run in part
_MOVED, _MOVED_PART = 0.005, 0.2  # seconds, and part of what was known, that are news
_OTHERS, _OTHERS_PART = 100, 10  # ids of a function that are kept though others of it ran
_WAIT = 2.0  # seconds for another session to have written its own


class WideSetUps:
    """What part of a test's set-up is for others as well. A report carries it from a worker to its controller."""

    def __init__(self) -> None:
        self._took: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def timed(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Iterator[None]:
        """While this fixture is set up. One that it asks for meanwhile counts by itself."""
        before, began = len(self._took), time.perf_counter()
        yield
        took = time.perf_counter() - began - sum(seconds for _, seconds in self._took[before:])
        # Nobody outside the place where it is defined can see it, however long its scope.
        self._took.append((max(fixturedef.baseid, request.node.nodeid, key=len), took))

    def tell(self, report: pytest.TestReport) -> None:
        """Seconds for more than this test but no more than its home, and seconds for its home and more."""
        took, self._took = self._took, []
        if took:
            place, own = home(report.nodeid), report.nodeid
            report.__dict__["gotest_start"] = sum(
                seconds for extent, seconds in took if home(extent) == place and extent != own
            )
            report.__dict__["gotest_shared"] = sum(
                seconds for extent, seconds in took if "::" not in extent
            )


class Durations:
    """Those of one root directory: what is known, and what this session sees."""

    def __init__(self, rootpath: Path, cache_dir: Path) -> None:
        name = named_after(rootpath, str(rootpath))
        self.path = cache_dir / "durations" / f"{name}.json"
        self._starts_path = self.path.with_suffix(".starts.json")
        self._rootpath = rootpath
        self._running: dict[tuple[object, str], float] = {}  # by worker and node id
        self._tests: dict[str, float] = {}
        self._starts: dict[str, float] = {}

    def read(self) -> Costs:
        """What is known of earlier sessions, those of pytest-split in the root directory included."""
        split = _read(self._rootpath / _SPLIT)
        return Costs({**split, **_read(self.path)}, _read(self._starts_path))

    def note(self, report: pytest.TestReport) -> None:
        """A run of a test counts once it is torn down; not if it could not be set up, nor if it took its worker along.

        Of several runs the longest counts: with --dist=each every worker runs all.
        """
        if isinstance(report, pytest.SubtestReport):
            return  # part of its test
        nodeid = report.nodeid
        run = getattr(report, "node", None), nodeid
        if report.when == "setup" and not report.failed:
            self._running[run] = 0.0
            if report.passed:
                self._note_start(home(nodeid), getattr(report, "gotest_start", 0.0))
        if run in self._running:
            own = report.duration - getattr(report, "gotest_shared", 0.0)
            self._running[run] += max(0.0, own)
            if report.when == "teardown":
                self._note_test(nodeid, self._running.pop(run))

    def _note_start(self, place: str, seconds: float) -> None:
        self._starts[place] = max(seconds, self._starts.get(place, 0.0))

    def _note_test(self, nodeid: str, seconds: float) -> None:
        self._tests[nodeid] = max(seconds, self._tests.get(nodeid, 0.0))

    def write(self, starts: Mapping[str, float]) -> None:
        """Put what this session saw into the files, ``starts`` of processes as well, and leave there what others saw.

        A cache that cannot be written to stays as it is, and one that others keep to themselves.
        """
        if not self._news(starts):
            return
        from filelock import FileLock  # a large import, and many sessions see nothing new

        # filelock's Timeout is an OSError; the other is of file systems without locks.
        with contextlib.suppress(OSError, NotImplementedError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=_WAIT):
                for path, seconds in self._news(starts).items():
                    write_whole(path, _as_json(seconds))

    def _news(self, starts: Mapping[str, float]) -> dict[Path, dict[str, float]]:
        """What the files should hold, of those that hold something else."""
        known, known_starts = _read(self.path), _read(self._starts_path)
        others = {nodeid: known[nodeid] for nodeid in known if nodeid not in self._tests}
        merged_starts = _merged_starts(known_starts, self._starts, starts)
        should = (
            (self.path, known, {**_bounded(self._existing(others), self._tests), **self._tests}),
            (self._starts_path, known_starts, self._existing(merged_starts)),
        )
        return {path: now for path, before, now in should if _differ(before, now)}

    def _existing(self, known: Mapping[str, float]) -> dict[str, float]:
        """Without those whose file is gone."""
        there: dict[str, bool] = {}
        for name in known:
            path = name.partition("::")[0]
            if path not in there:
                there[path] = (self._rootpath / path).exists()
        return {name: took for name, took in known.items() if there[name.partition("::")[0]]}


def _bounded(others: dict[str, float], seen: Iterable[str]) -> dict[str, float]:
    """Of each function that ran as many others as there is room for: those at the end, which were seen last."""
    if not others:
        return others
    ran = Counter(_function(nodeid) for nodeid in seen)
    room = {function: max(_OTHERS, _OTHERS_PART * number) for function, number in ran.items()}
    kept = []
    for nodeid in reversed(others):
        function = _function(nodeid)
        left = room.get(function, 1)
        if left:
            kept.append(nodeid)
        if left and function in room:
            room[function] = left - 1
    return {nodeid: others[nodeid] for nodeid in reversed(kept)}


def _function(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _merged_starts(
    known: Mapping[str, float], fixtures: Mapping[str, float], processes: Mapping[str, float]
) -> dict[str, float]:
    """Of fixtures and processes together, by home."""
    merged = dict(known)
    for place in {**fixtures, **processes}:
        seen = fixtures.get(place, 0.0) + processes.get(place, 0.0)
        merged[place] = max(seen, _FADES * known.get(place, 0.0))
        if merged[place] < _WIDE and place not in processes:
            del merged[place]
    return merged


def _differ(known: Mapping[str, float], now: Mapping[str, float]) -> bool:
    """By more than two sessions of the same tests do anyway."""
    return known.keys() != now.keys() or any(
        abs(seconds - known[name]) > max(_MOVED, _MOVED_PART * known[name])
        for name, seconds in now.items()
    )


def _as_json(seconds: Mapping[str, float]) -> bytes:
    """A line for each. With ``indent`` it would be written by Python code, which takes several times as long."""
    rounded = {name: round(took, 6) for name, took in seconds.items()}
    return json.dumps(rounded, separators=(",\n", ": ")).encode()


def _read(path: Path) -> dict[str, float]:
    """What is no JSON object of numbers counts for nothing; of other entries the rest does."""
    try:
        data = json.loads(path.read_bytes())
        pairs = data.items()
    except (OSError, ValueError, AttributeError):
        return {}
    return {
        str(name): float(took)
        for name, took in pairs
        if isinstance(took, (int, float)) and 0 <= took < float("inf")
    }
