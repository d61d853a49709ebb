"""SQL as psql reads it: statements, the data of COPY, and psql's own commands; knows no database and reads nothing.

The rules are those of PostgreSQL's src/fe_utils/psqlscan.l.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LETTER = r"A-Za-z_\x80-\U0010ffff"
_TOKEN = re.compile(
    rf"""
      (?P<comment> --[^\n]* | /\* )                     # the latter nests, see `_after_comment`
    | [eE] '(?:[^'\\]|\\.|'')*(?:'|\Z) (?:\s*\n\s*'(?:[^'\\]|\\.|'')*(?:'|\Z))*
    | '[^']*(?:''[^']*)*(?:'|\Z)                        # what is not closed goes to the end
    | "[^"]*(?:""[^"]*)*(?:"|\Z)
    | \$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*)?)\$ .*? (?:\$(?P=tag)\$|\Z)
    | (?P<word> [{_LETTER}][{_LETTER}0-9$]* )
    | (?P<open> [(\[] )
    | (?P<close> [)\]] )
    | (?P<end> ; )
    | (?P<command> \\[^\n]* )
    | (?P<space> \s+ )
    | [0-9.,=*<>+:]+
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_HEAD = 16  # words of a statement that tell what it is


@dataclass(frozen=True, slots=True)
class Statement:
    """``text`` without its semicolon, which begins in ``line``; ``data`` are the lines below COPY ... FROM STDIN.

    ``words`` are its first ones, in capitals: keywords, and names without quotes. A command of psql has none.
    """

    text: str
    line: int
    words: tuple[str, ...] = ()
    data: str | None = None
    data_line: int = 0

    @property
    def is_command(self) -> bool:
        return self.text.startswith("\\")

    @property
    def is_alone(self) -> bool:
        """Whether a transaction around it is impossible, or is what it is about (psql's common.c, command_no_begin)."""
        return (
            self.words[:1] in _ALONE
            or self.words[:2] in _ALONE
            or ("CONCURRENTLY" in self.words and self.words[:1] != ("REFRESH",))
        )


_ALONE = {
    *(("ABORT",), ("BEGIN",), ("START",), ("COMMIT",), ("END",), ("ROLLBACK",)),
    *(("PREPARE", "TRANSACTION"), ("VACUUM",), ("CLUSTER",), ("REINDEX",), ("DISCARD", "ALL")),
    *((verb, what) for verb in ("ALTER", "CREATE", "DROP") for what in ("DATABASE", "TABLESPACE")),
    *(("ALTER", "SYSTEM"), ("CREATE", "SUBSCRIPTION"), ("DROP", "SUBSCRIPTION")),
}


@dataclass(slots=True)
class _Piece:
    """What has been read of a statement."""

    start: int = 0  # of the first that is no blank and no comment
    words: list[str] = field(default_factory=list)
    has_code: bool = False
    depth: int = 0  # of parentheses: a rule's actions are in them
    blocks: int = 0  # of BEGIN ATOMIC ... END, and of CASE in it

    def word(self, word: str) -> None:
        if len(self.words) < _HEAD:
            self.words.append(word)
        if self.depth or not self._is_routine:
            return
        if word == "BEGIN" or (word == "CASE" and self.blocks):
            self.blocks += 1
        elif word == "END" and self.blocks:
            self.blocks -= 1

    @property
    def _is_routine(self) -> bool:
        head = [word for word in self.words[:4] if word not in ("OR", "REPLACE")][:2]
        return head in (["CREATE", "FUNCTION"], ["CREATE", "PROCEDURE"])

    @property
    def is_copy_in(self) -> bool:
        pairs = zip(self.words, self.words[1:], strict=False)
        return self.words[:1] == ["COPY"] and ("FROM", "STDIN") in pairs


def split(text: str) -> Iterator[Statement]:
    """The statements of ``text`` in order; pieces of blanks and comments alone are left out."""
    lines = _Lines(text)
    position, piece = 0, _Piece()

    def statement(end: int, data: tuple[int, int, int] | None = None) -> Statement:
        return Statement(
            text[piece.start : end],
            lines.of(piece.start),
            tuple(piece.words),
            text[data[0] : data[1]] if data else None,
            lines.of(data[0]) if data else 0,
        )

    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None  # the last alternative takes anything
        kind, end = token.lastgroup, token.end()
        if kind == "space":
            pass
        elif kind == "comment":
            end = _after_comment(text, position) if token[0] == "/*" else end
        elif kind == "end" and not piece.depth and not piece.blocks:
            data = _data(text, end) if piece.is_copy_in else None
            if piece.has_code:
                yield statement(position, data)
            end = data[2] if data else end
            piece = _Piece()
        elif kind == "command":
            if piece.has_code:
                yield statement(position)
            yield Statement(token[0].rstrip(), lines.of(position))
            piece = _Piece()
        else:
            if not piece.has_code:
                piece.start, piece.has_code = position, True
            if kind == "word":
                piece.word(token[0].upper())
            elif kind == "open":
                piece.depth += 1
            elif kind == "close":
                piece.depth = max(0, piece.depth - 1)
        position = end
    if piece.has_code:
        yield statement(len(text))


def _after_comment(text: str, start: int) -> int:
    """Behind the end of a block comment, in which there may be others."""
    depth, position = 0, start
    while edge := _COMMENT_EDGE.search(text, position):
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
        if not depth:
            return position
    return len(text)


def _data(text: str, position: int) -> tuple[int, int, int]:
    r"""Start and end of COPY's data, from the next line to one of ``\.`` alone; and where SQL goes on."""
    start = text.find("\n", position) + 1 or len(text)
    found = re.compile(r"^\\\.\r?(?:\n|\Z)", re.MULTILINE).search(text, start)
    return (start, found.start(), found.end()) if found else (start, len(text), len(text))


class _Lines:
    """The number of the line of a position, asked for in ascending order."""

    def __init__(self, text: str) -> None:
        self._text, self._position, self._line = text, 0, 1

    def of(self, position: int) -> int:
        self._line += self._text.count("\n", self._position, position)
        self._position = max(position, self._position)
        return self._line
