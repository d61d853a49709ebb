"""What the files of a project are, by SHA-256. Its source runs on other machines as it is: the standard library only."""

from __future__ import annotations

import hashlib
import os
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from itertools import chain

# Directories that tools and version control keep for themselves.
_TOOLS = {
    ".git", ".hg", ".svn", ".tox", ".nox", ".venv", ".hypothesis", "__pycache__", "node_modules",
}  # fmt: skip
_NAMES = {"go.mod", "go.sum", "go.work", "go.work.sum", "pytest.ini", "tox.ini", "setup.cfg"}
_SUFFIXES = (
    ".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".s", ".S", ".syso", ".pgo",
    ".py", ".toml",
)  # fmt: skip
_EVERY = 2.0  # seconds between two messages with what was read by then


def matters(path: str) -> bool:
    """Whether a file, named relative to the project, can change a build or a result wherever it comes from."""
    *above, name = path.split("/")
    return name in _NAMES or name.endswith(_SUFFIXES) or "testdata" in above


def is_kept_by_tools(base: str, path: str) -> bool:
    """Whether a file, named relative to ``base``, is in a directory that a tool made for itself."""
    *above, _ = path.split("/")
    return any(
        _is_of_a_tool(os.path.join(base, *above[:depth]), name) for depth, name in enumerate(above)
    )


def _is_of_a_tool(directory: str, name: str) -> bool:
    environment = os.path.join(directory, name, "pyvenv.cfg")
    return name in _TOOLS or name.endswith("_cache") or os.path.exists(environment)


def walk(base: str, root: str = ".") -> Iterator[str]:
    """All files of the directory ``root`` that matter, named relative to ``base`` as it is itself, with slashes."""
    top = os.path.join(base, root)
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if not _is_of_a_tool(directory, name)]
        for name in files:
            if matters(os.path.relpath(os.path.join(directory, name), top).replace(os.sep, "/")):
                path = os.path.join(root, os.path.relpath(directory, top), name)
                yield os.path.normpath(path).replace(os.sep, "/")


def digests(
    base: str, roots: Iterable[str], names: Iterable[str] = ()
) -> Iterator[tuple[str, str]]:
    """Path and SHA-256 in hexadecimal of the files named, and of those that matter in ``roots``, as they are found.

    All are relative to ``base``, or absolute. The digest is empty for what is no file that can be read.
    """
    seen = set()
    for path in chain(names, chain.from_iterable(walk(base, root) for root in roots)):
        if path not in seen:
            seen.add(path)
            yield path, _digest(os.path.join(base, path))


def _digest(path: str) -> str:
    sha = hashlib.sha256()
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""  # a pipe would be waited for, and a device may never end
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                sha.update(chunk)
    except OSError:
        return ""
    return sha.hexdigest()


def place(directory: str) -> bytes:
    """What tells a directory from all others on all machines, by whatever path; empty if there is none."""
    try:
        found = os.stat(directory)
    except OSError:
        return b""
    path = os.path.realpath(directory)
    return os.fsencode(f"{_machine()} {found.st_dev} {found.st_ino} {path}")


def _machine() -> str:
    """This machine; on Linux since it was booted, and by its mounts: a container may have other ones."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip() + os.readlink("/proc/self/ns/mnt")
    except OSError:
        return f"{uuid.getnode():x}"


def _main() -> None:
    """Hear where; say which plugin is installed, and which place that is. Hear what; say digests, some every now and then.

    Names are bytes: execnet's text is Unicode only. Nothing is to be done for None, and None is the end.
    """
    from importlib.metadata import PackageNotFoundError, version

    channel = globals()["channel"]  # execnet's
    base = os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(channel.receive())))
    try:
        installed = version("pytest-gotest")
    except PackageNotFoundError:
        installed = ""
    channel.send((installed, os.fsencode(base), place(base)))
    asked = channel.receive()
    if asked is None:
        return
    roots, names = (map(os.fsdecode, each) for each in asked)
    found: dict[bytes, str] = {}
    said = time.monotonic()
    for path, digest in digests(base, roots, names):
        found[os.fsencode(path)] = digest
        if time.monotonic() > said + _EVERY:
            channel.send(found)
            found, said = {}, time.monotonic()
    channel.send(found)
    channel.send(None)


if __name__ == "__channelexec__":
    _main()
