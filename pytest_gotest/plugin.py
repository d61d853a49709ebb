"""The pytest hooks and fixtures; imports the rest of the plugin only when Go tests are asked for."""

from __future__ import annotations

import pytest

from pytest_gotest import _options


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
    if _options.wanted(config):
        from pytest_gotest._hooks import GoHooks

        config.pluginmanager.register(GoHooks(config), "gotest-hooks")


@pytest.fixture(scope="package")
def gotest_env() -> dict[str, str]:
    """Variables that the Go test processes get on top of pytest's own; override it to give some."""
    return {}


@pytest.fixture
def gotest_test_env() -> dict[str, str | None]:
    """Variables for this one Go test, set just before it runs; None removes one. Fill it in a fixture."""
    return {}


@pytest.fixture(scope="class")
def gotest_process(gotest_env: dict[str, str]) -> None:
    """The process that runs a Go test, its TestMain over; set up before function-scoped fixtures.

    Outside classes a class-scoped fixture is set up for each test, after those of wider scope.
    """
    from pytest_gotest._nodes import GoItem

    # Not by `request`: pytest makes that anew, three times here, and inspects a signature each time.
    item = GoItem.being_set_up
    if item is None:
        pytest.fail("gotest_process is a fixture of Go tests alone", pytrace=False)
    item.gotest.prepare(item, gotest_env)
