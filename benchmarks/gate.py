"""What the gate costs a test: the same binary under orders, and free.

    python -m benchmarks.gate [--tests 2000] [--rounds 7]

One package of trivial tests is built as a session builds it, harness included. Then, in turn:

* bare: the binary without orders, as cmd/go starts it; its output is read and thrown away;
* free: all tests as one group, decoded and reported;
* queued: a group for each test, all handed out beforehand;
* in step: a group for each test, the next one only after the verdict of the last, as a pytest
  session does where a fixture acts between tests.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks import measuring
from benchmarks.measuring import Sample
from pytest_gotest._build import Builder
from pytest_gotest._lane import Lane
from pytest_gotest._launch import Launch, binary_launch
from pytest_gotest._outcome import PASS, Result
from pytest_gotest._plan import Group, Test
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import Toolchain, find_go

MODULE = "example.com/gate"


def write(directory: Path, tests: int) -> list[Test]:
    (directory / "go.mod").write_text(f"module {MODULE}\n\ngo 1.22\n")
    names = [f"Test{number:05}" for number in range(tests)]
    text = "".join(f"\nfunc {name}(t *testing.T) {{}}\n" for name in names)
    (directory / "gate_test.go").write_text(f'package gate\n\nimport "testing"\n{text}')
    return [Test(MODULE, name) for name in names]


def launch(directory: Path) -> Launch:
    toolchain = Toolchain(find_go(), measuring.environment())
    settings = Settings(cache_dir=directory / ".cache")
    packages = toolchain.packages(str(directory), ["."], ())
    built = Builder(toolchain, settings).build(packages, packages)
    for error in built.errors.values():
        raise error
    binary = built.binaries[MODULE]
    env = toolchain.env(str(directory))
    return binary_launch(packages[0], binary, settings, env, measuring.environment())


def under_orders(how: Launch, groups: Sequence[tuple[Test, ...]], *, in_step: bool) -> Sample:
    """Its own thread's CPU and the binary's, on one clock."""
    results: dict[Test, Result] = {}
    arrived = threading.Semaphore(0)

    def deliver(test: Test, result: Result) -> None:
        results[test] = result
        arrived.release()

    before, began = _cpu(), time.perf_counter()
    lane = Lane(how, deliver)
    if not in_step:
        for group in groups:
            lane.put(Group(group))
        lane.close()
    lane.start()
    for group in groups:
        if in_step:
            lane.put(Group(group))
        for _ in group:
            arrived.acquire()
    lane.close()
    lane.join()
    wall = time.perf_counter() - began
    wrong = [test.name for test, result in results.items() if result.verdict != PASS]
    return Sample(wall, _cpu() - before, 0.0, len(wrong) + len(lane.problems), str(lane.problems))


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(os.path.realpath(temporary))
        tests = write(directory, given.tests)
        how = launch(directory)
        apart = [(test,) for test in tests]
        bare = [*how.argv(Group(()))]
        ways: dict[str, Callable[[], Sample]] = {
            "bare": lambda: measuring.run(bare, directory, how.env),
            "free": lambda: under_orders(how, [tuple(tests)], in_step=False),
            "queued": lambda: under_orders(how, apart, in_step=False),
            "in step": lambda: under_orders(how, apart, in_step=True),
        }
        for way in ways.values():
            way()
        samples = measuring.interleaved(given.rounds, ways)
    print(f"{measuring.machine()}; {given.tests} tests, {given.rounds} rounds\n")
    rows = []
    for name, taken in samples.items():
        pairs = list(zip(taken, samples["free"], strict=True))
        more = {
            what: [(getattr(a, what) - getattr(b, what)) / given.tests * 1e3 for a, b in pairs]
            for what in ("wall", "cpu")
        }
        rows.append(
            [
                name,
                f"{median(s.wall for s in taken):.3f}",
                f"{median(s.cpu for s in taken):.3f}",
                *(f"{median(more[what]):.3f}" for what in ("wall", "cpu")),
            ]
        )
    heads = ("", "wall s", "CPU s", "wall over free, ms a test", "CPU over free, ms a test")
    print(measuring.table(heads, rows))


if __name__ == "__main__":
    main()
