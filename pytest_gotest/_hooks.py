"""The hooks of a session that has Go tests."""

from __future__ import annotations

import gc
import random
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gotest import _compat, _session
from pytest_gotest._durations import Durations, WideSetUps
from pytest_gotest._errors import GotestError
from pytest_gotest._nodes import GoFile, GoItem, amend_report
from pytest_gotest._replay_nodes import ReplayLog, spool
from pytest_gotest._session import TOLD, GoSession
from pytest_gotest._summary import Summary

if TYPE_CHECKING:
    from pytest_gotest._xdist import Controller

_TIMER_SLACK = 10.0  # seconds for a Go test to be ended in, and for its report
_OBJECTS = 50_000  # made while collecting before garbage is looked for; Python's own is 700 to 2000
_HIDDEN = ("build", "dist")


class GoHooks:
    """Registered by `plugin` when Go tests are asked for."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.go: GoSession = _session.start(config)
        self.replay: Path | None = None
        self.summary = Summary()
        self.durations = Durations(config.rootpath, self.go.settings.cache_dir)
        self.wide = WideSetUps()
        self.controller: Controller | None = None  # with xdist, where workers run the tests
        self._left_out_of: dict[Path, bool] = {}
        settings = self.go.settings
        if self.go.in_worker:
            from pytest_gotest import _line

            _line.keep_alive(_compat.xdist_gateway(config))
            config.args[:] = self.go.told.get("args") or config.args
        elif self.go.controls_workers:
            from pytest_gotest._xdist import Controller

            cut = settings.isolate != "package"  # then all of a package is in one process
            self.controller = Controller(config, self._tell, self.durations, self.summary, cut=cut)
            config.pluginmanager.register(self.controller, "gotest-xdist")
        if settings.replay is not None:
            try:
                shared = self.go.told.get("replay")
                self.replay = Path(shared) if shared else spool(config, settings.replay)
            except GotestError as error:
                raise pytest.UsageError(str(error)) from None
            config.args[:] = [str(self.replay)]
        if settings.changed is not None:
            try:
                self.go.find_change()
            except GotestError as error:
                raise pytest.UsageError(str(error)) from None
        if settings.shuffle == -1:
            drawn = self.go.told.get("shuffle") or random.randrange(1 << 31)
            self.go.settings = replace(settings, shuffle=drawn)
        if settings.timeline is not None:
            from pytest_gotest import _timeline_hooks

            _timeline_hooks.start(config, self.go, settings.timeline)

    def _tell(self) -> dict[str, object]:
        """What a worker does not find out by itself: its run, the seed drawn, the log that was read, what changed."""
        change = self.go.change
        return {
            "run": self.go.run_id,
            "shuffle": self.go.settings.shuffle,
            "replay": str(self.replay) if self.replay else None,
            "change": change.as_data(self.config.rootpath) if change else None,
        }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self.go.in_worker:
            self.durations.note(report)

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        settings = self.go.settings
        if self.replay is not None:
            return [f"gotest: report of {settings.replay}, nothing is executed"]
        try:
            env = self.go.toolchain.env(str(config.rootpath))
        except GotestError as error:
            raise pytest.UsageError(str(error)) from None
        words = [f"{env.goversion} {env.goos}/{env.goarch}"]
        words.append("shuffle off" if settings.shuffle is None else f"shuffle {settings.shuffle}")
        if self.controller is not None:
            words.append(self.controller.shares())
        if settings.engine != "binary":
            words.append("engine go test -json")
        lines = ["gotest: " + ", ".join(words)]
        option = self.config.option
        only_looks = option.collectonly or option.setupplan
        if settings.postgres_env and settings.postgres != "off" and not only_looks:
            lines.append(f"gotest: {self._postgres()}")
        return lines

    def _postgres(self) -> str:
        """What Go tests will find, known before it is started."""
        from pytest_gotest.postgres import _provide

        try:
            return f"{_provide.of(self.config)}{self.go.resets}"
        except GotestError as error:
            raise pytest.UsageError(str(error)) from None

    # Collection

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Next to nothing that collection makes is garbage: of ten thousand tests, looking for some takes a tenth."""
        before = gc.get_threshold()
        ours = (before[0] and max(before[0], _OBJECTS), *before[1:])  # 0: it is off
        gc.set_threshold(*ours)
        try:
            return (yield)
        finally:
            if gc.get_threshold() == ours:  # a conftest may have set others
                gc.set_threshold(*before)

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        """pytest's default norecursedirs hides build and dist, which are ordinary names of Go packages.

        Below such a directory Go files are collected, and nothing else is.
        """
        if collection_path.name.endswith("_test.go") or self.replay is not None:
            return None
        hidden = self._hidden_above(collection_path)
        if hidden is None:
            return None
        if not collection_path.is_dir():
            return True
        return False if self.go.catalog.holds_packages(str(collection_path)) else None

    def _hidden_above(self, path: Path) -> Path | None:
        """The directory at or above ``path`` that only its name hides, in a Go module."""
        for directory in (path, *path.parents):
            if directory.name in _HIDDEN and directory.name in self.config.getini("norecursedirs"):
                return directory if self.go.catalog.module_root(str(directory)) else None
            if directory == self.config.rootpath:
                break
        return None

    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> GoFile | ReplayLog | None:
        if self.replay is not None:
            GoFile.gotest = ReplayLog.gotest = self.go
            log: ReplayLog | None = None
            if file_path == self.replay:
                log = ReplayLog.from_parent(parent, path=file_path)
            return log
        if not file_path.name.endswith("_test.go"):
            return None
        if not parent.session.isinitpath(file_path):
            directory = file_path.parent
            if directory not in self._left_out_of:
                self._left_out_of[directory] = self._left_out(directory, parent.session)
            if self._left_out_of[directory]:
                return None
        GoFile.gotest = self.go
        node: GoFile = GoFile.from_parent(parent, path=file_path)
        return node

    def _left_out(self, directory: Path, session: pytest.Session) -> bool:
        """Whether ``./...`` would not come here and the user did not name the place either."""
        catalog = self.go.catalog
        root = catalog.module_root(str(directory))
        if root is None:
            return False  # an error when it is collected
        if catalog.nested(root) and self._came_through(Path(root), session):
            return True
        try:
            if catalog.listed(str(directory)):
                return False
            named = [
                above for above in (directory, *directory.parents) if session.isinitpath(above)
            ]
            return not any(
                str(above) != root and not catalog.holds_packages(str(above)) for above in named
            )
        except GotestError:
            return False  # the module cannot be listed: the file says so when it is collected

    @staticmethod
    def _came_through(root: Path, session: pytest.Session) -> bool:
        """Whether pytest got to a nested module from above, and not because it was named."""
        return not any(session.isinitpath(path) for path in (root, *root.rglob("*_test.go")))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.go.select_changed(items)
        self.go.arrange(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self.replay is None:
            self.go.catalog.save()
        option = self.config.option
        looks = ("collectonly", "setupplan", "showfixtures", "show_fixtures_per_test")
        if any(getattr(option, name, False) for name in looks) or self.controller:
            return
        self.go.build(session)

    def pytest_report_collectionfinish(self) -> list[str]:
        tally = self.go.tally
        return [*self.go.told_of_change(), *([tally.line] if tally and tally.line else [])]

    # Running

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        if isinstance(item, GoItem) and self.go.in_worker:
            item.last = not (
                isinstance(nextitem, GoItem) and nextitem.test.package == item.test.package
            )
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        __tracebackhide__ = True  # one that fails shows itself, and not us
        if fixturedef.scope == "function":
            return (yield)
        with self.wide.timed(fixturedef, request):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Here and not in the item's own teardown, which an item that was skipped does not get."""
        __tracebackhide__ = True
        try:
            return (yield)
        finally:
            if isinstance(item, GoItem):
                self.go.over(item)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: object) -> bool | None:
        """A Go test that is late gets SIGQUIT from us and shows its goroutines; this is for the rest.

        pytest-timeout would end the waiting and not the test, and knows Python's stacks only.
        """
        if not isinstance(item, GoItem):
            return None
        _compat.set_later_timer(item, settings, _TIMER_SLACK)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if isinstance(item, GoItem):
            amend_report(item, call, report)
        self.wide.tell(report)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        summary = self.go.summary()
        self.go.close()
        if self.go.in_worker:
            self.config.workeroutput[TOLD] = summary.as_data()  # type: ignore[attr-defined]
            return
        self.summary.add(summary.as_data())
        if self.summary.left_out and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK  # as asked: nothing that changed has tests
        if self.summary.leftover and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self.replay is not None:
            shutil.rmtree(self.replay.parent, ignore_errors=True)
        else:
            self.durations.write(self.summary.starts)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        verbose = self.config.get_verbosity() > 0
        for line, colour in self.summary.lines(verbose=verbose, workers=bool(self.controller)):
            terminalreporter.write_line(line, **{colour: True} if colour else {})
        if verbose and self.go.runner is not None:
            for package, plan in self.go.runner.plans.items():
                terminalreporter.write_line(f"gotest: {package}: {plan.why}")
