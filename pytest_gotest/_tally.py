"""What building came to, in numbers that travel from workers to their controller, and in words; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Tally:
    """Packages by what became of them. ``asked`` is how many go was asked about; ``by`` is the worker that did."""

    current: int = 0
    fresh: int = 0
    failed: int = 0
    asked: int = 0
    seconds: float = 0.0
    evicted: int = 0
    freed: int = 0
    by: str = ""

    @property
    def line(self) -> str:
        """One line for the terminal; empty if there was nothing to build."""
        if not (self.current or self.fresh or self.failed):
            return ""
        by = f" by {self.by}" if self.by else ""
        if self.fresh or self.failed:
            words = f"gotest: {packages(self.fresh)} built in {self.seconds:.1f} s{by}"
            words += f" ({self.current} up to date)" if self.current else ""
        else:
            words = f"gotest: {packages(self.current)} up to date ({self.seconds:.1f} s)"
        if self.failed:
            words += f", {self.failed} failed to build"
        return words

    @property
    def eviction(self) -> str:
        if not self.evicted:
            return ""
        directories = f"{self.evicted} director{'ies' if self.evicted != 1 else 'y'}"
        return f"gotest: cache: {directories} evicted, {size(self.freed)}"


def merged(tallies: Sequence[Tally]) -> Tally:
    """Of all workers of one run. What one of them built the others found up to date."""
    builders = [tally for tally in tallies if tally.asked]
    fresh = sum(tally.fresh for tally in tallies)
    sound = max((tally.current + tally.fresh for tally in tallies), default=0)
    return Tally(
        current=max(0, sound - fresh),
        fresh=fresh,
        failed=max((tally.failed for tally in tallies), default=0),
        asked=sum(tally.asked for tally in tallies),
        # The others' time is waiting.
        seconds=max((tally.seconds for tally in builders or tallies), default=0.0),
        evicted=sum(tally.evicted for tally in tallies),
        freed=sum(tally.freed for tally in tallies),
        by=", ".join(sorted({tally.by for tally in builders if tally.by})),
    )


def packages(number: int) -> str:
    return f"{number} package{'s' if number != 1 else ''}"


def size(number: float) -> str:
    """``1.2 GiB`` of a number of bytes."""
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
