"""Which Go packages a change can reach; pure. In doubt more than less.

A package is reached by what its test binary is made of (see `_manifest.inputs`): sources and embedded files, those of
its dependencies included. By any other file in its directory or a dependency's, down to the next package's, for
tests may read that. By a file in no package's directory. And by everything, where its sources look beyond its directory.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_gotest._manifest import SOURCES
from pytest_gotest._toolchain import Package

# A path that leads out of the package's directory, as one literal or part by part; what tells where that is; or a
# program that is run, which may be go.
_OUTSIDE = re.compile(rb"""["'`/]\.\.["'`/]|"os/exec"|\bruntime\.Caller\(|\bos\.Getwd\(""")
_VERSIONS = ("go.mod", "go.sum", "go.work", "go.work.sum")


@dataclass(frozen=True, slots=True)
class Reached:
    """Why the tests of a package run; ``path`` is what changed, ``how`` its part in the package."""

    path: Path
    how: str


def looks_outside(source: bytes) -> bool:
    """Whether a Go source may use files outside its package's directory that it does not import."""
    return _OUTSIDE.search(source) is not None


def reached(
    packages: Mapping[str, Package],
    inputs: Mapping[str, Collection[str]],
    changed: Iterable[Path],
    outside: Callable[[str], bool] = lambda name: False,
) -> dict[str, Reached]:
    """Import path -> why, of ``packages`` by import path.

    ``inputs`` are those of their test binaries; a package without is reached by everything. ``outside`` tells of
    a package whether its tests look beyond its directory.
    """
    found: dict[str, Reached] = {}
    homes = {_real(package.directory): name for name, package in packages.items()}
    parts = {name: _Parts(packages[name], inputs[name]) for name in packages if name in inputs}
    for one in parts.values():
        for directory in one.directories:
            homes.setdefault(directory, directory.name)
    for path in changed:
        real = _real(str(path.parent)) / path.name
        home = next((place for place in real.parents if place in homes), None)
        submodule = real.is_dir()  # git names it, and not what is in it
        for name, package in packages.items():
            if name in found:
                continue
            if name not in parts:
                how = "go cannot tell what it is made of"
            else:
                how = parts[name].how(real, home, homes, submodule=submodule)
                how = how or _elsewhere(real, home, _real(package.root), partial(outside, name))
            if how:
                found[name] = Reached(path, how)
    return found


def _elsewhere(path: Path, home: Path | None, root: Path, outside: Callable[[], bool]) -> str:
    """What a file is for a package that is not made of it."""
    if home is None and not _is_code(path) and path.is_relative_to(root):
        return "it is in no package's directory"
    return "its tests look beyond their directory" if outside() else ""


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
                self.files.add(_real(place))
            elif kind == "embed":
                directory, _, pattern = place.partition("\0")
                self.patterns.append((_real(directory), pattern.removeprefix("all:").split("/")))

    def how(
        self, path: Path, home: Path | None, homes: Mapping[Path, str], *, submodule: bool
    ) -> str:
        """What a changed file is for this package; empty if it is no part of it."""
        if path in self.files or (path.name in _VERSIONS and self.root.is_relative_to(path.parent)):
            return "versions of modules"
        if path.name.endswith(SOURCES) and path.parent in self.directories:
            if path.parent == self.own:
                return "its source"
            # Tests of another package are no part of it.
            return "" if path.name.endswith("_test.go") else f"it imports {homes[path.parent]}"
        for directory, pattern in self.patterns:
            if path.is_relative_to(directory) and _matches(path.relative_to(directory), pattern):
                return "embedded" if directory == self.own else f"embedded in {homes[directory]}"
        if submodule and any(place.is_relative_to(path) for place in self.directories):
            return "a submodule with a part of it"
        if home is not None and home in self.directories and not _is_code(path):
            return "in its directory" if home == self.own else f"it imports {homes[home]}"
        return ""


def _is_code(path: Path) -> bool:
    """Go's or Python's: who does not import it does not see it. What is below testdata is data."""
    return path.name.endswith((*SOURCES, ".py")) and "testdata" not in path.parts


def _matches(path: Path, pattern: list[str]) -> bool:
    """Like path.Match of Go or more; what is below a directory that matches is embedded with it."""
    words = ["*" if any(letter in part for letter in "[\\") else part for part in pattern]
    return len(path.parts) >= len(words) and all(
        fnmatch.fnmatchcase(part, word) for part, word in zip(path.parts, words, strict=False)
    )


@functools.cache
def _real(path: str) -> Path:
    return Path(os.path.realpath(path))
