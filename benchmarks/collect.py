"""What pytest and the plugin add to Go's own work: collection, and the cost of a passing test.

    python -m benchmarks.collect [--rounds 5] [--packages 300] [--tests 34] [--profile]

* first and second collection of a generated module, the plugin's cache being empty or not (the Go
  build cache plays no part: nothing is built);
* a session of one package with 5000 trivial tests, less its collection, beside the bare binary.

``--profile`` prints instead where the time of one run of each goes.
"""

from __future__ import annotations

import argparse
import io
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import gate, measuring, synthetic
from benchmarks.measuring import PYTEST, Sample
from pytest_gotest._lane import Group

TRIVIAL = 5000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packages", type=int, default=300)
    parser.add_argument("--tests", type=int, default=34)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(os.path.realpath(temporary))
        many, trivial, cache = place / "many", place / "trivial", place / "cache"
        synthetic.write(many, given.packages, given.tests)
        trivial.mkdir()
        gate.write(trivial, TRIVIAL)
        env = measuring.environment(XDG_CACHE_HOME=str(cache), GOCACHE=_gocache())
        if given.profile:
            for arguments, cwd in (
                (["--co"], many),
                (["--co"], many),
                ([], trivial),
                ([], trivial),
            ):
                _profile(arguments, cwd, env)
            return

        def first() -> Sample:
            shutil.rmtree(cache, ignore_errors=True)
            return collect(many)

        def collect(cwd: Path) -> Sample:
            return measuring.run([*PYTEST, "--gotest", "-q", "--co"], cwd, env)

        def session() -> Sample:
            return measuring.run([*PYTEST, "--gotest", "-q"], trivial, env)

        empty = place / "empty"
        empty.mkdir()
        samples: dict[str, list[Sample]] = {}
        collections = measuring.interleaved(
            given.rounds, {"first": first, "second": lambda: collect(many)}
        )
        samples |= {f"{name} collection": taken for name, taken in collections.items()}
        measuring.expect_success("build", session())
        how = gate.launch(trivial)
        samples |= measuring.interleaved(
            given.rounds,
            {
                "5000 tests: session": session,
                "5000 tests: collection": lambda: collect(trivial),
                "5000 tests: bare binary": lambda: measuring.run(
                    how.argv(Group(())), trivial, how.env
                ),
            },
        )
    print(f"{measuring.machine()}; {given.rounds} rounds, ", end="")
    print(f"{given.packages * given.tests} tests in {given.packages} packages\n")
    rows = [
        [
            name,
            f"{median(s.wall for s in taken):.2f}",
            f"{min(s.wall for s in taken):.2f}",
            f"{median(s.cpu for s in taken):.2f}",
            f"{median(s.peak for s in taken):.0f}",
        ]
        for name, taken in samples.items()
    ]
    print(measuring.table(("", "wall s", "least", "CPU s", "peak MiB"), rows))
    whole, *less = list(samples.values())[2:]
    for what in ("wall", "cpu"):
        own = [
            getattr(a, what) - sum(getattr(b, what) for b in others)
            for a, *others in zip(whole, *less, strict=True)
        ]
        print(f"\na passing test costs {median(own) / TRIVIAL * 1e3:.3f} ms of {what} more")


def _gocache() -> str:
    done = subprocess.run(["go", "env", "GOCACHE"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _profile(arguments: list[str], cwd: Path, env: dict[str, str]) -> None:
    stats = cwd / "profile"
    argv = ["-m", "cProfile", "-o", str(stats), *PYTEST[1:], "--gotest", "-q", *arguments]
    measuring.expect_success("pytest", measuring.run([sys.executable, *argv], cwd, env))
    text = io.StringIO()
    pstats.Stats(str(stats), stream=text).sort_stats("tottime").print_stats(35)
    print(cwd.name, *arguments, text.getvalue())
    stats.unlink()


if __name__ == "__main__":
    main()
