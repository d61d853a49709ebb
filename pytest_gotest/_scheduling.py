"""A scheduler for pytest-xdist's default, --dist=load: units of work, the longest first.

Written on xdist's `Scheduling` protocol. A worker runs a test when it knows the next one, so each is fed while
it holds fewer than two, and told to shut down when nothing is left.
"""

from __future__ import annotations

import enum
import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest

from pytest_gotest import _units
from pytest_gotest._remote import host
from pytest_gotest._units import Costs, Unit

# Work that a worker holds beside the test it runs, in seconds: more than a message takes; and that as
# a part of all its time, for the last units must not be given away early.
_AHEAD = 0.05
_AHEAD_PART = 0.02
_SHOWN = 20  # tests of a difference


class Told(enum.Enum):
    """What a worker has reported of a test."""

    NOTHING = enum.auto()
    VERDICT = enum.auto()  # and is in its tear-down
    ALL = enum.auto()


@dataclass(slots=True, eq=False)
class _Worker:
    """What a worker holds, in the order it runs it."""

    remote: bool
    pending: dict[int, None] = field(default_factory=dict)
    seconds: float = 0.0  # of what is pending, by estimate
    since: float = 0.0  # when it began with the first of it, by the scheduler's clock
    collected: bool = False
    lost: bool = False  # nothing can be sent to it any more

    def free_at(self, now: float) -> float:
        return max(now, self.since + self.seconds)


class UnitScheduling:
    """`Scheduling` of xdist. ``numnodes`` workers are awaited before the first test is handed out.

    ``restarts`` is how many lost workers xdist replaces, if it counts them; ``cut``: a package may run in
    several workers; ``most`` tests are in a unit, if given (--maxschedchunk); ``told`` says what a worker has
    reported of a test; ``say`` gets a line for the user; ``clock`` tells seconds.
    """

    def __init__(
        self,
        config: pytest.Config,
        costs: Costs,
        numnodes: int,
        *,
        restarts: int | None = None,
        cut: bool = True,
        most: int | None = None,
        told: Callable[[Any, str], Told] = lambda node, item: Told.NOTHING,
        say: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.numnodes = numnodes
        self.collection: list[str] | None = None
        self._costs = costs
        self._restarts = restarts
        self._cut = cut
        self._most = max(1, most) if most is not None else None
        self._told = told
        self._say = say
        self._clock = clock
        self._workers: dict[Any, _Worker] = {}
        self._collections: dict[Any, list[str]] = {}
        self._units: list[Unit] = []  # longest first, but for what has to be done again
        self._seconds: list[float] = []
        self._ahead = 0.0
        self._lost = 0
        self._lost_once: set[int] = set()

    @property
    def nodes(self) -> list[Any]:
        return list(self._workers)

    @property
    def collection_is_completed(self) -> bool:
        return len(self._collections) >= self.numnodes

    @property
    def tests_finished(self) -> bool:
        return (
            self.collection_is_completed
            and not self._units
            and all(len(worker.pending) < 2 for worker in self._workers.values())
        )

    @property
    def has_pending(self) -> bool:
        return bool(self._units) or any(worker.pending for worker in self._workers.values())

    def add_node(self, node: Any) -> None:
        self._workers[node] = _Worker(remote=host(node.gateway.spec) != "")

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        if self.collection is None:
            self._collections[node] = list(collection)
        elif self._differs(self.collection, node, collection):
            node.shutdown()  # it was to replace a lost one
            return
        self._workers[node].collected = True

    def schedule(self) -> None:
        """All have collected; or one has that came later."""
        if self.collection is None and not self._begin():
            return
        for node in self.nodes:  # one for each, before the first gets a second
            self._send_one(node, only_idle=True)
        self._feed_all()

    def _begin(self) -> bool:
        (first, collection), *others = self._collections.items()
        differ = [self._differs(collection, node, other, first) for node, other in others]
        if any(differ):
            return False  # xdist ends the session: nothing is pending
        self.collection = collection
        self._seconds = _units.estimate(collection, self._costs)
        workers = min(self.numnodes, len(collection)) or 1
        self._units = _units.plan_units(
            collection, self._costs, workers if self._cut else 1, most=self._most
        )
        work = sum(unit.cost for unit in self._units)
        self._ahead = min(_AHEAD, _AHEAD_PART * work / workers)
        return True

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        worker = self._workers[node]
        del worker.pending[item_index]
        worker.since = self._clock()
        worker.seconds = max(0.0, worker.seconds - self._seconds[item_index])
        self._feed(node)

    def mark_test_pending(self, item: str) -> None:
        """Run this one again; asked for by plugins when a worker was lost with it."""
        assert self.collection is not None
        self._first_of_all([self.collection.index(item)])
        self._feed_all()

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        raise NotImplementedError("no test is ever taken back from a worker")

    def remove_node(self, node: Any) -> str | None:
        """A worker is gone. What it held is for others, but for the test that it ran, which is returned.

        That of a worker on another host is run once more, if there will be another worker: the connection may have
        been lost and not the worker. If its verdict is known it was in its tear-down, and does not run again; if that is
        over as well, nothing is wrong with it.
        """
        worker = self._workers.pop(node)
        self._lost += bool(worker.pending)
        if self.collection is None:
            self._collections.pop(node, None)
        if not worker.pending:
            return None
        assert self.collection is not None
        running, *left = worker.pending
        replaced = self._restarts is None or self._lost <= self._restarts
        told = self._told(node, self.collection[running])
        again = worker.remote and replaced and running not in self._lost_once
        again = again and told is Told.NOTHING
        if again:
            self._lost_once.add(running)
            left.insert(0, running)
        self._first_of_all(left)
        if left:
            tests, wait = ("tests", "wait") if len(left) > 1 else ("test", "waits")
            words = f"gotest: {len(left)} {tests} without a verdict "
            words += f"from {node.gateway.id} {wait} for another worker"
            self._say(words + (f", {self.collection[running]} among them" if again else ""))
        self._feed_all()
        return None if again or told is Told.ALL else self.collection[running]

    def _first_of_all(self, indices: Iterable[int]) -> None:
        assert self.collection is not None
        self._units[:0] = _units.regroup(self.collection, indices, self._costs)

    # Feeding

    def _feed_all(self) -> None:
        for node in self.nodes:
            self._feed(node)

    def _feed(self, node: Any) -> None:
        worker = self._workers[node]
        while self._units and self._is_hungry(worker):
            if not self._send_one(node):
                return
        if not self._units and worker.collected and not node.shutting_down:
            node.shutdown()

    def _is_hungry(self, worker: _Worker) -> bool:
        if len(worker.pending) < 2:
            return True
        left = 0.0
        for index in islice(worker.pending, 1, None):
            left += self._seconds[index]
            if left >= self._ahead:
                return False
        return True

    def _send_one(self, node: Any, *, only_idle: bool = False) -> bool:
        """Send it the next unit, if it can get any."""
        worker = self._workers[node]
        if not self._units or not worker.collected or worker.lost or node.shutting_down:
            return False
        if only_idle and worker.pending:
            return False
        unit = self._take(worker)
        try:
            node.send_runtest_some(list(unit.indices))
        except OSError:
            # It is gone, and xdist will hear of it: nobody must take these for what it ran.
            self._units.insert(0, unit)
            worker.lost = True
            return False
        if not worker.pending:
            worker.since, worker.seconds = self._clock(), 0.0
        worker.pending.update(dict.fromkeys(unit.indices))
        worker.seconds += unit.cost
        return True

    def _take(self, worker: _Worker) -> Unit:
        """The unit that it would be given if it could wait until it is free.

        It has to hold a next test while it runs its last one. If that is a long one, the others will have taken
        the longest units before it is over, and one of these would wait here for nothing.
        """
        now = self._clock()
        free = worker.free_at(now)
        others = [other.free_at(now) for other in self._workers.values() if other is not worker]
        heapq.heapify(others)
        place = 0
        while others and others[0] < free and place < len(self._units) - 1:
            heapq.heapreplace(others, others[0] + self._units[place].cost)
            place += 1
        return self._units.pop(place)

    def _differs(
        self, known: Sequence[str], node: Any, other: Sequence[str], first: Any = None
    ) -> bool:
        """Whether a worker found other tests than there are; xdist ends the session then, and this says why."""
        if list(known) == list(other):
            return False
        report = pytest.CollectReport(
            nodeid=node.gateway.id,
            outcome="failed",
            longrepr=difference(known, other, first, node),
            result=[],
        )
        self.config.hook.pytest_collectreport(report=report)
        return True


def difference(known: Sequence[str], other: Sequence[str], first: Any, node: Any) -> str:
    """What two workers collected that is not the same."""
    one, two = (first.gateway.id if first is not None else "those before"), node.gateway.id
    said = [f"{two} collected other tests than {one}, so indices of tests mean nothing."]
    for who, ids in ((one, set(known) - set(other)), (two, set(other) - set(known))):
        if ids:
            shown = sorted(ids)[:_SHOWN]
            more = f"\n  and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
            said.append(f"Only on {who}:\n  " + "\n  ".join(shown) + more)
    if len(said) == 1:
        said.append("They are the same tests in another order.")
    said.append("hint: collection must not depend on the worker, the time, or the order of a set.")
    return "\n".join(said)
