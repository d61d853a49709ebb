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

from pytest_gotest._manifest import SOURCES, UNSEEN
from pytest_gotest._toolchain import Package

# A path that leads out of the package's directory, as one literal or part by part; what tells where that is; a
# program that is run, which may be go; and what reads the sources of other packages.
_BEYOND = re.compile(
    rb"""["'`/]\.\.["'`/]|\bos\.(?:Getwd|StartProcess)\(|\bfilepath\.Abs\(|\bruntime\.Callers?\(|\bsyscall\.(?:Exec|ForkExec)\("""
    rb"""|"(?:os/exec|go/build|go/importer|golang\.org/x/tools/go/[a-z/]+)\""""
)
# Comments, and what may hold the beginning of one.
_TOKEN = re.compile(
    rb"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|`[^`]*`|'(?:\\.|[^'\\\n])+'""", re.DOTALL
)
# What a string is only compared with, or searched for in it.
_COMPARED = re.compile(
    rb"""\b(?:strings|bytes)\.(?:Contains|Count|EqualFold|HasPrefix|HasSuffix|Index|LastIndex)"""
    rb"""\((?:[^()"'`,]|\([^()"'`,]*\))*,\s*["`]\.\./?["`]"""
)
_VERSIONS = ("go.mod", "go.sum", "go.work", "go.work.sum")
_DATA = "testdata"


@dataclass(frozen=True, slots=True)
class Reached:
    """Why tests run; ``path`` is what changed, ``how`` its part in them."""

    path: Path
    how: str


def looks_beyond(source: bytes) -> bool:
    """Whether a source of a Go package may use files outside the package's directory that it does not import."""
    if b'import "C"' not in source:  # whose comments are C
        source = _TOKEN.sub(lambda token: token[0] if token[0][:1] != b"/" else b" ", source)
    return _BEYOND.search(_COMPARED.sub(b"(", source)) is not None


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
    left = dict(packages)  # in their order

    def note(name: str, path: Path, how: str) -> None:
        if how:
            found[name] = Reached(path, how)
            del left[name]

    for one_path in unknown:
        path = _Changed(one_path)
        for name in [name for name in left if name in parts]:
            how = parts[name].made_of(path, homes) or parts[name].own_data(path)
            note(name, one_path, how and f"{how}, and git does not keep it")
    for one_path in changed:
        path = _Changed(one_path)
        home = _home(one_path, homes, roots)
        loose = home is None and not is_code(one_path) and not harmless(one_path)
        for name in list(left):
            if name not in parts:
                note(name, one_path, "go cannot tell what it is made of")
                continue
            one = parts[name]
            how = one.made_of(path, homes) or one.beside(path, home, homes) or beyonds[name]
            if not how and loose and one.root in path.above:
                how = "it is in no package's directory"
            note(name, one_path, how)
    return found


class _Changed:
    """A path, with what is asked of it for every package. ``whole`` stands for all that is in it: git names a
    submodule, or a directory that it ignores, and not what is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.above = frozenset(path.parents)
        self.whole = path.is_dir()
        self.is_source = path.name.endswith(SOURCES)


def _home(path: Path, homes: Mapping[Path, str], roots: Collection[Path]) -> Path | None:
    """The package whose data a file is: the nearest above it. To one at a module's root belong only the files beside
    it and its testdata: other directories there are the module's.
    """
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
        self._above_root = frozenset((self.root, *self.root.parents))
        self.unseen = False
        self.directories: set[Path] = {self.own}
        self.files: set[Path] = set()
        self.patterns: list[tuple[Path, list[str]]] = []
        for one in inputs:
            kind, _, place = one.partition(" ")
            if kind == UNSEEN:
                self.unseen = True
            elif kind == "dir":
                self.directories.add(_real(place))
            elif kind == "file":
                self.files.add(_real(os.path.dirname(place)) / os.path.basename(place))
            elif kind == "embed":
                directory, _, pattern = place.partition("\0")
                self.patterns.append((_real(directory), pattern.removeprefix("all:").split("/")))

    def made_of(self, changed: _Changed, homes: Mapping[Path, str]) -> str:
        """What a file is for the binary; empty if it is no part of it."""
        path = changed.path
        if path in self.files or (path.name in _VERSIONS and path.parent in self._above_root):
            return "versions of modules"
        if path.name == ".gitattributes" and any(
            path.parent in (place, *place.parents) for place in self.directories
        ):
            return "how git writes its files"
        if changed.is_source and path.parent in self.directories:
            if path.parent == self.own:
                return "its source"
            # Tests of another package are no part of it.
            return "" if path.name.endswith("_test.go") else f"it imports {homes[path.parent]}"
        if changed.whole and any(place.is_relative_to(path) for place in self.directories):
            return "a directory with a part of it"
        for directory, pattern in self.patterns:
            if (changed.whole or directory in changed.above) and _meets(
                path, directory, pattern, whole=changed.whole
            ):
                return "embedded" if directory == self.own else f"embedded in {homes[directory]}"
        return ""

    def own_data(self, changed: _Changed) -> str:
        data = self.own / _DATA
        return "in its testdata" if data == changed.path or data in changed.above else ""

    def beside(self, changed: _Changed, home: Path | None, homes: Mapping[Path, str]) -> str:
        """What a file is for tests that read what is around them. They do not import Go's tests, nor Python."""
        if self.own in changed.above:
            return "in its directory" if home == self.own else "below its directory"
        if home is not None and home in self.directories and not is_code(changed.path):
            return f"it imports {homes[home]}"
        return ""

    def beyond(self, beyond: Callable[[Path, bool], str]) -> str:
        """Which source looks beyond its directory, the package's own first; or that it is linked with what does."""
        if self.unseen:
            return "it is linked with what is in no known file"
        source = beyond(self.own, True)
        for directory in () if source else sorted(self.directories):
            source = source or beyond(directory, False)
        return f"{source} looks beyond its directory" if source else ""


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
