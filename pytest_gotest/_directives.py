"""The meaning of ``//pytest:`` directives; must not know Go's syntax or pytest's objects."""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pytest_gotest._errors import DirectiveError

_LONGEST = 4000  # characters; Python's own parser is not safe on endless nesting

_STRING = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_REASON = re.compile(rf"(?:^|\s)reason\s*=\s*({_STRING})\s*$")
_STRICT = re.compile(r"(?:^|\s)strict\s*$")


@dataclass(frozen=True, slots=True)
class Directive:
    """``//pytest:mark slow`` at line 12 is ``("mark", "slow", 12)``, taken verbatim."""

    name: str
    args: str
    line: int


@dataclass(frozen=True, slots=True)
class MarkSpec:
    """What ``getattr(pytest.mark, name)(*args, **kwargs)`` needs."""

    name: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DirectiveSet:
    """What the directives of a file and of one function come to.

    ``marks`` has the function's before the file's, as pytest looks for the closest first;
    ``usefixtures`` has the file's first, as pytest sets the wider ones up first.
    ``timeout`` is in seconds.
    """

    marks: tuple[MarkSpec, ...] = ()
    usefixtures: tuple[str, ...] = ()
    timeout: float | None = None
    isolate: bool = False
    parallel: bool = False


_NOTHING = DirectiveSet()  # most tests have none


@dataclass(slots=True)
class _Level:
    """The directives of one comment block, while they are read."""

    marks: list[MarkSpec] = field(default_factory=list)
    usefixtures: list[str] = field(default_factory=list)
    timeout: float | None = None
    isolate: bool = False
    parallel: bool = False


class _Malformed(Exception):
    """A directive's arguments are not what its form asks for."""


def parse_directives(
    directives: Collection[Directive], *, path: str, file: Collection[Directive] = ()
) -> DirectiveSet:
    """Check the directives of a function and merge those of its file.

    The function's ``timeout``, ``isolate`` and ``parallel`` win over the file's. ``path`` is
    named in errors. Raises DirectiveError at the line of an unknown or malformed one.
    """
    if not directives and not file:
        return _NOTHING
    wide, near = _level(file, path), _level(directives, path)
    settled = near if near.isolate or near.parallel else wide
    return DirectiveSet(
        marks=(*near.marks, *wide.marks),
        usefixtures=tuple(dict.fromkeys((*wide.usefixtures, *near.usefixtures))),
        timeout=wide.timeout if near.timeout is None else near.timeout,
        isolate=settled.isolate,
        parallel=settled.parallel,
    )


def _level(directives: Iterable[Directive], path: str) -> _Level:
    level = _Level()
    for directive in directives:
        name, args = directive.name, directive.args.strip()
        try:
            form, read = _FORMS[name]
        except KeyError:
            close = difflib.get_close_matches(name, _FORMS, n=1)
            raise DirectiveError(
                f"unknown directive //pytest:{name}"
                + (f", did you mean {close[0]}?" if close else ""),
                path=path,
                line=directive.line,
                hint=f"known directives: {', '.join(_FORMS)}",
            ) from None
        try:
            if len(args) > _LONGEST:
                raise _Malformed(f"longer than {_LONGEST} characters")
            read(level, args)
        except _Malformed as error:
            raise DirectiveError(
                f"malformed directive //pytest:{name} {args[:80]}".rstrip() + f": {error}",
                path=path,
                line=directive.line,
                hint=f"write //pytest:{form}",
            ) from None
    return level


def _expression(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise _Malformed(f"{text!r} is no Python expression ({error.msg})") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise _Malformed(f"no Python expression ({type(error).__name__})") from None


def _literal(node: ast.expr, text: str) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        found = (ast.get_source_segment(text, node) or text)[:40]
        raise _Malformed(f"{found} is no literal") from None


def _mark(level: _Level, args: str) -> None:
    if not args:
        raise _Malformed("no marker named")
    node = _expression(args)
    call = node if isinstance(node, ast.Call) else None
    target = call.func if call else node
    if not isinstance(target, ast.Name):
        raise _Malformed(f"{args!r} is neither NAME nor NAME(literals)")
    if target.id.startswith("_"):
        raise _Malformed("pytest allows no marker name that starts with an underscore")
    if target.id == "usefixtures":
        raise _Malformed("fixtures are asked for by //pytest:usefixtures NAME")
    if target.id == "parametrize":
        raise _Malformed("a Go test cannot be parametrized")
    values: list[object] = []
    named: dict[str, object] = {}
    if call:
        values = [_literal(value, args) for value in call.args]
        for keyword in call.keywords:
            if keyword.arg is None:
                raise _Malformed("** cannot be used here")
            named[keyword.arg] = _literal(keyword.value, args)
    level.marks.append(MarkSpec(target.id, tuple(values), named))


def _usefixtures(level: _Level, args: str) -> None:
    names = args.split()
    if not names:
        raise _Malformed("no fixture named")
    for name in names:
        if not name.isidentifier():
            raise _Malformed(f"{name!r} is no fixture name")
    level.usefixtures.extend(names)


def _options(args: str, *, strict: bool = False) -> tuple[str, dict[str, object]]:
    """Split the trailing options off; what is left is the condition."""
    options: dict[str, object] = {}
    while True:
        if "reason" not in options and (match := _REASON.search(args)):
            options["reason"] = _literal(_expression(match[1]), match[1])
        elif strict and "strict" not in options and (match := _STRICT.search(args)):
            options["strict"] = True
        else:
            return args.strip(), options
        args = args[: match.start()].rstrip()


def _skip(level: _Level, args: str) -> None:
    rest, options = _options(args)
    if rest:
        raise _Malformed(f"cannot read {rest!r}")
    level.marks.append(MarkSpec("skip", (), options))


def _skipif(level: _Level, args: str) -> None:
    condition, options = _options(args)
    if not condition:
        raise _Malformed("no condition")
    _expression(condition)
    level.marks.append(MarkSpec("skipif", (condition,), options))


def _xfail(level: _Level, args: str) -> None:
    condition, options = _options(args, strict=True)
    if condition:
        _expression(condition)
    level.marks.append(MarkSpec("xfail", (condition,) if condition else (), options))


def _timeout(level: _Level, args: str) -> None:
    try:
        seconds = float(args)
    except ValueError:
        raise _Malformed(f"{args!r} is no number of seconds") from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise _Malformed("must be more than 0 seconds")
    if level.timeout is not None:
        raise _Malformed("given twice")
    level.timeout = seconds


def _isolate(level: _Level, args: str) -> None:
    _alone(args, level.parallel, "parallel")
    level.isolate = True


def _parallel(level: _Level, args: str) -> None:
    _alone(args, level.isolate, "isolate")
    level.parallel = True


def _alone(args: str, other: bool, name: str) -> None:
    if args:
        raise _Malformed("takes nothing behind it")
    if other:
        raise _Malformed(f"contradicts //pytest:{name} in the same block")


_FORMS: dict[str, tuple[str, Callable[[_Level, str], None]]] = {
    "mark": ("mark NAME or //pytest:mark NAME(literals)", _mark),
    "usefixtures": ("usefixtures NAME [NAME...]", _usefixtures),
    "skip": ('skip [reason="..."]', _skip),
    "skipif": ('skipif EXPR [reason="..."]', _skipif),
    "xfail": ('xfail [EXPR] [reason="..."] [strict]', _xfail),
    "timeout": ("timeout SECONDS", _timeout),
    "isolate": ("isolate", _isolate),
    "parallel": ("parallel", _parallel),
}
