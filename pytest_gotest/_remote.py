"""Workers on other machines: the same project there, and a connection whose loss is noticed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_gotest import __version__, _tree
from pytest_gotest._errors import RemoteError

# Seconds: how long a connection may be silent before it is asked for a sign of life, how often, and how long
# what was sent may stay unanswered. A worker that is lost is noticed within half a minute.
_IDLE, _EVERY, _UNANSWERED = 10, 5, 25
_ALIVE = f"-o ServerAliveInterval={_IDLE} -o ServerAliveCountMax=2"
_PATIENCE = 10  # seconds for an answer of a machine that was lost
_SHOWN = 10  # paths of each kind in an error


def with_signs_of_life(specs: Sequence[str]) -> list[str]:
    """execnet's specs, those of ssh with its own check whether the other side is there, unless they say how."""
    return ["//".join(_alive(part) for part in spec.split("//")) for spec in specs]


def _alive(part: str) -> str:
    # The number of workers may stand before it: 2*ssh=...
    before, key, given = part.partition("ssh=")
    if key and (not before or before.endswith("*")) and "ServerAlive" not in given:
        return f"{before}{key}{_ALIVE} {given}"
    return part


def keep_alive(gateway: Any) -> None:
    """Have the system notice when a socket's other side is gone: TCP by itself waits for ever."""
    sock = getattr(getattr(gateway, "_io", None), "sock", None)
    if sock is None:
        return
    options = {
        "TCP_KEEPIDLE": _IDLE,
        "TCP_KEEPINTVL": _EVERY,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 1000 * _UNANSWERED,
    }
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def host(spec: Any) -> str:
    """What tells the machine of an execnet spec from others; empty is the controller's own."""
    if spec.via:
        return f"via={spec.via}"
    if spec.ssh or spec.vagrant_ssh:
        return f"ssh={_ssh_host((spec.ssh or spec.vagrant_ssh).split())}"
    return f"socket={spec.socket.partition(':')[0]}" if spec.socket else ""


def _ssh_host(words: list[str]) -> str:
    """The first word that is neither an option of ssh nor the value of one (ssh(1))."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return word
        if len(word) == 2 and word[1] in "BbcDEeFIiJLlmOoPpQRSWw":
            next(rest, None)
    return ""


def reachable(spec: Any, group: Any) -> bool:
    """Whether another worker can be started there; asked when one was lost. Takes seconds, not minutes."""
    try:
        if spec.via:
            channel = group[spec.via].remote_exec("channel.send(None)")
            channel.receive(timeout=_PATIENCE)
        elif spec.ssh:
            config = ["-F", spec.ssh_config] if spec.ssh_config else []
            bounded = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_PATIENCE}"]
            command = ["ssh", *config, *bounded, *spec.ssh.split(), "true"]
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_PATIENCE,
            )
        elif spec.socket:
            # execnet's server is the process in which the worker ran: gone with it, or busy with what is left of it.
            return False
    except Exception:  # of execnet, of the system, or of a spec that names nothing
        return False
    return True


def split_paths(
    args: Sequence[object], words: Sequence[object], here: Path
) -> tuple[list[str], list[str]]:
    """What of the ``words`` of a command line names tests (``args``), and the others.

    Paths below ``here``, where the user is, become relative: so they mean the same in another checkout. Of a word
    that stands there twice the last one is a test's.
    """
    left = [str(arg) for arg in args]
    named, others = [], []
    for word in reversed([str(word) for word in words]):
        if word in left:
            left.remove(word)
            path, separator, test = word.partition("::")
            if os.path.isabs(path) and Path(path).is_relative_to(here):
                path = os.path.relpath(path, here)
            named.append(path + separator + test)
        else:
            others.append(word)
    return named[::-1], others[::-1]


class Project:
    """This machine's files, to be compared with those of others. Read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._digests: dict[str, str] | None = None

    def check(self, node: Any) -> None:
        """Raises `RemoteError` with what is missing, extra or changed where ``node`` will work."""
        gateway = node.gateway
        if self._digests is None:
            root = str(self.root)
            self._digests = _tree.digests(root, _tracked(root))
        channel = gateway.remote_exec(_tree)
        channel.send((self._below(node.nodemanager.roots), list(self._digests)))
        installed, cwd, theirs = channel.receive()
        name = f"{gateway.id} ({gateway.spec})"
        if installed != __version__:
            raise RemoteError(
                f"{name} has pytest-gotest {installed or 'not installed'}, this machine has {__version__}",
                hint="install the same version there",
            )
        said = difference(self._digests, theirs)
        if said:
            raise RemoteError(
                f"{name} works in {cwd}, which is not what is in {self.root}:\n{said}",
                hint="bring it there first, for example by git or rsync, and name the place with chdir=",
            )

    def _below(self, roots: Iterable[Path]) -> str:
        """Where the project is below the worker's directory; elsewhere only if xdist brought it there."""
        for root in roots:
            if self.root.is_relative_to(root):
                return os.path.join(root.name, self.root.relative_to(root))
        return "."


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What another machine has otherwise, a line for each kind; empty if nothing. Of SHA-256 by path."""
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
            lines.append(f"  {kind}: {', '.join(sorted(paths)[:_SHOWN])}{more}")
    return "\n".join(lines)


def _tracked(root: str) -> list[str]:
    """What git keeps of this directory: tests may read any of it. Nothing without git."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
