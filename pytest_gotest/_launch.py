"""The commands that run Go tests, for each engine; starts nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_gotest._build import Binary, test_environment
from pytest_gotest._flags import list_flags
from pytest_gotest._harness import GATE
from pytest_gotest._plan import Group, Test
from pytest_gotest._settings import Settings
from pytest_gotest._source import Kind
from pytest_gotest._toolchain import GoEnv, Package, Toolchain

# 0 would take t.Deadline away and switch the runtime's deadlock exit on; each test is timed from outside.
_FAR_OFF = "24h"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the processes of one package.

    ``argv`` gives the command for a group. ``harness``: it takes orders. ``json``: its output is that of
    `go test -json` and not a binary's own.
    """

    package: str
    argv: Callable[[Group], Sequence[str]]
    cwd: str
    env: Mapping[str, str]
    harness: bool = True
    json: bool = False
    escapes: bool = True  # Go 1.27 and later: see RawDecoder
    timeout: float = 600.0  # for what belongs to no test: initialisation, TestMain
    count: int = 1  # runs of each test
    hold: bool = False  # TestMain may run the tests several times: no verdict before the end


_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


def quote_meta(text: str) -> str:
    """Go's regexp.QuoteMeta; Python's re.escape escapes more than RE2 lets be escaped."""
    return _META.sub(lambda match: "\\" + match[0], text)


def run_pattern(names: Iterable[str], select: str = "") -> str:
    """An expression for -run that selects just these top-level tests, or one subtest of them."""
    top = "^(?:" + "|".join(quote_meta(name) for name in names) + ")$"
    below = [f"^{quote_meta(part)}$" for part in select.split("/")] if select else []
    return "/".join([top, *below])


def binary_launch(
    package: Package,
    binary: Binary,
    settings: Settings,
    goenv: GoEnv,
    environ: Mapping[str, str],
    *,
    select: Test | None = None,
    hold: bool = False,
    parallel: int = 0,
) -> Launch:
    """Run a test binary as cmd/go does (cmd/go/internal/test/test.go, runTestActor).

    ``parallel``: how many tests may run beside each other; 0 leaves that to Go, which takes GOMAXPROCS.
    """
    harness = not binary.plain

    def argv(group: Group) -> list[str]:
        limit = _FAR_OFF if harness else _bound(group, settings)
        common = [binary.path, "-test.paniconexit0", f"-test.timeout={limit}", "-test.v=test2json"]
        if settings.short:
            common.append("-test.short")
        if parallel:
            common.append(f"-test.parallel={parallel}")
        chosen: list[str] = []
        if not harness:
            chosen = _choose(group, prefix="-test.")
        elif select is not None and select.select:
            chosen = [f"-test.run={run_pattern((select.name, GATE), select.select)}"]
        return [*common, *chosen, *settings.args]

    return Launch(
        package=package.import_path,
        argv=argv,
        cwd=package.directory,
        env=test_environment(environ, goenv, package.directory),
        harness=harness,
        escapes=goenv.version >= (1, 27),
        timeout=settings.timeout,
        count=settings.count,
        hold=hold,
    )


def gotest_launch(
    package: Package,
    toolchain: Toolchain,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    parallel: int = 0,
) -> Launch:
    """Run `go test -json` for one package; ``parallel`` as for a binary."""

    def argv(group: Group) -> Sequence[str]:
        return [
            toolchain.go,
            "test",
            "-json",
            f"-timeout={_bound(group, settings)}",
            *([f"-parallel={parallel}"] if parallel else []),
            *list_flags(settings),
            *[arg for arg in settings.build_args if arg.startswith("-vet")],
            *(["-short"] if settings.short else []),
            *_choose(group, prefix="-"),
            package.pattern,
            *(["-args", *settings.args] if settings.args else []),
        ]

    return Launch(
        package=package.import_path,
        argv=argv,
        cwd=package.root,
        env={**environ, "PWD": package.root},
        harness=False,
        json=True,
        timeout=settings.timeout,
    )


def _bound(group: Group, settings: Settings) -> str:
    """Later than each test's own limit, and an end for what outlives a killed pytest."""
    tests = sum(test.timeout for test in group.tests) * group.times
    return f"{int(tests + 2 * settings.timeout) + 60}s"


def _choose(group: Group, prefix: str) -> list[str]:
    benchmarks = [test.name for test in group.tests if test.kind is Kind.BENCHMARK]
    others = [test.name for test in group.tests if test.kind is not Kind.BENCHMARK]
    select = next((test.select for test in group.tests if test.select), "")
    chosen = [f"{prefix}run={run_pattern(others, select) if others else '^$'}"]
    if benchmarks:
        chosen.append(f"{prefix}bench={run_pattern(benchmarks)}")
    return [*chosen, f"{prefix}count={group.times}"]
