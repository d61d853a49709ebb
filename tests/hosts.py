"""Other machines for tests: a network namespace with a line to it, a server of execnet in one, and an sshd of our own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def need_namespaces() -> None:
    """In CI they have to be there."""
    missing = [name for name in ("ip",) if shutil.which(name) is None]
    able = os.geteuid() == 0 and os.path.exists("/dev/net/tun") and not missing
    if not able and "CI" not in os.environ:
        pytest.skip("needs root, /dev/net/tun and ip to make a network namespace")


def need_sshd() -> None:
    if not (os.path.exists("/usr/sbin/sshd") and shutil.which("ssh")) and "CI" not in os.environ:
        pytest.skip("needs ssh and /usr/sbin/sshd")


def environment(**more: str) -> dict[str, str]:
    """That of a machine on which the plugin is installed: no other plugin is loaded, `recorder` can be."""
    env = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    path = os.pathsep.join(filter(None, (str(TESTS), env.get("PYTHONPATH"))))
    return {**env, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": path, **more}


@dataclass
class Host:
    """A machine at an address, with a server of execnet; ``spec`` is for --tx."""

    address: str
    server: subprocess.Popen[bytes]
    spec: str
    line: subprocess.Popen[bytes] | None = None
    inside: tuple[str, ...] = ()  # before a command that is to run on it

    def cut(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        assert self.line is not None
        self.line.send_signal(signal.SIGUSR1)

    def crash(self) -> None:
        self.server.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _await_port(address: str, port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((address, port), 5).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def server(
    checkout: Path, log: Path, *before: str, address: str = "", **env: str
) -> Iterator[Host]:
    """One worker can be started on it, and works in ``checkout``. ``before`` is what runs it elsewhere."""
    port = free_port()
    at = address or "127.0.0.1"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*before, sys.executable, "-u", "-m", "execnet.script.socketserver", f"{at}:{port}"],
            env=environment(**env),
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_port(at, port)
        yield Host(at, process, f"socket={at}:{port}//chdir={checkout}")
    finally:
        _end(process)


@contextmanager
def namespace(
    number: int, checkout: Path, log: Path, *, delay: float = 0.0, loss: float = 0.0, **env: str
) -> Iterator[Host]:
    """A machine of its own as far as the network goes. Seconds, and the part of packets that is lost."""
    name = f"gt{os.getpid() % 100000}{number}"
    near, far = f"10.231.{number}.1", f"10.231.{number}.2"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        line = subprocess.Popen(
            [
                *(sys.executable, str(TESTS / "link.py"), name, near, far),
                *("--delay", str(delay), "--loss", str(loss)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert line.stdout is not None
            assert line.stdout.readline() == b"ready\n"
            inside = ("ip", "netns", "exec", name)
            with server(checkout, log, *inside, address=far, **env) as host:
                host.line, host.inside = line, inside
                yield host
        finally:
            _end(line)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@contextmanager
def sshd(base: Path, *, at: Host | None = None, **env: str) -> Iterator[Path]:
    """An SSH server for this user alone, on loopback or on a host in a namespace.

    Gives the ssh_config by which it is the host "there".
    """
    address = at.address if at else "127.0.0.1"
    base.mkdir()
    for key in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(base / key)]
        subprocess.run(command, check=True)
    shutil.copy(base / "user.pub", base / "authorized")
    port = free_port()
    variables = {
        name: value
        for name, value in environment(**env).items()
        if name.startswith(("PYTEST_", "PYTHON", "GO", "PATH", "XDG_", "RAN"))
    }
    settings = " ".join(f'"{name}={value}"' for name, value in variables.items())
    (base / "sshd_config").write_text(
        f"Port {port}\nListenAddress {address}\nHostKey {base}/host\nPidFile {base}/pid\n"
        f"AuthorizedKeysFile {base}/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        f"PasswordAuthentication no\nSetEnv {settings}\n"
        # Who is behind a line that was cut is ended, as far as that is for sshd to do.
        "ClientAliveInterval 5\nClientAliveCountMax 3\n"
    )
    (base / "ssh_config").write_text(
        f"Host there\n  HostName {address}\n  Port {port}\n  IdentityFile {base}/user\n"
        f"  StrictHostKeyChecking no\n  UserKnownHostsFile {base}/known\n  LogLevel ERROR\n"
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # which sshd insists on
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(at.inside if at else ()),
                "/usr/sbin/sshd",
                "-D",
                "-e",
                "-f",
                str(base / "sshd_config"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _await_port(address, port)
        yield base / "ssh_config"
    finally:
        _end(process)
