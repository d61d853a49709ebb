"""Real sessions with real workers that are killed at random: none hangs, and no verdict is lost.

    python -m benchmarks.crashes [--runs 200] [--seed 0]

Each run draws a number of workers, of packages and tests, a way of isolation, and how likely a worker is
killed at a test, all from its own seed. A run is well when it ends within two minutes, each test is reported once, and
what failed are the tests at which workers were killed. Prints a line a run and stops at the first that is not well.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from benchmarks import measuring
from benchmarks.measuring import PYTEST

LIMIT = 120.0  # seconds
MAX_CRASHES = 50

CONFTEST = """\
import os, random, signal

def pytest_runtest_logstart(nodeid):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    draw = random.Random(os.environ["SEED"] + nodeid + os.environ["PYTEST_XDIST_WORKER"])
    if draw.random() < float(os.environ["CRASH"]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def write(root: Path, draw: random.Random) -> int:
    """A module with Python tests beside it; returns how many tests there are."""
    (root / "go.mod").write_text("module example.com/crashes\n\ngo 1.22\n")
    (root / "conftest.py").write_text(CONFTEST)
    total = 0
    for package in range(draw.randrange(1, 8)):
        tests = draw.randrange(1, 12)
        body = "".join(
            f"\nfunc Test{number}(t *testing.T) {{ time.Sleep({draw.randrange(4)} * time.Millisecond) }}\n"
            for number in range(tests)
        )
        (root / f"p{package}").mkdir()
        (root / f"p{package}" / "p_test.go").write_text(
            f'package p{package}\n\nimport (\n\t"testing"\n\t"time"\n)\n{body}'
        )
        total += tests
    python = draw.randrange(0, 12)
    (root / "test_beside.py").write_text(
        "".join(f"def test_{number}():\n    pass\n\n" for number in range(python))
    )
    return total + python


def one(seed: int) -> str:
    """What was seen. Raises AssertionError with the output of a run that was not well."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="gotest-crashes-") as temporary:
        root = Path(temporary)
        total = write(root, draw)
        workers, crash = draw.choice([1, 2, 3, 4, 8]), draw.choice([0.01, 0.05, 0.2])
        isolate = draw.choice(["auto", "auto", "gate"])
        argv = [*PYTEST, "-p", "xdist", "--gotest", f"-n{workers}", f"--gotest-isolate={isolate}"]
        argv += [f"--max-worker-restart={MAX_CRASHES}", "--junitxml=report.xml", "-q"]
        env = measuring.environment(SEED=str(seed), CRASH=str(crash))
        done = subprocess.run(
            argv,
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            text=True,
        )
        reported = Counter(
            f"{case.get('classname')}::{case.get('name')}"
            for case in ET.parse(root / "report.xml").iter("testcase")
        )
        killed = len(re.findall("^worker .* crashed while running", done.stdout, re.MULTILINE))
        summed = re.search(r"(?:(\d+) failed, )?(\d+) passed", done.stdout)
        failed, passed = (int(number or 0) for number in summed.groups()) if summed else (0, 0)
        said = f"{total} tests, {workers} workers, {isolate}, crash {crash}: "
        said += f"{failed} killed, exit {done.returncode}"
        well = (
            sum(reported.values()) == total
            and failed + passed == total
            and failed == killed
            and done.returncode == int(killed > 0)
        )
        assert well, f"{said}\n{done.stdout}"
        return said


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for number in range(given.runs):
        print(f"{number + 1}/{given.runs}: {one(given.seed + number)}", flush=True)
    print("no hang, no lost verdict")


if __name__ == "__main__":
    main()
