"""The cache directory as a whole: which parts are in use, how much it may hold, and what goes; knows nothing of Go.

Each directory in ``bin/`` holds the test binaries of one module and one set of flags. A session that
works with it holds a shared lock on the file `USED` in it, which the kernel takes back however
the session ends; that file's time of modification is the directory's last use. What is evicted is
locked for the evictor alone first and then renamed, so a session that comes at that very moment
finds no directory, and builds.

In it, each build has a directory for what it writes, and writes nothing anywhere else: a running session never
sees a binary change. A session that runs some holds a lock on `RUNS` as well, and while
anyone does, those that newer ones have replaced are kept.

The other files, in `AGED`, are small; they go when nobody has used them for `OLD` seconds.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nobody can tell what is in use, and nothing is evicted
    fcntl = None  # type: ignore[assignment]

USED, RUNS = ".used", ".runs"
BUILD = "build-"
AGED = ("collect", "env", "overlay")
_A_DAY = 86400.0
OLD = 30 * _A_DAY
_TRASH = ".evicted-"


@dataclass(frozen=True, slots=True)
class Evicted:
    """What went for the limit's sake: directories of binaries, and their bytes."""

    directories: int = 0
    size: int = 0


class Hold:
    """A shared lock while it lives. `release` is for those who know when."""

    def __init__(self, fd: int) -> None:
        self.release = weakref.finalize(self, os.close, fd)


def hold(place: Path, mark: str = USED) -> Hold | None:
    """Make ``place`` if it is not there, and let nothing be evicted from under us; say that it is used now.

    None where that cannot be said: file systems without locks, or a cache that can only be read and has
    no such ``mark``. Raises OSError if there is no such directory and none can be made.
    """
    while True:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            if os.path.lexists(place) and not place.is_dir():
                raise
            continue  # it was there, and was evicted before mkdir looked again
        try:
            fd = _open(place / mark)
        except FileNotFoundError:
            continue  # evicted between the two; it may be there again by now
        except OSError:
            return None
        try:
            if fcntl is not None:
                fcntl.flock(fd, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(fd), os.stat(place / mark)):
                with contextlib.suppress(OSError):
                    os.utime(fd)
                return Hold(fd)
        except FileNotFoundError:
            pass  # evicted while we waited
        except OSError:
            os.close(fd)
            return None
        os.close(fd)


def _open(mark: Path) -> int:
    """FileNotFoundError is of the directory alone."""
    try:
        # For writing: NFS gives an exclusive lock for that alone (flock(2)).
        return os.open(mark, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        if mark.is_symlink():
            raise OSError(errno.ELOOP, "a mark that leads nowhere", str(mark)) from None
        raise
    except OSError as refused:
        try:
            return os.open(mark, os.O_RDONLY)
        except FileNotFoundError:
            raise refused from None


def sweep(place: Path, kept: Collection[str]) -> None:
    """Remove what builds have written into ``place`` but ``kept``, paths below it.

    For who has the turn to build, and runs nothing yet. While others run binaries nothing goes; where locks cannot
    tell, nothing of the last day.
    """
    fd, before = None, time.time() - _A_DAY
    try:
        if fcntl is not None:
            fd = os.open(place / RUNS, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before = math.inf
    except BlockingIOError:
        pass
    except OSError:
        _sweep(place, kept, before)
    else:
        _sweep(place, kept, before)
    finally:
        if fd is not None:
            os.close(fd)


def _sweep(place: Path, kept: Collection[str], before: float) -> None:
    for build in list(_entries(place)):
        if not build.name.startswith(BUILD) or _time(build.path) >= before:
            continue
        if not any(path.startswith(f"{build.name}/") for path in kept):
            shutil.rmtree(build, ignore_errors=True)
            continue
        for file in list(Path(build).glob("*/*")):
            if file.relative_to(place).as_posix() not in kept:
                with contextlib.suppress(OSError):
                    file.unlink()


def trim(cache: Path, limit: int) -> Evicted:
    """Evict what was used longest ago and is not in use, until ``cache`` holds no more than ``limit`` bytes.

    Walks through all of it. What cannot be removed is left for another time.
    """
    _remove_old(cache, time.time() - OLD)
    with contextlib.suppress(OSError):
        for trash in list((cache / "bin").glob(f"{_TRASH}*")):
            shutil.rmtree(trash, ignore_errors=True)
    sizes = {place: _size(place) for place in _directories(cache / "bin")}
    total = sum(sizes.values()) + sum(_size(cache / name) for name in AGED)
    count = freed = 0
    for place in sorted(sizes, key=_last_use):
        if total - freed <= limit:
            break
        if _evict(place):
            count, freed = count + 1, freed + sizes[place]
    return Evicted(count, freed)


def _evict(place: Path) -> bool:
    """Remove a directory of binaries, unless a session uses it. A builder is one of those too."""
    if fcntl is None:
        return False
    try:
        fd = os.open(place / USED, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(fd), os.stat(place / USED)):
            return False
        trash = tempfile.mkdtemp(dir=place.parent, prefix=_TRASH)
        os.rename(place, os.path.join(trash, place.name))
    except OSError:
        return False
    finally:
        os.close(fd)
    shutil.rmtree(trash, ignore_errors=True)
    return True


def _last_use(place: Path) -> float:
    return _time(place / USED) or _time(place)


def _time(path: Path | str) -> float:
    """Of its last modification; 0 where there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _remove_old(cache: Path, before: float) -> None:
    for name in AGED:
        for entry in _entries(cache / name):
            with contextlib.suppress(OSError):
                stat = entry.stat(follow_symlinks=False)
                if max(stat.st_mtime, stat.st_ctime) < before:
                    os.unlink(entry)


def _directories(place: Path) -> list[Path]:
    return [
        Path(entry)
        for entry in _entries(place)
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
    ]


def _size(place: Path | str) -> int:
    total = 0
    for entry in _entries(place):
        with contextlib.suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                total += _size(entry.path)
            else:
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _entries(place: Path | str) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        yield from entries
