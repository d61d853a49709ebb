"""The recorded streams, and what they say of every test."""

from __future__ import annotations

import json

from running import TESTS

STREAMS = TESTS / "streams"
MINORS = range(20, 28)  # of Go 1


def expected(minor: int) -> dict[str, dict[str, str]]:
    """For each package the last word on each test, as `expected.json` has it for this Go."""
    table: dict[str, dict[str, str]] = {}
    parts = json.loads((STREAMS / "expected.json").read_text(encoding="utf-8"))
    for since, packages in parts.items():
        if since == "every Go" or minor >= int(since.removeprefix("since 1.")):
            for package, tests in packages.items():
                table.setdefault(package, {}).update(tests)
    return table
