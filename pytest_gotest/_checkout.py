"""Whether another checkout of the project, on another machine or here, has the files that this one has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from execnet import Channel

from pytest_gotest import __version__, _git, _tree
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
        self._same = {_tree.place(str(here))}

    def check(self, node: Any) -> None:
        """Raises `RemoteError` with what is missing, extra or changed where ``node`` will work.

        Of several workers in one directory the first is asked.
        """
        gateway = node.gateway
        name = f"{gateway.id} ({gateway.spec})"
        try:
            channel = gateway.remote_exec(_tree)
            self._compare(channel, name, self._below(node.nodemanager.roots))
            channel.waitclose(_PATIENCE)  # it does one thing at a time, and the tests come next
        except Channel.TimeoutError:
            raise RemoteError(
                f"{name} was asked which files it has and did not answer for {_PATIENCE} s",
                hint="see whether the machine and its disk are busy, and try again",
            ) from None
        except (EOFError, OSError, Channel.RemoteError) as error:
            raise RemoteError(
                f"{name} was asked which files it has and failed: {_last_line(error) or 'it is gone'}",
                hint="see whether Python works there and the machine can be reached",
            ) from None

    def _compare(self, channel: Any, name: str, below: str) -> None:
        channel.send(os.fsencode(below))
        installed, directory, place = channel.receive(_PATIENCE)
        if installed != __version__:
            raise RemoteError(
                f"{name} has pytest-gotest {installed or 'not installed'}, this machine has {__version__}",
                hint="install the same version there",
            )
        if place in self._same:
            channel.send(None)
            return
        said = difference(self._own(), self._theirs(channel))
        if said:
            raise RemoteError(
                f"{name} works in {_shown(os.fsdecode(directory))}, which is not what is in {_shown(str(self.here))}:\n{said}",
                hint="bring it there first, for example by git or rsync, and name the place with chdir=; "
                "what no test needs, have git ignore",
            )
        if place:
            self._same.add(place)

    def _own(self) -> dict[str, str]:
        if self._digests is None:
            self._roots, names = _extent(self.here, self._rootpath)
            self._digests = dict(_tree.digests(str(self.here), self._roots, names))
        return self._digests

    def _theirs(self, channel: Any) -> dict[str, str]:
        channel.send(tuple(list(map(os.fsencode, each)) for each in (self._roots, self._own())))
        found: dict[str, str] = {}
        while (some := channel.receive(_PATIENCE)) is not None:
            found |= {os.fsdecode(path): digest for path, digest in some.items()}
        return found

    def _below(self, brought: Iterable[Path]) -> str:
        """Where the project is below the worker's directory; elsewhere only if xdist brought it there."""
        for root in brought:
            if self.here.is_relative_to(root):
                return os.path.join(root.name, self.here.relative_to(root))
        return "."


def _extent(here: Path, rootpath: Path) -> tuple[list[str], set[str]]:
    """Directories that make up the project, and files of it that git keeps or would keep; relative to ``here``.

    Where pytest was started and its root directory; the modules that these are in, and those that a go.work or
    a ``replace`` names, wherever they are. What one of these names by an absolute path has that path everywhere.
    """
    tops = {here, rootpath}
    named = [os.environ.get("GOWORK", "")]
    for top in tops:
        named += [_nearest(top, "go.mod"), _nearest(top, "go.work")]
        paths = (os.path.join(top, path) for path in _tree.walk(str(top)))
        named += [path for path in paths if os.path.basename(path) in ("go.mod", "go.work")]
    files = [Path(path) for path in module_files(named) if os.path.isfile(path)]
    modules = {file.parent for file in files if file.name == "go.mod"}
    words = {word.strip(b'"`') for file in files for word in file.read_bytes().split()}
    fixed = {str(module) for module in modules if os.fsencode(module) in words}
    for top in tops:
        fixed -= {str(top), *map(str, top.parents)}  # it is chdir= that is asked about
    tops |= modules
    tops = {top for top in tops if not any(above in tops for above in top.parents)}
    names = {str(file) for file in files}
    for top in tops:
        names |= {os.path.join(top, name) for name in _kept(str(top))}

    def relative(path: str) -> str:
        if fixed and not fixed.isdisjoint((path, *map(str, Path(path).parents))):
            return path
        return os.path.relpath(path, here).replace(os.sep, "/")

    return sorted(map(relative, map(str, tops))), set(map(relative, names))


def _nearest(directory: Path, name: str) -> str:
    places = (above / name for above in (directory, *directory.parents))
    return next((str(place) for place in places if place.is_file()), "")


def _kept(top: str) -> list[str]:
    """What git keeps of this directory, or would if it were told: tests may read any of it. Nothing without git."""
    tracked = _listed(top, "--cached", "--recurse-submodules")
    others = _listed(top, "--others", "--exclude-standard")
    return [*tracked, *(name for name in others if not _tree.is_kept_by_tools(top, name))]


def _listed(top: str, *which: str) -> list[str]:
    command = ["git", "ls-files", *which, "-z"]
    try:
        done = subprocess.run(
            command, cwd=top, env=_git.environment(), capture_output=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return []
    names = (os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    return [name for name in names if not name.endswith("/")]  # a repository in this one


def _last_line(error: Exception) -> str:
    """An error of execnet may be a whole traceback."""
    return str(error).strip().rpartition("\n")[2]


def _shown(text: str) -> str:
    """A name may be no text, and whoever reads an error has to be able to print it."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


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
            lines.append(f"  {kind}: {_shown(', '.join(sorted(paths)[:_SHOWN]))}{more}")
    return "\n".join(lines)
