"""A line between this machine and a network namespace, with latency and loss; runs as root, as a script.

    python link.py NAMESPACE NEAR FAR --delay 0.05 --loss 0.01

Makes a TUN device on either side (addresses NEAR and FAR, /24), prints "ready", and carries packets until its
standard input ends. SIGUSR1 cuts the line: from then on nothing gets through. What `tc netem` does, for kernels that
have none.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000


def tun(name: str, address: str) -> int:
    """A new device in the namespace that this thread is in; returns its descriptor."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return device


def enter(namespace: str) -> None:
    handle = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(handle, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")
    os.close(handle)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("namespace")
    parser.add_argument("near")
    parser.add_argument("far")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--loss", type=float, default=0.0)
    given = parser.parse_args()
    cut = False

    def cut_it(*_: object) -> None:
        nonlocal cut
        cut = True

    signal.signal(signal.SIGUSR1, cut_it)
    near = tun(f"{given.namespace}n", given.near)
    enter(given.namespace)
    far = tun(f"{given.namespace}f", given.far)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print("ready", flush=True)

    draw = random.Random(1)
    under_way: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, to, packet = heapq.heappop(under_way)
            with contextlib.suppress(OSError):
                os.write(to, packet)
        wait = max(0.0, under_way[0][0] - now) if under_way else None
        ready, _, _ = select.select([near, far, sys.stdin.fileno()], [], [], wait)
        if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 1):
            return
        for source, target in ((near, far), (far, near)):
            if source in ready:
                packet = os.read(source, 1 << 16)
                if not cut and draw.random() >= given.loss:
                    number += 1
                    due = time.monotonic() + given.delay
                    heapq.heappush(under_way, (due, number, target, packet))


if __name__ == "__main__":
    main()
