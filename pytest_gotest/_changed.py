"""Which Go packages a change can reach through Go; pure. In doubt more than less.

A file that is compiled or embedded reaches the packages whose test binary is made of it (see `_manifest.inputs`).
Whatever lies in or below a package's directory may be read by its tests, and by those that import it, down to the
next package. Tests whose sources look beyond their directory are reached by everything; and all are by
what lies in the module and in no package's directory, unless it is code.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_gotest._manifest import SOURCES
from pytest_gotest._toolchain import Package

# A path that leads out of the package's directory, as one literal or part by part; what tells where that is; or a
# program that is run, which may be go.
_BEYOND = re.compile(rb"""["'`/]\.\.["'`/]|"os/exec"|\bos\.Getwd\(""")
# Where a source is: in code that tests import this is mostly for a log, unless something is made of the path.
_CALLER = re.compile(rb"\bruntime\.Callers?\(")
_PATHS = re.compile(
    rb"\b(?:filepath|path)\.(?:Dir|Join|Split|Abs|Rel|Walk)|\bos\.(?:Open|Read|Stat|Lstat|DirFS|Chdir)|\bstrings\.(?:Cut|Last|Split|Trim)"
)
_VERSIONS = ("go.mod", "go.sum", "go.work", "go.work.sum")
_DATA = "testdata"


@dataclass(frozen=True, slots=True)
class Reached:
    """Why tests run; ``path`` is what changed, ``how`` its part in them."""

    path: Path
    how: str


def looks_beyond(sources: Mapping[str, bytes], *, tests: bool) -> str:
    """Which of a package's Go sources, text by name, may use files outside its directory that it does not import.

    Empty if none. ``tests``: it is about the package's own tests, and not about those that import it.
    """
    caller = tests or any(map(_PATHS.search, sources.values()))
    return next(
        (
            name
            for name, text in sources.items()
            if _BEYOND.search(text) or (caller and _CALLER.search(text))
        ),
        "",
    )


def is_code(path: Path) -> bool:
    """Go's or Python's: who does not import it does not see it. What is below testdata is data."""
    return path.suffix in (".go", ".py") and _DATA not in path.parts


def never(*_: object) -> str:
    return ""


def reached(
    packages: Mapping[str, Package],
    inputs: Mapping[str, Collection[str]],
    changed: Iterable[Path],
    *,
    unknown: Iterable[Path] = (),
    beyond: Callable[[Path, bool], str] = never,
    harmless: Callable[[Path], object] = never,
) -> dict[str, Reached]:
    """Import path -> why, of ``packages`` by import path.

    ``inputs`` are those of their test binaries; a package without is reached by everything. Of ``unknown`` files
    and directories nobody can tell whether they changed: they reach who is made of them. ``beyond`` tells which
    source in a directory looks beyond it, the tests' own included if asked for. What is ``harmless`` is nothing to those who have no
    closer tie to it. All paths are absolute and their links resolved, but for those that are links by themselves.
    """
    found: dict[str, Reached] = {}
    parts = {name: _Parts(packages[name], inputs[name]) for name in packages if name in inputs}
    homes = {_real(package.directory): name for name, package in packages.items()}
    roots: set[Path] = {_real(package.root) for package in packages.values()}
    for one in parts.values():
        roots |= {file.parent for file in one.files if file.name == "go.mod" and file.is_file()}
        for directory in one.directories:
            homes.setdefault(directory, directory.name)
    beyonds = {name: one.beyond(beyond) for name, one in parts.items()}

    def note(name: str, path: Path, how: str) -> None:
        if how:
            found[name] = Reached(path, how)

    for path in unknown:
        whole = path.is_dir()
        for name in parts.keys() - found:
            how = parts[name].made_of(path, homes, whole=whole, data=True)
            note(name, path, how and f"{how}, and git does not keep it")
    for path in changed:
        home = _home(path, homes, roots)
        whole = path.is_dir()  # a submodule: git names it, and not what is in it
        for name in packages.keys() - found:
            if name not in parts:
                note(name, path, "go cannot tell what it is made of")
                continue
            one = parts[name]
            how = one.made_of(path, homes, whole=whole) or one.beside(path, home, homes)
            how = how or beyonds[name]
            if not how and home is None and one.is_loose(path) and not harmless(path):
                how = "it is in no package's directory"
            note(name, path, how)
    return found


def _home(path: Path, homes: Mapping[Path, str], roots: Collection[Path]) -> Path | None:
    """The package whose data a file is: the nearest above it. At a module's root there is all sorts of things."""
    home = next((place for place in path.parents if place in homes), None)
    if (
        home is not None
        and home in roots
        and path.parent != home
        and _DATA not in path.relative_to(home).parts
    ):
        return None
    return home


class _Parts:
    """What one package's test binary is made of, by kind."""

    def __init__(self, package: Package, inputs: Iterable[str]) -> None:
        self.own = _real(package.directory)
        self.root = _real(package.root)
        self.directories: set[Path] = {self.own}
        self.files: set[Path] = set()
        self.patterns: list[tuple[Path, list[str]]] = []
        for one in inputs:
            kind, _, place = one.partition(" ")
            if kind == "dir":
                self.directories.add(_real(place))
            elif kind == "file":
                self.files.add(_real(os.path.dirname(place)) / os.path.basename(place))
            elif kind == "embed":
                directory, _, pattern = place.partition("\0")
                self.patterns.append((_real(directory), pattern.removeprefix("all:").split("/")))

    def made_of(
        self, path: Path, homes: Mapping[Path, str], *, whole: bool, data: bool = False
    ) -> str:
        """What a file is for the binary; empty if it is no part of it.

        A ``whole`` directory stands for all that is in it. With ``data`` the package's own testdata counts as a part.
        """
        if path in self.files or (path.name in _VERSIONS and self.root.is_relative_to(path.parent)):
            return "versions of modules"
        if path.name.endswith(SOURCES) and path.parent in self.directories:
            if path.parent == self.own:
                return "its source"
            # Tests of another package are no part of it.
            return "" if path.name.endswith("_test.go") else f"it imports {homes[path.parent]}"
        for directory, pattern in self.patterns:
            if _meets(path, directory, pattern, whole=whole):
                return "embedded" if directory == self.own else f"embedded in {homes[directory]}"
        if whole and any(place.is_relative_to(path) for place in self.directories):
            return "a directory with a part of it"
        if data and (self.own / _DATA == path or self.own / _DATA in path.parents):
            return "in its testdata"
        return ""

    def beside(self, path: Path, home: Path | None, homes: Mapping[Path, str]) -> str:
        """What a file is for tests that read what is around them. They do not import Go's tests, nor Python."""
        if path.is_relative_to(self.own):
            return "in its directory" if home == self.own else "below its directory"
        if home is not None and home in self.directories and not is_code(path):
            return f"it imports {homes[home]}"
        return ""

    def beyond(self, beyond: Callable[[Path, bool], str]) -> str:
        """Which source looks beyond its directory, the package's own first."""
        source = beyond(self.own, True)
        for directory in () if source else sorted(self.directories):
            source = source or beyond(directory, False)
        return f"{source} looks beyond its directory" if source else ""

    def is_loose(self, path: Path) -> bool:
        """Whether it is data somewhere in the package's module."""
        return path.is_relative_to(self.root) and not is_code(path)


def _meets(path: Path, directory: Path, pattern: list[str], *, whole: bool) -> bool:
    """Whether a pattern of ``directory`` embeds a file, or may embed one of a ``whole`` directory.

    Like path.Match of Go or more; what is below a directory that matches is embedded with it.
    """
    if whole and directory.is_relative_to(path):
        return True
    if not path.is_relative_to(directory):
        return False
    given = path.relative_to(directory).parts
    words = ["*" if any(letter in part for letter in "[\\") else part for part in pattern]
    return (whole or len(given) >= len(words)) and all(
        fnmatch.fnmatchcase(part, word) for part, word in zip(given, words, strict=False)
    )


@functools.cache
def _real(path: str) -> Path:
    return Path(os.path.realpath(path))
