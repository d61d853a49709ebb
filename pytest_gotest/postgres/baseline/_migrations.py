"""Files of migrations as the usual tools write them: which are run, in what order, and what of each; reads nothing itself.

Where the rules come from:

* golang-migrate: source/parse.go; `N_x.up.sql`, `N_x.down.sql`.
* goose: internal/sqlparser/parser.go; `-- +goose Up`. sql-migrate, of which it has this: sqlparse/sqlparse.go.
* tern: migrate/migrate.go; `---- create above / drop below ----`.
* dbmate: pkg/dbmate/migration.go; `-- migrate:up`.
* sqlx: sqlx-core/src/migrate/source.rs; its names are those of golang-migrate.
* Atlas: https://atlasgo.io/versioned/apply; plain SQL, with directives in comments at the top.
* Flyway: https://documentation.red-gate.com/flyway; `V1.2__x.sql`, `R__x.sql`, `U1__x.sql`, `B1__x.sql`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

# What begins and what ends the part that is run. Lines are taken as the tools take them: they look into no string.
_PARTS = tuple(
    (re.compile(up, re.IGNORECASE | re.MULTILINE), re.compile(down, re.IGNORECASE))
    for up, down in (
        (r"^--+\s*\+goose\s+up\s*$", r"--+\s*\+goose\s+down\s*$"),
        (r"^-- \+migrate\s+up\b", r"-- \+migrate\s+down\b"),
        (r"^--\s*migrate:up(?:\s|$)", r"--\s*migrate:down(?:\s|$)"),
    )
)
_TERN = "---- create above / drop below ----"
_NO_TRANSACTION = re.compile(
    r"^--+\s*\+goose\s+no\s+transaction\s*$"
    r"|^-- \+migrate\s+up\b.*\bnotransaction\b"
    r"|^--\s*migrate:up\b.*\btransaction:false\b"
    r"|^---- tern: disable-tx ----$"
    r"|^-- atlas:txmode\s+none\b"
    r"|\A-- no-transaction\b",  # sqlx
    re.IGNORECASE | re.MULTILINE,
)
_CHECKPOINT = re.compile(r"\A(?:--[^\n]*\n|\s*\n)*?-- atlas:checkpoint\b")
# What no one but the tool itself can do.
_FOREIGN = re.compile(
    r"^--+\s*\+goose\s+envsub\s+on\s*$|^-- atlas:(?:delimiter|txtar|import)\b.*$",
    re.IGNORECASE | re.MULTILINE,
)
_FLYWAY = re.compile(r"(?P<kind>[VBUR])(?P<version>[0-9._]*?)__(?P<words>.*)\.sql")


class ForeignError(ValueError):
    """A file asks for what only its own tool can do, in ``line``."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class Script:
    """What is run. Each line is where it was in the file: those that are not run are empty."""

    text: str
    transaction: bool = True


def upward(text: str) -> Script:
    """What of a file leads to the next version; all of it where it does not say. Raises `ForeignError`."""
    if foreign := _FOREIGN.search(text):
        raise ForeignError(foreign[0].strip(), text.count("\n", 0, foreign.start()) + 1)
    kept = _up_part(text)
    # tern looks for its own line in the part it runs; the others say it where that part begins, or above.
    transaction = not _NO_TRANSACTION.search(text.partition(_TERN)[0])
    return Script(kept, transaction)


def _up_part(text: str) -> str:
    for up, down in _PARTS:
        if up.search(text):
            return _between(text, up, down)
    return text.partition(_TERN)[0]


def _between(text: str, up: re.Pattern[str], down: re.Pattern[str]) -> str:
    lines, runs = [], False
    for line in text.split("\n"):
        if up.match(line):
            runs = True
            line = ""
        elif down.match(line):
            runs = False
        lines.append(line if runs else "")
    return "\n".join(lines)


def in_order(paths: Iterable[PurePath]) -> list[PurePath]:
    """Those that are run: numbers in names count as numbers, and what undoes is left out."""
    found = [path for path in paths if not path.name.lower().endswith(".down.sql")]
    flyway = {path: name for path in found if (name := _FLYWAY.fullmatch(path.name))}
    bases = [_version(name) for name in flyway.values() if name["kind"] == "B"]
    base = max(bases, default=None)

    def is_run(path: PurePath) -> bool:
        name = flyway.get(path)
        if name is None or name["kind"] == "R":
            return True
        # On an empty database Flyway begins with the newest baseline.
        if name["kind"] == "V":
            return base is None or _version(name) > base
        return name["kind"] == "B" and _version(name) == base

    def place(path: PurePath) -> tuple[int, Any, Any]:
        name = flyway.get(path)
        if name is None:
            return 0, *natural(path)
        if name["kind"] == "R":
            return 2, name["words"], str(path)
        return 1, _version(name), str(path)

    return sorted(filter(is_run, found), key=place)


def since_checkpoint(texts: Sequence[str]) -> int:
    """The first of ``texts`` that an empty database needs: Atlas begins with the last checkpoint."""
    return max((number for number, text in enumerate(texts) if _CHECKPOINT.match(text)), default=0)


def _version(name: re.Match[str]) -> tuple[int, ...]:
    """1.2 and 1_2 are the same, and so are 1 and 1.0."""
    parts = [int(part) for part in re.split(r"[._]", name["version"]) if part]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def natural(path: PurePath) -> tuple[Any, str]:
    """To sort by: numbers in names as numbers."""
    return [_numbers(part) for part in path.parts], str(path)


def _numbers(name: str) -> list[str | int]:
    """Text and numbers in turn, so that each meets its like."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
