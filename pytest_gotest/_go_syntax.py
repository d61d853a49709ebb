"""Go's grammar and lexical rules over bytes; must not know what a test is.

Comment groups follow ``consumeCommentGroup`` and ``next`` of go/parser: which comments
form one group, and which group is the doc comment of the token below it, cannot be told
from a tree-sitter tree. Not followed is the semicolon that Go inserts at a newline inside
``/* */`` behind code, where Go's versions differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import tree_sitter_go
from tree_sitter import Language, Node, Parser, Query, QueryCursor

GO = Language(tree_sitter_go.language())

BOM = b"\xef\xbb\xbf"

# Unterminated comments and strings run to the end of the file or line, so that no input
# makes the scan start over again and again.
_TOKEN = re.compile(
    rb"//[^\n]*"
    rb"|/\*(?:[^*]|\*(?!/))*(?:\*/)?"
    rb'|"(?:[^"\\\n]|\\.)*"?'
    rb"|`[^`]*`?"
    rb"|'(?:[^'\\\n]|\\[^\n])*'?"
)

_SIMPLE_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r",
    "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip
_ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))"
)


# Go 1.26's new(expression), which tree-sitter-go 0.25 refuses: it wants a type there. Left
# alone are the arguments that can only be types, which no ordinary call may have.
_NEW_OF_EXPRESSION = re.compile(
    rb"\bnew\((?!\s*(?:struct|func|interface|chan)\b"
    rb"|\s*(?:\[|map\[|<-|\*)(?:struct\{\}|[^(){}\"'`])*\))"
)


def tree(source: bytes) -> Node:
    """The root node of ``source``. Offsets in it are those of ``source``; its text may not be.

    The parser is one of its own, since parsers are not thread-safe.
    """
    root = Parser(GO).parse(source).root_node
    if root.has_error and b"new(" in source:
        # As a call of an unknown function, of the same length, it is good Go to the grammar.
        again = Parser(GO).parse(_NEW_OF_EXPRESSION.sub(b"neW(", source)).root_node
        if not again.has_error:
            return again
    return root


@cache
def _query(pattern: str) -> Query:
    query: Query = Query(GO, pattern)
    return query


def nodes(pattern: str, below: Node) -> list[Node]:
    """The nodes captured as ``@it`` below a node, in source order, outer before inner."""
    found = QueryCursor(_query(pattern)).captures(below).get("it", [])
    return sorted(found, key=lambda node: (node.start_byte, -node.end_byte))


def method_calls(below: Node) -> Iterator[tuple[Node, Node]]:
    """Receiver and method name of each ``identifier.method(...)`` below a node."""
    for _, match in QueryCursor(_query(_METHOD_CALL)).matches(below):
        yield match["receiver"][0], match["method"][0]


_METHOD_CALL = """
(call_expression function: (selector_expression
  operand: (identifier) @receiver field: (field_identifier) @method))
"""


def field(name: str) -> int:
    """The grammar's number for a field, faster to look up by than its name."""
    number = GO.field_id_for_name(name)
    assert number is not None, name
    return number


def kind(name: str) -> int:
    """The grammar's number for a named node type."""
    number = GO.id_for_node_kind(name, True)
    assert number is not None, name
    return number


def text(source: bytes, node: Node) -> str:
    """The node's source text; what is no UTF-8 becomes U+FFFD, as in Go."""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment; ``start`` and ``end`` are byte offsets, lines are 1-based."""

    text: bytes
    start: int
    end: int
    line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class CommentGroup:
    """Comments that go/parser keeps together.

    ``trailing`` says that the group stands behind code on its first line: such a group is
    never the doc comment of what follows.
    """

    comments: tuple[Comment, ...]
    trailing: bool

    @property
    def end(self) -> int:
        return self.comments[-1].end

    @property
    def end_line(self) -> int:
        return self.comments[-1].end_line


def literal_spans(source: bytes) -> list[tuple[int, int]]:
    """Byte ranges of all comments, strings and runes, in order."""
    return [match.span() for match in _TOKEN.finditer(source)]


def comment_groups(
    source: bytes, start: int = 0, end: int | None = None, line: int = 1
) -> Iterator[CommentGroup]:
    """The comment groups of a byte range whose first byte is on ``line``."""
    group: list[Comment] = []
    trailing = False
    position = start  # up to here tokens and lines are accounted for
    token_line = 0  # the line on which the last token that is no comment ends
    code = False  # is there such a token since the last comment?
    for match in _TOKEN.finditer(source, start, len(source) if end is None else end):
        gap = source[position : match.start()]
        code_before = gap.rstrip()
        if code_before:
            code = True
            token_line = line + code_before.count(b"\n")
        line += gap.count(b"\n")
        found = match.group()
        position = match.end()
        first_line = line
        line += found.count(b"\n")
        if found[:1] != b"/":
            code = True
            token_line = line
            continue
        comment = Comment(found, match.start(), match.end(), first_line, line)
        reach = 0 if trailing else 1
        if group and not code and first_line <= group[-1].end_line + reach:
            group.append(comment)
        else:
            if group:
                yield CommentGroup(tuple(group), trailing)
            group = [comment]
            trailing = code and first_line == token_line
        code = False
    if group:
        yield CommentGroup(tuple(group), trailing)


def unquote(literal: bytes) -> str | None:
    """The value of a Go string literal, or None for what is no such literal.

    Bytes that are no UTF-8 become U+FFFD one by one, as a range loop over the string sees
    them.
    """
    if len(literal) < 2 or literal[:1] != literal[-1:]:
        return None
    body = literal[1:-1]
    if literal[:1] == b"`":
        value = body.replace(b"\r", b"")
    elif literal[:1] == b'"':
        value = _ESCAPE.sub(_unescape, body)
    else:
        return None
    decoded = value.decode("utf-8", "surrogateescape")
    return re.sub("[\ud800-\udfff]", "\ufffd", decoded)


def _unescape(match: re.Match[bytes]) -> bytes:
    simple, hexadecimal, octal, short, long = match.groups()
    if simple is not None:
        return _SIMPLE_ESCAPES[simple.decode()].encode()
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    if octal is not None:
        return bytes([int(octal, 8) & 0xFF])
    code = int(short or long, 16)
    valid = code < 0xD800 or 0xDFFF < code <= 0x10FFFF
    return (chr(code) if valid else "\ufffd").encode()
