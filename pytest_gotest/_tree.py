"""What the files of a project are, by SHA-256. Its source runs on other machines as it is: the standard library only."""

from __future__ import annotations

import hashlib
import os
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


def matters(path: str) -> bool:
    """Whether a file, named relative to the root, can change a build or a result wherever it comes from."""
    *above, name = path.split("/")
    return name in _NAMES or name.endswith(_SUFFIXES) or "testdata" in above


def walk(root: str) -> Iterator[str]:
    """All such files, relative to ``root`` with slashes."""
    for directory, names, files in os.walk(root):
        names[:] = [
            name
            for name in names
            if name not in _TOOLS
            and not name.endswith("_cache")
            and not os.path.exists(os.path.join(directory, name, "pyvenv.cfg"))
        ]
        for name in files:
            path = os.path.relpath(os.path.join(directory, name), root).replace(os.sep, "/")
            if matters(path):
                yield path


def digests(root: str, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 in hexadecimal of the files named and of those that matter; empty for one that cannot be read."""
    return {path: _digest(os.path.join(root, path)) for path in sorted({*names, *walk(root)})}


def _digest(path: str) -> str:
    sha = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                sha.update(chunk)
    except OSError:
        return ""
    return sha.hexdigest()


if __name__ == "__channelexec__":
    from importlib.metadata import PackageNotFoundError, version

    channel = globals()["channel"]  # execnet's
    where, asked = channel.receive()
    try:
        installed = version("pytest-gotest")
    except PackageNotFoundError:
        installed = ""
    channel.send((installed, os.getcwd(), digests(os.path.join(os.getcwd(), where), asked)))
