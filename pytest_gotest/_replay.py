"""A recorded `go test -json` log as results by package; pure but for `read`, executes nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from pytest_gotest._complaints import Complaint, complaints
from pytest_gotest._errors import ReplayError
from pytest_gotest._events import Event, JsonDecoder
from pytest_gotest._outcome import (
    ERROR,
    FAIL,
    Exit,
    PackageRun,
    Record,
    Result,
    benchmark_result,
    death,
    exit_in,
    result_of,
)
from pytest_gotest._source import Kind

PACKAGE_ITEM = "(package)"  # stands for a package that failed without a test to say so

_CHUNK = 1 << 20
_PREFIXES = {
    "Benchmark": Kind.BENCHMARK,
    "Example": Kind.EXAMPLE,
    "Fuzz": Kind.FUZZ,
    "Test": Kind.TEST,
}
_TIMED_OUT = re.compile(r"^panic: test timed out after (?P<limit>\S+)", re.M)
_BUILD_FAILED = re.compile(r"^FAIL\t(?P<package>\S+) \[(?:build|setup) failed\]$", re.M)


@dataclass(slots=True)
class Package:
    """What a log says of one package: a result for each test, in the order they began.

    ``problems`` is what went wrong beside the tests; a package without any test has just those.
    """

    import_path: str
    results: dict[str, Result] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    cached: bool = False


@dataclass(slots=True)
class Log:
    """What a log says, by import path."""

    packages: dict[str, Package] = field(default_factory=dict)

    def result(self, import_path: str, name: str) -> Result:
        """What the log says of a test. A package's own failure is an error of its stand-in."""
        package = self.packages[import_path]
        if name == PACKAGE_ITEM:
            headline, _, rest = "\n".join(self.take_problems(import_path)).partition("\n")
            return Result(ERROR, problem=headline, evidence=rest)
        result = package.results[name]
        return result.noting("the result was cached by go") if package.cached else result

    def take_problems(self, import_path: str) -> list[str]:
        """What went wrong beside the tests, once."""
        package = self.packages[import_path]
        problems, package.problems = package.problems, []
        return problems


def kind_of(name: str) -> Kind:
    return next((kind for prefix, kind in _PREFIXES.items() if name.startswith(prefix)), Kind.TEST)


def read(file: BinaryIO, name: str) -> Log:
    """Read a log in pieces. Raises `ReplayError` when not one line of it is an event."""
    decoder = JsonDecoder()
    reader = _Reader()
    while chunk := file.read(_CHUNK):
        reader.feed(decoder.feed(chunk))
    reader.feed(decoder.close())
    if not reader.seen:
        raise ReplayError(
            f"{name} holds no event of go test -json",
            hint="record one with: go test -json ./... > FILE; plain `go test -v` output cannot be reported",
        )
    return reader.log()


class _Reader:
    def __init__(self) -> None:
        self.seen = 0
        self._runs: dict[str, PackageRun] = {}
        self._builds: dict[str, list[str]] = defaultdict(list)
        self._strays: list[str] = []  # lines of no package: what else was written to the file

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.action in ("build-output", "build-fail"):
                self.seen += 1
                self._builds[event.import_path].append(event.output)
            elif event.package:
                self.seen += 1
                run = self._runs.get(event.package)
                if run is None:
                    run = self._runs[event.package] = PackageRun(event.package)
                run.feed(event)
            elif event.output:
                self._strays.append(event.output)

    def log(self) -> Log:
        log = Log()
        strays = "".join(self._strays)
        told = self._told(strays)
        # Before Go 1.22 a package that does not build has no event, only its lines among the strays.
        for match in _BUILD_FAILED.finditer(strays):
            self._runs.setdefault(match["package"], PackageRun(match["package"])).closing = FAIL
        for path, run in self._runs.items():
            package = _conclude(run, told.get(path, ""), self._builds)
            if package.results or package.problems:
                log.packages[path] = package
        return log

    @staticmethod
    def _told(strays: str) -> dict[str, str]:
        """Build errors that Go up to 1.23 writes as plain text, by package."""
        found: list[Complaint] = complaints(strays)[0]
        told: dict[str, str] = {}
        for complaint in found:
            label = "vet refuses" if complaint.vet else "cannot build"
            text = _BUILD_FAILED.sub("", complaint.text).strip()
            for name in {complaint.package, complaint.package.removesuffix("_test")}:
                told[name] = told.get(name, "") + f"{label} {name}:\n{text}\n"
        return told


def _conclude(run: PackageRun, told: str, builds: dict[str, list[str]]) -> Package:
    package = Package(run.package, cached=run.cached)
    said = str(run.output)
    last = next(reversed(run.tests), "")
    for name, record in run.tests.items():
        result = package.results[name] = _result(record, run, said)
        if name == last and result.verdict == FAIL and "panic: " in said and not result.evidence:
            # An example that panics has its end first and its trace below the package.
            package.results[name] = replace(result, evidence=said)
    failed = any(result.verdict == FAIL for result in package.results.values())
    if run.closing == FAIL and not package.results:
        package.problems.append(_why_no_test(run, told, builds, said))
    elif run.closing == FAIL and not failed:
        package.problems.append(f"the tests ended, then the package failed\n{said}")
    elif run.closing is None:
        package.problems.append("the log ends before the package does")
    return package


def _why_no_test(run: PackageRun, told: str, builds: dict[str, list[str]], said: str) -> str:
    if run.failed_build or "[build failed]" in said or "[setup failed]" in said or told:
        lines = builds.get(run.failed_build, []) or [
            line
            for name, lines in builds.items()
            if name.partition(" ")[0] == run.package
            for line in lines
        ]
        text = "".join(lines).strip()
        vet = re.search(r"^# \[", text, re.M) is not None
        if text:
            return f"{'vet refuses' if vet else 'cannot build'} {run.package}:\n{text}"
        return told.strip() or f"cannot build {run.package}:\n{said.strip()}"
    return f"{run.package} ran no test\n{said}"


def _result(record: Record, run: PackageRun, said: str) -> Result:
    """A test without an end was running when its process died."""
    if kind_of(record.name) is Kind.BENCHMARK:
        return benchmark_result(record, ok=True)
    if record.verdict and not record.running:
        return result_of(record)
    text = f"{record.output}\n{said}"
    if timed_out := _TIMED_OUT.search(text):
        return death(record, Exit(2), said, headline=f"timed out after {timed_out['limit']}")
    if run.closing is None:
        return death(record, Exit(None), said, headline="the log ends while it runs")
    return death(record, exit_in(text, Exit(None)), said)


def module_directories(root: Path) -> dict[str, Path]:
    """Module path -> directory, for the go.mod files at and below ``root`` (three levels), and those above it."""
    found: dict[str, Path] = {}
    places = [*root.glob("go.mod"), *root.glob("*/go.mod"), *root.glob("*/*/go.mod")]
    places += [above / "go.mod" for above in root.parents]
    for file in places:
        try:
            match = re.search(r'^\s*module\s+"?([^\s"]+)', file.read_text("utf-8", "replace"), re.M)
        except OSError:
            continue
        if match:
            found.setdefault(match[1], file.parent)
    return found


def package_directory(import_path: str, modules: dict[str, Path]) -> Path | None:
    """Where the package's sources lie here, if its module is one of ``modules``."""
    for module in sorted(modules, key=len, reverse=True):
        if import_path == module or import_path.startswith(module + "/"):
            directory = modules[module].joinpath(*import_path[len(module) :].split("/"))
            return directory if directory.is_dir() else None
    return None
