"""Where sequences stood, and how they are put back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_gotest.postgres.reset import _batch
from pytest_gotest.postgres.reset._catalogs import Relation
from pytest_gotest.postgres.reset._kept_rows import union

if TYPE_CHECKING:
    import psycopg

_AT_ONCE = 500  # a SELECT gives at most 1664 columns
_CACHED = "SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences WHERE cache_size > 1"


class KeptSequences:
    """Of ``sequences``. They are set to where they stand, for nextval() logs nothing for up to 32 values, but always
    after setval(): that way each first use is seen in the log."""

    def __init__(self, connection: psycopg.Connection[Any], sequences: Iterable[Relation]) -> None:
        self._connection = connection
        by_oid = {sequence.oid: sequence for sequence in sequences}
        [cached] = _batch.run(connection, _CACHED)
        found = self._states(by_oid.values())
        self._set = {oid: _setval(oid, last, called) for oid, last, called, _ in found}
        # Of these a session hands out values of its own until the sequence has another file.
        self.cached = {oid for oid, one in by_oid.items() if (one.name,) in cached}
        for oid, _, _, logged in found:
            if not logged and oid not in self.cached:
                del by_oid[oid]
        _batch.run(connection, *self.put_back(by_oid.values()))

    def _states(self, sequences: Iterable[Relation]) -> _batch.Rows:
        state = "SELECT {}, last_value, is_called, log_cnt FROM {}"
        return union(self._connection, (state.format(one.oid, one.name) for one in sequences))

    def moved(self, sequences: Iterable[Relation]) -> set[int]:
        """Those that are not where they stood, by reading them."""
        return {
            oid
            for oid, last, called, logged in self._states(sequences)
            if logged or _setval(oid, last, called) != self._set[oid]
        }

    def put_back(self, sequences: Iterable[Relation]) -> list[str]:
        """Statements."""
        todo = {sequence.oid: sequence.name for sequence in sequences}
        anew = [f"ALTER SEQUENCE {todo[oid]} RESTART" for oid in todo if oid in self.cached]
        values = [self._set[oid] for oid in todo]
        parts = (values[first : first + _AT_ONCE] for first in range(0, len(values), _AT_ONCE))
        return [*anew, *(f"SELECT {', '.join(part)}" for part in parts)]


def _setval(oid: int, last: int, called: bool) -> str:
    return f"setval({oid}::oid::regclass, {last}, {called})"
