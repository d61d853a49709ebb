"""How long a worker waits for its server, warm: until it answers, and until its baseline is recorded as well.

    python -m benchmarks.servers [--servers embedded local container] [--image NAME] [--tables 10] [--rounds 15] [--at-once 16]

The data directory lies in memory, as it does by default. At last as many processes as --at-once says ask for a server each,
all at the same moment: seconds until each of them has one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from benchmarks import measuring, resets
from pytest_gotest.postgres._keeper import Keeper
from pytest_gotest.postgres._provide import choose
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers._provider import Provider

_WORKER = """
import os, sys, time
from pathlib import Path
from pytest_gotest.postgres._provide import choose
from pytest_gotest.postgres.baseline._baseline import Baseline

provider = choose(sys.argv[1], sys.argv[2], Path(sys.argv[3]), os.environ)
baseline = Baseline((Path(sys.argv[4]),))
print("prepared", flush=True)
sys.stdin.readline()
began = time.perf_counter()
instance = provider.start(baseline)
print(time.perf_counter() - began, flush=True)
sys.stdin.readline()
instance.stop()
"""


def one_by_one(provider: Provider, baseline: Baseline, rounds: int) -> dict[str, list[float]]:
    answers, recorded = [], []
    for _ in range(rounds + 1):  # the first one makes the baseline
        began = time.perf_counter()
        instance = provider.start(baseline)
        answers.append(time.perf_counter() - began)
        keeper = Keeper(instance, "auto")
        recorded.append(time.perf_counter() - began)
        keeper.close()
        instance.stop()
    return {"answers": answers[1:], "baseline recorded": recorded[1:]}


def at_once(number: int, arguments: list[str]) -> list[float]:
    command = [sys.executable, "-c", _WORKER, *arguments]
    workers = [
        subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(number)
    ]
    says = [worker.stdout for worker in workers if worker.stdout is not None]
    for said in says:
        said.readline()
    for worker in workers:
        print(file=worker.stdin, flush=True)
    taken = [float(said.readline()) for said in says]
    for worker in workers:
        worker.communicate("\n")
        if worker.returncode:
            raise SystemExit(f"a worker ended with {worker.returncode}")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", nargs="+", default=["embedded", "local"])
    parser.add_argument("--image", default="", help="for containers")
    parser.add_argument("--tables", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-once", type=int, default=16)
    given = parser.parse_args()
    print(measuring.machine())
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)
        schema = Path(directory) / "schema.sql"
        schema.write_text(resets.schema(given.tables))
        cache = Path(directory) / "cache"
        for name in given.servers:
            provider = choose(name, given.image, cache, os.environ)
            taken = one_by_one(provider, Baseline((schema,)), given.rounds)
            many = f"{given.at_once} at once"
            taken[many] = at_once(given.at_once, [name, given.image, str(cache), str(schema)])
            for what, spent in taken.items():
                p95 = quantiles(spent, n=20)[-1]
                rows.append(
                    (f"{provider}: {what}", *(f"{x:.3f}" for x in (min(spent), median(spent), p95)))
                )
    print(measuring.table(("server", "best s", "p50 s", "p95 s"), rows))


if __name__ == "__main__":
    main()
