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
* ``embed PATH\\0PATTERN``: what a ``//go:embed`` pattern of a package in PATH may match.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_gotest._files import write_whole

# What `go list` has to tell of packages and all they import.
FIELDS = (
    "ImportPath,Dir,Deps,Module,Incomplete,CgoPkgConfig,"
    "EmbedPatterns,TestEmbedPatterns,XTestEmbedPatterns"
)

_VERSION = 1

# Which files go reads in a package's directory (go/build, goodOSArchFile and matchFile; `go help packages`).
_SOURCES = (
    ".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for",
    ".f90", ".s", ".S", ".sx", ".swig", ".swigcxx", ".syso",
)  # fmt: skip

# A change this close before a build may have come after go read the file: clocks of file systems are coarse.
_SLACK = 2_000_000_000  # nanoseconds

Identity = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A binary as it was written; ``plain`` as in `Binary`; ``inputs`` is all that it was made of."""

    identity: Identity
    plain: str
    inputs: frozenset[str]


@dataclass(slots=True)
class Manifest:
    """What is known of the binaries of one directory: by import path, and the states of their inputs."""

    facts: str
    made: dict[str, Made] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    _now: dict[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, facts: str) -> Manifest:
        """What was written, if it is of the same ``facts``; else an empty one."""
        try:
            data = json.loads(path.read_bytes())
            if data["version"] != _VERSION or data["facts"] != facts:
                return cls(facts)
            names = list(data["states"])
            made = {
                name: Made(
                    tuple(kept["identity"]),
                    kept["plain"],
                    frozenset(names[number] for number in kept["inputs"]),
                )
                for name, kept in data["made"].items()
            }
            return cls(facts, made, data["states"])
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return cls(facts)

    def write(self, path: Path) -> None:
        """Raises OSError."""
        numbers = {name: number for number, name in enumerate(self.states)}
        data = {
            "version": _VERSION,
            "facts": self.facts,
            "states": self.states,
            "made": {
                name: {
                    "identity": made.identity,
                    "plain": made.plain,
                    "inputs": sorted(numbers[one] for one in made.inputs),
                }
                for name, made in self.made.items()
            },
        }
        write_whole(path, json.dumps(data, separators=(",", ":")).encode())

    def is_current(self, name: str, binary: Path) -> bool:
        """Whether the binary of the package ``name`` is the one recorded, of inputs that did not change."""
        made = self.made.get(name)
        return (
            made is not None
            and made.identity == identity(binary)
            and all(self._state(one)[0] == self.states[one] for one in made.inputs)
        )

    def record(self, made: Mapping[str, Made], began: int) -> None:
        """Take in what a build made that began at ``began`` (``time.time_ns``) and has ended by now.

        Left out, and forgotten, is what go may have read before its last change.
        """
        self._now.clear()
        for name, one in made.items():
            self.made.pop(name, None)
            if all(self._state(each)[1] < began - _SLACK for each in one.inputs):
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
        seen.at_directory(place, _SOURCES)
    elif kind == "embed":
        directory, _, pattern = place.partition("\0")
        seen.at_pattern(directory, pattern.removeprefix("all:").split("/"))
    else:
        seen.at_file(place)
    said = repr(sorted(seen.lines)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(said, digest_size=12).hexdigest(), seen.newest


class _Look:
    """What was seen of files and directories. ``newest``, in nanoseconds, is of changes, which nobody sets as he likes.

    A directory's own time tells when a name in it came or went. It counts for ``newest`` and has no
    part in the lines: tests write files beside sources, and that makes no other binary.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[object, ...]] = []
        self.newest = 0

    def at_directory(self, path: str, suffixes: tuple[str, ...]) -> None:
        for entry in self._entries(path):
            if entry.name.endswith(suffixes):
                self._note(entry.path, entry.stat)

    def at_file(self, path: str) -> None:
        self._note(path, lambda: os.stat(path))

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
                self._tree(entry.path)
            else:
                self._note(entry.path, entry.stat)

    def _tree(self, path: str) -> None:
        for entry in self._entries(path):
            if entry.is_dir(follow_symlinks=False):
                self._tree(entry.path)
            else:
                self._note(entry.path, entry.stat)

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            stat = os.stat(path)
            self.newest = max(self.newest, stat.st_ctime_ns)
            with os.scandir(path) as entries:
                return list(entries)
        except OSError as error:
            self.lines.append((path, error.errno))
            return []

    def _note(self, path: str, ask: Callable[[], os.stat_result]) -> None:
        try:
            stat = ask()
        except OSError as error:
            self.lines.append((path, error.errno))
            return
        changed = stat.st_ctime_ns
        self.lines.append(
            (path, stat.st_ino, stat.st_size, stat.st_mode, stat.st_mtime_ns, changed)
        )
        self.newest = max(self.newest, changed)


def inputs(listed: Iterable[Mapping[str, Any]], gowork: str) -> dict[str, frozenset[str]]:
    """Import path -> all that its test binary is made of, from `go list -e -deps -test -json=FIELDS`.

    ``gowork`` is the go.work in force, or empty. Packages are left out that go could not load whole,
    and those that ask pkg-config, for what it answers is in no file that is known here.
    """
    by_name = {str(data["ImportPath"]): data for data in listed}
    own = {name: _own_inputs(data) for name, data in by_name.items()}
    everywhere = set()
    if gowork:
        vendor = os.path.join(os.path.dirname(gowork), "vendor", "modules.txt")
        everywhere = {f"file {gowork}", f"file {gowork}.sum", f"file {vendor}"}
    found = {}
    for name, data in by_name.items():
        package = name.removesuffix(".test")
        if package == name or package not in by_name:
            continue
        parts = [package, *(data.get("Deps") or ())]
        if data.get("Incomplete") or any(part not in own or own[part] is None for part in parts):
            continue
        found[package] = frozenset(everywhere.union(*(own[part] or () for part in parts)))
    return found


def _own_inputs(data: Mapping[str, Any]) -> set[str] | None:
    """Of one package by itself; None where nobody can tell."""
    directory = str(data.get("Dir", ""))
    if data.get("CgoPkgConfig"):
        return None
    if not directory:
        return set()  # unsafe, C and the like
    found = {f"dir {directory}"}
    for names in ("EmbedPatterns", "TestEmbedPatterns", "XTestEmbedPatterns"):
        found |= {f"embed {directory}\0{pattern}" for pattern in data.get(names) or ()}
    module = data.get("Module") or {}
    root, gomod = str(module.get("Dir", "")), str(module.get("GoMod", ""))
    if gomod:
        found.add(f"file {gomod}")
    if root and module.get("Main"):
        found |= {f"file {root}/go.sum", f"file {root}/vendor/modules.txt"}
    # A go.mod between a package and its module's root would take the package away.
    while root and directory.startswith(root + os.sep):
        found.add(f"file {directory}/go.mod")
        directory = os.path.dirname(directory)
    return found
