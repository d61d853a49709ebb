"""Many statements in one round trip, by libpq itself: what a cursor does around each of them takes longer than the server does."""

from __future__ import annotations

import json
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGconn, PGresult

Rows = list[tuple[Any, ...]]


def _text(value: bytes) -> str:
    return value.decode(errors="surrogateescape")  # a database in SQL_ASCII takes any bytes


# By the types' oids, which never change (src/include/catalog/pg_type.dat). All others are text.
_DECODERS: dict[int, Callable[[bytes], Any]] = {
    16: lambda value: value == b"t",
    **dict.fromkeys((20, 21, 23, 26), int),
    **dict.fromkeys((700, 701, 1700), float),
    **dict.fromkeys((114, 3802), lambda value: json.loads(_text(value))),
}


def run(connection: psycopg.Connection[Any], *statements: str) -> list[Rows]:
    """The rows of each statement that gives rows. Without parameters, for only then there can be several statements.

    Booleans, numbers and JSON are Python's, what else there is is text. Raises psycopg.Error.
    """
    import psycopg

    if not statements:
        return []
    try:
        results = _results(
            connection.pgconn, ";\n".join(statements).encode(errors="surrogateescape")
        )
    except psycopg.Error:
        raise
    except BaseException:
        # What was asked is still to be answered; the server is to let go of what it holds.
        connection.pgconn.get_cancel().cancel()
        connection.close()
        raise
    for result in results:
        if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
    return [_rows(one) for one in results if one.status == psycopg.pq.ExecStatus.TUPLES_OK]


def _results(pgconn: PGconn, statements: bytes) -> list[PGresult]:
    pgconn.send_query(statements)
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN | select.POLLOUT)
    while pgconn.flush():
        if any(event & ~select.POLLOUT for _, event in poll.poll()):
            pgconn.consume_input()
    poll.modify(pgconn.socket, select.POLLIN)
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            poll.poll()
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return results
        results.append(result)


def _rows(result: PGresult) -> Rows:
    decoders = [_DECODERS.get(result.ftype(number), _text) for number in range(result.nfields)]
    return [
        tuple(
            None if (value := result.get_value(row, number)) is None else decode(value)
            for number, decode in enumerate(decoders)
        )
        for row in range(result.ntuples)
    ]
