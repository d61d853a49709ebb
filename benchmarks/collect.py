"""What pytest and the plugin add to Go's own work: collection, and the cost of a passing test.

    python -m benchmarks.collect [--rounds 5] [--packages 300] [--tests 34] [--profile]

* as many Python tests in as many files, which is what pytest itself takes;
* first and second collection of a generated module, the plugin's cache being empty or not (the Go
  build cache plays no part: nothing is built);
* a session of one package with 5000 trivial tests, less its collection and less what the bare
  binary takes, beside the same of 5000 Python tests.

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
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks import gate, measuring, synthetic
from benchmarks.measuring import PYTEST, Sample
from pytest_gotest._plan import Group

TRIVIAL = 5000
SESSION, COLLECTION = f"{TRIVIAL}: session", f"{TRIVIAL}: collection"
BINARY = f"{TRIVIAL}: bare binary"


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
        python(place / "python-many", given.packages * 2, given.tests // 2)
        python(place / "python-trivial", 1, TRIVIAL)
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

        go = [*PYTEST, "--gotest", "-q"]
        plain = [sys.executable, "-m", "pytest", "-q"]

        def first() -> Sample:
            shutil.rmtree(cache, ignore_errors=True)
            return measuring.run([*go, "--co"], many, env)

        def ran(argv: Sequence[str], cwd: Path) -> Callable[[], Sample]:
            return lambda: measuring.run(argv, cwd, env)

        samples = measuring.interleaved(
            given.rounds,
            {
                "many: Python": ran([*plain, "--co"], place / "python-many"),
                "many: Go, first": first,
                "many: Go, second": ran([*go, "--co"], many),
            },
        )
        measuring.expect_success("build", measuring.run(go, trivial, env))
        how = gate.launch(trivial)
        samples |= measuring.interleaved(
            given.rounds,
            {
                SESSION: ran(go, trivial),
                COLLECTION: ran([*go, "--co"], trivial),
                BINARY: lambda: measuring.run(how.argv(Group(())), trivial, how.env),
                f"Python: {SESSION}": ran(plain, place / "python-trivial"),
                f"Python: {COLLECTION}": ran([*plain, "--co"], place / "python-trivial"),
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
    for title, minuend, subtrahends in (
        ("Go", SESSION, (COLLECTION, BINARY)),
        ("Python", f"Python: {SESSION}", (f"Python: {COLLECTION}",)),
    ):
        own = {
            what: median(
                getattr(whole, what) - sum(getattr(part, what) for part in parts)
                for whole, *parts in zip(
                    samples[minuend], *(samples[name] for name in subtrahends), strict=True
                )
            )
            for what in ("wall", "cpu")
        }
        each = ", ".join(f"{own[what] / TRIVIAL * 1e3:.3f} ms {what}" for what in own)
        print(f"\na passing {title} test costs pytest {each}")


def python(directory: Path, files: int, tests: int) -> None:
    """Python tests that do nothing."""
    directory.mkdir()
    text = "".join(f"def test_{number:05}(): pass\n" for number in range(tests))
    for number in range(files):
        (directory / f"test_file{number:03}.py").write_text(text)


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
