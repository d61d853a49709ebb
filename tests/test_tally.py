"""What building came to, in words and summed up over workers."""

from __future__ import annotations

import pytest

from pytest_gotest._tally import Tally, merged, size


@pytest.mark.parametrize(
    ("tally", "line"),
    [
        (Tally(), ""),
        (Tally(fresh=3, seconds=1.94), "gotest: 3 packages built in 1.9 s"),
        (Tally(fresh=1, current=31, seconds=1), "gotest: 1 package built in 1.0 s (31 up to date)"),
        (Tally(current=2, seconds=0.04), "gotest: 2 packages up to date (0.0 s)"),
        (
            Tally(failed=1, current=2, seconds=2, by="gw0"),
            "gotest: 0 packages built in 2.0 s by gw0 (2 up to date), 1 failed to build",
        ),
    ],
)
def test_a_line(tally: Tally, line: str) -> None:
    assert tally.line == line


def test_evictions() -> None:
    assert Tally(fresh=1).eviction == ""
    assert Tally(evicted=1, freed=512).eviction == "gotest: cache: 1 directory evicted, 512 B"
    several = Tally(evicted=3, freed=1288490189)
    assert several.eviction == "gotest: cache: 3 directories evicted, 1.2 GiB"


def test_of_several_workers_the_builder_counts() -> None:
    """The others waited for it, and found what it built."""
    builder = Tally(
        fresh=2, current=1, failed=1, asked=3, seconds=4.0, evicted=1, freed=9, by="gw1"
    )
    other = Tally(current=3, failed=1, seconds=5.0, by="gw0")
    assert merged([other, builder, other]) == Tally(1, 2, 1, 3, 4.0, 1, 9, "gw1")
    assert merged([other, other]).line.startswith(
        "gotest: 0 packages built in 5.0 s (3 up to date)"
    )
    current = Tally(current=3, seconds=0.1)
    assert merged([current, current]).line == "gotest: 3 packages up to date (0.1 s)"
    assert merged([]) == Tally()


def test_sizes() -> None:
    assert [size(n) for n in (0, 1023, 1024, 5 << 20, 3 << 30, 1 << 50)] == [
        "0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3.0 GiB", "1024.0 TiB",
    ]  # fmt: skip
