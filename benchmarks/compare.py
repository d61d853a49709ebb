"""Time, CPU and memory of `go test`, gotestsum, a process per test and this plugin, in one run.

    python -m benchmarks.compare [--rounds 3] [--synthetic PACKAGESxTESTS] [MODULE@VERSION ...]

Each tool has a copy of the module, a Go build cache and a plugin cache of its own. Every round runs
each tool once, in three states:

* cold: nothing of the module is compiled; the standard library and the module's dependencies are
  (what a CI job restores), and the plugin's cache is empty;
* warm: nothing changed since the last run;
* changed: one package, the first with tests and code, got another unexported variable.

The operating system has all files in memory in each. Tests run in each: no result comes from
Go's test cache. Prints Markdown; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import measuring, synthetic
from benchmarks.measuring import PYTEST, Sample

GOTESTSUM = "gotest.tools/gotestsum@v1.13.0"
MODULES = (
    "github.com/gorilla/mux@v1.8.1",
    "github.com/spf13/pflag@v1.0.6",
    "github.com/yuin/goldmark@v1.7.8",
    "github.com/hashicorp/golang-lru/v2@v2.0.7",
    "github.com/google/go-cmp@v0.6.0",
)
BASE = "go test"


@dataclass(slots=True)
class Contestant:
    """A tool on one module, with all that it may keep between its runs."""

    name: str
    argv: list[str]
    module: Path
    caches: Path

    @property
    def env(self) -> dict[str, str]:
        gocache, plugin = str(self.caches / "go"), str(self.caches / "plugin")
        return measuring.environment(GOCACHE=gocache, XDG_CACHE_HOME=plugin, CI="")

    def run(self) -> Sample:
        return measuring.run(self.argv, self.module, self.env)

    def cool(self, template: Path) -> None:
        """Put both caches back; by hard links, for go never writes into an entry it has."""
        shutil.rmtree(self.caches, ignore_errors=True)
        shutil.rmtree(self.module / ".pytest_cache", ignore_errors=True)
        shutil.copytree(template, self.caches / "go", copy_function=os.link)


def contestants(gotestsum: str, module: Path, place: Path) -> list[Contestant]:
    pytest = [*PYTEST, "--gotest", "-q"]
    commands = {
        BASE: ["go", "test", "-json", "-count=1", "./..."],
        "gotestsum": [gotestsum, "--", "-count=1", "./..."],
        "process per test": [*pytest, "--gotest-isolate=test"],
        "pytest --gotest": pytest,
    }
    if importlib.util.find_spec("xdist"):
        commands["pytest --gotest -n 2"] = [*pytest, "-p", "xdist.plugin", "-n", "2"]
    found = []
    for number, (name, argv) in enumerate(commands.items()):
        own = place / str(number)
        shutil.copytree(module, own / "module")
        found.append(Contestant(name, argv, own / "module", own / "caches"))
    return found


def fetch(module: str, place: Path) -> Path:
    """A writable copy of a module from the module cache, which go fills from its proxy."""
    said = _go(["mod", "download", "-json", module], place)
    copy = place / "fetched"
    shutil.copytree(json.loads(said)["Dir"], copy, copy_function=shutil.copyfile)
    for directory, _, files in os.walk(copy):
        os.chmod(directory, 0o755)
        for file in files:
            os.chmod(Path(directory, file), 0o644)
    _go(["mod", "download"], copy)
    return copy


def std_cache(module: Path, place: Path) -> Path:
    """A Go build cache with all that the module's tests import, and nothing of its own."""
    own = re.search(r"^module\s+(\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    assert own is not None
    imports = _go(
        ["list", "-test", "-deps", "-f", "{{if not .ForTest}}{{.ImportPath}}{{end}}", "./..."],
        module,
    ).split()
    outside = sorted(
        path
        for path in imports
        if not path.startswith(own[1])
        and not path.endswith(".test")
        and not re.search(r"(^|/)(internal|vendor)(/|$)", path)
        and path not in ("unsafe", "C")
    )
    # A module of the same dependencies whose tests import them: go compiles and vets them for it.
    stand_in = place / "stand-in"
    stand_in.mkdir()
    lines = (module / "go.mod").read_text().splitlines()
    lines = ["module example.com/standin" if line.startswith("module ") else line for line in lines]
    (stand_in / "go.mod").write_text("\n".join(lines) + "\n")
    if (module / "go.sum").exists():
        shutil.copyfile(module / "go.sum", stand_in / "go.sum")
    block = "\n".join(f'\t_ "{path}"' for path in ["testing", *outside] if path != "testing")
    (stand_in / "standin_test.go").write_text(
        f'package standin\n\nimport (\n\t"testing"\n{block}\n)\n\n'
        "func TestNothing(*testing.T) {}\n"
    )
    # The harness imports some of these on its own.
    usual = (
        "encoding/json",
        "flag",
        "fmt",
        "log",
        "os",
        "reflect",
        "regexp",
        "runtime",
        "sort",
        "syscall",
        "time",
    )
    cache = place / "std"
    env = measuring.environment(GOCACHE=str(cache))
    for argv in (["go", "test", "./..."], ["go", "build", *usual]):
        subprocess.run(argv, cwd=stand_in, env=env, check=True, stdout=subprocess.DEVNULL)
    return cache


def change(module: Path, number: int) -> None:
    """Give the first package that has code and tests another variable."""
    for directory, directories, files in os.walk(module):
        directories.sort()
        code = sorted(f for f in files if f.endswith(".go") and not f.endswith("_test.go"))
        if code and any(file.endswith("_test.go") for file in files):
            name = re.search(
                r"^package\s+(\w+)", Path(directory, code[0]).read_text(), re.MULTILINE
            )
            assert name is not None
            text = f"package {name[1]}\n\nvar gotestBenchmarkChange = {number}\n"
            Path(directory, "gotest_benchmark_change.go").write_text(text)
            return
    raise SystemExit(f"no package of {module} has both code and tests")


def compare(
    title: str,
    module: Path,
    gotestsum: str,
    rounds: int,
    place: Path,
    skip: set[str],
    only: str | None,
) -> str:
    template = std_cache(module, place)
    tools = [c for c in contestants(gotestsum, module, place) if c.name not in skip]
    counter = iter(range(1 << 20))

    def cold(tool: Contestant) -> Sample:
        tool.cool(template)
        return tool.run()

    def changed(tool: Contestant) -> Sample:
        change(tool.module, next(counter))
        return tool.run()

    states: dict[str, Callable[[Contestant], Sample]] = {
        "cold": cold,
        "warm": Contestant.run,
        "changed": changed,
    }
    rows = []
    if only is not None:
        states = {only: states[only]}
        if only != "cold":
            for tool in tools:
                cold(tool)
    for state, measure in states.items():
        print(f"{title}, {state}", file=sys.stderr)
        samples = measuring.interleaved(rounds, {t.name: partial(measure, t) for t in tools})
        for name, taken in samples.items():
            rows.append(_row(f"{state}: {name}", taken, samples[BASE]))
    heads = ("", "wall s", "ratio", "CPU s", "ratio", "peak MiB")
    return f"**{title}**, {_size(tools, template)}\n\n" + measuring.table(heads, rows)


def _row(name: str, samples: list[Sample], base: list[Sample]) -> list[str]:
    def wall(sample: Sample) -> float:
        return sample.wall

    def cpu(sample: Sample) -> float:
        return sample.cpu

    return [
        name,
        f"{median(map(wall, samples)):.2f}",
        f"{measuring.ratio(samples, base, wall):.2f}",
        f"{median(map(cpu, samples)):.2f}",
        f"{measuring.ratio(samples, base, cpu):.2f}",
        f"{median(sample.peak for sample in samples):.0f}",
    ]


def _size(tools: list[Contestant], template: Path) -> str:
    """How many tests and packages, as go itself counts them."""
    base = next(tool for tool in tools if tool.name == BASE)
    tests, packages = set(), set()
    for line in base.run().output.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        test = event.get("Test", "")
        if event.get("Action") in ("pass", "skip") and test and "/" not in test:
            tests.add((event["Package"], test))
            packages.add(event["Package"])
    return f"{len(tests)} tests in {len(packages)} packages"


def _go(arguments: list[str], cwd: Path) -> str:
    done = subprocess.run(["go", *arguments], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"go {' '.join(arguments)}:\n{done.stderr}{done.stdout}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE@VERSION")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--synthetic",
        metavar="PACKAGESxTESTS",
        action="append",
        default=[],
        help="a generated module as well, e.g. 300x34",
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="TOOL",
        help="leave a tool out, e.g. 'process per test'",
    )
    parser.add_argument(
        "--only", choices=("cold", "warm", "changed"), help="this state and no other"
    )
    given = parser.parse_args()
    modules = given.modules or ([] if given.synthetic else list(MODULES))
    print(
        f"{measuring.machine()}; median of {given.rounds} rounds; "
        f"ratios to `{BASE}` of the same round."
    )
    with tempfile.TemporaryDirectory(prefix="gotest-compare-") as temporary:
        bin = Path(temporary, "bin")
        bin.mkdir()
        subprocess.run(
            ["go", "install", GOTESTSUM], env={**os.environ, "GOBIN": str(bin)}, check=True
        )
        for number, name in enumerate([*modules, *given.synthetic]):
            place = Path(temporary, str(number))
            place.mkdir()
            if name in given.synthetic:
                packages, tests = map(int, name.split("x"))
                synthetic.write(place / "fetched", packages, tests)
                module, title = place / "fetched", f"synthetic {name}"
            else:
                module, title = fetch(name, place), name
            gotestsum, skip = str(bin / "gotestsum"), set(given.skip)
            print(
                "\n" + compare(title, module, gotestsum, given.rounds, place, skip, given.only),
                flush=True,
            )
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
