"""One builder at a time: who waits for whom, and what a builder has done for others of its run; knows nothing of Go."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_gotest._files import write_whole

_OWNER, _DONE = ".builder", ".done"
_ASK = 1.0  # seconds between two looks at who builds


@dataclass(frozen=True, slots=True)
class Session:
    """A process that builds. ``run`` is one for all workers of one pytest run, ``worker`` is empty outside xdist."""

    run: str = ""
    worker: str = ""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=platform.node)

    def told_to(self, other: Session) -> str:
        """How ``other`` calls this one."""
        if self.run and self.run == other.run:
            return f"{self.worker} (pid {self.pid})"
        where = f"pid {self.pid}" if self.host == other.host else f"pid {self.pid} on {self.host}"
        return f"another session ({where})"


@contextlib.contextmanager
def turn(
    place: Path,
    session: Session,
    waiting: Callable[[Session | None, float], None],
    noted: contextlib.AbstractContextManager[None] | None = None,
) -> Iterator[None]:
    """Have ``place`` for oneself. ``waiting`` is told who builds there, if known, and the seconds waited.

    ``noted`` is entered while it waits.

    Who is killed in its turn has had it: the kernel releases the lock. Raises OSError.
    """
    from filelock import FileLock, Timeout  # a large import, and most sessions build nothing

    lock, began = FileLock(place / ".lock"), time.monotonic()
    with noted or contextlib.nullcontext():
        while True:
            try:
                lock.acquire(timeout=_ASK)
                break
            except Timeout:
                waiting(_builder(place), time.monotonic() - began)
    owner = place / _OWNER
    try:
        with contextlib.suppress(OSError):  # it only names us to those who wait
            write_whole(owner, json.dumps(asdict(session)).encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()
        lock.release()


def _builder(place: Path) -> Session | None:
    try:
        return Session(**json.loads((place / _OWNER).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write_done(place: Path, run: str, packages: Mapping[str, Any]) -> None:
    """Tell the others of ``run`` what came of the build of these packages, on top of what they were told."""
    known = {**read_done(place, run), **packages}
    with contextlib.suppress(OSError):  # then they build it again
        write_whole(place / _DONE, json.dumps({"run": run, "packages": known}).encode())


def read_done(place: Path, run: str) -> dict[str, Any]:
    """What `write_done` was given in this ``run``; of any other, nothing."""
    try:
        said = json.loads((place / _DONE).read_bytes())
        return dict(said["packages"]) if run and said["run"] == run else {}
    except (OSError, ValueError, TypeError, LookupError):
        return {}
