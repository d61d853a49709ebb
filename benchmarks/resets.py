"""What it takes to put a database back, against the usual ways, in one run.

    python -m benchmarks.resets [--tables 10 50 300] [--rounds 20] [--servers embedded local] [--places memory disk]
                                [--peers] [--image NAME]

For each server, place of the data directory and number of tables, in turn and round by round:

* ours (`--gotest-reset=auto`) after nothing, and after one, three and ten tables were written to, and after ten rows of
  a table of 10,000 were changed;
* TRUNCATE of all tables (without filling any again), DROP and CREATE DATABASE from a template, each after three tables;
* ROLLBACK of a transaction that wrote to three tables;
* with --peers, those of `benchmarks.peers`; testcontainers' snapshot where an --image is there for it
  (`python tests/postgres_image.py` makes some).

Each table has a primary key, a foreign key, an index and ten rows. Milliseconds, p50 and p95; a ratio is the median of
the ratios of one round each to ours after three tables.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg

from benchmarks import measuring, peers
from pytest_gotest.postgres import _databases
from pytest_gotest.postgres._keeper import Keeper
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers import _binaries
from pytest_gotest.postgres.servers._cluster import Cluster, Clusters

ROWS = 10
SEED = 10_000
Connection = psycopg.Connection[Any]


def schema(tables: int) -> str:
    lines = []
    for number in range(tables):
        parent = f" REFERENCES t{number - 1}" if number else ""
        lines.append(
            f"CREATE TABLE t{number} (id bigserial PRIMARY KEY, parent bigint{parent}, name text NOT NULL);\n"
            f"CREATE INDEX ON t{number} (name);\n"
            f"INSERT INTO t{number} (parent, name) SELECT g, md5(g::text) FROM generate_series(1, {ROWS}) g;\n"
        )
    lines.append(
        "CREATE TABLE seed (id bigserial PRIMARY KEY, name text NOT NULL);\n"
        f"INSERT INTO seed (name) SELECT md5(g::text) FROM generate_series(1, {SEED}) g;\n"
    )
    return "".join(lines)


def write(connection: Connection, tables: int) -> None:
    for number in range(tables):
        connection.execute(f"INSERT INTO t{number} (parent, name) VALUES (1, 'new')".encode())
        connection.execute(f"UPDATE t{number} SET name = 'other' WHERE id = 3".encode())


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Contest:
    """A server for ours, as a worker has it, and one with a database for each other way: ours reads the log of its own."""

    def __init__(self, cluster: Cluster, other: Cluster, tables: int) -> None:
        self._cluster = other
        self._tables = tables
        self._stack = contextlib.ExitStack()
        self._maintenance = self._connect("postgres")
        for name in ("truncated", "replaced", "rolled_back"):
            _databases.clone(self._maintenance, "test_baseline", name)
        self._keeper = Keeper(cluster, "auto")
        self._stack.callback(self._keeper.close)
        self._test = psycopg.connect(cluster.server().dsn(), autocommit=True)
        self._stack.callback(self._test.close)
        self._truncated = self._connect("truncated")
        self._rolled = self._connect("rolled_back", autocommit=False)

    def _connect(self, dbname: str, *, autocommit: bool = True) -> Connection:
        dsn = self._cluster.server().dsn(dbname=dbname)
        connection = psycopg.connect(dsn, autocommit=autocommit)
        self._stack.callback(connection.close)
        return connection

    def close(self) -> None:
        self._stack.close()

    def ways(self) -> dict[str, Callable[[], float]]:
        ours = {
            f"ours, {tables or 'no'} table{'s' if tables != 1 else ''}": self._ours(tables)
            for tables in (0, 1, 3, 10)
        }
        return {
            **ours,
            f"ours, ten rows of {SEED:,}": self._seed,
            "ROLLBACK": self._rollback,
            "TRUNCATE": self._truncate,
            "DROP, CREATE TEMPLATE": self._replace,
        }

    def _ours(self, tables: int) -> Callable[[], float]:
        def once() -> float:
            write(self._test, tables)
            taken = seconds(self._keeper.restore)
            assert self._keeper.counts.renewed == []
            return taken

        return once

    def _seed(self) -> float:
        self._test.execute("UPDATE seed SET name = 'x' WHERE id BETWEEN 500 AND 509")
        return seconds(self._keeper.restore)

    def _rollback(self) -> float:
        write(self._rolled, 3)
        return seconds(self._rolled.rollback)

    def _truncate(self) -> float:
        write(self._truncated, 3)
        names = ", ".join(f"t{number}" for number in range(self._tables))
        statement = f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode()
        taken = seconds(lambda: self._truncated.execute(statement))
        # For the next round: as many rows as before.
        for number in range(3):
            self._truncated.execute(
                f"INSERT INTO t{number} (parent, name) SELECT NULL, 'x' FROM generate_series(1, {ROWS})".encode()
            )
        return taken

    def _replace(self) -> float:
        with psycopg.connect(
            self._cluster.server().dsn(dbname="replaced"), autocommit=True
        ) as connection:
            write(connection, 3)
        self._maintenance.execute("SELECT 1")

        def both() -> None:
            self._maintenance.execute("DROP DATABASE replaced WITH (FORCE)")
            self._maintenance.execute("CREATE DATABASE replaced TEMPLATE test_baseline")

        return seconds(both)


@contextlib.contextmanager
def started(
    provider: str, place: str, tables: int, scratch: Path
) -> Iterator[tuple[Cluster, Cluster]]:
    environ = dict(os.environ)
    binaries = _binaries.embedded() if provider == "embedded" else _binaries.local(environ)
    clusters = Clusters(binaries, scratch / "cache", environ)
    if place == "disk":
        clusters.base = scratch / "disk"
        clusters.base.mkdir(exist_ok=True)
        for directory in (clusters.base, scratch):  # the account of servers of root passes here
            directory.chmod(0o711)
    file = scratch / f"{tables}.sql"
    file.write_text(schema(tables))
    cluster = clusters.start(Baseline((file,)))
    try:
        other = clusters.start(Baseline((file,)))
        try:
            yield cluster, other
        finally:
            other.stop()
    finally:
        cluster.stop()


def rounds(number: int, ways: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """All share the weather."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(number + 1):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            spent = ways[name]()
            if turn:  # the first one warms up
                taken[name].append(spent)
    return taken


def of_peers(
    cluster: Cluster, schema: Path, number: int, scratch: Path, image: str | None
) -> dict[str, list[float]]:
    server = cluster.server()
    found = {
        "pgtestdb": peers.pgtestdb(server, schema, number, scratch),
        "IntegreSQL": peers.integresql(server, schema, number, scratch, write),
        "pytest-postgresql": peers.pytest_postgresql(
            server, "test_baseline", number, scratch, write
        ),
    }
    if image is not None:
        taken = peers.testcontainers(image, schema, number, scratch)
        found["testcontainers, snapshot (a container, on disk)"] = taken
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=int, nargs="+", default=[10, 50, 300])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--servers", nargs="+", default=["embedded", "local"])
    parser.add_argument("--places", nargs="+", default=["memory", "disk"])
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--image", help="for testcontainers")
    given = parser.parse_args()
    print(measuring.machine())
    base = "ours, 3 tables"
    with tempfile.TemporaryDirectory() as directory:
        for provider in given.servers:
            for place in given.places:
                for tables in given.tables:
                    scratch = Path(directory) / provider
                    scratch.mkdir(exist_ok=True)
                    Path(directory).chmod(0o711)
                    with started(provider, place, tables, scratch) as (cluster, other):
                        contest = Contest(cluster, other, tables)
                        try:
                            taken = rounds(given.rounds, contest.ways())
                        finally:
                            contest.close()
                        if given.peers:
                            schema_file = scratch / f"{tables}.sql"
                            taken |= of_peers(
                                other, schema_file, given.rounds, scratch, given.image
                            )
                    version = ".".join(map(str, cluster.server().server_version))
                    print(f"\n{version} ({provider}), {place}, {tables} tables\n")
                    rows = []
                    for name, spent in taken.items():
                        ratio = median(a / b for a, b in zip(spent, taken[base], strict=False))
                        p95 = quantiles(spent, n=20)[-1]
                        rows.append(
                            (
                                name,
                                f"{1000 * median(spent):.2f}",
                                f"{1000 * p95:.2f}",
                                f"{ratio:.2f}",
                            )
                        )
                    print(
                        measuring.table(("reset", "p50 ms", "p95 ms", "to ours, 3 tables"), rows),
                        flush=True,
                    )


if __name__ == "__main__":
    main()
