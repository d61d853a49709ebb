"""What the plugin costs a session that has no Go tests.

    python -m benchmarks.startup [--rounds 21]

Imports the entry point as pytest does, pytest itself being imported already, and runs pytest on
nothing with and without the plugin in turn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import measuring

_IMPORT = """\
import sys, time
import pytest, _pytest.config
before = set(sys.modules)
wall, cpu = time.perf_counter(), time.process_time()
import pytest_gotest.plugin
print(time.perf_counter() - wall, time.process_time() - cpu, *sorted(set(sys.modules) - before))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=21)
    rounds: int = parser.parse_args().rounds
    env = measuring.environment()

    walls, cpus, modules = [], [], [""]
    for _ in range(rounds):
        said = subprocess.run(
            [sys.executable, "-c", _IMPORT], env=env, check=True, capture_output=True, text=True
        )
        wall, cpu, *modules = said.stdout.split()
        walls.append(float(wall))
        cpus.append(float(cpu))

    with tempfile.TemporaryDirectory() as temporary:
        empty = Path(temporary, "test_one.py")
        empty.write_text("def test_one(): pass\n")
        bare = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        samples = measuring.interleaved(
            rounds,
            {
                "without": lambda: measuring.run(bare, empty.parent, env),
                "with": lambda: measuring.run(
                    [*bare, "-p", "pytest_gotest.plugin"], empty.parent, env
                ),
            },
        )
    print(f"{measuring.machine()}; {rounds} rounds\n")
    rows = [
        ("import of the entry point, wall", *_milliseconds(walls, [0.0])),
        ("import of the entry point, CPU", *_milliseconds(cpus, [0.0])),
    ]
    for what in ("wall", "cpu"):
        taken = [[getattr(s, what) for s in samples[name]] for name in ("with", "without")]
        rows.append((f"a session of one Python test, more {what}", *_milliseconds(*taken)))
    print(measuring.table(("", "of the medians, ms", "of the least, ms"), rows))
    print(f"\nmodules imported: {', '.join(modules)}")


def _milliseconds(one: list[float], other: list[float]) -> tuple[str, str]:
    """How much more the first takes, by the medians and by the least of each."""
    return (
        f"{(median(one) - median(other)) * 1e3:.2f}",
        f"{(min(one) - min(other)) * 1e3:.2f}",
    )


if __name__ == "__main__":
    main()
