"""Workers on other machines, as execnet's specs name them: which machine, whether it can be reached, which paths."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_gotest._line import IDLE

_ALIVE = f"-o ServerAliveInterval={IDLE} -o ServerAliveCountMax=2"
_PATIENCE = 10  # seconds for an answer of a machine that was lost


def with_signs_of_life(specs: Sequence[str]) -> list[str]:
    """execnet's specs, those of ssh with its own check whether the other side is there, unless they say how."""
    return ["//".join(_alive(part) for part in spec.split("//")) for spec in specs]


def _alive(part: str) -> str:
    # The number of workers may stand before it: 2*ssh=...
    before, key, given = part.partition("ssh=")
    if key and (not before or before.endswith("*")) and "ServerAlive" not in given:
        return f"{before}{key}{_ALIVE} {given}"
    return part


def with_threads(proxies: Sequence[str]) -> list[str]:
    """Specs of proxies, each of which can have several workers: xdist would give it a single thread for all it does."""
    return [spec if "execmodel=" in spec else f"{spec}//execmodel=thread" for spec in proxies]


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


def forget(gateway: Any) -> None:
    """Of a worker behind a proxy that is out of reach: execnet would end it by way of that proxy, and fail."""
    if gateway.spec.via:
        gateway._io.wait = gateway._io.kill = lambda: None


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
