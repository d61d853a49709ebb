"""Runs pytest on the module of the acceptance tests, in this process or in one of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from running import Outcome, run_pytest


class Shop:
    """The module under shop/. Files that a test writes into it are gone after the test."""

    def __init__(self, directory: Path, pytester: pytest.Pytester) -> None:
        self.directory = directory
        self.pytester = pytester
        self.scratch = pytester.path
        self._written: list[Path] = []

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        assert not path.exists(), "the module's own files stay as they are"
        path.write_text(text, encoding="utf-8")
        self._written.append(path)
        return path

    def clean(self) -> None:
        for path in self._written:
            path.unlink(missing_ok=True)
            # Two files of one size written in one second would share their bytecode.
            shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)

    def run(self, *arguments: str) -> pytest.RunResult:
        """``pytest --gotest ARGUMENTS`` in this process, with no other plugin."""
        return self.pytester.runpytest_inprocess(
            "-p", "gotest", "--gotest", *self.cache, *arguments
        )

    @property
    def cache(self) -> tuple[str, ...]:
        """What --lf and its like remember is one test's own."""
        return ("-o", f"cache_dir={self.scratch / 'cache'}")

    def run_outside(self, *arguments: str, plugins: Sequence[str] = (), **environ: str) -> Outcome:
        """The same in a process of its own, with the plugins named."""
        return run_pytest(
            self.directory,
            *self.cache,
            *arguments,
            record=self.scratch / "record",
            env=environ,
            timeout=60,
            plugins=plugins,
        )


def verdicts(result: pytest.RunResult) -> dict[str, str]:
    """Node id -> passed, failed, skipped, error, xfailed or xpassed; ``id [sub]`` for subtests."""
    found: dict[str, str] = {}
    for report in result.reprec.getreports("pytest_runtest_logreport"):  # type: ignore[attr-defined]
        context = getattr(report, "context", None)
        node = f"{report.nodeid} [{context.msg}]" if context is not None else report.nodeid
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if report.skipped else "xpassed"
        if report.when == "call" or outcome == "skipped" or report.skipped:
            found[node] = outcome
        elif report.failed:
            found[node] = "error"
    return found
