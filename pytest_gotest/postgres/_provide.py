"""Which server, by the settings; and one for this process, started when it is first asked for."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gotest import _compat, _remote, _settings
from pytest_gotest._errors import LeakWarning, PostgresError
from pytest_gotest._settings import Settings
from pytest_gotest.postgres import _client, _secrets, _server, _told
from pytest_gotest.postgres._database import Database
from pytest_gotest.postgres._keeper import Keeper
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline import _baseline
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.baseline._command import Command
from pytest_gotest.postgres.reset._recorded import Restored
from pytest_gotest.postgres.servers import _binaries, _daemon
from pytest_gotest.postgres.servers._cluster import Clusters
from pytest_gotest.postgres.servers._container import Containers
from pytest_gotest.postgres.servers._provider import Instance, Provider
from pytest_gotest.postgres.servers._shared import SharedServer, Worker

if TYPE_CHECKING:
    from pytest_gotest._recorder import Recorder


def choose(
    wanted: str,
    image: str,
    cache_dir: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None] = print,
) -> Provider:
    """``wanted``: auto, container, embedded or local. ``say`` tells the user what takes long.

    Raises `PostgresError` that lists what was tried and why each failed.
    """
    ways: dict[str, Callable[[], Provider]] = {
        "container": lambda: _containers(image, cache_dir, say),
        "embedded": lambda: Clusters(_binaries.embedded(), cache_dir, environ),
        "local": lambda: Clusters(_binaries.local(environ), cache_dir, environ),
    }
    if wanted == "off":
        raise PostgresError("a database was asked for, but --gotest-postgres is off")
    if wanted != "auto":
        return ways[wanted]()
    tried = []
    for way in ways.values():
        try:
            return way()
        except PostgresError as error:
            tried.append(f"  {error.message}" + (f" ({error.hint})" if error.hint else ""))
    raise PostgresError("no PostgreSQL server can be had; tried\n" + "\n".join(tried))


def _containers(image: str, cache_dir: Path, say: Callable[[str], None]) -> Provider:
    containers = Containers(_daemon.connect(), image, cache_dir, say)
    containers.fetch()
    return containers


class Postgres:
    """The server of this process; ``baseline`` is asked what is in it when it starts, ``reset`` is the way back to that.

    With ``isolation`` it is shared: one that ``told`` names, or this process starts one.
    """

    def __init__(
        self,
        choose: Callable[[], Provider],
        baseline: Callable[[], Baseline],
        reset: str,
        isolation: str = "server",
        told: Server | None = None,
        worker: Worker | None = None,
    ) -> None:
        # Once: it may fetch an image, for the header.
        self._choose = functools.cache(choose)
        self._baseline = baseline
        self._reset = reset
        self._isolation = isolation
        self._told = told
        self._worker = worker or Worker(0, os.urandom(8).hex(), "main")
        self._started: Instance | None = None
        self._instance: Instance | None = None
        self.keeper: Keeper | None = None

    def __str__(self) -> str:
        """For the header. Raises `PostgresError`."""
        reset = f"reset {self._reset}"
        if self._told is None:
            return f"postgres {self._choose()}, {_EACH[self._isolation]}, {reset}"
        shared = SharedServer(self._told, self._isolation, self._worker)
        if self._reset == "auto" and not shared.reads_log:
            reset += " (without the log: every table is looked at)"
        return f"postgres {shared}, {_EACH[shared.isolation]}, {reset}"

    def shared(self) -> Server:
        """The server that this process and those it tells of it share."""
        if self._told is None:
            self._started = self._choose().start(Baseline())
            self._told = self._started.maintenance()
        return self._told

    @property
    def instance(self) -> Instance:
        """It is running from now on. Raises `PostgresError`."""
        if self._instance is None:
            self._instance = self._provider().start(self._baseline())
        return self._instance

    def _provider(self) -> Provider:
        if self._isolation == "server":
            return self._choose()
        return SharedServer(self.shared(), self._isolation, self._worker)

    def passwords(self) -> set[str]:
        known = [self._told] if self._told is not None else []
        if self._instance is not None:
            with contextlib.suppress(PostgresError):
                known.append(self._instance.server())
        # One that is the user's name as well is nobody's secret, and found in many a path.
        return {one.password for one in known if one.password != one.user}

    def stop(self) -> None:
        instance, self._instance = self._instance, None
        if self.keeper is not None:
            self.keeper.close()
        if instance is not None:
            instance.stop()
        started, self._started = self._started, None
        if started is not None:
            started.stop()


_EACH = {
    "server": "a server per worker",
    "database": "a database per worker",
    "schema": "a schema per worker",
    "shared": "workers take turns",
}
_POSTGRES = pytest.StashKey[Postgres]()


def check(config: pytest.Config) -> None:
    """Before anything starts. Raises `pytest.UsageError` for what is wrong or cannot go together."""
    settings = _settings.read(config)
    try:
        _isolation(settings, _told_server(settings, config))
    except PostgresError as error:
        raise pytest.UsageError(str(error)) from None
    if settings.require_db:
        if settings.reset != "auto":
            raise pytest.UsageError(
                f"--gotest-require-db cannot tell with --gotest-reset={settings.reset} whether anything was written"
            )
        _told.of(config)


def of(config: pytest.Config) -> Postgres:
    """Raises `PostgresError` for what cannot go together."""
    if _POSTGRES not in config.stash:
        settings = _settings.read(config)
        told = _told_server(settings, config)
        isolation = _isolation(settings, told)
        name = getattr(config, "workerinput", {}).get("workerid", "main")
        config.stash[_POSTGRES] = Postgres(
            functools.partial(
                choose,
                settings.postgres,
                settings.postgres_image,
                settings.cache_dir,
                os.environ,
                functools.partial(_compat.write_line, config),
            ),
            functools.partial(_baseline_of, settings, config),
            settings.reset,
            isolation,
            told,
            Worker(os.getuid() if os.name == "posix" else 0, _run_id(config), name),
        )
    return config.stash[_POSTGRES]


def _isolation(settings: Settings, told: Server | None) -> str:
    if told is None:
        return "server" if settings.isolation == "auto" else settings.isolation
    if settings.isolation == "server":
        raise PostgresError(
            "--gotest-isolation=server: of a URL there is one server",
            hint="leave it out, or choose database, schema or shared",
        )
    return settings.isolation


def _told_server(settings: Settings, config: pytest.Config) -> Server | None:
    """That of the URL, or that which xdist's controller has started for its workers."""
    told = getattr(config, "workerinput", {}).get(_told.KEY)
    url = told or settings.postgres
    if "://" not in url:
        return None
    try:
        server = _server.of_url(url)
    except ValueError as error:
        raise PostgresError(f"--gotest-postgres: {error}") from None
    return replace(server, provider=(told and settings.postgres) or server.provider)


def tell(node: Any) -> None:
    """A worker of this machine of the server that it is to share with the others; it ends with this process."""
    config: pytest.Config = node.config
    wanted = _settings.read(config).postgres
    if _remote.host(node.gateway.spec) or "://" in wanted or wanted == "off":
        return
    try:
        postgres = of(config)
        config.add_cleanup(postgres.stop)
        node.workerinput[_told.KEY] = postgres.shared().url
    except PostgresError as error:
        raise pytest.UsageError(str(error)) from None


def _baseline_of(settings: Settings, config: pytest.Config) -> Baseline:
    root, command = config.rootpath, None
    if settings.migrate_command:
        command = Command(
            settings.migrate_command,
            root,
            os.environ,
            settings.migrate_inputs,
            _run_id(config),
            functools.partial(_compat.write_line, config),
        )
    return Baseline(
        _baseline.migrations(settings.migrations, root),
        command,
        _baseline.seeds(settings.seed, root),
    )


def _run_id(config: pytest.Config) -> str:
    """One for all workers, and never the same again."""
    hooks = config.pluginmanager.get_plugin("gotest-hooks")
    if hooks is not None:
        return str(hooks.go.run_id)
    # Without Go tests there is xdist's, which a user may give twice: by --testrunuid.
    told = getattr(config, "workerinput", None)
    return f"{told['testrunuid']}-{os.getppid()}" if told else os.urandom(8).hex()


def for_session(config: pytest.Config) -> Server:
    """A server until pytest ends: Go processes may use it longer than the fixture of the last test lives.

    From now on the user's own PG* variables reach no test.
    """
    hidden = _client.hide()
    config.add_cleanup(lambda: os.environ.update(hidden))
    with _failing():
        postgres = of(config)
        server = postgres.instance.server()
    config.add_cleanup(postgres.stop)
    return server


def keeper(config: pytest.Config, *, is_new: bool) -> Keeper:
    """Of the database as it is now; ``is_new``: the project has added to what migrations made."""
    with _failing():
        postgres = of(config)
        if is_new:
            _keep(postgres.instance)
        postgres.keeper = Keeper(postgres.instance, _settings.read(config).reset)
    hooks = config.pluginmanager.get_plugin("gotest-hooks")
    if hooks is None or not hooks.go.settings.postgres_env:  # the header has not said it
        postgres.keeper.counts.server = postgres.keeper.server.kind
    _told.of(config).add(postgres.keeper.counts)
    if hooks is not None and hooks.go.recorder is not None:
        postgres.keeper.note = functools.partial(_note, hooks.go.recorder)
    return postgres.keeper


def _keep(instance: Instance) -> None:
    import psycopg

    try:
        instance.keep()
    except psycopg.Error as error:
        raise PostgresError(
            f"what gotest_baseline has added to {instance} cannot be kept: {_client.first_line(error)}",
            hint="commit or roll back, and close all connections, before gotest_baseline returns",
        ) from error


def _note(recorder: Recorder, restored: Restored, begun: float) -> None:
    """For the timeline."""
    tables = {"tables": ", ".join(restored.tables)} if restored.kind == "delta" else {}
    why = {"why": restored.why} if restored.why else {}
    recorder.note("reset", f"reset ({restored.kind})", begun, **tables, **why)


def for_test(keeper: Keeper, node: pytest.Item) -> Generator[Database]:
    """What `gotest_db` is: the baseline before and after. Who leaves something open is warned of."""
    nodeid = node.nodeid
    with _failing():
        keeper.begin(nodeid, getattr(node, "go_package", ""))
    database = Database(keeper)
    yield database
    database.close()
    with _failing():
        restored = keeper.end(nodeid)
    for leak in restored.leaks:
        warnings.warn(LeakWarning(leak), stacklevel=1)


def hide_passwords(config: pytest.Config, report: pytest.TestReport) -> None:
    postgres = config.stash.get(_POSTGRES, None)
    if postgres is not None:
        _secrets.hide(report, postgres.passwords())


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except PostgresError as error:
        # Without what led to it: the message says all that the server or a tool said.
        raise pytest.fail.Exception(str(error), pytrace=False) from None
