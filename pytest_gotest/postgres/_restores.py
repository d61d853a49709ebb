"""What keeping databases at their baseline took, of one process or of many workers; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

_WORDS = {
    "delta": "by what was touched",
    "truncate": "by truncating",
    "clone": "by a new database",
    "recopy": "by a new server",
}


@dataclass(slots=True)
class Counts:
    """``tests`` that had the database by gotest_db, ``touched`` of them wrote; ``has_written``: one of them,
    or a process of Go tests, did; ``seconds`` of each restore by its kind.

    ``renewed``: who made a new database or server necessary, and why; ``left``: what whom had left open; ``server``:
    version and kind, the same for all workers.
    """

    server: str = ""
    tests: int = 0
    touched: int = 0
    has_written: bool = False
    seconds: dict[str, list[float]] = field(default_factory=dict)
    renewed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @classmethod
    def merged(cls, many: Iterable[Counts]) -> Counts:
        total = cls()
        for one in many:
            total.server = total.server or one.server
            total.tests += one.tests
            total.touched += one.touched
            total.has_written |= one.has_written
            total.renewed += one.renewed
            total.left += one.left
            for kind, seconds in one.seconds.items():
                total.seconds.setdefault(kind, []).extend(seconds)
        return total

    @property
    def line(self) -> str:
        """Empty where there was nothing to say."""
        said = [self.server] if self.server and (self.tests or self.has_written) else []
        if self.tests:
            tests = f"{self.tests} test{'s' if self.tests != 1 else ''}"
            said.append(f"{self.touched} of {tests} wrote to the database")
        ways = [
            f"{len(self.seconds[kind])} {words} (median {1000 * median(self.seconds[kind]):.1f} ms)"
            for kind, words in _WORDS.items()
            if kind in self.seconds
        ]
        if ways:
            said.append(f"put back {', '.join(ways)}")
        return "; ".join(said)
