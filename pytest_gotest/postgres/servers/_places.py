"""Directories of servers that run: where they are, whom they belong to, and which are left of somebody dead."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_gotest.postgres.servers._guard import free_segment

try:
    import fcntl
except ImportError:  # Windows: nothing is swept
    fcntl = None  # type: ignore[assignment]

_MEMORY = Path("/dev/shm")
_SPARE = 1 << 30  # bytes that have to be free where a server's data lies in memory
_LONGEST = 103 - len(
    "/.s.PGSQL.65535"
)  # of a directory of sockets: sun_path of macOS, Linux has four more
_OWNER = "owner"
MAKING = ".making-"  # how names of directories begin that are being filled
PROGRAMS = "programs-"
_MAKING = 3600.0  # seconds after which nobody fills one any more
_IDLE = 86400.0


@dataclass(frozen=True, slots=True)
class Account:
    """Whom servers run as where pytest is root: PostgreSQL refuses that."""

    user: int
    group: int


def account() -> Account | None:
    """None: ourselves."""
    if os.name != "posix" or os.geteuid():
        return None
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    return Account(65534, 65534)


def base() -> Path:
    """Where servers of this user are: in memory where there is room, else where temporary files are.

    Nobody else can write there. Raises OSError.
    """
    name = f"pytest-gotest-{os.geteuid() if os.name == 'posix' else ''}"
    for place in (_MEMORY, Path(tempfile.gettempdir()), Path("/tmp")):
        directory = place / name
        with contextlib.suppress(OSError):
            if place == _MEMORY and _free(place) < _SPARE:
                continue
            if len(os.fsencode(directory)) + len("/12345678-12345678/s") > _LONGEST:
                continue
            # Others may pass, for a server of root runs as somebody else; nobody can list or write.
            directory.mkdir(mode=0o711, exist_ok=True)
            found = directory.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                os.chmod(directory, 0o711)
                return directory
    raise OSError(f"no directory {name} can be had in {_MEMORY}, {tempfile.gettempdir()} or /tmp")


def _free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


class Place:
    """A directory of one server, ours while we live: a lock on a file in it, which the kernel takes back."""

    def __init__(self, base: Path, owner: Account | None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="s-", dir=base))
        os.chmod(self.path, 0o711)
        # Not inherited: what outlives us must not hold it. Under its own name once it is locked, or a sweep may be quicker.
        coming = self.path / f".{_OWNER}"
        self._lock: int | None = os.open(coming, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if fcntl is not None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.write(self._lock, f"{os.getpid()}\n".encode())  # for people; the lock is what counts
        coming.rename(self.path / _OWNER)
        self.data, self.sockets = self.path / "data", self.path / "s"
        self.sockets.mkdir(mode=0o700)
        if owner is not None:
            os.chown(self.sockets, owner.user, owner.group)

    def leave(self) -> None:
        _remove(self.path)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _remove(place: Path) -> None:
    """Who it belongs to at last: if we are killed meanwhile the next sweep knows."""
    free_segment(str(place / "data"))
    with contextlib.suppress(OSError):
        for path in place.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _OWNER:
                path.unlink()
    shutil.rmtree(place, ignore_errors=True)


def sweep(base: Path) -> list[Path]:
    """Remove the directories of owners that are dead, and tell which. Those of the living are locked."""
    gone = []
    for path in all_in(base):
        try:
            lock = os.open(path / _OWNER, os.O_RDWR)
        except OSError:  # it is being made, or whoever made it was killed
            if _is_older(path, _MAKING):
                shutil.rmtree(path, ignore_errors=True)
                gone.append(path)
            continue
        try:
            if fcntl is None:
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
            gone.append(path)
        except OSError:
            continue
        finally:
            os.close(lock)
    for path in base.glob(f"{MAKING}*"):
        if _is_older(path, _MAKING):
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path)
    return gone


def sweep_programs(base: Path) -> None:
    """Remove copies of programs that nobody uses, nor has lately: they may be in memory."""
    for path in base.glob(f"{PROGRAMS}*"):
        if path.is_dir() and _is_older(path, _IDLE):
            with unheld(used_by(path)) as is_free:
                if is_free:
                    shutil.rmtree(path, ignore_errors=True)


def used_by(path: Path) -> Path:
    """The file that those who use it hold."""
    return path.with_suffix(".used")


def _is_older(path: Path, seconds: float) -> bool:
    try:
        return path.stat().st_mtime < time.time() - seconds
    except OSError:
        return False


def owner(place: Path) -> int | None:
    """The process that made a server's directory, if it got so far."""
    try:
        return int((place / _OWNER).read_text())
    except (OSError, ValueError):
        return None


def all_in(base: Path) -> Iterator[Path]:
    """The directories of servers."""
    with contextlib.suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            if entry.name.startswith("s-") and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


_HELD: dict[Path, int] = {}


def hold(path: Path) -> None:
    """Until this process ends, `is_held` of this file says so, to others as well."""
    if path in _HELD or os.name != "posix":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_SH)
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(held), os.stat(path)):
                _HELD[path] = held
                return
        os.close(held)  # who cleaned up was quicker


def is_held(path: Path) -> bool:
    """Whether a process lives that called `hold`."""
    with unheld(path) as is_free:
        return not is_free


@contextlib.contextmanager
def unheld(path: Path) -> Iterator[bool]:
    """Whether no process lives that called `hold`; until the end of the block none can."""
    if path in _HELD or os.name != "posix":
        yield False
        return
    with contextlib.ExitStack() as opened:
        try:
            fcntl.flock(opened.enter_context(path.open("rb")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass
        except OSError:
            yield False
            return
        yield True
