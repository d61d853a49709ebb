"""Passwords in what pytest shows of a test that failed: drivers' frames have them among their arguments.

Knows nothing of databases.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest

_SHORTEST = 4  # what is shorter is found everywhere
_INSTEAD = "***"


def hide(report: pytest.TestReport, passwords: Iterable[str]) -> None:
    """In its text, and in what the test printed."""
    if words := _forms(passwords):
        report.longrepr = _without(report.longrepr, words)
        report.sections = _without(report.sections, words)


def masked(texts: Iterable[str], passwords: Iterable[str]) -> list[str]:
    words = _forms(passwords)
    return [_without(text, words) for text in texts]


def _forms(passwords: Iterable[str]) -> set[str]:
    return {
        form for word in passwords if len(word) >= _SHORTEST for form in (word, quote(word, ""))
    }


def _without(shown: Any, words: set[str]) -> Any:
    """Texts, and whatever holds them: of pytest's own, which tell how to write themselves to a terminal."""
    if isinstance(shown, str):
        for word in words:
            shown = shown.replace(word, _INSTEAD)
        return shown
    if type(shown) in (list, tuple):
        return type(shown)(_without(one, words) for one in shown)
    if hasattr(shown, "toterminal"):
        for name, value in vars(shown).items():
            setattr(shown, name, _without(value, words))
    return shown
