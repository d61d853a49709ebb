"""Every private touch of pytest but subtests, one function each; knows nothing of Go."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import pytest


def report_key(item: pytest.Item) -> Any:
    """What pytest counts failed subtests by: the id object from 9.2 on, the text before."""
    return getattr(item, "id", item.nodeid)


def fixture_info(item: pytest.Function) -> Any:
    """What pytest resolved for this item's fixtures, to be shared with items that ask for the same."""
    return item._fixtureinfo


def fixture_is_own(item: pytest.Function, name: str, module: str) -> bool:
    """Whether the fixture that this item gets under ``name`` is defined in ``module``."""
    found = item._fixtureinfo.name2fixturedefs.get(name)
    return found is not None and found[-1].func.__module__ == module


def fixture_files(item: pytest.Function) -> Iterator[tuple[str, str]]:
    """File and package of each module in which a fixture that this item may use is defined."""
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        for definition in definitions:
            # Of several modules named conftest sys.modules has one.
            names = getattr(inspect.unwrap(definition.func), "__globals__", {})
            if file := names.get("__file__"):
                yield file, names.get("__package__") or ""


def fill_wide_fixtures(item: pytest.Function) -> None:
    """Set up those fixtures of an item that outlive it; the others are left to its ``setup``."""
    known = item._fixtureinfo.name2fixturedefs
    for name in item.fixturenames:  # in the order of their scopes, the widest first
        if name in known and name not in item.funcargs:
            if known[name][-1].scope in ("function", "class"):
                break
            item.funcargs[name] = item._request.getfixturevalue(name)


def set_parameters(item: pytest.Function, parameters: str) -> None:
    """Make ``item`` equal in id to ``path::name[parameters]`` as pytest itself parses that text.

    From 9.2 on an id is an object, and --lf compares objects.
    """
    own: Any = getattr(item, "_id", None)
    if own is not None:
        item._id = own.with_params(parameters)
    else:
        assert item.parent is not None
        setattr(item, "_nodeid", f"{item.parent.nodeid}::{item.name}")  # noqa: B010 - unknown from 9.2 on


def last_failed(config: pytest.Config) -> list[str]:
    """Node ids that --lf would run; empty without that option."""
    if not config.getoption("lf", False) and not config.getoption("failedfirst", False):
        return []
    assert config.cache is not None
    return list(config.cache.get("cache/lastfailed", {}))


@contextlib.contextmanager
def real_stdin(config: pytest.Config) -> Iterator[BinaryIO]:
    """Standard input as the user gave it; pytest's capture puts another one in its place.

    For pytest_configure. Output is not captured then, and must not be until the terminal's reporter
    has taken hold of it: so nothing is resumed here. pytest's own next resume covers standard input.
    """
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    yield sys.stdin.buffer


def write_line(config: pytest.Config, text: str, **markup: bool) -> None:
    """A line on the terminal although output is being captured.

    The terminal of an xdist worker is /dev/null; its stderr is the controller's, over ssh too.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        if worker := worker_id(config):
            # On a terminal the controller's line of progress has not ended.
            begin = "\n" if sys.stderr.isatty() else ""
            print(f"{begin}[{worker}] {text}", file=sys.stderr, flush=True)
        elif reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(text, **markup)
            reporter.flush()  # in the log of a CI job too who waits is told so


def worker_id(config: pytest.Config) -> str:
    """Which xdist worker this is; empty outside xdist and in the controller."""
    return str(getattr(config, "workerinput", {}).get("workerid", ""))


def timeout(of: pytest.Item | pytest.Config) -> float | None:
    """Seconds that pytest-timeout gives an item, or all items; None where it sets no limit."""
    config = of if isinstance(of, pytest.Config) else of.config
    if not config.pluginmanager.has_plugin("timeout"):
        return None
    mark = None if of is config else of.get_closest_marker("timeout")  # type: ignore[union-attr]
    given = getattr(config, "_env_timeout", None)
    if mark is not None:
        given = mark.args[0] if mark.args else mark.kwargs.get("timeout", given)
    return float(given) if given else None


def set_later_timer(item: pytest.Item, settings: Any, later: float) -> None:
    """Let pytest-timeout's clock of an item run for ``later`` seconds more than it was told."""
    plugin: Any = item.config.pluginmanager.get_plugin("timeout")
    plugin.pytest_timeout_set_timer(item, settings._replace(timeout=settings.timeout + later))


def _xdist_worker(config: pytest.Config) -> Any:
    """xdist's part of a worker. Its class is not the one that can be imported: execnet runs the module's source."""
    plugins = config.pluginmanager.get_plugins()
    return next((one for one in plugins if type(one).__name__ == "WorkerInteractor"), None)


def xdist_counted(config: pytest.Config, number: int) -> bool:
    """Whether this number of workers for -n auto is xdist's own count; the environment or another plugin may give one."""
    from xdist import plugin  # type: ignore[import-untyped]

    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return False
    return bool(number == plugin.pytest_xdist_auto_num_workers(config))


def xdist_gateway(config: pytest.Config) -> Any:
    """In an xdist worker: the execnet gateway by which it hears from the controller, or None."""
    return getattr(getattr(_xdist_worker(config), "channel", None), "gateway", None)


def on_work(session: pytest.Session, handed: Callable[[Sequence[int]], None]) -> bool:
    """In an xdist worker: call ``handed`` with the indices of items before they are put into its queue.

    One call for what the scheduler sent at once, in the thread that receives it. False, and no call,
    where xdist is not as known here. To be called before the worker's loop begins.
    """
    worker = _xdist_worker(session.config)
    handle: Any = getattr(worker, "handle_command", None)
    if handle is None:
        return False

    def listen(command: Any) -> None:
        if isinstance(command, tuple) and command[0] == "runtests":
            handed(command[1]["indices"])
        elif isinstance(command, tuple) and command[0] == "runtests_all":
            handed(range(len(session.items)))
        handle(command)

    worker.handle_command = listen
    return True
