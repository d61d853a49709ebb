"""The process between pytest and a server it started: when pytest is gone, so is the server, and its directory.

Run as a program of its own, `python -I -S _guard.py`, with the standard library alone. Its argument is JSON:

* ``command``, ``env``, ``cwd``, ``log``: what to start, and the file that gets what it prints;
* ``user``, ``group``: numbers to run it as, or null;
* ``remove``: a directory that goes when the server is gone.

It prints ``started PID`` and, when the server ended, ``ended STATUS``. The end of its standard input, however it comes,
ends the server: nothing in the data directory is worth a clean shutdown. Should this process be killed itself, the
kernel tells the server (Linux).
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1
_IPC_RMID = 0
_SEGMENTS = "/proc/sysvipc/shm"
_PATIENCE = 10  # seconds for an immediate shutdown


def main() -> int:
    given = json.loads(sys.argv[1])
    # Ctrl-C is for pytest, which then lets go of us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def prepare() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o077)
        if prctl is not None:
            # After the change of user, which would undo it (prctl(2)).
            prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)

    with open(given["log"], "ab") as log:
        server = subprocess.Popen(
            given["command"],
            env=given["env"],
            cwd=given["cwd"],
            user=given["user"],
            group=given["group"],
            extra_groups=None if given["user"] is None else [],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=prepare,
        )
    _say(f"started {server.pid}")
    ended = threading.Thread(target=_until_let_go, args=(server,), daemon=True)
    ended.start()
    status = server.wait()
    _say(f"ended {status}")
    # A server that ended by itself leaves its log to be read.
    ended.join()
    free_segment(os.path.join(given["remove"], "data"))
    shutil.rmtree(given["remove"], ignore_errors=True)
    return status


def free_segment(data: str) -> None:
    """Give back the System V segment of the server whose directory ``data`` was, if it was killed (Linux).

    It outlives all processes; PostgreSQL takes it back only where it starts again. Its key and number are in the seventh
    line of postmaster.pid (miscinit.c), the process that made it in the first: what has all three is no other's.
    """
    with contextlib.suppress(OSError, IndexError, ValueError):
        with open(os.path.join(data, "postmaster.pid")) as file:
            lines = file.read().splitlines()
        key, number = lines[6].split()
        ours = (int(key) % 2**32, number, lines[0])
        with open(_SEGMENTS) as file:
            found = [line.split() for line in file]
        # key shmid perms size cpid ... (proc_sysvipc_shm(5)); the key is signed here, and there unsigned or extended.
        for line in found[1:]:
            if (int(line[0]) % 2**32, line[1], line[4]) == ours:
                ctypes.CDLL(None).shmctl(int(number), _IPC_RMID, None)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody is there to hear it
        os.write(1, f"{line}\n".encode())


def _until_let_go(server: "subprocess.Popen[bytes]") -> None:
    while sys.stdin.buffer.read(1 << 16):
        pass
    server.send_signal(signal.SIGQUIT)
    try:
        server.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(main())
