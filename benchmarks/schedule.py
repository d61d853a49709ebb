"""How well the scheduler for xdist fills workers, against a bound that nobody can go below; and how it grows.

    python -m benchmarks.schedule [DURATIONS ...]

The real scheduler, workers that are simulated on a clock of their own: each takes as long for a test as was
recorded, and its package's start when it begins a unit. DURATIONS are files of the plugin's cache directory
(`durations/*.json`; the one with `.starts` is found beside it). Without any, four sets are drawn, of 300 packages: the
seconds of tests and of starts are log-normal, with the medians named. The bound is the larger of all work,
each start once, over the number of workers, and the longest test with its start.

Then up to 100,000 tests are handed out, with the time and the memory that takes.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import time
import tracemalloc
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytest_gotest._scheduling import UnitScheduling
from pytest_gotest._units import Costs, estimate, home

WORKERS = (2, 8, 32, 128)


class SimulatedWorker:
    """What the scheduler knows of a worker, and the clock it keeps."""

    def __init__(self, name: int) -> None:
        spec = SimpleNamespace(popen=True, via=None, ssh=None, vagrant_ssh=None, socket=None)
        self.gateway = SimpleNamespace(id=f"gw{name}", spec=spec)
        self.queue: deque[int] = deque()
        self.begins: set[int] = set()
        self.shutting_down = False

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.begins.add(indices[0])
        self.queue.extend(indices)

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def may_run(self) -> bool:
        return len(self.queue) > 1 or (bool(self.queue) and self.shutting_down)


def simulate(ids: Sequence[str], costs: Costs, workers: int) -> float:
    """Seconds until the last test is over."""
    seconds = estimate(ids, costs)
    now = over = 0.0
    config: Any = SimpleNamespace()
    scheduler = UnitScheduling(config, costs, workers, clock=lambda: now)
    nodes = [SimulatedWorker(number) for number in range(workers)]
    for node in nodes:
        scheduler.add_node(node)
    for node in nodes:
        scheduler.add_node_collection(node, ids)
    scheduler.schedule()
    busy: list[tuple[float, int, int]] = []  # (when it is over, worker, test)
    idle = set(range(workers))

    def begin() -> None:
        for number in sorted(idle):
            node = nodes[number]
            if node.may_run:
                index = node.queue.popleft()
                took = seconds[index]
                if index in node.begins:
                    took += costs.starts.get(home(ids[index]), 0.0)
                heapq.heappush(busy, (now + took, number, index))
                idle.discard(number)

    begin()
    while busy:
        now, number, index = heapq.heappop(busy)
        over = now
        scheduler.mark_test_complete(nodes[number], index)
        idle.add(number)
        begin()
    assert not scheduler.has_pending
    return over


def bound(ids: Sequence[str], costs: Costs, workers: int) -> float:
    seconds = estimate(ids, costs)
    starts = sum(costs.starts.get(place, 0.0) for place in {home(name) for name in ids})
    longest = max(
        took + costs.starts.get(home(name), 0.0) for name, took in zip(ids, seconds, strict=True)
    )
    return max((sum(seconds) + starts) / workers, longest)


def drawn(test: float, start: float, seed: int = 1) -> tuple[list[str], Costs]:
    """300 packages whose numbers of tests, and the seconds of these, are log-normal with this median."""
    draw = random.Random(seed)
    ids = [
        f"p{package}/x_test.go::Test{number}"
        for package in range(300)
        for number in range(1 + int(draw.lognormvariate(3, 1)))
    ]
    tests = {name: test * draw.lognormvariate(0, 1.5) for name in ids}
    starts = {home(name): 0.0 for name in ids}
    return ids, Costs(tests, {place: start * draw.lognormvariate(0, 0.5) for place in starts})


def recorded(path: Path) -> tuple[list[str], Costs]:
    tests = json.loads(path.read_text())
    beside = path.with_suffix(".starts.json")
    return list(tests), Costs(tests, json.loads(beside.read_text()) if beside.exists() else {})


def growth(number: int) -> tuple[float, float]:
    """Seconds and MiB to plan and hand out so many tests in packages of 34."""
    ids = [f"p{index // 34}/x_test.go::Test{index % 34}" for index in range(number)]
    costs = Costs({name: 0.001 for name in ids[::2]})
    tracemalloc.start()
    simulate(ids, costs, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    began = time.perf_counter()
    simulate(ids, costs, 8)
    return time.perf_counter() - began, peak / (1 << 20)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("durations", nargs="*", type=Path, metavar="DURATIONS")
    given = parser.parse_args()
    sets = {path.stem: recorded(path) for path in given.durations} or {
        f"tests {1000 * test:g} ms, starts {1000 * start:g} ms": drawn(test, start)
        for test, start in ((0.002, 0.01), (0.01, 0.05), (0.05, 0.05), (0.3, 0.5))
    }
    print("Time until all is over, as a multiple of the bound.\n")
    print(f"|  | tests | {' | '.join(f'{workers} workers' for workers in WORKERS)} |")
    print(f"| --- | ---: | {' | '.join('---:' for _ in WORKERS)} |")
    for name, (ids, costs) in sets.items():
        found = [simulate(ids, costs, workers) / bound(ids, costs, workers) for workers in WORKERS]
        print(f"| {name} | {len(ids)} | {' | '.join(f'{ratio:.3f}' for ratio in found)} |")
    print("\n| tests | s | MiB |\n| ---: | ---: | ---: |")
    for number in (12_500, 25_000, 50_000, 100_000):
        seconds, peak = growth(number)
        print(f"| {number} | {seconds:.2f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
