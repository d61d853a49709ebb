"""Files of the cache: written whole or not at all, for two sessions may write at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from time import time as now

_A_DAY = 86400.0


def named_after(directory: str | os.PathLike[str], facts: str) -> str:
    """A file name that people know as that of ``directory``, and no other ``facts`` have."""
    name = re.sub(r"[^\w.-]", "_", os.path.basename(directory))[:40]
    digest = hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{name}-{digest}"


def write_whole(path: Path, content: bytes, *, time: int | None = None) -> None:
    """Give ``path`` this content in one step, and ``time`` as its own. Its directory is made.

    Raises OSError, and then leaves nothing behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if time is not None:
            os.utime(temporary, (time, time))
        put(Path(temporary), path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def put(source: Path, target: Path) -> None:
    """Rename a file, in one step, also to where something stands that is none. Raises OSError."""
    try:
        os.replace(source, target)
    except (IsADirectoryError, NotADirectoryError):
        remove(target)
        os.replace(source, target)


def remove(path: Path) -> None:
    """Whatever it is, if it is there and lets itself be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def keep(path: Path) -> None:
    """Note, once a day, that this file is still used; its own time stays. See `_cache.trim`."""
    with contextlib.suppress(OSError):
        stat = path.stat()
        if now() - stat.st_ctime > _A_DAY:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
