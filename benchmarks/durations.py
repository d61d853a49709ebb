"""What it costs to note, read and write how long tests took.

    python -m benchmarks.durations [NUMBER]

NUMBER tests (100,000) in files of 34, in a scratch directory: first of which nothing is known, then the same again,
then with one that takes longer.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_gotest._durations import Durations


def reports(number: int, slowest: float) -> list[pytest.TestReport]:
    return [
        pytest.TestReport(
            nodeid=f"internal/service{index // 34}/service_test.go::TestServiceAnswers{index % 34}",
            location=("", 0, ""),
            keywords={},
            outcome="passed",
            longrepr=None,
            when=when,
            duration=slowest if index == 0 else 0.01,
        )
        for index in range(number)
        for when in ("setup", "call", "teardown")
    ]


def measure(title: str, root: Path, given: list[pytest.TestReport]) -> None:
    durations = Durations(root, root / "cache")
    marks = [time.perf_counter()]
    durations.read()
    marks.append(time.perf_counter())
    for report in given:
        durations.note(report)
    marks.append(time.perf_counter())
    durations.write({})
    marks.append(time.perf_counter())
    read, note, write = (1000 * (end - begin) for begin, end in pairwise(marks))
    print(f"| {title} | {read:.0f} | {note:.0f} | {write:.0f} |", flush=True)


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{number} tests, ms\n\n|  | read | note | write |\n| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for index in range(0, number, 34):
            place = root / f"internal/service{index // 34}"
            place.mkdir(parents=True)
            (place / "service_test.go").touch()
        for title, slowest in (("new", 0.01), ("the same", 0.01), ("one is slower", 5.0)):
            measure(title, root, reports(number, slowest))
        (path,) = root.glob("cache/durations/*[0-9a-f].json")
        print(f"\n{path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
