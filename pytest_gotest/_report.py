"""A Go result as pytest shows it: source lines, ``>`` and ``E``, sections; builds reports, prints nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from _pytest._code.code import (
    ReprEntry,
    ReprExceptionInfo,
    ReprFileLocation,
    ReprTraceback,
)

from pytest_gotest._outcome import Result, Subtest

_BEFORE = 4  # source lines above the one that failed

# testing.(*common).decorate: four spaces, file:line:, the message; its further lines are indented by eight.
_MESSAGE = re.compile(r" {4,}(?P<file>[^\s:][^:]*\.go):(?P<line>\d+): (?P<text>.*)")
_CONTINUED = re.compile(r" {8,}(?P<text>.*)|(?P<empty>\s*)$")
_LOGS = re.compile(r"\.Logf?\((?!.*\.(?:Error|Fatal)f?\()")
# A frame of a goroutine's trace: the line below its function.
_TRACE_FRAME = re.compile(r"\t(?P<path>\S.*\.go):(?P<line>\d+)(?: \+0x[0-9a-f]+)?$")
_PANIC = re.compile(r"(?:panic|fatal error): ")


@dataclass(frozen=True, slots=True)
class Message:
    """What a test said at one place: ``file`` as Go printed it, ``line`` 1-based."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Go test stands: absolute ``path``, ``directory`` of its package, ``name`` and first ``line``."""

    path: str
    directory: str
    name: str
    line: int


def messages(output: str) -> tuple[list[Message], str]:
    """The ``file.go:12: text`` messages of a test's output, and all the other lines."""
    found: list[Message] = []
    rest: list[str] = []
    text: list[str] | None = None
    for line in output.splitlines():
        if match := _MESSAGE.match(line):
            if text is not None:
                found[-1] = Message(found[-1].file, found[-1].line, "\n".join(text))
            text = [match["text"]]
            found.append(Message(match["file"], int(match["line"]), match["text"]))
        elif text is not None and (more := _CONTINUED.match(line)) and more["text"] is not None:
            text.append(more["text"])
        elif text is not None and not line.strip():
            text.append("")
        else:
            if text is not None:
                found[-1] = Message(found[-1].file, found[-1].line, "\n".join(text).rstrip("\n"))
                text = None
            rest.append(line)
    if text is not None:
        found[-1] = Message(found[-1].file, found[-1].line, "\n".join(text).rstrip("\n"))
    return found, "\n".join(rest)


@lru_cache(maxsize=64)
def source_lines(path: str) -> tuple[str, ...]:
    """The lines of a source file; none when it cannot be read."""
    try:
        text = Path(path).read_bytes().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(line.expandtabs(4) for line in text.splitlines())


def split(output: str, directory: str) -> tuple[list[Message], str]:
    """Messages that tell a failure, and the rest of the output: what was only logged is part of that."""
    said, rest = messages(output)
    failing = []
    logged = []
    for message in said:
        lines = source_lines(os.path.join(directory, message.file))
        at = lines[message.line - 1] if 0 < message.line <= len(lines) else ""
        if _LOGS.search(at):
            logged.append(f"    {message.file}:{message.line}: {message.text}")
        else:
            failing.append(message)
    return failing, "\n".join(part for part in (*logged, rest) if part.strip())


def excerpt(path: str, line: int, first: int) -> list[str]:
    """Source lines up to ``line``, which is marked; ``first`` is where the function begins."""
    lines = source_lines(path)
    if not 0 < line <= len(lines):
        return []
    top = max(1, line - _BEFORE)
    if first <= line:
        top = max(top, first)
    shown = [lines[number - 1] for number in range(top, line + 1)]
    indents = [len(text) - len(text.lstrip()) for text in shown if text.strip()]
    margin = min(indents, default=0)
    return [
        ("> " if number == line else "  ") + "  " + text[margin:]
        for number, text in zip(range(top, line + 1), shown, strict=True)
    ]


def failure(
    place: Place,
    result: Result,
    relative: Callable[[str], str],
    *,
    style: str = "long",
    subtests_shown: bool = True,
) -> ReprExceptionInfo | str:
    """What pytest prints for a failed Go test. ``relative`` shortens a path as pytest does."""
    failing, rest = split(result.output, place.directory)
    if style == "native":
        return "\n".join(
            part for part in (result.problem, result.output.rstrip("\n"), result.evidence.rstrip("\n")) if part
        )
    entries: list[ReprEntry] = []
    for message in failing:
        path = os.path.join(place.directory, message.file)
        entries.append(_entry(path, message.line, place, message.text.splitlines() or [""], relative, style))
    crashed = result.problem or _PANIC.search(rest) is not None
    if crashed:
        entries.append(_crash_entry(place, result, rest, relative, style))
    bad = [sub for sub in result.subtests if sub.verdict == "fail"]
    if bad and subtests_shown:
        count = f"{len(bad)} failed subtest{'s' if len(bad) > 1 else ''}"
        names = ", ".join(sub.name for sub in bad[:5]) + (", ..." if len(bad) > 5 else "")
        entries.append(_entry(place.path, place.line, place, [f"contains {count}: {names}"], relative, "none"))
    elif bad:
        for sub in bad:
            for message in split(sub.output, place.directory)[0]:
                path = os.path.join(place.directory, message.file)
                text = message.text.splitlines() or [""]
                inside = Place(place.path, place.directory, f"{place.name}/{sub.name}", place.line)
                entries.append(_entry(path, message.line, inside, text, relative, style))
    if not entries:
        said = rest.strip().splitlines() or ["it failed and said nothing (t.Fail, t.FailNow)"]
        entries.append(_entry(place.path, place.line, place, said[:200], relative, "none"))
    return _exception(entries, place)


def subtest_failure(
    place: Place, sub: Subtest, relative: Callable[[str], str], *, style: str = "long"
) -> ReprExceptionInfo | str:
    result = Result(verdict=sub.verdict, output=sub.output, notes=sub.notes)
    inside = Place(place.path, place.directory, f"{place.name}/{sub.name}", place.line)
    failing, _ = split(sub.output, place.directory)
    if not failing and not sub.output.strip():
        entry = _entry(place.path, place.line, inside, ["it failed and said nothing itself"], relative, "none")
        return _exception([entry], inside)
    return failure(inside, result, relative, style=style)


def _crash_entry(
    place: Place, result: Result, rest: str, relative: Callable[[str], str], style: str
) -> ReprEntry:
    trace = "\n".join(part for part in (rest.strip("\n"), result.evidence.strip("\n")) if part)
    path, line = place.path, place.line
    marked = False
    for text in trace.splitlines():
        if (frame := _TRACE_FRAME.match(text)) and os.path.dirname(frame["path"]) == place.directory:
            if os.path.basename(frame["path"]).startswith("zz_gotest_harness"):
                continue
            path, line, marked = frame["path"], int(frame["line"]), True
            break
    said = [text for text in trace.splitlines() if _PANIC.match(text)][:1]
    said += [result.problem] if result.problem else []
    return _entry(
        path, line, place, said, relative, style if marked else "none", below=trace.splitlines()
    )


def _entry(
    path: str,
    line: int,
    place: Place,
    said: Sequence[str],
    relative: Callable[[str], str],
    style: str,
    *,
    below: Sequence[str] = (),
) -> ReprEntry:
    lines: list[str] = []
    if style != "none":
        shown = excerpt(path, line, place.line if path == place.path else 1)
        lines = shown[-1:] if style == "short" else shown
    lines += [f"E   {text}" for text in said]
    # Below "E" so that pytest does not take a trace for source text to be coloured.
    lines += [f"E     {text}" for text in below]
    where = ReprFileLocation(relative(path), line, f"in {place.name}")
    return ReprEntry(lines, None, None, where, "short")


def _exception(entries: list[ReprEntry], place: Place) -> ReprExceptionInfo:
    first = next(
        (text[4:].strip() for entry in entries for text in entry.lines if text.startswith("E   ")),
        "failed",
    )
    where = entries[0].reprfileloc
    crash = ReprFileLocation(
        where.path if where else place.path, where.lineno if where else place.line, first
    )
    return ReprExceptionInfo(ReprTraceback(entries, None, "short"), crash)


def skip_reason(output: str, directory: str) -> tuple[str | None, int | None, str]:
    """File, 1-based line and reason of a skip; t.SkipNow gives none."""
    said, _ = messages(output)
    for message in reversed(said):
        return os.path.join(directory, message.file), message.line, message.text
    return None, None, ""


def captured(result: Result, directory: str) -> str:
    """What stands under "Captured stdout call": output that the failure does not show already."""
    if result.verdict != "fail":
        return result.output
    _, rest = split(result.output, directory)
    if result.problem or _PANIC.search(rest):
        return ""
    return rest + "\n" if rest.strip() else ""
