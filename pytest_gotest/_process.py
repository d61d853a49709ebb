"""One child process in its own session: start, read, signal, end without ever hanging; knows nothing of Go's stream."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

from pytest_gotest._errors import ProcessError
from pytest_gotest._outcome import Exit

DRAIN = (
    0.3  # seconds that output is read on after the child has ended, for grandchildren that hold it
)
CHUNK = 1 << 16  # bytes of output that are read at once
_NO_PIDFD_POLL = 0.05


class Child:
    """A process whose stdout and stderr come as one stream.

    `events` must be consumed by the thread that called `start`: on Linux a binary with the harness
    dies with that thread.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> None:
        read, write = os.pipe()
        try:
            self._popen = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            os.close(read)
            raise ProcessError(
                f"cannot start {argv[0]} in {cwd}: {error}",
                hint="was it removed, or is the directory mounted noexec? --gotest-cache-dir names another place",
            ) from error
        finally:
            os.close(write)
        os.set_blocking(read, False)
        self._stdout = read
        self._eof = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(read, selectors.EVENT_READ, "output")
        self._pidfd: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._pidfd = os.pidfd_open(self._popen.pid)
                self._selector.register(self._pidfd, selectors.EVENT_READ, "exit")
        self._waking, self._wake = os.pipe()
        os.set_blocking(self._waking, False)
        os.set_blocking(self._wake, False)
        self._selector.register(self._waking, selectors.EVENT_READ, "wake")
        self._closed = False

    @property
    def pid(self) -> int:
        return self._popen.pid

    def watch(self, fd: int, name: str) -> None:
        """Report ``name`` from `wait` when ``fd`` can be read."""
        self._selector.register(fd, selectors.EVENT_READ, name)

    def unwatch(self, fd: int) -> None:
        self._selector.unregister(fd)

    def wake(self) -> None:
        """From any thread: make `wait` return."""
        if not self._closed:
            with contextlib.suppress(OSError):
                os.write(self._wake, b".")

    def wait(self, timeout: float | None) -> set[str]:
        """What can be acted on: "output", "exit", "wake", or a watched name; empty after ``timeout`` seconds."""
        if self._pidfd is None:
            if self._has_ended():
                return {"exit"}
            timeout = _NO_PIDFD_POLL if timeout is None else min(timeout, _NO_PIDFD_POLL)
        if timeout is not None:
            timeout = max(0.0, timeout)
        found = {key.data for key, _ in self._selector.select(timeout)}
        if "wake" in found:
            with contextlib.suppress(BlockingIOError):
                os.read(self._waking, 4096)
        return found

    def _has_ended(self) -> bool:
        """Without reaping it: the group's id has to stay ours until the group is killed."""
        with contextlib.suppress(ChildProcessError):
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._popen.pid, flags) is not None
        return True

    def read(self) -> bytes:
        """Output that is there now, at most `CHUNK`; of a pipe less only when there is no more (POSIX, read)."""
        if self._eof:
            return b""
        try:
            chunk = os.read(self._stdout, CHUNK)
        except BlockingIOError:
            return b""
        if not chunk:
            self._eof = True
            self._selector.unregister(self._stdout)
        return chunk

    def drain(self) -> Iterator[bytes]:
        """After "exit": what is still to come, for `DRAIN` seconds at most. Then ask `exit`."""
        until = time.monotonic() + DRAIN
        while not self._eof:
            chunk = self.read()
            if chunk:
                yield chunk
                # A grandchild that writes without end is not listened to for ever.
                if time.monotonic() > until:
                    break
            elif not self._eof:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._selector.select(left)
                if self._pidfd is not None:  # readable for good: wait for output alone
                    with contextlib.suppress(KeyError, ValueError):
                        self._selector.unregister(self._pidfd)

    def exit(self) -> Exit:
        """Reap the child and end whatever of its group is left."""
        io_incomplete = not self._eof
        self.kill()
        return Exit(self._popen.wait(), io_incomplete=io_incomplete)

    def signal(self, number: int, *, group: bool = False) -> None:
        """To the child alone, or to all that it started as well."""
        with contextlib.suppress(ProcessLookupError):
            if group and self._popen.returncode is None:
                os.killpg(self._popen.pid, number)
            elif self._popen.returncode is None:
                os.kill(self._popen.pid, number)  # Popen.send_signal would reap, and lose the group

    def kill(self) -> None:
        """SIGKILL to the whole group. The group's id stays ours until the child is reaped."""
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.kill()
        self._popen.wait()
        self._selector.close()
        for fd in (self._stdout, self._pidfd, self._waking, self._wake):
            if fd is not None:
                os.close(fd)
