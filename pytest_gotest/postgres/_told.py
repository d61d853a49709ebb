"""What a session says of its databases when it is over: this process's, and in xdist's controller those of its workers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import pytest

from pytest_gotest import _settings
from pytest_gotest.postgres._restores import Counts

KEY = "gotest_postgres"  # of what a worker tells at its end
_NAME = "gotest-databases"


def of(config: pytest.Config) -> Told:
    """The one of this process, which speaks when the session is over."""
    told = config.pluginmanager.get_plugin(_NAME)
    if told is None:
        told = Told(config)
        config.pluginmanager.register(told, _NAME)
    assert isinstance(told, Told)
    return told


class Told:
    """A plugin, registered once a database is used here or by a worker, or has to be."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._counts: list[Counts] = []
        self._is_missing = False

    def add(self, counts: Counts) -> None:
        """Those of a process, which may still grow."""
        self._counts.append(counts)

    def hear(self, output: dict[str, Any]) -> None:
        """What a worker has told."""
        self._counts += [Counts(**data) for data in output[KEY]]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """After those that still put something back, and before xdist sends what a worker tells."""
        result = yield
        if hasattr(self._config, "workerinput"):
            data = [asdict(one) for one in self._counts]
            self._config.workeroutput[KEY] = data  # type: ignore[attr-defined]
        else:
            self._require(session)
        return result

    def _require(self, session: pytest.Session) -> None:
        ends_well = session.exitstatus == pytest.ExitCode.OK
        collects_only = self._config.getoption("collectonly") or self._config.getoption("setupplan")
        if not _settings.read(self._config).require_db or collects_only:
            return
        self._is_missing = not any(one.has_written for one in self._counts)
        if self._is_missing and ends_well:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        counts = Counts.merged(self._counts)
        for left in counts.left:
            terminalreporter.write_line(f"gotest: {left}", yellow=True)
        if self._config.get_verbosity() > 0:
            for renewed in counts.renewed:
                terminalreporter.write_line(f"gotest: {renewed}")
        if counts.line:
            terminalreporter.write_line(f"gotest: {counts.line}")
        if self._is_missing:
            terminalreporter.write_line(
                "gotest: --gotest-require-db: no test wrote to a database; do Go tests get a variable that names it "
                "(gotest_postgres_env), and Python's the fixture gotest_db?",
                red=True,
            )
