"""A connection whose loss is noticed. Its source runs on other machines as it is: the standard library only."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from typing import Any

# Seconds: how long a connection may be silent before it is asked for a sign of life, how often, and how long
# what was sent may stay unanswered. Who is lost is noticed within half a minute.
IDLE, EVERY, UNANSWERED = 10, 5, 25


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


def _end_workers(gateway: Any) -> None:
    """When a proxy's connection is gone, let the workers that it started have the end of their input.

    execnet's socketserver holds their pipes and waits for the next connection: they would live as long as it does.
    """
    gateway.join()
    workers = [io.popen for io in gc.get_objects() if type(io).__name__ == "Popen2IOMaster"]
    for worker in workers:  # of execnet.gateway_io
        with contextlib.suppress(OSError):
            worker.stdin.close()
    for worker in workers:
        worker.wait()


if __name__ == "__channelexec__":
    proxy = globals()["channel"].gateway
    keep_alive(proxy)
    threading.Thread(target=_end_workers, args=(proxy,), daemon=True).start()
