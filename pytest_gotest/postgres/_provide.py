"""Which server, by the settings; and one for this process, started when it is first asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pytest_gotest import _settings
from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _baseline, _binaries, _client
from pytest_gotest.postgres._cluster import Clusters
from pytest_gotest.postgres._provider import Instance, Provider
from pytest_gotest.postgres._server import Server


def choose(wanted: str, cache_dir: Path, environ: Mapping[str, str]) -> Provider:
    """``wanted``: auto, embedded or local. Raises `PostgresError` that lists what was tried and why each failed."""
    ways: dict[str, Callable[[], Provider]] = {
        "embedded": lambda: Clusters(_binaries.embedded(), cache_dir, environ),
        "local": lambda: Clusters(_binaries.local(environ), cache_dir, environ),
    }
    if wanted != "auto":
        return ways[wanted]()
    tried = []
    for way in ways.values():
        try:
            return way()
        except PostgresError as error:
            tried.append(f"  {error.message}" + (f" ({error.hint})" if error.hint else ""))
    raise PostgresError("no PostgreSQL server can be had; tried\n" + "\n".join(tried))


class Postgres:
    """The server of this process. ``migrations`` are globs from ``root``."""

    def __init__(
        self,
        wanted: str,
        migrations: tuple[str, ...],
        root: Path,
        cache_dir: Path,
        environ: Mapping[str, str],
    ) -> None:
        self._choose = functools.partial(choose, wanted, cache_dir, environ)
        self._migrations = migrations
        self._root = root
        self._instance: Instance | None = None

    def __str__(self) -> str:
        """For the header. Raises `PostgresError`."""
        return f"postgres {self._choose()}, a server per worker"

    def server(self) -> Server:
        """How it is reached; it is running from now on. Raises `PostgresError`."""
        if self._instance is None:
            baseline = _baseline.find(self._migrations, self._root)
            self._instance = self._choose().start(baseline)
        return self._instance.server()

    def stop(self) -> None:
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.stop()


def of(config: pytest.Config) -> Postgres:
    settings = _settings.read(config)
    return Postgres(
        settings.postgres, settings.migrations, config.rootpath, settings.cache_dir, os.environ
    )


def for_session(config: pytest.Config) -> Server:
    """A server until pytest ends: Go processes may use it longer than the fixture of the last test lives.

    From now on the user's own PG* variables reach no test.
    """
    hidden = _client.hide()
    config.add_cleanup(lambda: os.environ.update(hidden))
    postgres = of(config)
    try:
        server = postgres.server()
    except PostgresError as error:
        pytest.fail(str(error), pytrace=False)
    config.add_cleanup(postgres.stop)
    return server
