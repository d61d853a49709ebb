"""Our own connections, to which the user's PG* variables mean nothing."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_LOCK = threading.Lock()
_NONE = "/nonexistent"
# libpq's (its documentation, "Environment Variables"), and where a server's data is.
_VARIABLES = re.compile(
    "PG(HOST|HOSTADDR|PORT|DATABASE|USER|PASSWORD|PASSFILE|SERVICE|SERVICEFILE|OPTIONS|APPNAME|DATA|TZ|DATESTYLE|GEQO"
    "|SSL[A-Z]*|GSS[A-Z]*|KRBSRVNAME|REQUIRE[A-Z]*|CHANNELBINDING|CONNECT_TIMEOUT|CLIENTENCODING|TARGETSESSIONATTRS"
    "|LOADBALANCEHOSTS|SYSCONFDIR|LOCALEDIR|M(IN|AX)PROTOCOLVERSION)"
)


def hide() -> dict[str, str]:
    """Take the user's PG* variables out of this process's environment; returns them."""
    return {name: os.environ.pop(name) for name in list(os.environ) if _VARIABLES.fullmatch(name)}


def without_own(environ: Mapping[str, str]) -> dict[str, str]:
    """The same for another process."""
    return {name: value for name, value in environ.items() if not _VARIABLES.fullmatch(name)}


def connect(dsn: str) -> psycopg.Connection[Any]:
    """In autocommit and in UTF-8. Raises psycopg.Error."""
    __tracebackhide__ = True
    connection: psycopg.Connection[Any] = open(dsn, autocommit=True, client_encoding="utf8")
    return connection


# Those that the server has: one came with 14, one with 17.
_UNDISTURBED = """SELECT set_config(name, CASE vartype WHEN 'bool' THEN 'off' ELSE '0' END, false) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_session_timeout',
 'idle_in_transaction_session_timeout', 'default_transaction_read_only')"""


def connect_undisturbed(dsn: str) -> psycopg.Connection[Any]:
    """One that may wait, stay idle and write, whatever its role or database has set by default. Raises psycopg.Error."""
    connection = connect(dsn)
    connection.execute(_UNDISTURBED)
    return connection


def open(dsn: str, *, kind: Any = None, **options: Any) -> Any:
    """A connection of psycopg, of the class ``kind``. Raises psycopg.Error."""
    import psycopg

    __tracebackhide__ = True  # with what it was given there is a password
    with _without_the_users():
        try:
            return (kind or psycopg.Connection).connect(dsn, **options)
        except psycopg.Error as error:
            raise error.with_traceback(None) from None


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def hint(error: BaseException) -> str:
    """What to do, where the server's word does not say it."""
    said = str(error)
    if "too many clients" in said or "remaining connection slots" in said:
        return (
            "each worker takes three of max_connections, five where a TestMain writes, and its tests some more:"
            " take fewer workers, or raise it"
        )
    return ""


@contextmanager
def _without_the_users() -> Iterator[None]:
    """libpq asks the environment for all that a connection string leaves open, and fails for a PGSERVICE it does not know."""
    with _LOCK:
        kept = hide()
        os.environ["PGPASSFILE"] = os.environ["PGSERVICEFILE"] = _NONE
        try:
            yield
        finally:
            del os.environ["PGPASSFILE"], os.environ["PGSERVICEFILE"]
            os.environ.update(kept)
