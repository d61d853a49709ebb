"""A recorded log as pytest nodes. Where the sources lie here too, node ids are those of a real run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_gotest import _compat, _replay, _report, _source
from pytest_gotest._errors import ReplayError
from pytest_gotest._nodes import GoFailed, GoFile, GoItem
from pytest_gotest._outcome import ERROR
from pytest_gotest._source import DirectiveSet, TestFunction
from pytest_gotest._toolchain import Package

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from pytest_gotest._session import GoSession


def spool(config: pytest.Config, name: str) -> Path:
    """A path for the log in a fresh directory, so that no conftest.py beside the log is loaded.

    Standard input is copied. Raises `ReplayError` when there is no such file. The caller removes
    the directory.
    """
    source = None
    if name != "-":
        source = Path(os.path.abspath(config.invocation_params.dir / name))
        if not source.is_file():
            raise ReplayError(
                f"--gotest-replay: there is no file {source}",
                hint="name a log of go test -json, or - for standard input",
            )
    directory = Path(tempfile.mkdtemp(prefix="gotest-replay-"))
    log = directory / (source.name if source else "stdin.jsonl")
    if source is not None:
        log.symlink_to(source)
    else:
        with log.open("wb") as file, _compat.real_stdin(config) as stdin:
            shutil.copyfileobj(stdin, file, 1 << 20)
    return log


class ReplayLog(pytest.File):
    """The log; collects a `ReplayFile` for each Go test file, or for each package whose files are not here."""

    gotest: GoSession

    def collect(self) -> Iterable[pytest.Collector]:
        with self.path.open("rb") as file:
            log = _replay.read(file, str(self.path))
        self.gotest.replayed = log
        modules = _replay.module_directories(self.config.rootpath)
        for package in log.packages.values():
            yield from self._files(package, _replay.package_directory(package.import_path, modules))

    def _files(self, package: _replay.Package, directory: Path | None) -> Iterator[ReplayFile]:
        declared: dict[str, tuple[Path | None, TestFunction]] = {}
        for file in sorted(directory.glob("*_test.go")) if directory else ():
            try:
                source = _source.parse(file.read_bytes())
            except OSError:
                continue
            for function in source.functions:
                declared.setdefault(function.name, (file, function))
        by_file: dict[Path | None, list[TestFunction]] = {}
        for name in package.results or [_replay.PACKAGE_ITEM]:
            unknown = (None, TestFunction(name, _replay.kind_of(name), 1, 1))
            path, function = declared.get(name, unknown)
            by_file.setdefault(path, []).append(function)
        for path, members in by_file.items():
            nodeid = package.import_path
            if path is not None:
                nodeid = os.path.relpath(path, self.config.rootpath).replace(os.sep, "/")
            node: ReplayFile = ReplayFile.from_parent(self, path=path or self.path, nodeid=nodeid)
            place = str(directory or self.config.rootpath / package.import_path)
            node.package = Package(package.import_path, "", directory=place, root=place)
            node.functions = members
            yield node

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        if isinstance(excinfo.value, (ReplayError, OSError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class ReplayFile(GoFile):
    """Tests of one file, or of one package whose files are not here."""

    package: Package
    functions: list[TestFunction]

    def collect(self) -> Iterable[pytest.Item]:
        shared: dict[tuple[str, ...], object] = {}
        for function in self.functions:
            yield self._item(self.package, function, DirectiveSet(), "", shared)


class ReplayItem(GoItem):
    """One test of the log. No fixture is set up for it: nothing runs."""

    @property
    def place(self) -> _report.Place:
        own = super().place
        return own if self.path.suffix == ".go" else replace(own, path=self.package_.import_path)

    def setup(self) -> None:
        result = self.gotest.run(self)
        if result.verdict == ERROR:
            raise GoFailed(result)


ReplayFile.item_class = ReplayItem
