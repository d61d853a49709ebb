"""What the files of a project are, by SHA-256. Its source runs on other machines as it is: the standard library only."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator

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


def walk(base: str, root: str = ".") -> Iterator[str]:
    """All such files of the directory ``root``, named relative to ``base`` as it is itself, with slashes."""
    top = os.path.join(base, root)
    for directory, names, files in os.walk(top):
        names[:] = [
            name
            for name in names
            if name not in _TOOLS
            and not name.endswith("_cache")
            and not os.path.exists(os.path.join(directory, name, "pyvenv.cfg"))
        ]
        for name in files:
            if matters(os.path.relpath(os.path.join(directory, name), top).replace(os.sep, "/")):
                path = os.path.join(root, os.path.relpath(directory, top), name)
                yield os.path.normpath(path).replace(os.sep, "/")


def digests(
    base: str, roots: Iterable[str], names: Iterable[str] = ()
) -> Iterator[tuple[str, str]]:
    """Path and SHA-256 in hexadecimal of the files named, and of those that matter in ``roots``.

    All are relative to ``base``. The digest is empty for a file that cannot be read.
    """
    paths = {*names}.union(*(walk(base, root) for root in roots))
    for path in sorted(paths):
        yield path, _digest(os.path.join(base, path))


def _digest(path: str) -> str:
    sha = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                sha.update(chunk)
    except OSError:
        return ""
    return sha.hexdigest()


def _main() -> None:
    """Hear where and what, say which plugin is installed and which directory this is, then digests now and then.

    Names are bytes: execnet's text is Unicode only. The end is None.
    """
    from importlib.metadata import PackageNotFoundError, version

    channel = globals()["channel"]  # execnet's
    below, roots, names = channel.receive()
    base = os.path.join(os.getcwd(), os.fsdecode(below))
    try:
        installed = version("pytest-gotest")
    except PackageNotFoundError:
        installed = ""
    channel.send((installed, os.getcwd()))
    found: dict[bytes, str] = {}
    said = time.monotonic()
    for path, digest in digests(base, map(os.fsdecode, roots), map(os.fsdecode, names)):
        found[os.fsencode(path)] = digest
        if time.monotonic() > said + _EVERY:
            channel.send(found)
            found, said = {}, time.monotonic()
    channel.send(found)
    channel.send(None)


if __name__ == "__channelexec__":
    _main()
