"""How long each test took, kept from session to session; knows reports and files, and nothing of Go.

The file of tests is that of pytest-split: a JSON object, node id -> seconds, set-up and tear-down included.
Starts of processes are kept beside it, by home (see `_units.home`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_gotest._files import named_after, write_whole
from pytest_gotest._units import Costs, home

_SPLIT = ".test_durations"  # where pytest-split keeps its own, by default
_WIDE = 0.01  # seconds from which a set-up counts as that of its whole file


class Durations:
    """Those of one root directory. ``tests`` and ``starts`` are what this session saw."""

    def __init__(self, rootpath: Path, cache_dir: Path) -> None:
        name = named_after(rootpath, str(rootpath))
        self.path = cache_dir / "durations" / f"{name}.json"
        self._starts_path = self.path.with_suffix(".starts.json")
        self._rootpath = rootpath
        self._tests: dict[str, float] = {}
        self._starts: dict[str, float] = {}

    def read(self) -> Costs:
        """What is known of earlier sessions, those of pytest-split in the root directory included."""
        split = _read(self._rootpath / _SPLIT)
        return Costs({**split, **_read(self.path)}, _read(self._starts_path))

    def note(self, report: pytest.TestReport) -> None:
        nodeid = report.nodeid
        self._tests[nodeid] = self._tests.get(nodeid, 0.0) + report.duration
        if report.when == "setup" and report.duration > _WIDE:
            place = home(nodeid)
            self._starts[place] = max(report.duration, self._starts.get(place, 0.0))

    def write(self, starts: Mapping[str, float]) -> None:
        """Put what this session saw into the files, ``starts`` of processes as well.

        A cache that cannot be written to stays as it is.
        """
        with contextlib.suppress(OSError):
            seen_starts = {
                place: max(self._starts.get(place, 0.0), starts.get(place, 0.0))
                for place in {*self._starts, *starts}
            }
            for path, seen in ((self.path, self._tests), (self._starts_path, seen_starts)):
                if seen:
                    kept = {**self._existing(_read(path)), **seen}
                    rounded = {name: round(kept[name], 6) for name in sorted(kept)}
                    write_whole(path, json.dumps(rounded, indent=1).encode())

    def _existing(self, known: Mapping[str, float]) -> dict[str, float]:
        """Without those whose file is gone."""
        there: dict[str, bool] = {}
        for name in known:
            path = name.partition("::")[0]
            if path not in there:
                there[path] = (self._rootpath / path).exists()
        return {name: took for name, took in known.items() if there[name.partition("::")[0]]}


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
