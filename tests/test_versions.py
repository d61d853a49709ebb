"""The same module gets the same verdicts with every Go from 1.22 on, with the harness and without.

A toolchain that cannot be had fails these tests. ``GOTEST_GO_VERSIONS`` names others to run with,
separated by commas; "local" is the installed one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import Outcome, run_pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GO = Path(__file__).with_name("go")
VERSIONS = os.environ.get(
    "GOTEST_GO_VERSIONS", "local,1.22.12,1.23.12,1.24.10,1.25.5,1.27.3"
).split(",")
PACKAGES = (
    "panics/intest",
    "panics/insub",
    "panics/goexit",
    "panics/parallel",
    "crashes/exit3",
    "crashes/goroutine",
    "names",
    "fuzz",
    "fuzz/panics",
    "subtests",
    "examples/wrong",
    "testmain/neverruns",
    "testmain/exit1before",
    "testmain/exit1after",
    "testmain/setup",
    "testmain/swallows",
)

# Loaded by the pytest under test: a harness that this Go would not take.
FORCED = {
    "refuses to run": ('gotestRefuse("this Go is another")', "this Go is another"),
    "does not compile": ("gotestNotThere()", "the harness does not build here"),
}
CONFTEST = """
from pytest_gotest import _harness

OPENING = "func gotestCheckInternals() {{"
real = _harness._template


def forced(name):
    text = real(name)
    assert name != "harness.go.txt" or OPENING in text
    return text.replace(OPENING, OPENING + "\\n\\t" + {line!r})


_harness._template = forced
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One module of many cases, so that each Go compiles once."""
    root = tmp_path_factory.mktemp("versions") / "module"
    root.mkdir()
    (root / "go.mod").write_text("module example.com/versions\n\ngo 1.22\n")
    for package in PACKAGES:
        target = root / package
        target.mkdir(parents=True, exist_ok=True)
        for entry in (GO / package).iterdir():
            if entry.suffix == ".go":
                shutil.copy2(entry, target)
            elif entry.name == "testdata":
                shutil.copytree(entry, target / "testdata")
    return root


def _expected() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Items and subtests, from the cases' own expectations."""
    items: dict[str, str] = {}
    subtests: dict[str, dict[str, str]] = {}
    for case in sorted({package.partition("/")[0] for package in PACKAGES}):
        expect: dict[str, Any] = tomllib.loads((GO / case / "expect.toml").read_text("utf-8"))
        for node, outcome in expect["outcomes"].items():
            if os.path.dirname(f"{case}/{node}") in PACKAGES:
                items[f"{case}/{node}"] = outcome
        for node, found in expect.get("subtests", {}).items():
            if f"{case}/{node}" in items:
                subtests[f"{case}/{node}"] = found
    assert len(items) > 40
    return items, subtests


def _environment(version: str) -> dict[str, str]:
    """Fails where go does not have that version and cannot fetch it."""
    environ = {} if version == "local" else {"GOTOOLCHAIN": f"go{version}"}
    done = subprocess.run(
        ["go", "env", "GOVERSION"], env={**os.environ, **environ}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"go {version} cannot be had:\n{done.stderr}"
    assert version in ("local", done.stdout.strip().removeprefix("go"))
    return environ


def _run(module: Path, version: str, tmp_path: Path, *options: str) -> Outcome:
    return run_pytest(
        module,
        "-p",
        "no:cacheprovider",
        "--gotest-subtests=all",
        *options,
        record=tmp_path / "record",
        env=_environment(version),
        timeout=280,
    )


def _check(outcome: Outcome) -> None:
    items, subtests = _expected()
    shown = f"\n{outcome.output[-10000:]}"
    assert outcome.items == items, shown
    assert {node: outcome.subtests.get(node) for node in subtests} == subtests, shown
    assert outcome.exitstatus == 1, shown


@pytest.mark.parametrize("version", VERSIONS)
def test_verdicts_are_the_same_with_every_go(version: str, module: Path, tmp_path: Path) -> None:
    for mode in ("auto", "gate"):
        outcome = _run(module, version, tmp_path, f"--gotest-isolate={mode}")
        _check(outcome)
        if version != "local":
            assert f"gotest: go{version} " in outcome.output
        assert "ran a process for each test" not in outcome.output


@pytest.mark.parametrize("how", FORCED)
@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_without_the_harness_each_test_has_a_process_and_its_verdict(
    how: str, version: str, module: Path, tmp_path: Path
) -> None:
    line, reason = FORCED[how]
    conftest = module / "conftest.py"
    conftest.write_text(CONFTEST.format(line=line))
    try:
        outcome = _run(module, version, tmp_path)
    finally:
        conftest.unlink()
    _check(outcome)
    assert f"ran a process for each test: {reason}" in outcome.output


def test_a_toolchain_that_cannot_be_had_is_told_and_not_skipped(
    module: Path, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    environ = {"GOTOOLCHAIN": "go1.22.999", "GOPROXY": "off"}
    outcome = run_pytest(module, record=record, env=environ)
    assert outcome.exitstatus == 4, outcome.output
    assert "go1.22.999" in outcome.output
    assert "Traceback" not in outcome.output
