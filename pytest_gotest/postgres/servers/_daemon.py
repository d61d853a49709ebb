"""The daemon that runs containers: where it is, how what it runs is reached, and what it says when it refuses."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_gotest._errors import PostgresError

if TYPE_CHECKING:
    import docker

LOOPBACK = "127.0.0.1"
_USUAL = "unix:///var/run/docker.sock"
_ANSWER = 10  # seconds in which a daemon says who it is
_PATIENCE = 600  # for what it is asked to do: an image may be large
_KEPT = 1 << 20  # bytes of a container's output


@dataclass(frozen=True, slots=True)
class Daemon:
    """``host`` is where ports of its containers are reached, ``bind`` the address of its machine that they are bound to."""

    client: docker.DockerClient
    host: str
    bind: str

    def answers(self) -> bool:
        with contextlib.suppress(Exception):
            return bool(self.client.ping())
        return False


def connect() -> Daemon:
    """The one that DOCKER_HOST, docker's context or testcontainers' properties name. Raises `PostgresError`."""
    for package in ("docker", "testcontainers"):
        if importlib.util.find_spec(package) is None:
            raise PostgresError(
                f"container: the package {package} is not installed",
                hint="pip install 'pytest-gotest[container]'",
            )
    with _undisturbed():
        from testcontainers.core import docker_client
        from testcontainers.core.config import testcontainers_config

        asked = docker_client.get_docker_host() or _USUAL
        with told(f"container: no daemon answers at {asked}", "start it, or set DOCKER_HOST"):
            _knock(asked)
            found = docker_client.DockerClient(timeout=_ANSWER)
            found.client.ping()
        host = found.host()
        is_set = getattr(testcontainers_config, "tc_host_override", None) is not None
    found.client.api.timeout = _PATIENCE
    is_near = not is_set and not asked.startswith(("tcp:", "http", "ssh:"))
    return Daemon(found.client, *_reached(found.client, host, is_near))


def _reached(client: docker.DockerClient, host: str, is_near: bool) -> tuple[str, str]:
    """Where ports are reached that are bound to which address. ``is_near``: the daemon's socket is on this machine."""
    # testcontainers takes the gateway where we are in a container ourselves, but the daemon may be in there with us.
    if host in ("localhost", LOOPBACK, "::1") or (is_near and _is_with_us(client)):
        return LOOPBACK, LOOPBACK
    # Nobody can tell by which of its addresses another machine is reached.
    return host, host if is_near else "0.0.0.0"


@contextlib.contextmanager
def told(what: str, hint: str = "") -> Iterator[None]:
    """A refusal of the daemon, or that there is none, is a `PostgresError` that says ``what`` and why."""
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise PostgresError(f"{what}: {error.explanation or error}", hint=hint) from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise PostgresError(f"{what}: {error}", hint=hint) from error


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """testcontainers sets DOCKER_HOST for all that comes after, and says so."""
    logger = logging.getLogger("testcontainers.core.docker_client")
    before, level = os.environ.get("DOCKER_HOST"), logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before


def _knock(asked: str) -> None:
    """Raises OSError where nobody listens: docker's own client leaves a socket open then, of which Python warns."""
    if asked.startswith("unix:"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(asked.removeprefix("unix:").removeprefix("//"))


def _is_with_us(client: docker.DockerClient) -> bool:
    """Whether the bridge of its containers is one of our own addresses."""
    with contextlib.suppress(Exception), socket.socket() as sock:
        [config, *_] = client.networks.get("bridge").attrs["IPAM"]["Config"]
        sock.bind((config["Gateway"], 0))
        return True
    return False


class Attached:
    """What a container hears and prints, from before it starts. When we are gone, it hears the end."""

    def __init__(self, client: docker.DockerClient, container: str) -> None:
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        self._held = client.api.attach_socket(container, params=wanted)
        self._socket: Any = getattr(self._held, "_sock", self._held)
        self._socket.settimeout(None)
        self._printed = bytearray()
        self._changed = threading.Condition()
        self.has_ended = False
        threading.Thread(target=self._read, name="pytest-gotest-container", daemon=True).start()

    def say(self, line: str) -> None:
        """Raises OSError."""
        self._socket.sendall(f"{line}\n".encode())

    def heard(self, line: str, within: float) -> bool:
        """Whether it printed ``line``, in so many seconds and before it ended; it is taken out of what was printed."""
        until = time.monotonic() + within
        with self._changed:
            while not (found := self._take(line)) and not self.has_ended:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
        return found

    def _take(self, line: str) -> bool:
        before, found, after = self._printed.partition(f"{line}\n".encode())
        if found:
            self._printed = before + after
        return bool(found)

    def log(self) -> str:
        with self._changed:
            return self._printed.decode(errors="replace")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for one in (self._socket, self._held):
            with contextlib.suppress(OSError):  # over ssh it writes a farewell
                one.close()

    def _read(self) -> None:
        with contextlib.suppress(Exception):  # closed by us, or by whatever is between
            while header := self._receive(8):
                # A frame: the stream, three bytes of nothing, the length (Engine API, "Attach to a container").
                self._keep(self._receive(struct.unpack(">BxxxL", header)[1]))
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def _keep(self, text: bytes) -> None:
        with self._changed:
            self._printed += text
            del self._printed[:-_KEPT]
            self._changed.notify_all()

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                return b""
            data += more
        return data
