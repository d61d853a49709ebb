"""Who made a thing that may outlive its maker, so that a later session can tell whether that one is dead."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: of which machine, since which start of that, its number, and when it began, in whatever words."""

    host: str
    boot: str
    pid: str
    began: str

    def labels(self, prefix: str) -> dict[str, str]:
        return {prefix + name: value for name, value in asdict(self).items()}

    def is_dead(self) -> bool:
        """Surely so: a process of this machine, since it was started, that runs no more."""
        here = ourselves()
        return (self.host, self.boot) == (here.host, here.boot) and _began(self.pid) != self.began

    def is_of_before(self, made: float) -> bool:
        """Of this machine, before it was started last; what it left was ``made`` then."""
        here, booted = ourselves(), _booted()
        return self.host == here.host and self.boot != here.boot and made < booted


def ourselves() -> Owner:
    pid = str(os.getpid())
    return Owner(_host(), _boot(), pid, _began(pid))


def of(labels: dict[str, str], prefix: str) -> Owner | None:
    """Who is named in ``labels``; None unless all of it is there."""
    values = {name: labels.get(prefix + name, "") for name in Owner.__slots__}
    return Owner(**values) if all(values.values()) else None


def _host() -> str:
    return "/".join(filter(None, (platform.node() or "?", _text("/etc/machine-id"))))


def _boot() -> str:
    """And the processes that can be seen: a container has numbers of its own."""
    seen = ""
    with contextlib.suppress(OSError):
        seen = os.readlink("/proc/self/ns/pid")
    return (_text("/proc/sys/kernel/random/boot_id") or "?") + seen


def _booted() -> float:
    """When, in seconds since 1970; 0 where nobody tells."""
    for line in _text("/proc/stat").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _began(pid: str) -> str:
    """When ``pid`` began; empty if there is no such process."""
    with contextlib.suppress(OSError, IndexError):
        # Field 22, after a name in parentheses that may hold anything (proc_pid_stat(5)).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    if Path("/proc/self/stat").exists():
        return ""
    with contextlib.suppress(OSError):
        command = ["ps", "-o", "lstart=", "-p", pid]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return " ".join(done.stdout.split())
    return ""


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text().strip()
    return ""
