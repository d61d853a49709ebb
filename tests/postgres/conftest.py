from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers import _binaries
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._cluster import Cluster, Clusters

Start = Callable[..., Cluster]


@pytest.fixture(params=["embedded", "local"])
def binaries(request: pytest.FixtureRequest) -> Binaries:
    """Two versions; CI has both."""
    try:
        return _binaries.embedded() if request.param == "embedded" else _binaries.local(os.environ)
    except PostgresError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def start(binaries: Binaries, cache: Path) -> Iterator[Start]:
    """Starts servers, which end with the test."""
    running: list[Cluster] = []

    def one(baseline: Baseline | None = None, cache: Path = cache) -> Cluster:
        running.append(Clusters(binaries, cache, os.environ).start(baseline or Baseline()))
        return running[-1]

    yield one
    for cluster in running:
        cluster.stop()


@pytest.fixture(scope="session")
def standing(cache: Path) -> Iterator[Start]:
    """Servers that stand until all tests are over: who uses one leaves it as it was."""
    running: dict[tuple[str, str], Cluster] = {}

    def one(binaries: Binaries, baseline: Baseline) -> Cluster:
        key = binaries.provider, baseline.key()
        if key not in running:
            running[key] = Clusters(binaries, cache, os.environ).start(baseline)
        return running[key]

    yield one
    for cluster in running.values():
        cluster.stop()
