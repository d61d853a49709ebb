"""What every kind of server has in common: where it comes from, and one that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline._baseline import Baseline

if TYPE_CHECKING:
    import psycopg

SUPERUSER = "postgres"
MAINTENANCE = (
    "postgres"  # the database from which others are made and dropped, and where the log is read
)
DBNAME = "test"
TEMPLATE = "test_baseline"  # a database that nobody connects to, with the baseline in it
OURS = "pytest-gotest"  # the name by which our sessions are known to the server
SHOWN = 15  # last lines of a server's log in an error

# Of servers that are ours alone. What is in them is worth nothing once pytest ends. The reset reads the log, hence
# wal_level; tests may prepare transactions. Shared memory lies with the data and goes with them, however a server ends,
# and in a container it is not bounded by what Docker grants (64 MB).
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "replica",
    "max_wal_senders": "0",
    "max_prepared_transactions": "20",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "iso, mdy",
    "logging_collector": "off",
    "huge_pages": "off",
    "dynamic_shared_memory_type": "mmap",
}


class Instance(Protocol):
    """A worker's database, on a server that answers until `stop` or the end of this process.

    ``str`` of it tells where that is, for errors, whether it still answers or not.
    """

    def server(self) -> Server:
        """The database that tests get."""

    def maintenance(self) -> Server:
        """Another database of the same server, as the mightiest role there is."""

    @property
    def is_mighty(self) -> bool:
        """Whether `maintenance` is a superuser's, who may read the log and put back rows whatever refers to them."""

    @property
    def schema(self) -> str | None:
        """The one schema that is the worker's; None: the whole database is."""

    def log(self) -> str:
        """What the server printed lately; empty where it cannot be had."""

    @property
    def has_server(self) -> bool:
        """Whether nobody else has anything on it: then `recopy` works, and roles and settings are the tests' own as well."""

    def is_up(self) -> bool:
        """Whether it takes connections, as far as that can be told at no cost: one that shuts down still serves old ones."""

    def keep(self) -> None:
        """What the database holds now is the baseline. Ends all connections. Raises `PostgresError`."""

    def renew(self, maintenance: psycopg.Connection[Any]) -> None:
        """Another database as the baseline has it, made by a connection to `maintenance`. Raises psycopg.Error."""

    def recopy(self) -> None:
        """The whole server as it was at the start, at the same address. Raises `PostgresError`, also where it is not ours alone."""

    def stop(self) -> None:
        """Nothing of it is left."""


class Provider(Protocol):
    """``str`` of it is for the header: version and kind."""

    def start(self, baseline: Baseline) -> Instance:
        """One with ``baseline`` in it. Raises `PostgresError`."""


def initdb_arguments(version: tuple[int, ...]) -> list[str]:
    """The same database wherever it is made: encoding, locale, who is let in without a password."""
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [
        *("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8"),
        *("--locale=C.UTF-8", *(builtin if version >= (17,) else ())),
        *("--wal-segsize=4", "--no-sync", "--no-instructions"),
        *(["--no-data-checksums"] if version >= (18,) else []),
    ]


def last(text: str) -> str:
    """The end of a log."""
    return "\n".join(text.strip().splitlines()[-SHOWN:])
