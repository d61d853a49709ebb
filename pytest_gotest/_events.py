"""What Go's test tools print, as events; knows nothing of processes, verdicts or pytest.

Two decoders give the same ``Event``: ``RawDecoder`` reads a test binary, ``JsonDecoder`` reads
``go test -json``. Both take chunks cut anywhere, raise nothing, and hold a bounded number of bytes.
"""

from __future__ import annotations

import functools
import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Event:
    """One step of a test run: the union of the fields of test2json and of cmd/go's build events.

    For readers not to change; not frozen, since that triples the time to make one.

    ``action`` is start, run, pause, cont, pass, fail, skip, bench, output, attr (Go 1.25),
    artifacts (1.26), build-output or build-fail (1.24); a later Go's new one is kept verbatim.
    """

    action: str
    package: str = ""
    """Import path; "" for build events and for lines that are no event."""
    test: str = ""
    """Full name, ``TestA/sub``; "" is the package."""
    time: float | None = None
    """Seconds since the epoch."""
    elapsed: float | None = None
    """Seconds, in Go's steps of 10 ms and without paused time."""
    output: str = ""
    output_type: str = ""
    """frame, error (its first line), error-continue (the others), or ""."""
    key: str = ""
    value: str = ""
    path: str = ""
    import_path: str = ""
    failed_build: str = ""


def _text(data: bytes) -> str:
    """Decode as encoding/json does: every byte that is not UTF-8 becomes one U+FFFD."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _SURROGATE.sub("\ufffd", data.decode(errors="surrogateescape"))


_SURROGATE = re.compile("[\ud800-\udfff]")


def _boundary(data: bytes, cut: int) -> int:
    """The last place at or before ``cut`` that is inside no character."""
    for back in range(4):
        if data[cut - back] & 0xC0 != 0x80:
            return cut - back
    return cut


# The stream of a test binary

_MARK = b"\x16"
_LONGEST_FRAME = 64 << 10  # Go's tool recognises 4096; names and attributes may be longer
_PIECE = 1024  # outBuffer in cmd/internal/test2json
_LOOKAHEAD = 5  # the longest match of _TOKEN

_UPDATES = tuple(
    b"=== " + word
    for word in (
        b"RUN   ",
        b"PAUSE ",
        b"CONT  ",
        b"NAME  ",
        b"PASS  ",
        b"FAIL  ",
        b"SKIP  ",
        b"ATTR  ",
        b"ARTIFACTS ",
    )
)
_REPORTS = (b"--- PASS: ", b"--- FAIL: ", b"--- SKIP: ", b"--- BENCH: ")
_REMARKS = (b"testing: ", b"FAIL: ")  # marked by package testing, but no framing

_ESCAPE_OR_MARK = re.compile(rb"\x1b[\x16\x0f\x0e\x1b]|\x16")
_SPECIAL = re.compile(rb"[\x1b\x0f\x0e]")
# testing.(*outputWriter).writeLine puts ^O before the indentation and ^N before the newline.
_TOKEN = re.compile(rb"\x1b(?P<literal>[\x16\x0f\x0e\x1b])|(?P<begin>\x0f    )|(?P<end>\x0e\n)")


class RawDecoder:
    r"""Decodes the stdout of one test binary run with ``-test.v=test2json`` (Go 1.20 and later).

    Gives the events of cmd/internal/test2json for ``package``, in its order and with its rules of
    which output belongs to which test, except that

    - ``start`` and the package's last event are missing: they belong to whoever started the binary
      and knows its exit status. What the stream itself says is here: each framed ``PASS`` or
      ``FAIL`` line gives its output and then ``Event("pass" | "fail", test="")``, as often as
      ``m.Run`` ends. Where none came, it did not end, or TestMain never called it.
    - only a line with the 0x16 marker is framing, from the first line on; Go's tool believes
      unmarked ones up to the first marked one. The last line counts only if it is complete.
    - a framing line may have 64 KiB (4 KiB in Go's tool); framing is typed ``frame``, as by
      Go 1.27, whichever Go made the binary.
    - a 0x16 that introduces no framing stays in the output (Go's tool drops it).
    - a benchmark's result line comes as one event.

    ``escapes`` says whether the binary comes from Go 1.27 or later, whose package testing writes
    ESC before 0x16, ^O, ^N and ESC in what ``t.Log`` and its kin print, and ^O...^N around what
    ``t.Error`` and its kin print. What the test writes to stdout itself is not escaped. Go 1.27.3's
    own tool removes *every* ESC and takes *every* ^O and ^N for a mark, so that colours vanish and
    output turns into errors (golang/go#81592, #81577); and its mark "inside an error" is one for
    all tests. Here ESC is an escape only before one of the four, ^O begins an error only before
    the indentation, ^N ends one only before a newline, and each test has its own mark. Left, as
    the stream itself is ambiguous: ESC ESC that a test writes itself reads as one, and a lone ESC
    that it writes right before a framing line hides that line.

    ``clock`` is read once for each chunk; all its events carry that time, seconds since the epoch.
    A verdict carries the time of its ``---`` line, though it comes after the output that follows.
    """

    def __init__(
        self, package: str, clock: Callable[[], float] = time.time, *, escapes: bool = True
    ) -> None:
        self._package = package
        self._clock = clock
        self._escapes = escapes
        self._held: list[bytes] = []  # a line without its end
        self._size = 0
        self._test = ""
        self._report: Event | None = None  # what a `---` line said, until its output has come
        self._errors: set[str] = set()  # tests inside an error
        self._kind = ""  # of the output so far of a line that came without its end
        self._time = 0.0
        self._events: list[Event] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that ``chunk`` completes. A line without its end waits for it, up to 1 KiB."""
        if not chunk:
            return []
        self._time = self._clock()
        self._held.append(chunk)
        self._size += len(chunk)
        if self._size > _PIECE or b"\n" in chunk or _MARK in chunk:
            self._decode()
        return self._taken()

    def close(self) -> list[Event]:
        """The events of what is left: a framing line without its end is output, and a verdict
        whose output could still have come stands (Go's tool forgets it)."""
        self._time = self._clock()
        rest = b"".join(self._held)
        self._held, self._size = [], 0
        if rest:
            self._plain(rest)
        self._flush()
        self._test = ""
        return self._taken()

    def settle(self) -> list[Event]:
        """The verdicts that wait for what may follow them. For who knows that the writer stands still."""
        self._flush()
        return self._taken()

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _decode(self) -> None:
        if self._size <= _LONGEST_FRAME and len(self._held) > 1 and self._waits_for_frame():
            return
        lines = b"".join(self._held).split(b"\n")
        rest = lines.pop()
        for line in lines:
            self._line(line + b"\n")
        if _MARK in rest:
            *parts, rest = self._parts(rest)
            for part in parts:
                self._line(part)
        limit = _LONGEST_FRAME if rest.startswith(_MARK) else _PIECE
        if len(rest) > limit:
            cut = self._safe_cut(rest)
            self._plain(rest[:cut])
            rest = rest[cut:]
        self._held, self._size = ([rest], len(rest)) if rest else ([], 0)

    def _waits_for_frame(self) -> bool:
        """Whether the held line is a framing line that the last chunk did not end."""
        last = self._held[-1]
        return self._held[0].startswith(_MARK) and b"\n" not in last and _MARK not in last

    def _line(self, line: bytes) -> None:
        for part in (line,) if line.find(_MARK, 1) < 0 else self._parts(line):
            if part.startswith(_MARK) and len(part) <= _LONGEST_FRAME + part.endswith(b"\n"):
                self._marked(part)
            else:
                self._plain(part)

    def _parts(self, line: bytes) -> list[bytes]:
        """``line`` cut before each marker that is not escaped."""
        if not self._escapes:
            first, *others = line.split(_MARK)
            return [first, *(_MARK + other for other in others)]
        cuts = [
            match.start()
            for match in _ESCAPE_OR_MARK.finditer(line)
            if match.end() - match.start() == 1 and match.start()
        ]
        return [line[a:b] for a, b in zip([0, *cuts], [*cuts, len(line)], strict=True)]

    def _safe_cut(self, data: bytes) -> int:
        """Where a line without its end may be cut: in no character, and in nothing to come."""
        cut = _boundary(data, len(data) - _LOOKAHEAD)
        if self._escapes:
            for match in _TOKEN.finditer(data):
                if match.start() < cut < match.end():
                    return match.start()
        return cut

    def _marked(self, line: bytes) -> None:
        self._kind = ""
        body = line[1:]
        if body.startswith(_UPDATES):
            self._update(body)
            return
        if body.startswith(_REPORTS):
            self._end(body)
            return
        trim = body.removesuffix(b"\n").removesuffix(b"\r") if body[-1:] == b"\n" else body
        if trim in (b"PASS", b"FAIL") or trim.startswith(b"FAIL\t"):
            self._flush()
            self._test = ""
            self._output(body, "frame")
            action = "pass" if trim == b"PASS" else "fail"
            self._events.append(Event(action, self._package, "", self._time))
        elif trim == b"=== NAME":
            self._update(body)
        else:
            self._plain(body if body.startswith(_REMARKS) else line)

    def _update(self, body: bytes) -> None:
        word, _, rest = body[4:].partition(b" ")
        action = word.strip().lower().decode("ascii")
        name = _text(rest.strip())
        self._flush()
        if action == "name":
            self._test = name
            return
        event = Event(action, self._package, name, self._time)
        if action == "artifacts":
            event.test, _, event.path = name.partition(" ")
        elif action == "attr":
            event.test, _, rest_text = name.partition(" ")
            event.key, _, event.value = rest_text.partition(" ")
        self._test = event.test
        if action == "pause":
            self._output(body, "frame")
        self._events.append(event)
        if action != "pause":
            self._output(body, "frame")

    def _end(self, body: bytes) -> None:
        word, _, rest = body[4:].partition(b": ")
        name, _, seconds = _text(rest.strip()).partition(" (")
        elapsed = _number(seconds[:-2]) if seconds.endswith("s)") else None
        self._flush()
        self._errors.discard(name)
        self._test = name
        self._report = Event(word.lower().decode("ascii"), self._package, name, self._time, elapsed)
        self._output(body, "frame")

    def _flush(self) -> None:
        if self._report:
            self._events.append(self._report)
            self._report = None

    def _plain(self, line: bytes) -> None:
        """Output of the current test, with the marks and escapes of package testing taken out."""
        kind = self._kind or ("error-continue" if self._test in self._errors else "")
        if self._escapes and _SPECIAL.search(line):
            kind = self._special(line, kind)
        else:
            self._output(line, kind)
        self._kind = "" if line.endswith(b"\n") else kind

    def _special(self, line: bytes, kind: str) -> str:
        text = bytearray()
        start = 0
        for match in _TOKEN.finditer(line):
            text += line[start : match.start()]
            start = match.end()
            if match["literal"]:
                text += match["literal"]
            elif match["begin"]:
                self._output(bytes(text), kind)
                text.clear()
                self._errors.add(self._test)
                kind = "error"
                text += match[0][1:]
            elif self._test in self._errors:
                self._output(bytes(text) + b"\n", kind)
                text.clear()
                self._errors.discard(self._test)
                kind = ""
            else:
                text += match[0]
        self._output(bytes(text + line[start:]), kind)
        return kind

    def _output(self, data: bytes, kind: str) -> None:
        start = 0
        while start < len(data):
            end = start + _PIECE
            end = _boundary(data, end) if end < len(data) else len(data)
            text = _text(data[start:end])
            self._events.append(
                Event("output", self._package, self._test, self._time, None, text, kind)
            )
            start = end


# The lines of `go test -json`

_LONGEST_LINE = 16 << 20
_KEPT = 64 << 10


class JsonDecoder:
    """Decodes the lines of ``go test -json`` of any Go, any number of packages interleaved.

    An event is a line that is a JSON object with a text ``Action``; unknown actions are kept and
    unknown fields ignored; a field of a wrong type is converted where that makes sense, else left
    at its default. Every other line (the go command's stderr, say) is ``Event("output")`` with its
    text, no package and no time. A line of over ``longest`` bytes is not decoded: its beginning is
    given as output, which says so.
    """

    def __init__(self, *, longest: int = _LONGEST_LINE) -> None:
        self._longest = longest
        self._held: list[bytes] = []
        self._size = 0  # of the line so far; over `longest` only its beginning is held

    def feed(self, chunk: bytes) -> list[Event]:
        """The events of all lines that ``chunk`` ends."""
        *lines, rest = chunk.split(b"\n")
        events = []
        for line in lines:
            self._hold(line)
            events.append(self._line(b"\n"))
        if rest:
            self._hold(rest)
        return events

    def close(self) -> list[Event]:
        """The event of a last line without its newline."""
        return [self._line(b"")] if self._size else []

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        self._held.append(part)
        if self._size > self._longest:
            self._held = [b"".join(self._held)[:_KEPT]]

    def _line(self, end: bytes) -> Event:
        line = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        size = self._size
        self._held, self._size = [], 0
        if size > self._longest:
            head = _text(line[:_KEPT])
            return Event("output", output=f"{head}... [cut: the line has {size} bytes]\n")
        text = _text(line)
        bare = text.lstrip("\ufeff \t\r")
        if bare.startswith("{"):
            try:
                fields = json.loads(bare)
                if isinstance(fields.get("Action"), str):
                    return _event(fields)
            except (ValueError, RecursionError):
                pass
        return Event("output", output=text + end.decode())


def _event(fields: dict[str, Any]) -> Event:
    get = fields.get
    return Event(
        _string(get("Action")),
        _string(get("Package")),
        _string(get("Test")),
        _seconds(get("Time")),
        _number(get("Elapsed")),
        _string(get("Output")),
        _string(get("OutputType")),
        _string(get("Key")),
        _string(get("Value")),
        _string(get("Path")),
        _string(get("ImportPath")),
        _string(get("FailedBuild")),
    )


def _string(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value)
    return value if value.isascii() else _SURROGATE.sub("\ufffd", value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _seconds(value: object) -> float | None:
    """RFC 3339 with nanoseconds, as Go writes it; datetime of Python 3.10 reads neither."""
    if not isinstance(value, str):
        return _number(value)
    zone = "+00:00" if value[-1:] in ("Z", "z") else value[-6:]
    minute = _minute(value[:16], zone)
    second = _number(value[17 : -1 if value[-1:] in ("Z", "z") else -6])
    return None if minute is None or second is None else minute + second


@functools.lru_cache(maxsize=64)
def _minute(text: str, zone: str) -> float | None:
    try:
        return datetime.fromisoformat(text + zone).timestamp()
    except (ValueError, OverflowError):
        return None
