"""Whether another checkout of the project, on another machine or here, has the files that this one has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_gotest import __version__, _tree
from pytest_gotest._errors import RemoteError
from pytest_gotest._manifest import module_files

_PATIENCE = 120  # seconds without a word of a machine that compares; it says something every few
_SHOWN = 10  # paths of each kind in an error


class Checkout:
    """The project as it is here; ``here`` is where pytest was started, ``rootpath`` its root directory."""

    def __init__(self, here: Path, rootpath: Path) -> None:
        self.here = here
        self._rootpath = rootpath
        self._roots: list[str] = []
        self._digests: dict[str, str] | None = None
        self._checked: set[tuple[object, ...]] = set()

    def check(self, node: Any, host: str) -> None:
        """Raises `RemoteError` with what is missing, extra or changed where ``node`` will work, on ``host``.

        Of several workers in one place the first is asked.
        """
        below = self._below(node.nodemanager.roots)
        place = (host, node.gateway.spec.chdir, below)
        if place not in self._checked:
            self._compare(node.gateway, below)
            self._checked.add(place)

    def _compare(self, gateway: Any, below: str) -> None:
        name = f"{gateway.id} ({gateway.spec})"
        if self._digests is None:
            self._roots, names = _extent(self.here, self._rootpath)
            self._digests = dict(_tree.digests(str(self.here), self._roots, names))
        channel = gateway.remote_exec(_tree)
        asked = [list(map(os.fsencode, each)) for each in (self._roots, self._digests)]
        channel.send((os.fsencode(below), *asked))
        try:
            installed, cwd = channel.receive(_PATIENCE)
            if installed != __version__:
                raise RemoteError(
                    f"{name} has pytest-gotest {installed or 'not installed'}, this machine has {__version__}",
                    hint="install the same version there",
                )
            theirs: dict[str, str] = {}
            while (some := channel.receive(_PATIENCE)) is not None:
                theirs |= {os.fsdecode(path): digest for path, digest in some.items()}
            channel.waitclose(_PATIENCE)  # it does one thing at a time, and the tests come next
        except channel.TimeoutError:
            raise RemoteError(
                f"{name} was asked which files it has and did not answer for {_PATIENCE} s",
                hint="see whether the machine and its disk are busy, and try again",
            ) from None
        said = difference(self._digests, theirs)
        if said:
            raise RemoteError(
                f"{name} works in {cwd}, which is not what is in {self.here}:\n{said}",
                hint="bring it there first, for example by git or rsync, and name the place with chdir=; "
                "what git ignores is not compared",
            )

    def _below(self, brought: Iterable[Path]) -> str:
        """Where the project is below the worker's directory; elsewhere only if xdist brought it there."""
        for root in brought:
            if self.here.is_relative_to(root):
                return os.path.join(root.name, self.here.relative_to(root))
        return "."


def _extent(here: Path, rootpath: Path) -> tuple[list[str], set[str]]:
    """Directories that make up the project, and files of it that git keeps or would keep; relative to ``here``.

    Where pytest was started and its root directory; the modules that these are in, and those that a go.work or
    a ``replace`` names, wherever they are.
    """
    tops = {here}
    if here.is_relative_to(rootpath):
        tops.add(rootpath)
    named = [_nearest(here, "go.mod"), _nearest(here, "go.work")]
    for top in tops:
        paths = (os.path.join(top, path) for path in _tree.walk(str(top)))
        named += [path for path in paths if os.path.basename(path) in ("go.mod", "go.work")]
    files = [Path(path) for path in module_files(filter(None, named)) if os.path.isfile(path)]
    tops |= {file.parent for file in files if file.name == "go.mod"}
    tops = {top for top in tops if not any(above in tops for above in top.parents)}
    names = {str(file) for file in files}
    for top in tops:
        names |= {os.path.join(top, name) for name in _kept(top)}

    def relative(path: str | Path) -> str:
        return os.path.relpath(path, here).replace(os.sep, "/")

    return sorted(map(relative, tops)), set(map(relative, names))


def _nearest(directory: Path, name: str) -> str:
    places = (above / name for above in (directory, *directory.parents))
    return next((str(place) for place in places if place.is_file()), "")


def _kept(top: Path) -> list[str]:
    """What git keeps of this directory, or would if it were told: tests may read any of it. Nothing without git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=top, capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    names = (os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    return [name for name in names if not name.endswith("/")]  # a repository in this one


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What another checkout has otherwise, a line for each kind; empty if nothing. Of SHA-256 by path."""
    kinds = {
        "missing": [path for path in here if here[path] and not there.get(path)],
        "extra": [path for path in there if there[path] and not here.get(path)],
        "changed": [
            path for path in here if here[path] and there.get(path) not in ("", None, here[path])
        ],
    }
    lines = []
    for kind, paths in kinds.items():
        if paths:
            more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
            shown = os.fsencode(", ".join(sorted(paths)[:_SHOWN])).decode(
                "utf-8", "backslashreplace"
            )
            lines.append(f"  {kind}: {shown}{more}")
    return "\n".join(lines)
