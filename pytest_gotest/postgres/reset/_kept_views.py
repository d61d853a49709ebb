"""What materialized views showed, and how they are made to show it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_gotest.postgres.reset import _batch
from pytest_gotest.postgres.reset._catalogs import Relation

if TYPE_CHECKING:
    import psycopg


class KeptViews:
    """Digests of the rows of ``views``, empty where one is not populated."""

    def __init__(self, connection: psycopg.Connection[Any], views: Iterable[Relation]) -> None:
        self._connection = connection
        self._views = {view.oid: view for view in views}
        self._kept = {view.oid: self._content(view) for view in self._views.values()}

    def _content(self, view: Relation) -> str:
        populated = f"SELECT relispopulated FROM pg_class WHERE oid = {view.oid}"
        [[(is_populated,)]] = _batch.run(self._connection, populated)
        if not is_populated:
            return ""
        [[(digest,)]] = _batch.run(
            self._connection,
            "SELECT md5(coalesce(string_agg(h, '' ORDER BY h), ''))"
            f" FROM (SELECT md5((x.*)::text) AS h FROM {view.name} x) q",
        )
        return str(digest)

    def refresh(self, views: Iterable[Relation] | None = None) -> tuple[list[str], list[str]]:
        """Of ``views``, or all, those that show something else: the names of all of them, and of those that still do."""
        refreshed, wrong = [], []
        for view in sorted(self._views.values() if views is None else views):
            kept = self._kept[view.oid]
            if self._content(view) == kept:
                continue
            how = "" if kept else " WITH NO DATA"
            _batch.run(self._connection, f"REFRESH MATERIALIZED VIEW {view.name}{how}")
            refreshed.append(view.name)
            if self._content(view) != kept:
                wrong.append(view.name)
        return refreshed, wrong
