"""The harness in test binaries: its overlay and its protocol; knows no pytest and spawns nothing.

``harness.go.txt`` is the other side. Built into a test binary by ``go test -c -overlay=...`` it
asks over a pipe what to run and stands still until it is told::

    -> {"hello": {"tests": [...], "fuzz": [...], "examples": [...], "benchmarks": [...]},
        "version": 2}
    <- {"go": [], "env": {...}}           for good; ``TestMain`` and all tests see it
    -> {"ready": "test", "ok": true, "ns": 0, "state": [...], "goroutines": 2}
    <- {"go": [3, 0], "env": {...}, "watch": 5}    one group, its tests in this order; for this group only
    -> {"still": "goroutine 7 [..."}      every 5 seconds while it runs; expects no answer
    -> {"ready": "test", "ok": false, ...}
    <- {"go": [], "env": {}}              no more tests in this round
    -> {"ready": "fuzz", ...}             only if the package has fuzz targets

Who starts such a binary has to know:

* Pass ``-test.v=test2json``, a ``-test.timeout`` far off (0 would take ``t.Deadline`` away), and
  none of ``-test.failfast``, ``-test.fuzz``, ``-test.list``. ``-test.run`` and ``-test.skip`` go on
  filtering: ``-test.run`` must let the gates through, as in ``^(TestA|GotestHarness)$/^sub$``.
* A second call of ``m.Run``, ``-test.count`` and ``-test.cpu`` bring the phases again, and each has
  to be ended again.
* An order during ``"test"`` names tests, examples and benchmarks; during ``"fuzz"`` one fuzz target
  at most, and examples and benchmarks. These two run after the tests of the same order.
* On Linux the binary gets SIGKILL when the *thread* that started it ends (prctl(2),
  PR_SET_PDEATHSIG): start it from a thread that outlives it.
* Go up to 1.23 needs ``-vet=off`` with an overlay: its vet does not see overlaid files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pytest_gotest._errors import BuildError, ProcessError
from pytest_gotest._files import keep, write_whole

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_gotest._events import Event

HARNESS_EXIT = 97
"""Exit code of a test binary whose runner has gone."""

GATE = "GotestHarness"
"""The name under which the gates run, and appear in the event stream."""

VERSION = 2
"""The protocol spoken here; a binary tells its own in ``Hello``."""

VARIABLE = "GOTEST_HARNESS"
"""Without it in its environment a binary with the harness is an ordinary test binary."""

_FILES = {
    "zz_gotest_harness_test.go": "harness.go.txt",
    "zz_gotest_harness_linux_test.go": "harness_linux.go.txt",
}
# The one of Linux has to come first in the order of names here too: see its comment.
_SHARED_FILES = {
    "zz_gotest_harness_main.go": "harness.go.txt",
    "zz_gotest_harness_linux.go": "harness_linux.go.txt",
}
_CLAUSE = "package gotestplaceholder_test\n"
_IMPORT = """\
//go:build unix

// This file is added to a package's tests by the build overlay of pytest-gotest; it is in no module.

package gotestplaceholder_test

import _ "go"
"""
_REFUSES_BENEATH_MODCACHE = (1, 25)
_OLD = 1_000_000_000  # 2001
_LOWEST_FD = 200
_LONGEST_LINE = 16 << 20

Phase = Literal["test", "fuzz"]
Kind = Literal["tests", "fuzz", "examples", "benchmarks"]
_KINDS: tuple[Kind, ...] = ("tests", "fuzz", "examples", "benchmarks")


# The overlay


def shared_place(goroot: str) -> str:
    """Where the harness can be one package for all: it has the import path "go".

    Go has that directory and no package in it, and no module can have a package of that path (go mod
    init: "invalid module path"). A directory that is not there would not do: vet changes into it.

    The compiler keeps the prefix "go:" for symbols of its own (cmd/compile/internal/base/link.go,
    ReservedImports), so a trace names ``go:gotestRefuse``: all that the harness declares starts
    with gotest, which none of those do. A Go that came to refuse the path would not be the end.
    """
    return os.path.join(goroot, "src", "go") if goroot else ""


def may_share(
    place: str, names: Collection[str], gomodcache: str, version: tuple[int, int], *, coverpkg: bool
) -> bool:
    """Whether the harness can be a package at ``place``, compiled once, or has to be in each package's tests.

    ``names`` are the files there, none where there is no such directory. Go refuses an overlay
    beneath GOMODCACHE from 1.25.0 on, and compares the paths as they are spelled
    (cmd/go/internal/work/init.go, BuildInit; golang/go#71075): a toolchain that go has downloaded
    lies there (golang/go#78644). A package can be matched by ``-coverpkg``, and would be counted.
    """
    if not place or not names or any(name.endswith(".go") for name in names) or coverpkg:
        return False
    beneath = os.path.normpath(place).startswith(os.path.normpath(gomodcache) + os.sep)
    return not (gomodcache and beneath and version >= _REFUSES_BENEATH_MODCACHE)


def overlay(
    packages: Mapping[str, str],
    directory: Path,
    existing: Mapping[str, str] | None = None,
    *,
    shared: str = "",
    internal: Collection[str] = (),
) -> Path:
    """Write what ``go build -overlay`` needs to put the harness into ``packages``.

    ``packages`` maps the absolute directory of each package to its name as ``go list`` tells it
    (``main``, or ``store_test`` where all there is are external tests). ``existing`` is the
    "Replace" of an overlay of the user's own, which stays in force. With ``shared``, a place
    that ``may_share`` allows, the harness is a package there and the others' tests import it, those
    of the directories ``internal`` from inside their package: where a package has no external tests,
    this saves compiling some. Without ``shared`` it is compiled into the external tests of each.

    Go from 1.25 on refuses an overlay of packages beneath GOMODCACHE, the standard library of a
    downloaded toolchain among them.

    The files are named by their content and written only once, so equal calls return equal paths
    and Go's build cache stays warm. Returns the path for ``-overlay``. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    replace = dict(existing or {})

    def add(package: str, name: str, files: Mapping[str, str]) -> None:
        for file, text in files.items():
            text = text.replace(_CLAUSE, f"package {name}\n", 1)
            replace[os.path.join(package, file)] = str(_store(directory, "harness", ".go", text))

    files = {file: _template(template) for file, template in _FILES.items()}
    if shared:
        add(shared, "gotestharness", {f: _template(t) for f, t in _SHARED_FILES.items()})
        files = {"zz_gotest_harness_test.go": _IMPORT}
    for package, name in sorted(packages.items()):
        inside = shared and package in internal
        add(package, name if inside else f"{name.removesuffix('_test')}_test", files)
    text = json.dumps({"Replace": dict(sorted(replace.items()))}, indent=0)
    return _store(directory, "overlay", ".json", text)


@functools.cache
def _template(name: str) -> str:
    return resources.files("pytest_gotest").joinpath(name).read_text(encoding="utf-8")


def _store(directory: Path, stem: str, suffix: str, text: str) -> Path:
    content = text.encode("utf-8", "surrogateescape")
    path = directory / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
    try:
        there = path.stat().st_size == len(content)
    except OSError:
        there = False
    if there:
        keep(path)
    else:
        # Old from the beginning: Go 1.23 and 1.24 know no package of files younger than two seconds
        # in GOROOT (cmd/go/internal/modindex, "recently modified").
        write_whole(path, content, time=_OLD)
    return path.absolute()


def read_overlay(path: Path) -> dict[str, str]:
    """The "Replace" of an overlay file. Raises BuildError if it is not one."""
    try:
        content = json.loads(path.read_bytes())
        return {str(k): str(v) for k, v in (content.get("Replace") or {}).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise BuildError(
            f"the build flags name the overlay {path}, which cannot be read: {error}",
            hint='Give -overlay a JSON file of the form {"Replace": {PATH: PATH}}.',
        ) from error


# The protocol


@dataclass(frozen=True, slots=True)
class Hello:
    """What a binary has to run, in the order of its lists; one index counts through all four."""

    tests: tuple[str, ...]
    fuzz: tuple[str, ...]
    examples: tuple[str, ...]
    benchmarks: tuple[str, ...]
    _places: dict[tuple[str, str], list[int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        listed = [(kind, name) for kind in _KINDS for name in getattr(self, kind)]
        places: dict[tuple[str, str], list[int]] = {}
        for index, entry in enumerate(listed):
            places.setdefault(entry, []).append(index)
        object.__setattr__(self, "_places", places)

    @property
    def names(self) -> tuple[str, ...]:
        """All names; a name's position is the index to order it by."""
        return self.tests + self.fuzz + self.examples + self.benchmarks

    def index(self, kind: Kind, name: str, occurrence: int = 0) -> int | None:
        """The index of a name, or None.

        One name can stand twice in a list: a package and its external test package may both
        declare it. The internal one comes first (cmd/go/internal/load/test.go).
        """
        if kind not in _KINDS:
            raise ValueError(kind)
        found = self._places.get((kind, name), ())
        return found[occurrence] if occurrence < len(found) else None


@dataclass(frozen=True, slots=True)
class Ready:
    """A binary stands still: the last group is over and its verdict is on stdout.

    ``ok`` and ``seconds`` are of that group, clean-ups included. ``state`` lists all of the
    process state that a test can change, sorted, or is None if none of it has changed since the
    ``Ready`` before; see ``describe_left``. ``stacks`` holds the traces of the goroutines that are
    new, if there are more than before; at most 64 KiB.
    """

    kind: Phase
    ok: bool
    seconds: float
    state: tuple[str, ...] | None
    goroutines: int
    stacks: str


@dataclass(frozen=True, slots=True)
class Still:
    """A group that is watched runs: ``stacks`` are the traces of all goroutines, the first one's is the watcher's."""

    stacks: str


def decode(line: bytes) -> Hello | Ready | Still:
    """Read one message. Raises ProcessError on anything that is none."""
    try:
        message = json.loads(line)
        if "hello" in message:
            return _hello(message)
        if "still" in message:
            return Still(str(message["still"]))
        kind, ok, state = message["ready"], message["ok"], message.get("state")
        if kind not in ("test", "fuzz") or not isinstance(ok, bool):
            raise ValueError(kind)
        return Ready(
            kind=cast("Phase", kind),
            ok=ok,
            seconds=int(message["ns"]) / 1e9,
            state=None if state is None else _strings(state),
            goroutines=int(message["goroutines"]),
            stacks=str(message.get("stacks", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProcessError(
            f"a test binary was asked what it is ready for and said {_short(line)}",
            hint="A test may have written to the harness's descriptors: run its package with "
            "--gotest-isolate.",
        ) from error


def _hello(message: Mapping[str, object]) -> Hello:
    if message.get("version") != VERSION:
        raise ProcessError(
            f"a test binary speaks version {message.get('version')} of the harness's protocol, "
            f"this is version {VERSION}",
            hint="It was built by another pytest-gotest: build it again.",
        )
    lists = cast("Mapping[str, object]", message["hello"])
    return Hello(*(_strings(lists[kind]) for kind in _KINDS))


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(value)
    return tuple(value)


def _short(line: bytes) -> str:
    return repr(line[:200]) + (f" and {len(line) - 200} bytes more" if len(line) > 200 else "")


_UNFIT = re.compile("[\0\ud800-\udfff]")


def encode_go(indexes: Sequence[int], env: Mapping[str, str | None], watch: float = 0.0) -> bytes:
    """One order. ``env`` gives variables for this group; None removes one. ``watch``: seconds from one ``Still`` to the next.

    Raises ProcessError for a variable that no process can have.
    """
    for name, value in env.items():
        if not name or "=" in name or _UNFIT.search(name + (value or "")):
            raise ProcessError(
                f"a Go test was to get the environment variable {name!r} = {value!r}",
                hint="A name is not empty and has no '='; both are UTF-8 and have no NUL byte.",
            )
    order: dict[str, object] = {"go": list(indexes), "env": dict(env)}
    if watch:
        order["watch"] = watch
    return json.dumps(order, separators=(",", ":")).encode() + b"\n"


# What a test leaves


def describe_left(
    before: Sequence[str], after: Sequence[str], *, goroutines: int = 0, stacks: str = ""
) -> list[str]:
    """Say in sentences how a process differs from before a test.

    ``before`` and ``after`` are states as in ``Ready``; ``goroutines`` is how many more there are
    now, ``stacks`` the new ones' traces. Values of variables are not shown: they may be secrets.
    """
    old, new = ({}, {}) if before is after else (_facts(before), _facts(after))
    sentences = []
    for fact in sorted(old.keys() | new.keys()):
        was, now = old.get(fact), new.get(fact)
        if was == now:
            continue
        kind, _, name = fact.partition(" ")
        if kind == "env":
            change = "set" if was is None else "removed" if now is None else "changed"
            sentences.append(f"the environment variable {name} was {change}")
        elif fact == "cwd":
            sentences.append(f"the working directory was left at {now}, it was {was}")
        elif fact in ("os.Stdin", "os.Stdout", "os.Stderr", "log.Writer"):
            sentences.append(f"{fact} was left replaced")
        else:
            sentences.append(f"{fact} was left at {now}, it was {was}")
    left = leaked(stacks)
    if goroutines > 0 and left:
        noun = "goroutine was" if goroutines == 1 else "goroutines were"
        where = "; ".join(dict.fromkeys(_origin(block) for block in left))
        sentences.append(f"{goroutines} {noun} left running: {where}")
    return sentences


def _facts(state: Iterable[str]) -> dict[str, str]:
    facts = {}
    for line in state:
        kind, _, rest = line.partition(" ")
        if kind == "env":
            name, _, value = rest.partition("=")
            facts[f"env {name}"] = value
        else:
            facts[kind] = rest
    return facts


_ONCE = re.compile(r"(?:created by )?(?:os/signal|runtime)\.")


def leaked(stacks: str) -> list[str]:
    """The traces in ``Ready.stacks`` that a test is answerable for.

    Not so goroutines that the runtime or os/signal starts once for the whole process.
    """
    blocks = [block.strip("\n") for block in stacks.split("\n\n")]
    return [block for block in blocks if block and not _once(block)]


def _once(block: str) -> bool:
    lines = block.splitlines()
    created = [line for line in lines if line.startswith("created by ")]
    return bool(_ONCE.match(created[-1] if created else lines[-1]))


def _origin(block: str) -> str:
    lines = block.splitlines()
    for i, line in enumerate(lines):
        if line.startswith("created by "):
            function = line.removeprefix("created by ").split(" in goroutine ")[0]
            place = _place(lines[i + 1]) if i + 1 < len(lines) else ""
            return f"started by {function}" + (f" at {place}" if place else "")
    return lines[0]


def _place(line: str) -> str:
    """File and line, of the second line of a frame."""
    return line.strip().split(" +0x")[0]


# Tests that wait for each other

_GOROUTINE = re.compile(r"goroutine (\d+)(?: gp=.*?)? \[([^],]*)(?:, [^]]*)?\]:")
# What only another goroutine of the process ends; a time limit as well, of which a trace says nothing
# (runtime2.go, waitReasonStrings).
_HELD = re.compile(r"chan (?:receive|send)|select|semacquire|sync\.")
_IN_SUBTEST = "testing.(*T).Run("


def waits(before: str, now: str) -> str:
    """Where a test waits for what only another test can do; empty if something may still come.

    Of two ``Still.stacks``, with some seconds between them: neither has a goroutine that could go on by itself, and all
    stand where they stood. Those that wait for new connections, or for signals, go on for nobody in the process.
    """
    standing = _standing(now)
    if standing is None or standing != _standing(before):
        return ""
    for _, lines in standing:
        if any(_IN_SUBTEST in line for line in lines):
            continue
        # A frame is two lines, the one that it was called from below it. The gates, and tests around the one that waits,
        # are in testing itself.
        for called, place, caller in zip(lines, lines[1:], lines[2:], strict=False):
            if caller.startswith("testing.tRunner(") and not called.startswith("testing."):
                return _place(place)
    return ""


def _standing(stacks: str) -> list[tuple[str, list[str]]] | None:
    """The goroutines but the watcher's, if all of them stand: numbers and what they are in."""
    found = []
    for block in stacks.strip().split("\n\n")[1:]:
        head, *lines = block.splitlines()
        match = _GOROUTINE.match(head)
        if match is None or not lines:
            return None
        accepts = match[2] == "IO wait" and any(").accept(" in line for line in lines)
        if not (_HELD.match(match[2]) or accepts or lines[0].startswith("os/signal.")):
            return None
        found.append((f"{match[1]} {match[2]}", lines))
    return found


# The gates in the event stream

_GATE_LINE = re.compile(
    rf"\s*(?P<what>=== (?:RUN|NAME|CONT|PAUSE) +|--- (?:PASS|FAIL|SKIP): ){GATE}"
    rf"(?: \([\d.]+s\))?\n?"
)


class EventFilter:
    """Takes the gates out of the decoded stream of one binary, and nothing else.

    A gate appears as ``run``, its own ``=== RUN`` and ``--- PASS|FAIL|SKIP`` lines, and ``pass``,
    ``fail`` or ``skip``: all dropped. Between two tests the stream's current name is the gate's, so
    whatever is printed there (by a goroutine left behind, say) comes as its output; in an ordinary
    run it is the package's, and so it is here. When a test or example panics, testing closes the
    gates around it before the trace is printed: output of a gate that no longer runs is that of
    the test that failed last. (It comes after that test's ``fail``; in an ordinary run, before.)
    """

    def __init__(self) -> None:
        self._depth = 0  # told by lines: a decoder holds a verdict back until what follows it
        self._failed = ""

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """The events to go on with, in order. Keeps state: give every event once."""
        return list(self._filtered(events))

    def _filtered(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if event.test != GATE and not event.test.startswith(f"{GATE}/"):
                if event.action == "fail" and event.test:
                    self._failed = event.test
                yield event
            elif event.action in ("output", "attr", "artifacts"):
                line = _GATE_LINE.fullmatch(event.output)
                if line is None:
                    yield dataclasses.replace(event, test="" if self._depth else self._failed)
                elif line["what"].startswith("---"):
                    self._depth = max(0, self._depth - 1)
                elif line["what"].startswith("=== RUN"):
                    self._depth += 1


# The channel


class Channel:
    """Both pipes between this process and one binary, as seen from here.

    Pass ``child_fds`` to the child under the same numbers (``Popen(pass_fds=...)``), with
    ``environment()`` in its environment, then call ``close_child_ends()``. Their numbers start at
    200 if the limit of open files allows, to leave the low ones to the tests.
    """

    def __init__(self) -> None:
        self.eof = False
        """The binary has closed its end, which it does only by ending."""
        self._buffer = bytearray()
        self._open: set[int] = set()
        try:
            hears, self._writes = self._pipe()
            self._reads, says = self._pipe()
            self.child_fds = (self._moved(hears), self._moved(says))
        except BaseException:
            self.close()
            raise
        os.set_blocking(self._reads, False)

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        self._open.update(ends)
        return ends

    def _moved(self, fd: int) -> int:
        try:
            high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD)
        except OSError:  # EINVAL: fewer than 200 may be open
            return fd
        self._open.add(high)
        self._close(fd)
        return high

    def _close(self, *fds: int) -> None:
        for fd in fds:
            if fd in self._open:
                self._open.remove(fd)
                os.close(fd)

    def environment(self, count: int = 1) -> dict[str, str]:
        """For the child; ``count`` is how often each fuzz target may be ordered in one round."""
        return {VARIABLE: json.dumps({"fds": list(self.child_fds), "count": count})}

    def fileno(self) -> int:
        """The end to read from, for a selector: it is readable when a message or the end came."""
        return self._reads

    def read_messages(self) -> list[Hello | Ready | Still]:
        """Every message that is complete, without waiting; sets ``eof``.

        Raises ProcessError on anything that is no message, what was cut off by the end left out.
        """
        while not self.eof:
            try:
                chunk = os.read(self._reads, 1 << 16)
            except BlockingIOError:
                break
            self._buffer += chunk
            self.eof = not chunk
            if len(self._buffer) > _LONGEST_LINE and b"\n" not in self._buffer:
                raise ProcessError(
                    f"a test binary sent {_short(bytes(self._buffer))} without an end of line",
                    hint="A test may have written to the harness's descriptors.",
                )
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        return [decode(bytes(line)) for line in lines]

    def send(
        self,
        indexes: Sequence[int] = (),
        env: Mapping[str, str | None] | None = None,
        watch: float = 0.0,
    ) -> bool:
        """Answer a message; False if nobody is there to read it, and then ``eof`` comes.

        Waits until the binary has read all but the last 64 KiB: do not call it while it is stopped.
        """
        data = memoryview(encode_go(indexes, env or {}, watch))
        try:
            while data:
                data = data[os.write(self._writes, data) :]
        except BrokenPipeError:
            return False
        return True

    def close_child_ends(self) -> None:
        """To be called once the child is started; the end of the child cannot be seen before."""
        self._close(*self.child_fds)

    def close(self) -> None:
        """Close everything; a binary that still runs exits with ``HARNESS_EXIT`` when it asks."""
        self._close(*self._open.copy())

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self.close()
