"""Whatever a test did, the next one finds the baseline: by full dumps, after random work, on both versions."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import psycopg
import pytest
from randomly import World, dump

from pytest_gotest.postgres.reset import _reset
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._cluster import Cluster

Start = Callable[..., Cluster]

STORIES = int(os.environ.get("GOTEST_STORIES", "4"))  # schemas, each disturbed so many times:
TIMES = 25


@pytest.mark.parametrize("seed", range(STORIES))
def test_random_work(start: Start, binaries: Binaries, seed: int) -> None:
    cluster = start()
    connect = lambda: psycopg.connect(cluster.server().dsn(), autocommit=True)  # noqa: E731
    rng = random.Random(seed)
    world = World(rng, connect)
    world.build()
    cluster.keep()
    reset = _reset.of("auto", cluster)
    before = dump(cluster, binaries.directory)
    kinds = []
    open_: list[psycopg.Connection[object]] = []
    for _ in range(TIMES):
        done = world.disturb(open_)
        restored = reset.restore()
        kinds.append(restored.kind)
        after = dump(cluster, binaries.directory)
        assert after == before, (restored, done)
    for connection in open_:
        connection.close()
    reset.close()
    assert "delta" in kinds
