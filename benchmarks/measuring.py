"""Run commands, measure each, and say on what machine; knows nothing of what is measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PYTEST = (sys.executable, "-m", "pytest", "-p", "pytest_gotest.plugin")
"""pytest with this plugin and no other one: see `environment`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds on the clock, seconds of CPU with all waited-for descendants, and MiB.

    ``peak`` is the resident memory of the largest single process of the run, not the sum of those
    that lived at one time.
    """

    wall: float
    cpu: float
    peak: float
    code: int = 0
    output: str = ""


def environment(**changed: str) -> dict[str, str]:
    """This process's own, without other pytest plugins and without options from outside."""
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0"}
    # An installed plugin is compiled; a checkout may be where nothing is, and would be each time.
    without = ("PYTEST_ADDOPTS", "GOFLAGS", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    for name in without:
        env.pop(name, None)
    # Measured from a checkout as well as installed.
    paths = [str(Path(__file__).parent.parent), env.get("PYTHONPATH", "")]
    return {**env, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **changed}


def run(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Sample:
    """Run to the end; output goes to a file, so that no reader competes for the processor."""
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        process = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        file.seek(0)
        output = file.read().decode("utf-8", "replace")
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(wall, cpu, usage.ru_maxrss / scale, process.returncode, output)


def expect_success(what: str, sample: Sample) -> Sample:
    """A run that failed measures nothing."""
    if sample.code:
        raise SystemExit(f"{what} ended with {sample.code}:\n{sample.output[-4000:]}")
    return sample


def interleaved(
    rounds: int, contestants: Mapping[str, Callable[[], Sample]]
) -> dict[str, list[Sample]]:
    """Each contestant once a round, each round from another start: all share the weather."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            samples[name].append(expect_success(name, contestants[name]()))
            print(f"  {name}: {samples[name][-1].wall:.2f} s", file=sys.stderr, flush=True)
    return samples


def ratio(
    samples: Sequence[Sample], base: Sequence[Sample], of: Callable[[Sample], float]
) -> float:
    """Median of the ratios of one round each."""
    return median(of(a) / of(b) for a, b in zip(samples, base, strict=True))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown; the first column is text, the others are numbers."""
    lines = [heads, ["---", *["---:" for _ in heads[1:]]], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machine() -> str:
    """One line: processor count, system, Go, Python, pytest. No name of the machine, no path."""
    import pytest

    go = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores, {platform.system()} {platform.machine()}, {go.stdout.strip()}, "
        f"Python {platform.python_version()}, pytest {pytest.__version__}"
    )
