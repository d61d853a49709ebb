"""Names of subtests as far as the text of a test tells them; must not know pytest or files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subtest:
    """A subtest's name below its test, as Go reports it, and the 1-based line it comes from."""

    name: str
    line: int


_SPACES = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
    + "".join(map(chr, range(0x2000, 0x200B)))
)
_ESCAPES = {"\a": r"\a", "\b": r"\b"}


def rewrite(name: str) -> str:
    """testing's rewrite (src/testing/match.go): ``_`` for space, escapes for unprintables."""
    if name.isascii() and name.isprintable() and " " not in name:
        return name
    return "".join(_rewrite_rune(rune) for rune in name)


def _rewrite_rune(rune: str) -> str:
    if rune in _SPACES:
        return "_"
    code = ord(rune)
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if rune.isprintable():
        return rune
    if rune in _ESCAPES:
        return _ESCAPES[rune]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def subtests(source: bytes, name: str, others: Iterable[bytes] = ()) -> tuple[Subtest, ...]:
    """Hints for the subtests of the test function ``name``; may be incomplete."""
    return ()
