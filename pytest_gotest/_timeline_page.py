"""A session's timeline as one HTML page that needs nothing else; writes no file.

``timeline.html`` is the page; the data goes into it as JSON in which nothing can end the element
that holds it.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from pytest_gotest import _timeline
from pytest_gotest._timeline import Session, Span

_TEMPLATE, _PLACE = "timeline.html", "/*data*/"


def page(session: Session) -> str:
    template = resources.files("pytest_gotest").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    before, _, after = template.partition(_PLACE)
    return before + _escaped(_data(session)) + after


def _escaped(data: dict[str, Any]) -> str:
    """ASCII only, and no ``<``: neither ``</script>`` nor ``<!--`` in a test's name means anything here."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _data(session: Session) -> dict[str, Any]:
    """What the page's script reads: a span is begin and length in microseconds, depth, and four places in ``texts``."""
    numbers: dict[str, int] = {}

    def text(words: str) -> int:
        return numbers.setdefault(words, len(numbers))

    tracks = [
        {
            "worker": track.worker,
            "name": track.name,
            "spans": [
                [
                    placed.begin,
                    placed.end - placed.begin,
                    placed.depth,
                    text(placed.span.name),
                    text(placed.span.category),
                    text(placed.span.outcome),
                    text(_details(placed.span)),
                ]
                for placed in track.placed
            ],
        }
        for track in _timeline.tracks(session)
    ]
    totals = _timeline.totals(session)
    return {
        "root": session.root,
        "began": session.begin,
        "seconds": session.end - session.begin,
        "tracks": tracks,
        "texts": list(numbers),
        "outcomes": totals.outcomes,
        "longest": totals.longest,
        "categories": totals.categories,
        "idle": totals.idle,
    }


def _details(span: Span) -> str:
    return "\n".join(
        f"{name}: {value}" for name, value in span.detail.items() if value != span.name
    )
