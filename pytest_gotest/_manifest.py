"""What test binaries were made of, kept beside them, so that an unchanged one is run without asking go; spawns nothing.

`go test -c` over up-to-date packages takes a good part of a short run. Here the state of everything
that it would look at is compared instead: of all directories and files that the packages and their
dependencies are made of, the standard library included, and one digest of `facts`: command,
environment, flags, overlay.

A state is made of names, inodes, sizes, modes and times of modification and of change; no content
is read. In doubt a binary counts as changed, which costs time only, for then go decides.

An input is a string, its kind before the first blank:

* ``dir PATH``: the files in it that may belong to a Go package;
* ``file PATH``: that file, there or not;
* ``embed PATH\\0PATTERN``: what a ``//go:embed`` pattern of a package in PATH may match;
* ``unseen``: something that is in no file known here. A binary made of it is built anew each time.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_gotest._files import write_whole

# What `go list` has to tell of packages and all they import.
FIELDS = (
    "ImportPath,Dir,Deps,Standard,Module,Incomplete,CgoFiles,CgoPkgConfig,CgoLDFLAGS,"
    "EmbedPatterns,TestEmbedPatterns,XTestEmbedPatterns"
)

LISTING = ("list", "-e", "-deps", "-test", f"-json={FIELDS}")
"""The go command that tells it, without flags and packages."""

_VERSION = 2
UNSEEN = "unseen"

# Which files go reads in a package's directory (go/build, goodOSArchFile and matchFile; `go help packages`).
SOURCES = (
    ".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for",
    ".f90", ".s", ".S", ".sx", ".swig", ".swigcxx", ".syso", ".pgo",
)  # fmt: skip

# A change this close before a build may have come after go read the file: clocks of file systems are coarse.
_SLACK = 2_000_000_000  # nanoseconds

Identity = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A binary as it was written; ``inputs`` is all that it was made of."""

    identity: Identity
    inputs: frozenset[str]


@dataclass(slots=True)
class Manifest:
    """What is known of the binaries of one directory: by import path, and the states of their inputs.

    ``whole`` is of all that a build has ended well with, of whatever ``facts`` and inputs: the
    path below that directory, and the file's identity.
    """

    facts: str
    whole: dict[str, tuple[str, Identity]] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    _now: dict[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, facts: str) -> Manifest:
        """What was written; of other ``facts``, only which binaries are whole and which are made of what is unseen."""
        try:
            data = json.loads(path.read_bytes())
            if data["version"] != _VERSION:
                return cls(facts)
            whole = {name: (str(at), tuple(kept)) for name, (at, kept) in data["whole"].items()}
            unseen = set(data["unseen"])
            if data["facts"] != facts:
                return cls(facts, whole, unseen=unseen)
            names = list(data["states"])
            made = {
                name: Made(
                    tuple(kept["identity"]),
                    frozenset(names[number] for number in kept["inputs"]),
                )
                for name, kept in data["made"].items()
            }
            return cls(facts, whole, made, data["states"], unseen)
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return cls(facts)

    def write(self, path: Path) -> None:
        """Raises OSError."""
        numbers = {name: number for number, name in enumerate(self.states)}
        data = {
            "version": _VERSION,
            "facts": self.facts,
            "whole": self.whole,
            "states": self.states,
            "unseen": sorted(self.unseen),
            "made": {
                name: {
                    "identity": made.identity,
                    "inputs": sorted(numbers[one] for one in made.inputs),
                }
                for name, made in self.made.items()
            },
        }
        write_whole(path, json.dumps(data, separators=(",", ":")).encode())

    def is_current(self, name: str, binary: Path) -> bool:
        """Whether this, the binary of the package ``name``, is the one recorded, of inputs that did not change."""
        made = self.made.get(name)
        return (
            made is not None
            and made.identity == identity(binary)
            and all(self._state(one)[0] == self.states[one] for one in made.inputs)
        )

    def may_be_found(self, name: str, binary: Path) -> bool:
        """Whether go may be shown this binary and asked if it is up to date: it looks at the first bytes alone.

        Not one that is no more, or never was known to be, what a build put there: half of it may be missing.
        Nor one that holds what go does not look at here, such as a library that was linked in.
        """
        _, known = self.whole.get(name, ("", ()))
        return known != () and known == identity(binary) and name not in self.unseen

    def record(self, made: Mapping[str, Made], began: int) -> None:
        """Take in what a build made that began at ``began`` (``time.time_ns``) and has ended by now.

        Left out, and forgotten, is what go may have read before its last change.
        """
        self._now.clear()
        for name, one in made.items():
            self.made.pop(name, None)
            self.unseen.discard(name)
            if UNSEEN in one.inputs:
                self.unseen.add(name)
            elif all(self._state(each)[1] < began - _SLACK for each in one.inputs):
                self.made[name] = one
        for name, one in list(self.made.items()):
            if name not in made and any(
                each in self._now and self._now[each][0] != self.states[each] for each in one.inputs
            ):
                del self.made[name]
        needed = frozenset().union(*(one.inputs for one in self.made.values()))
        self.states = {
            each: self._now[each][0] if each in self._now else self.states[each]
            for each in sorted(needed)
        }

    def _state(self, one: str) -> tuple[str, int]:
        if one not in self._now:
            self._now[one] = state(one)
        return self._now[one]


def identity(path: Path) -> Identity:
    """What differs between two files that were written; empty if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def state(one: str) -> tuple[str, int]:
    """A digest of an input as it is now, and the time of its last change in nanoseconds."""
    kind, _, place = one.partition(" ")
    seen = _Look()
    if kind == "dir":
        seen.at_directory(place, SOURCES)
    elif kind == "embed":
        directory, _, pattern = place.partition("\0")
        seen.at_pattern(directory, pattern.removeprefix("all:").split("/"))
    else:
        seen.at_file(place)
    said = repr(sorted(seen.lines)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(said, digest_size=12).hexdigest(), seen.newest


class _Look:
    """What was seen of files and directories. ``newest``, in nanoseconds, is of changes.

    A directory's own time tells when a name in it came or went. It counts for ``newest`` and has no
    part in the lines: tests write files beside sources, and that makes no other binary. Of what is
    not there, the nearest directory above it tells since when.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[object, ...]] = []
        self.newest = 0
        self._clock = time.time_ns()

    def at_directory(self, path: str, suffixes: tuple[str, ...]) -> None:
        for entry in self._entries(path):
            if entry.name.endswith(suffixes):
                self._note(entry.path, entry.stat)

    def at_file(self, path: str) -> None:
        self._note(path, lambda: os.stat(path))
        self._above(path)

    def at_pattern(self, directory: str, parts: Sequence[str]) -> None:
        """Like path.Match of Go or more: one that reads otherwise in Python matches everything."""
        part, rest = parts[0], parts[1:]
        if any(letter in part for letter in "[\\"):
            part = "*"
        for entry in self._entries(directory):
            if not fnmatch.fnmatchcase(entry.name, part):
                continue
            if rest:
                self.at_pattern(entry.path, rest)
            elif entry.is_dir(follow_symlinks=False):
                self.at_pattern(entry.path, ["*"])  # go embeds all that is below
            else:
                self._note(entry.path, entry.stat)

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            self._date(os.stat(path))
            with os.scandir(path) as entries:
                return list(entries)
        except OSError as error:
            self.lines.append((path, error.errno))
            self._above(path)
            return []

    def _note(self, path: str, ask: Callable[[], os.stat_result]) -> None:
        try:
            stat = ask()
        except OSError as error:
            self.lines.append((path, error.errno))
            self._above(path)
            return
        written, changed = stat.st_mtime_ns, stat.st_ctime_ns
        self.lines.append((path, stat.st_ino, stat.st_size, stat.st_mode, written, changed))
        self._date(stat)

    def _above(self, path: str) -> None:
        while (above := os.path.dirname(path)) != path:
            path = above
            with contextlib.suppress(OSError):
                self._date(os.lstat(path))
                return

    def _date(self, stat: os.stat_result) -> None:
        """The time of change, which nobody sets as he likes; and the other, unless it lies ahead, where that is not kept."""
        written = stat.st_mtime_ns if stat.st_mtime_ns <= self._clock else 0
        self.newest = max(self.newest, stat.st_ctime_ns, written)


def module_files(first: Iterable[str]) -> frozenset[str]:
    """These go.work and go.mod files, those of all directories that they name, and so on.

    A version that any module of a build asks for counts for all of it, imported or not. Too many
    do no harm, so every word that looks like a path is taken for one.
    """
    found: set[str] = set()
    waiting = [path for path in first if path]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        try:
            text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            continue
        for word in re.findall(r'"[^"\n]+"|`[^`\n]+`|[^\s()]+', text):
            word = word.strip('"`')
            if word.startswith((".", "/")) and not word.startswith("//"):
                directory = os.path.normpath(os.path.join(os.path.dirname(path), word))
                waiting.append(os.path.join(directory, "go.mod"))
    return frozenset(found)


def inputs(
    listed: Iterable[Mapping[str, Any]], modules: Iterable[str] = (), ldflags: Sequence[str] = ()
) -> dict[str, frozenset[str]]:
    """Import path -> all that its test binary is made of, from what `LISTING` says.

    ``modules`` are the `module_files` of the build, ``ldflags`` those of CGO_LDFLAGS. Packages that go could not
    load whole are left out.
    """
    by_name = {str(data["ImportPath"]): data for data in listed}
    mains = {
        str(module.get("Path", "")): str(module.get("Dir", ""))
        for data in by_name.values()
        if (module := data.get("Module") or {}).get("Main")
    }
    own = {name: _own_inputs(data, mains, ldflags) for name, data in by_name.items()}
    everywhere = set()
    for path in modules:
        sums = f"{path}.sum" if path.endswith(".work") else f"{path.removesuffix('.mod')}.sum"
        vendored = f"{os.path.dirname(path)}/vendor/modules.txt"
        everywhere |= {f"file {one}" for one in (path, sums, vendored)}
    found = {}
    for name, data in by_name.items():
        package = name.removesuffix(".test")
        if package == name or package not in by_name:
            continue
        parts = [package, *(data.get("Deps") or ())]
        if not data.get("Incomplete") and all(part in own for part in parts):
            found[package] = frozenset(everywhere.union(*(own[part] for part in parts)))
    return found


def _own_inputs(
    data: Mapping[str, Any], mains: Mapping[str, str], ldflags: Sequence[str]
) -> set[str]:
    """Of one package by itself. ``mains`` are the modules that are worked on: path -> directory."""
    directory = str(data.get("Dir", ""))
    if not directory:
        return set()  # unsafe, C and the like
    found = {f"dir {directory}"}
    linked = [*(data.get("CgoLDFLAGS") or ()), *(ldflags if data.get("CgoFiles") else ())]
    own_libraries = any(flag.startswith("-L") or not flag.startswith("-") for flag in linked)
    if data.get("CgoPkgConfig") or (own_libraries and not data.get("Standard")):
        found.add(UNSEEN)
    for names in ("EmbedPatterns", "TestEmbedPatterns", "XTestEmbedPatterns"):
        found |= {f"embed {directory}\0{pattern}" for pattern in data.get(names) or ()}
    module = data.get("Module") or {}
    root, gomod = str(module.get("Dir", "")), str(module.get("GoMod", ""))
    if gomod:
        found.add(f"file {gomod}")
    # A go.mod between a package and its module's root would take the package away.
    above = directory
    while root and above.startswith(root + os.sep):
        found.add(f"file {above}/go.mod")
        above = os.path.dirname(above)
    # A directory of that name in a module that is worked on would make the import ambiguous.
    path = str(data["ImportPath"]).partition(" ")[0]
    for main, place in mains.items():
        if path.startswith(main + "/") and not directory.startswith(place + os.sep):
            found.add(f"file {place}/{path.removeprefix(main + '/')}")
    return found
