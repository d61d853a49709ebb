"""On published Go modules pytest reports what `go test -json` tells, subtests included.

The modules come through go's own module download, at fixed versions, and from the Go distribution.
Packages were chosen whose outcomes are the same in every plain run: no pointers in names of
subtests (testify/assert), nothing measured in time (goldmark's root, golang-lru/v2/expirable).
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hosts import server
from running import Outcome, run_pytest

Outcomes = dict[tuple[str, str], list[str]]
"""(directory below the module's root, full name of a test or subtest) -> its outcomes, sorted.

A package and its external test package may both declare a test of one name: then there are two.
"""

STANDARD_LIBRARY = "std"
GO_WORD = {"passed": "pass", "failed": "fail", "skipped": "skip"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What to test of a module, and how many tests and subtests there are at least.

    ``packages`` are directories, with all below. ``phantoms`` are names that appear in go's stream
    and are no functions of a package: tests run testing.RunTests with them.
    """

    module: str
    version: str
    packages: tuple[str, ...]
    at_least: int
    phantoms: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.module}@{self.version}".rstrip("@")


SUBJECTS = {
    "std": Subject(
        STANDARD_LIBRARY, "", ("go/parser", "sort", "strings", "text/template/parse"), 400
    ),
    "mux": Subject("github.com/gorilla/mux", "v1.8.1", (".",), 300),
    "pflag": Subject("github.com/spf13/pflag", "v1.0.6", (".",), 140),
    "goldmark": Subject(
        "github.com/yuin/goldmark", "v1.7.8", ("ast", "extension", "text", "util"), 20
    ),
    "golang-lru": Subject("github.com/hashicorp/golang-lru", "v1.0.2", (".",), 20),
    "testify": Subject(
        "github.com/stretchr/testify",
        "v1.10.0",
        ("mock", "require", "suite"),
        250,
        phantoms=("TestSuiteRecoverPanicInBeforeTest",),
    ),
    "uuid": Subject("github.com/google/uuid", "v1.6.0", (".",), 200),
    "go-cmp": Subject("github.com/google/go-cmp", "v0.7.0", (".",), 700),
    "toml": Subject("github.com/BurntSushi/toml", "v1.5.0", (".",), 2000),
}


def _go(*args: str, cwd: Path) -> str:
    done = subprocess.run(
        ["go", *args], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8"
    )
    # go test ends with 1 where a test fails: that is compared, and not judged here.
    assert done.returncode in (0, 1), f"go {' '.join(args)}:\n{done.stdout[-2000:]}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Subject], Path]:
    """Where to test a subject: a copy that can be written, or the distribution's own files."""
    known: dict[Subject, Path] = {}

    def get(subject: Subject) -> Path:
        if subject not in known:
            scratch = tmp_path_factory.mktemp("module")
            if subject.module == STANDARD_LIBRARY:
                known[subject] = Path(_go("env", "GOROOT", cwd=scratch).strip(), "src")
            else:
                told = json.loads(_go("mod", "download", "-json", str(subject), cwd=scratch))
                assert "Dir" in told, told.get("Error")
                copy = scratch / "copy"
                shutil.copytree(told["Dir"], copy, copy_function=_writable)
                for directory, _, _ in os.walk(copy):
                    os.chmod(directory, 0o755)
                known[subject] = copy
        return known[subject]

    return get


def _writable(source: str, target: str) -> str:
    shutil.copy2(source, target)
    os.chmod(target, os.stat(target).st_mode | stat.S_IWUSR)
    return target


@pytest.fixture(scope="session")
def go_says(source: Callable[[Subject], Path]) -> Callable[[Subject], Outcomes]:
    known: dict[Subject, Outcomes] = {}

    def get(subject: Subject) -> Outcomes:
        if subject not in known:
            patterns = [f"./{package}/..." for package in subject.packages]
            said = _go("test", "-json", "-count=1", *patterns, cwd=source(subject))
            known[subject] = _from_go(said, subject)
        return known[subject]

    return get


def _from_go(said: str, subject: Subject) -> Outcomes:
    found: Outcomes = defaultdict(list)
    for line in said.splitlines():
        event: dict[str, Any] = json.loads(line)
        if event["Action"] in ("pass", "fail", "skip") and "Test" in event:
            directory = event["Package"].removeprefix(subject.module).strip("/") or "."
            found[directory, event["Test"]].append(event["Action"])
    phantoms = {key for key in found if key[1].partition("/")[0] in subject.phantoms}
    assert {test for _, test in phantoms} >= set(subject.phantoms), (
        "go has no such phantom any more"
    )
    return {key: sorted(outcomes) for key, outcomes in found.items() if key not in phantoms}


def _from_pytest(outcome: Outcome) -> Outcomes:
    found: Outcomes = defaultdict(list)

    def note(node: str, sub: str, result: str) -> None:
        file, _, test = node.partition("::")
        found[os.path.dirname(file) or ".", test + sub].append(GO_WORD.get(result, result))

    for node, result in outcome.items.items():
        note(node, "", result)
    for report in outcome.reports:
        if report["subtest"] is not None:
            # An expected failure: of a run that a test makes itself, and passes (testify/suite).
            result = "failed" if report["xfail"] else report["outcome"]
            note(report["id"], f"/{report['subtest']}", result)
    return {key: sorted(outcomes) for key, outcomes in found.items()}


def difference(go: Outcomes, ours: Outcomes) -> str:
    """One line for each test that differs; empty when all are equal."""
    lines = [
        f"{directory}: {name}: go says {', '.join(go.get((directory, name), ['nothing']))}, "
        f"pytest says {', '.join(ours.get((directory, name), ['nothing']))}"
        for directory, name in sorted(go.keys() | ours.keys())
        if go.get((directory, name)) != ours.get((directory, name))
    ]
    shown = lines[:40]
    if len(lines) > len(shown):
        shown.append(f"... and {len(lines) - len(shown)} more")
    return "\n".join(shown)


def _run(subject: Subject, root: Path, tmp_path: Path, *options: str) -> Outcome:
    return run_pytest(
        root,
        f"--rootdir={root}",
        "-p",
        "no:cacheprovider",
        "--gotest-subtests=all",
        *options,
        *subject.packages,
        record=tmp_path / "record",
        timeout=200,
        plugins=("xdist",) if {"-n", "--tx"} & {*options} else (),
    )


def _check(subject: Subject, root: Path, go: Outcomes, tmp_path: Path, *options: str) -> Outcome:
    outcome = _run(subject, root, tmp_path, *options)
    ours = _from_pytest(outcome)
    assert len(go) >= subject.at_least, f"go test ran {len(go)} tests of {subject}"
    told = difference(go, ours)
    assert not told, f"{subject}, pytest {' '.join(options)}:\n{told}\n\n{outcome.output[-8000:]}"
    failed = any("fail" in outcomes for (_, test), outcomes in go.items() if "/" not in test)
    assert outcome.exitstatus == int(failed), outcome.output[-8000:]
    return outcome


LONG = ("testify", "go-cmp")  # the latter is tried by workers as well


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.campaign] * (name in LONG)) for name in SUBJECTS],
)
def test_outcomes_are_those_of_go_test(
    name: str,
    source: Callable[[Subject], Path],
    go_says: Callable[[Subject], Outcomes],
    tmp_path: Path,
) -> None:
    subject = SUBJECTS[name]
    _check(subject, source(subject), go_says(subject), tmp_path)


@pytest.mark.parametrize("name", ["go-cmp", "mux"])
@pytest.mark.parametrize(
    "options",
    [("-n", "2"), ("-n", "8"), ("--gotest-isolate=gate",), ("--gotest-engine=gotest",)],
    ids=["two-workers", "eight-workers", "gated", "go-test-engine"],
)
def test_outcomes_are_the_same_however_the_tests_are_run(
    name: str,
    options: tuple[str, ...],
    source: Callable[[Subject], Path],
    go_says: Callable[[Subject], Outcomes],
    tmp_path: Path,
) -> None:
    subject = SUBJECTS[name]
    _check(subject, source(subject), go_says(subject), tmp_path, *options)


def test_outcomes_are_the_same_although_workers_crash(
    source: Callable[[Subject], Path], go_says: Callable[[Subject], Outcomes], tmp_path: Path
) -> None:
    subject = SUBJECTS["go-cmp"]
    root = tmp_path / "module"
    shutil.copytree(source(subject), root)
    (root / "test_kill.py").write_text(
        "import os, signal, pytest\n\n"
        "@pytest.mark.parametrize('number', range(2))\n"
        "def test_kill(number):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    outcome = _run(subject, root, tmp_path, "-n", "2", "test_kill.py")
    ours = _from_pytest(outcome)
    killed = {key for key in ours if key[1].startswith("test_kill")}
    assert len(killed) == 2, outcome.output
    told = difference(go_says(subject), {key: ours[key] for key in ours.keys() - killed})
    assert not told, f"{told}\n\n{outcome.output[-8000:]}"


def test_outcomes_are_the_same_on_two_other_machines(
    source: Callable[[Subject], Path], go_says: Callable[[Subject], Outcomes], tmp_path: Path
) -> None:
    subject = SUBJECTS["go-cmp"]
    root = source(subject)
    with ExitStack() as stack:
        hosts = []
        for number in range(2):
            shutil.copytree(root, tmp_path / f"far{number}")
            log = tmp_path / f"far{number}.log"
            hosts.append(stack.enter_context(server(tmp_path / f"far{number}", log)))
        specs = [word for host in hosts for word in ("--tx", host.spec)]
        outcome = _check(subject, root, go_says(subject), tmp_path, "--dist=load", *specs)
    assert {report["worker"] for report in outcome.reports} == {"gw0", "gw1"}


def test_a_difference_names_the_test_and_both_outcomes() -> None:
    go: Outcomes = {(".", "TestA"): ["pass"], (".", "TestB"): ["fail"], ("b", "TestC/x"): ["skip"]}
    ours: Outcomes = {(".", "TestA"): ["pass"], (".", "TestB"): ["pass"]}
    assert difference(go, go) == ""
    assert difference(go, ours).splitlines() == [
        ".: TestB: go says fail, pytest says pass",
        "b: TestC/x: go says skip, pytest says nothing",
    ]
