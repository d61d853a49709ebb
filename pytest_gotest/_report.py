"""A Go result as pytest shows it: source lines, ``>`` and ``E``, sections; builds reports, prints nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from _pytest._code.code import (
    ReprEntry,
    ReprExceptionInfo,
    ReprFileLocation,
    ReprTraceback,
)

from pytest_gotest._outcome import FAIL, Result, Subtest

_BEFORE = 4  # source lines above the one that failed
_MOST = 200  # lines of one message

# testing.(*common).decorate: an indent, file:line:, the message; its further lines have four spaces more.
_MESSAGE = re.compile(r"(?P<indent> {4,})(?P<file>[^\s:][^:]*\.go):(?P<line>\d+): (?P<text>.*)")
_REMARKS = re.compile(r"\.(?:Log|Skip)f?\((?!.*\.(?:Error|Fatal)f?\()")
_FAILS = re.compile(r"\.(?:Error|Fatal)f?\(")
# A frame of a goroutine's trace: the line below its function.
_TRACE_FRAME = re.compile(r"\t(?P<path>\S.*\.go):(?P<line>\d+)(?: \+0x[0-9a-f]+)?$")
# What the runtime adds when it is ended by a signal (runtime/traceback.go, printing fp, sp and pc).
_REGISTERS = re.compile(r" fp=0x[0-9a-f]+ sp=0x[0-9a-f]+ pc=0x[0-9a-f]+$", re.MULTILINE)
_OUR_FILE = "zz_gotest_harness"
_SYSTEM = re.compile(
    r"(?:created by )?(?:runtime|testing|internal|os/signal)[./]|main\.main\(|goroutine |\t|\["
)
_PANIC = re.compile(r"(?:panic|fatal error): ")
_DIED = re.compile(r"^(?:(?:panic|fatal error): |goroutine \d+ .*\[running\]:$)", re.MULTILINE)
# github.com/stretchr/testify, assert.Fail: a table whose first row names places.
_TESTIFY = re.compile(r"Error:\s+")


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

    def below(self, subtest: str) -> Place:
        return replace(self, name=f"{self.name}/{subtest}")


def messages(output: str) -> list[Message | str]:
    """The ``file.go:12: text`` messages of a test's output, and its other lines, in their order."""
    found: list[tuple[str, int, list[str]] | str] = []
    texts: list[str] = []  # of the last message
    further = ""  # what a further line of it begins with
    for line in output.removesuffix("\n").split("\n") if output else ():
        if further and line.startswith(further):
            texts.append(line[len(further) :])
        elif match := _MESSAGE.match(line):
            texts = [match["text"]]
            found.append((match["file"], int(match["line"]), texts))
            further = match["indent"] + "    "
        else:
            found.append(line)
            further = ""
    return [
        part if isinstance(part, str) else Message(part[0], part[1], "\n".join(part[2]))
        for part in found
    ]


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
    failing: list[Message] = []
    rest: list[str] = []
    for part in messages(output):
        if isinstance(part, str):
            rest.append(part)
        elif _REMARKS.search(_source_line(part, directory)):
            rest.append(f"    {part.file}:{part.line}: {part.text}")
        else:
            failing.append(part)
    return failing, "\n".join(rest)


def _source_line(message: Message, directory: str) -> str:
    lines = source_lines(os.path.join(directory, message.file))
    return lines[message.line - 1] if 0 < message.line <= len(lines) else ""


def excerpt(path: str, line: int, first: int) -> list[str]:
    """Source lines up to ``line``, which is marked; ``first`` is where the function begins, if in this file."""
    lines = source_lines(path)
    if not 0 < line <= len(lines):
        return []
    top = max(1, line - _BEFORE)
    if first <= line:
        top = max(top, first)
    for number in range(line, top, -1):
        # Not from the function before. Nor a blank line first: pygments drops it, and all marks shift.
        if lines[number - 1].startswith("func "):
            top = number
            break
    while top < line and not lines[top - 1].strip():
        top += 1
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
    bad = [sub for sub in result.subtests if sub.verdict == FAIL]
    if style == "native" and (result.output or result.problem):
        parts = (result.problem, result.output, result.evidence)
        return "\n".join(part.rstrip("\n") for part in parts if part.strip())

    def entry(inside: Place, message: Message) -> ReprEntry:
        path = os.path.join(place.directory, message.file)
        return _entry(path, message.line, inside, _said(message.text), relative, style)

    entries = [entry(place, message) for message in failing]
    # What says by itself that it fails goes into the summary, before what a helper may only have logged.
    sure = [
        _FAILS.search(_source_line(message, place.directory)) is not None for message in failing
    ]
    main = sure.index(True) if True in sure else 0
    if result.problem or panicked(rest) or panicked(result.evidence):
        entries.append(_crash_entry(place, result, rest, relative, style))
    if bad and subtests_shown:
        count = f"{len(bad)} failed subtest{'s' if len(bad) > 1 else ''}"
        names = ", ".join(sub.name for sub in bad[:5]) + (", ..." if len(bad) > 5 else "")
        said = [f"contains {count}: {names}"]
        entries.append(_entry(place.path, place.line, place, said, relative, "none"))
    elif bad:
        for sub in bad:
            told = split(sub.output, place.directory)[0]
            entries += [entry(place.below(sub.name), message) for message in told]
    if not entries:
        said = _said(rest) or ["it failed and said nothing (t.Fail, t.FailNow)"]
        entries.append(_entry(place.path, place.line, place, said, relative, "none"))
    return _exception(entries, place, main, brief=style == "line")


def subtest_failure(
    place: Place,
    sub: Subtest,
    relative: Callable[[str], str],
    *,
    style: str = "long",
    died: bool = False,
) -> ReprExceptionInfo | str:
    """``died``: the test panicked or its process died, so that its report has more to tell."""
    inside = place.below(sub.name)
    if not sub.output.strip():
        said = "it failed and said nothing itself" + (f"; see {place.name}" if died else "")
        entry = _entry(place.path, place.line, inside, [said], relative, "none")
        return _exception([entry], inside)
    result = Result(verdict=sub.verdict, output=sub.output, notes=sub.notes)
    return failure(inside, result, relative, style=style)


def error(text: str, path: str, line: int = 1) -> ReprExceptionInfo:
    """What pytest prints where nothing of a test could run: ``text`` says why, its first line in short."""
    lines = [f"E   {line}" for line in text.splitlines()]
    entry = ReprEntry(lines, None, None, None, "short")
    crash = ReprFileLocation(path, line, headline(text.splitlines()))
    return ReprExceptionInfo(ReprTraceback([entry], None, "short"), crash)


def panicked(output: str) -> bool:
    return _DIED.search(output) is not None


def tidy(evidence: str, directory: str) -> str:
    """A dump after SIGQUIT without registers and without goroutines that only the runtime runs.

    Those that stand in the package at ``directory`` come first.
    """
    before, quit, dump = evidence.partition("SIGQUIT: quit\n")
    if not quit:
        return evidence
    near: list[str] = []
    far: list[str] = []
    left_out = 0
    for block in _REGISTERS.sub("", dump).split("\n\n"):
        lines = block.strip("\n").splitlines()
        if not lines or not lines[0].startswith("goroutine "):
            continue
        functions = zip(lines[1::2], lines[2::2], strict=False)
        if all(
            _SYSTEM.match(name) or _OUR_FILE in frame or "<autogenerated>" in frame
            for name, frame in functions
        ):
            left_out += 1
        else:
            (near if f"\t{directory}{os.sep}" in block else far).append("\n".join(lines))
    if not near and not far:
        return evidence
    said = f"[{left_out} goroutines of the runtime and of testing left out]"
    return "\n\n".join(part for part in (before.rstrip("\n"), *near, *far, said) if part)


def _crash_entry(
    place: Place, result: Result, rest: str, relative: Callable[[str], str], style: str
) -> ReprEntry:
    evidence = tidy(result.evidence, place.directory)
    trace = "\n".join(part for part in (rest.strip("\n"), evidence.strip("\n")) if part)
    below = trace.splitlines()
    path, line = place.path, place.line
    marked = False
    for text in below:
        if (frame := _TRACE_FRAME.match(text)) and os.path.dirname(
            frame["path"]
        ) == place.directory:
            if os.path.basename(frame["path"]).startswith(_OUR_FILE):
                continue
            path, line, marked = frame["path"], int(frame["line"]), True
            break
    at = next((number for number, text in enumerate(below) if _PANIC.search(text)), None)
    if at is None:
        said = [result.problem or "the process died"]
    else:
        said = [below.pop(at)]
        if result.problem:
            below.append(result.problem)
    return _entry(path, line, place, said, relative, style if marked else "none", below=below)


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


def _exception(
    entries: list[ReprEntry], place: Place, main: int = 0, *, brief: bool = False
) -> ReprExceptionInfo:
    said = [text[4:] for text in entries[main].lines if text.startswith("E   ")]
    where = entries[main].reprfileloc
    crash = ReprFileLocation(
        where.path if where else place.path,
        where.lineno if where else place.line,
        headline(said) or "failed",
    )
    if brief:  # pytest itself adds the line that --tb=line is about
        told = [text for text in entries[main].lines if text.startswith("E   ")]
        entries = [ReprEntry(told[:1], None, None, None, "short")]
    return ReprExceptionInfo(ReprTraceback(entries, None, "short"), crash)


def _said(text: str) -> list[str]:
    """Lines of a message without blank ones around them, and no more of them than one can read."""
    lines = text.strip("\n").split("\n") if text.strip() else []
    while lines and not lines[0].strip():
        lines.pop(0)
    return [line.rstrip() for line in lines[:_MOST]]


def headline(said: Sequence[str]) -> str:
    """One line for the summary: the first that says something; of testify's table the error."""
    told = [line.strip() for line in said if line.strip()]
    at = next((number for number, line in enumerate(told) if _TESTIFY.match(line)), 0)
    words: list[str] = []
    for line in told[at:]:
        words.append(" ".join(_TESTIFY.sub("", line).split()))
        if not words[-1].endswith(":") and (at == 0 or len(words) > 2):
            break
    return " ".join(words)


def skip_reason(output: str, directory: str) -> tuple[str | None, int | None, str]:
    """File, 1-based line and reason of a skip; t.SkipNow gives none."""
    for message in reversed(messages(output)):
        if isinstance(message, Message):
            return os.path.join(directory, message.file), message.line, message.text
    return None, None, ""


def captured(result: Result, directory: str) -> str:
    """What stands under "Captured stdout call": output that the failure does not show already."""
    if result.verdict != FAIL:
        return result.output
    failing, rest = split(result.output, directory)
    shown = result.problem or panicked(rest) or panicked(result.evidence)
    alone = not failing and not any(sub.verdict == FAIL for sub in result.subtests)
    if shown or alone or not rest.strip():
        return ""
    return rest + "\n"
