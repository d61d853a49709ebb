"""What was written between two positions of the write-ahead log: which blocks of which files.

A change of a logged table logs a block of its main fork, and the record names the file and the block; pg_walinspect
(contrib, from PostgreSQL 15 on) lists them. What it cannot tell is None, "look at everything", and never "nothing".
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_gotest.postgres.reset import _batch

if TYPE_CHECKING:
    import psycopg

FileKey = tuple[int, int]  # tablespace and filenode; a filenode alone is not unique in a database

# Records that name a block of a heap and change no row that anybody can see.
_HARMLESS = (
    *("Heap/LOCK", "Heap/INPLACE", "Heap2/LOCK_UPDATED", "Heap2/PRUNE", "Heap2/PRUNE_ON_ACCESS"),
    *("Heap2/PRUNE_VACUUM_SCAN", "Heap2/PRUNE_VACUUM_CLEANUP", "Heap2/VACUUM"),
    *("Heap2/FREEZE_PAGE", "Heap2/VISIBLE", "XLOG/FPI_FOR_HINT"),
)
_INDEXES = ("Btree", "Hash", "Gin", "Gist", "SPGist", "BRIN")
_TOO_LONG = 32 << 20  # bytes of log, beyond which looking at every table is cheaper
# What autovacuum writes to on its own: pg_statistic, its toast table, pg_statistic_ext_data, pg_class; by the numbers
# that their files have in databases as they were created.
_STATISTICS = (2619, 2840, 3429, 1259)
_READER = "pg_get_wal_records_info"
_NUMBERS = count(1)


class Mark(NamedTuple):
    """A position: bytes of log, and the transaction id that will be given out next (-1: not to be relied on).

    ``skip``: ids behind it that were our own.
    """

    lsn: int
    next_xid: int
    flushed: bool = False
    skip: tuple[int, ...] = ()


class Touched(NamedTuple):
    """``blocks`` by file, None if the log does not tell; ``used``: ids that asking has cost.

    ``is_elsewhere``: one of the other databases was written to.
    """

    blocks: dict[FileKey, set[int]] | None
    used: tuple[int, ...] = ()
    is_elsewhere: bool = False


class Log:
    """The log as ``connection`` reads it, which may be to another database than the one of oid ``database``.

    ``others`` are the oids of databases of which only is told whether they were written to.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], database: int, others: tuple[int, ...] = ()
    ) -> None:
        self._connection = connection
        self._database = database
        self._others = others
        self._version = connection.info.server_version // 10000
        # Or psycopg sends DEALLOCATE ALL after a DROP DATABASE, and what we have prepared is gone.
        connection.prepare_threshold = None
        _batch.run(connection, "SET synchronous_commit = on")
        [[(found,)]] = _batch.run(connection, f"SELECT to_regproc('{_READER}') IS NOT NULL")
        self.is_readable: bool = found
        self._name = f"gotest_log_{next(_NUMBERS)}"
        if found:
            _batch.run(connection, f"PREPARE {self._name}(pg_lsn, pg_lsn, xid[]) AS {self._scan()}")

    def touched(self, since: Mark, until: Mark) -> Touched:
        import psycopg

        if since.lsn == until.lsn:
            return Touched({})
        if not self.is_readable or until.lsn - since.lsn > _TOO_LONG:
            return Touched(None)
        force = [] if until.flushed else self._force()
        try:
            *forced, rows = _batch.run(self._connection, *force, self._asked(since, until))
        except psycopg.Error:
            if self._connection.closed:
                raise
            self._connection.rollback()  # that part of the log has been recycled
            return Touched(None)
        found = rows if self._version >= 16 else self._parsed(rows)
        blocks: dict[FileKey, set[int]] = {}
        is_elsewhere = False
        for database, space, node, block in found:
            if database in (0, self._database):
                blocks.setdefault((space, node), set()).add(block)
            else:
                is_elsewhere |= node not in _STATISTICS
        used = tuple(int(row[0]) for [row] in forced if self._version < 17)
        return Touched(blocks, used, is_elsewhere)

    def _force(self) -> list[str]:
        """Only what has left the buffers can be read. Before 17 to force it out takes a commit, and so an id."""
        message = "pg_logical_emit_message({}, 'gotest', ''{})"
        if self._version >= 17:
            return [f"SELECT {message.format('false', ', true')}"]
        ask = f"SELECT pg_current_xact_id()::xid::text, {message.format('true', '')}"
        return ["BEGIN", ask, "COMMIT"]

    def _asked(self, since: Mark, until: Mark) -> str:
        span = ", ".join(f"'{p >> 32:X}/{p & 0xFFFFFFFF:X}'" for p in (since.lsn, until.lsn))
        return f"EXECUTE {self._name}({span}, '{_array(since.skip)}')"

    def _scan(self) -> str:
        """Of what lies between $1 and $2, but what the transactions $3 wrote."""
        matters = (
            f"resource_manager <> ALL('{_array(_INDEXES)}')"
            f" AND resource_manager || '/' || record_type <> ALL('{_array(_HARMLESS)}')"
            " AND xid <> ALL($3)"
        )
        if self._version >= 16:
            return (
                "SELECT DISTINCT reldatabase, reltablespace, relfilenode, relblocknumber"
                " FROM pg_get_wal_block_info($1, $2, false)"
                f" WHERE relforknumber = 0 AND reldatabase = ANY('{_array(self._known)}') AND {matters}"
            )
        return (
            f"SELECT DISTINCT block_ref FROM {_READER}($1, $2) WHERE block_ref <> '' AND {matters}"
        )

    def _parsed(self, rows: _batch.Rows) -> list[tuple[int, int, int, int]]:
        text = "\n".join(row for (row,) in rows)
        known = "|".join(map(str, self._known))
        pattern = rf"rel (\d+)/({known})/(\d+) fork main blk (\d+)"
        return [
            (int(database), int(space), int(node), int(block))
            for space, database, node, block in re.findall(pattern, text)
        ]

    @property
    def _known(self) -> tuple[int, ...]:
        return (0, self._database, *self._others)


def _array(values: tuple[object, ...]) -> str:
    return f"{{{','.join(map(str, values))}}}"
