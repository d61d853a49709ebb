"""What is said of all Go tests at the end of a session, of one process or of many workers; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_gotest._tally import Tally, merged, packages


@dataclass(slots=True)
class Summary:
    """``ran`` Go tests in ``processes``; ``restarted`` of them again because a neighbour ended their process.

    ``unsteered``: why test binaries took no orders -> packages. ``leftover``: what went wrong in packages whose last
    test never came. ``starts``: seconds until the first test could run, by `_units.home`. ``changed``: what
    --gotest-changed chose and why, and ``left_out`` how many it did not, the same in all workers. ``built``: what
    the builds came to, as `Tally` has it.
    """

    ran: int = 0
    processes: int = 0
    restarted: int = 0
    unsteered: dict[str, list[str]] = field(default_factory=dict)
    leftover: list[str] = field(default_factory=list)
    starts: dict[str, float] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    left_out: int = 0
    built: list[dict[str, Any]] = field(default_factory=list)

    def add(self, given: dict[str, Any]) -> None:
        """Take in that of a worker, as `as_data` gave it."""
        other = Summary(**given)
        self.ran += other.ran
        self.processes += other.processes
        self.restarted += other.restarted
        for why, those in other.unsteered.items():
            self.unsteered[why] = sorted({*self.unsteered.get(why, ()), *those})
        self.leftover += other.leftover
        self.changed = self.changed or other.changed
        self.left_out = max(self.left_out, other.left_out)
        self.built += other.built
        for place, seconds in other.starts.items():
            self.starts[place] = max(seconds, self.starts.get(place, 0.0))

    def as_data(self) -> dict[str, Any]:
        """Of what execnet can send."""
        return asdict(self)

    def lines(self, *, verbose: bool, workers: bool) -> list[tuple[str, str]]:
        """Each with its colour; empty is none. Without workers some was said when it was known."""
        said = [(line, "") for line in self.changed]
        tally = merged([Tally(**data) for data in self.built])
        if workers and tally.line:
            said.append((tally.line, ""))
        if verbose and tally.eviction:
            said.append((tally.eviction, ""))
        said += [(f"gotest: {problem}", "red") for problem in self.leftover]
        for why, of in self.unsteered.items():
            words = f"gotest: {packages(len(of))} ran a process for each test: {why}"
            said.append((words, "yellow"))
        if self.ran:
            words = f"gotest: {self.ran} Go test{'s' if self.ran != 1 else ''} in "
            words += f"{self.processes} process{'es' if self.processes != 1 else ''}"
            if self.restarted:
                words += f", {self.restarted} ran again because a neighbour ended their process"
            said.append((words, ""))
        return said


def by_reason(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """(package, why) -> packages by why, the most frequent first."""
    pairs = list(pairs)
    frequent = Counter(why for _, why in pairs)
    return {
        why: sorted(package for package, reason in pairs if reason == why)
        for why, _ in frequent.most_common()
    }
