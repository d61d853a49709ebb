"""Go test files and functions as pytest nodes; how they run is asked of the session."""

from __future__ import annotations

import functools
import os
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gotest import _compat, _report, _source, _subtests
from pytest_gotest._errors import DirectiveError, DiscoveryError, FixtureError, GotestError
from pytest_gotest._outcome import ERROR, FAIL, PASS, SKIP, Result
from pytest_gotest._plan import Test
from pytest_gotest._source import DirectiveSet, Kind, SourceFile, TestFunction
from pytest_gotest._toolchain import Package

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from pytest_gotest._session import GoSession

MARKERS = {
    Kind.EXAMPLE: "gotest_example",
    Kind.FUZZ: "gotest_fuzz",
    Kind.BENCHMARK: "gotest_benchmark",
}


class GoFailed(Exception):
    """A Go test failed; carries its result to ``repr_failure``."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.problem or "the Go test failed")
        self.result = result


class GoFile(pytest.Module):
    """One ``_test.go`` file. A `pytest.Module`, so that fixtures of every scope work on its tests."""

    gotest: GoSession
    item_class: type[GoItem]

    def _getobj(self) -> types.ModuleType:
        return self.gotest.module_of(self.path)

    def collect(self) -> Iterable[pytest.Item]:
        catalog = self.gotest.catalog
        package = catalog.package_of(self.path)
        name = self.path.name
        if name in package.ignored_files:
            if self.session.isinitpath(self.path):
                raise DiscoveryError(
                    f"{self.path} is excluded by its build constraints",
                    hint="--gotest-tags, GOOS and GOARCH decide about them",
                )
            return
        if name not in (*package.test_files, *package.xtest_files) and not package.error:
            return
        if not package.directory:
            raise DiscoveryError(
                f"go cannot load the package in {self.path.parent}:\n{package.error}"
            )
        try:
            source = catalog.source(self.path)
        except OSError as error:
            raise DiscoveryError(
                f"{self.path} cannot be read: {error.strerror}", hint="mend its permissions"
            ) from error
        shown = _relative(self.config, str(self.path))
        for problem in source.problems:
            if problem.kind == "directive":
                raise DirectiveError(problem.message, path=shown, line=problem.line)
        if not source.functions and package.error:
            raise DiscoveryError(f"go cannot load {package.import_path}:\n{package.error}")
        yield from self._items(package, source, shown)

    def _items(self, package: Package, source: SourceFile, shown: str) -> Iterator[pytest.Item]:
        shared: dict[tuple[str, ...], Any] = {}
        bracketed = self.gotest.bracketed(self.path)
        for function in source.functions:
            if function.kind is Kind.BENCHMARK and not self.gotest.wants_benchmark(function.name):
                continue
            directives = _source.parse_directives(
                function.directives, path=shown, file=source.directives
            )
            for select in ("", *bracketed.get(function.name, ())):
                item = self._item(package, function, directives, select, shared)
                yield item

    def _item(
        self,
        package: Package,
        function: TestFunction,
        directives: DirectiveSet,
        select: str,
        shared: dict[tuple[str, ...], Any],
    ) -> GoItem:
        wanted = (*directives.usefixtures, *self.gotest.fixtures)
        shim = _shim(function, directives, wanted, str(self.path))
        item: GoItem = self.item_class.from_parent(
            self,
            name=f"{function.name}[{select}]" if select else function.name,
            originalname=function.name,
            callobj=shim,
            fixtureinfo=shared.get(wanted),
        )
        shared.setdefault(wanted, _compat.fixture_info(item))
        if select:
            _compat.set_parameters(item, select)
        item.gotest = self.gotest
        item.function_ = function
        item.directives = directives
        item.package_ = package
        item.test = Test(
            package=package.import_path,
            name=function.name,
            kind=function.kind,
            external=self.gotest.is_second(package, self.path.name, function),
            select=select and "/".join(_source.rewrite(part) for part in select.split("/")),
            timeout=directives.timeout or self.gotest.settings.timeout,
        )
        item.extra_keyword_matches.update(self.gotest.keyword_hints(self.path, function.name))
        return item

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        if isinstance(excinfo.value, GotestError):
            return _report.error(str(excinfo.value), str(self.path))
        return super().repr_failure(excinfo)


def _go_test(gotest_env):  # type: ignore[no-untyped-def]
    raise AssertionError("a Go test runs in its own process")


@functools.cache
def _marker(name: str) -> pytest.MarkDecorator:
    """One of ours, which need no look at what is registered each time."""
    marker: pytest.MarkDecorator = getattr(pytest.mark, name)
    return marker


def _shim(
    function: TestFunction, directives: DirectiveSet, fixtures: Sequence[str], path: str
) -> Any:
    """The function that stands for a Go test: its signature asks for fixtures, its marks are the directives'.

    It says that it is in the Go file, for who asks where a test is by its function.
    """
    code = _go_test.__code__.replace(co_filename=path, co_firstlineno=function.line)
    # String conditions of skipif are evaluated among a function's globals: those of this module are not theirs.
    shim = types.FunctionType(code, {"__name__": "gotest"}, function.name)
    marks = [_marker("gotest")]
    if function.kind in MARKERS:
        marks.append(_marker(MARKERS[function.kind]))
    for spec in directives.marks:
        mark = getattr(pytest.mark, spec.name)
        marks.append(mark(*spec.args, **spec.kwargs) if spec.args or spec.kwargs else mark)
    if fixtures:
        marks.append(pytest.mark.usefixtures(*fixtures))
    shim.pytestmark = marks  # type: ignore[attr-defined]
    return shim


class GoItem(pytest.Function):
    """One Go test, example, fuzz target or benchmark, or one subtest asked for by its id."""

    gotest: GoSession
    function_: TestFunction
    directives: DirectiveSet
    package_: Package
    test: Test
    result: Result | None = None
    env: Mapping[str, str] = types.MappingProxyType({})
    last = False

    def setup(self) -> None:
        """Fixtures that outlive the test, then the process that runs it, its TestMain over, then the test's own fixtures.

        So what these do happens while that process stands still.
        """
        _compat.fill_wide_fixtures(self)
        if not self.config.getoption("setupplan", False):
            server: Any = self.funcargs.get("gotest_postgres")
            keeper: Any = self.funcargs.get("_gotest_keeper")
            if keeper is not None and self.gotest.keeper is None:
                self.gotest.keep(keeper)
            self.env = self.gotest.process_env(self._process_env(), server)
            self.gotest.prepare(self, self.env)
        super().setup()

    def _process_env(self) -> Mapping[str, str]:
        env = self.funcargs.get("gotest_env")
        if isinstance(env, Mapping):
            return env
        found = f"it is {env!r}" if "gotest_env" in self.funcargs else "its scope is too narrow"
        raise FixtureError(
            f"gotest_env is what a Go process gets before any fixture of a test acts, but {found}",
            hint='give it @pytest.fixture(scope="package") or "session" and return a dictionary; '
            "gotest_test_env is for variables of one test",
        )

    @property
    def go_package(self) -> str:
        return self.test.package

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, self.function_.line - 1, self.name

    @property
    def place(self) -> _report.Place:
        return _report.Place(
            str(self.path), self.package_.directory, self.test.name, self.function_.line
        )

    def runtest(self) -> None:
        self.result = result = self.gotest.run(self)
        for name, value in result.attrs:
            self.user_properties.append((name, value))
        for path in result.artifacts:
            self.user_properties.append(("go_artifacts", path))
        self._report_subtests(result)
        # After the subtests: each report takes all sections of its item along.
        if self.gotest.echo is None:
            shown = _report.captured(result, self.package_.directory)
            if shown:
                self.add_report_section("call", "stdout", shown)
        self._note(result)
        if result.verdict == SKIP:
            pytest.skip(_report.skip_reason(result.output, self.package_.directory)[2])
        if result.verdict in (FAIL, ERROR):
            raise GoFailed(result)

    def _note(self, result: Result) -> None:
        notes = [*result.notes, *(f"left behind: {left}" for left in result.left)]
        if notes and result.verdict == FAIL:
            self.add_report_section("call", "gotest", "\n".join(notes) + "\n")

    def _report_subtests(self, result: Result) -> None:
        verbose = self.config.get_verbosity() > 0
        shown = _subtests.chosen(result.subtests, self.gotest.settings.subtests, verbose)
        _subtests.report(self, shown, forgiven=result.verdict in (PASS, SKIP))

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        value = excinfo.value
        style = self.config.getoption("tbstyle", "auto")
        if isinstance(value, GoFailed):
            subtests = self.gotest.settings.subtests != "none"
            return _report.failure(
                self.place, value.result, self._relative, style=style, subtests_shown=subtests
            )
        if isinstance(value, _subtests.SubtestFailed):
            result = self.result
            died = result is not None and bool(
                result.problem
                or _report.panicked(result.output)
                or _report.panicked(result.evidence)
            )
            return _report.subtest_failure(
                self.place, value.subtest, self._relative, style=style, died=died
            )
        if isinstance(value, GotestError):
            return _report.error(str(value), str(self.path), self.function_.line)
        return super().repr_failure(excinfo)

    def say_where_skipped(self, report: pytest.TestReport, output: str) -> None:
        path, line, reason = _report.skip_reason(output, self.package_.directory)
        report.longrepr = (
            path or str(self.path),
            line or self.function_.line,
            f"Skipped: {reason}" if reason else "Skipped",
        )

    def _relative(self, path: str) -> str:
        return _relative(self.config, path)


def _relative(config: pytest.Config, path: str) -> str:
    """A path as pytest shows it: from where the user is, unless that is far away."""
    try:
        relative = os.path.relpath(path, config.invocation_params.dir)
    except ValueError:
        return path
    return path if relative.startswith(f"..{os.sep}..{os.sep}..") else relative


GoFile.item_class = GoItem


def amend_report(item: GoItem, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Go's own duration, and the place of a skip."""
    value = call.excinfo.value if call.excinfo is not None else None
    if call.when != "call":
        if call.excinfo is not None and isinstance(value, (GoFailed, GotestError)):
            # pytest asks `repr_failure` about calls alone, and would show a traceback of ours.
            report.longrepr = item.repr_failure(call.excinfo)
        return
    if isinstance(value, _subtests.SubtestSkipped):
        item.say_where_skipped(report, value.subtest.output)
    elif item.result is not None and not isinstance(value, _subtests.SubtestFailed):
        report.duration = item.result.seconds
        if report.skipped and not hasattr(report, "wasxfail"):
            item.say_where_skipped(report, item.result.output)


_BRACKETED = re.compile(r"(?P<file>.*?_test\.go)::(?P<name>[^\[:]+)\[(?P<sub>.+)\]$", re.DOTALL)


def bracketed_ids(config: pytest.Config) -> dict[Path, dict[str, list[str]]]:
    """Subtests asked for by id, on the command line or by --lf: file -> test -> subtests."""
    found: dict[Path, dict[str, list[str]]] = {}
    asked = [(config.invocation_params.dir, arg) for arg in config.args]
    asked += [(config.rootpath, nodeid) for nodeid in _compat.last_failed(config)]
    for base, text in asked:
        if match := _BRACKETED.match(text):
            path = Path(os.path.abspath(base / match["file"]))
            subs = found.setdefault(path, {}).setdefault(match["name"], [])
            if match["sub"] not in subs:
                subs.append(match["sub"])
    return found
