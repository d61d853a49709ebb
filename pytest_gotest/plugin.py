"""The pytest hooks and fixtures; imports the rest of the plugin only when Go tests are asked for."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gotest import _options

if TYPE_CHECKING:
    from pytest_gotest.postgres._database import Database
    from pytest_gotest.postgres._keeper import Keeper
    from pytest_gotest.postgres._server import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    _options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    for marker, text in (
        ("gotest", "every Go test"),
        ("gotest_example", "Go examples with output"),
        ("gotest_fuzz", "Go fuzz targets, run on their seeds and corpus"),
        ("gotest_benchmark", "Go benchmarks (see --gotest-bench)"),
    ):
        config.addinivalue_line("markers", f"{marker}: {text}.")
    if _options.sets_database(config):
        from pytest_gotest.postgres import _provide

        _provide.check(config)
    if _options.wanted(config):
        from pytest_gotest._hooks import GoHooks

        config.pluginmanager.register(GoHooks(config), "gotest-hooks")


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """No more workers for -n auto than there are CPUs: xdist knows nothing of control groups.

    Here, for xdist asks before `pytest_configure`.
    """
    number = yield
    if not _options.wanted(config):
        return number
    from pytest_gotest import _compat, _cpus

    return min(number, _cpus.available()) if _compat.xdist_counted(config, number) else number


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Workers that share a server are told of it; Python's tests may use it without any of Go."""
    from pytest_gotest import _settings

    if _settings.read(node.config).isolation not in ("auto", "server"):
        from pytest_gotest.postgres import _provide

        _provide.tell(node)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has told what keeping its database took."""
    output = getattr(node, "workeroutput", {})  # none of one that crashed
    if "gotest_postgres" in output:
        from pytest_gotest.postgres import _told

        _told.of(node.config).hear(output)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A driver that cannot connect shows the password it was given."""
    report = yield
    used = sys.modules.get("pytest_gotest.postgres._provide")
    if used is not None and (report.longrepr or report.sections):
        used.hide_passwords(item.config, report)
    return report


@pytest.fixture(scope="package")
def gotest_env() -> dict[str, str]:
    """Variables that the Go test processes get on top of pytest's own; override it to give some."""
    return {}


@pytest.fixture
def gotest_test_env() -> dict[str, str | None]:
    """Variables for this one Go test, set just before it runs; None removes one. Fill it in a fixture."""
    return {}


@pytest.fixture(scope="session")
def gotest_postgres(pytestconfig: pytest.Config) -> Server:
    """The PostgreSQL server of this worker, for Go and Python tests alike: url, host, port, user, password, dbname."""
    from pytest_gotest.postgres import _provide

    return _provide.for_session(pytestconfig)


_AS_MIGRATED = object()


@pytest.fixture(scope="session")
def gotest_baseline(gotest_postgres: Server) -> object:
    """Override it to make in Python what the database holds before each test, on top of migrations and seeds."""
    return _AS_MIGRATED


@pytest.fixture(scope="session")
def _gotest_keeper(
    pytestconfig: pytest.Config, gotest_postgres: Server, gotest_baseline: object
) -> Keeper:
    from pytest_gotest.postgres import _provide

    return _provide.keeper(pytestconfig, is_new=gotest_baseline is not _AS_MIGRATED)


@pytest.fixture
def gotest_db(request: pytest.FixtureRequest, _gotest_keeper: Keeper) -> Generator[Database]:
    """The database of this worker, at its baseline; put back when the test ended, whatever it did."""
    from pytest_gotest.postgres import _provide

    yield from _provide.for_test(_gotest_keeper, request.node)
