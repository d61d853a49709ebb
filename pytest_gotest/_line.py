"""A connection whose loss is noticed. Its source runs on other machines as it is: the standard library only."""

from __future__ import annotations

import contextlib
import gc
import socket
import subprocess
from typing import Any

# Seconds: how long a connection may be silent before it is asked for a sign of life, how often, and how long
# what was sent may stay unanswered. Who is lost is noticed within half a minute.
IDLE, EVERY, UNANSWERED = 10, 5, 25
_FAREWELL = 30  # seconds; a worker of execnet ends itself within 15


def keep_alive(gateway: Any) -> None:
    """Have the system notice when the other side of an execnet gateway's socket is gone: TCP by itself waits for ever."""
    sock = getattr(getattr(gateway, "_io", None), "sock", None)
    if sock is None:
        return
    options = {
        "TCP_KEEPIDLE": IDLE,
        "TCP_KEEPINTVL": EVERY,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 1000 * UNANSWERED,
    }
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _end_workers(_: object) -> None:
    """The end of a proxy's connection is that of the workers it started.

    execnet would interrupt one of the threads that forward to them, and a server of it (socketserver) lives on and
    holds their pipes: so would they.
    """
    workers = [io.popen for io in gc.get_objects() if type(io).__name__ == "Popen2IOMaster"]
    for worker in workers:  # of execnet.gateway_io
        with contextlib.suppress(OSError):
            worker.stdin.close()
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(_FAREWELL)


if __name__ == "__channelexec__":
    proxy = globals()["channel"].gateway
    keep_alive(proxy)
    # execnet calls back when a channel ends, and all of them end with the connection.
    watched = proxy.newchannel()
    watched.setcallback(_end_workers, endmarker=None)
