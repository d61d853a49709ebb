"""Machines as specs name them, and how the loss of one is noticed; the connections themselves are in acceptance/."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from execnet import Group, XSpec
from hosts import server

from pytest_gotest import _line
from pytest_gotest._line import keep_alive
from pytest_gotest._remote import (
    forget,
    host,
    reachable,
    split_paths,
    with_signs_of_life,
    with_threads,
)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("popen", ""),
        ("popen//python=python3.13", ""),
        ("ssh=me@far//chdir=/src", "ssh=me@far"),
        ("ssh=-p 2222 me@far", "ssh=me@far"),
        ("ssh=me@far -p 2222", "ssh=me@far"),
        ("ssh=-C -oPort=22 -i key far", "ssh=far"),
        ("socket=far:8888", "socket=far"),
        ("popen//via=first", "via=first"),
    ],
)
def test_host(spec: str, expected: str) -> None:
    assert host(XSpec(spec)) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("popen", "popen"),
        ("2*popen", "2*popen"),
        ("socket=far:1//chdir=/ssh=x", "socket=far:1//chdir=/ssh=x"),
        (
            "2*ssh=far//chdir=/src",
            "2*ssh=-o ServerAliveInterval=10 -o ServerAliveCountMax=2 far//chdir=/src",
        ),
        ("ssh=-oServerAliveInterval=60 far", "ssh=-oServerAliveInterval=60 far"),
        ("ssh_config=/etc/x//ssh=far", "ssh_config=/etc/x//ssh=-o ServerAliveInterval=10 -o ServerAliveCountMax=2 far"),
    ],
)  # fmt: skip
def test_ssh_is_told_to_look_whether_the_other_side_is_there(given: str, expected: str) -> None:
    assert with_signs_of_life([given]) == [expected]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ssh=far//id=first", "ssh=far//id=first//execmodel=thread"),
        ("ssh=far//id=first//execmodel=gevent", "ssh=far//id=first//execmodel=gevent"),
    ],
)
def test_a_proxy_can_serve_several_workers(given: str, expected: str) -> None:
    assert with_threads([given]) == [expected]


def test_a_silent_connection_is_asked_for_a_sign_of_life() -> None:
    with socket.socket() as sock:
        keep_alive(SimpleNamespace(_io=SimpleNamespace(sock=sock)))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
        assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30


@pytest.mark.parametrize("gateway", [None, SimpleNamespace(), SimpleNamespace(_io=object())])
def test_what_is_no_socket_is_left_alone(gateway: object) -> None:
    keep_alive(gateway)


@pytest.mark.parametrize(
    ("args", "words", "named", "others"),
    [
        (["/src"], ["-n2"], [], ["-n2"]),  # nothing is named: pytest's own default
        (["p0"], ["-q", "p0"], ["p0"], ["-q"]),
        (["p0"], ["-k", "p0", "p0"], ["p0"], ["-k", "p0"]),
        (["a_test.go::T[x]", "p"], ["a_test.go::T[x]", "-v", "p"], ["a_test.go::T[x]", "p"], ["-v"]),
        (["/src/p0/a_test.go::T"], ["/src/p0/a_test.go::T"], ["p0/a_test.go::T"], []),
        (["/other/p0"], ["/other/p0"], ["/other/p0"], []),
    ],
)  # fmt: skip
def test_paths_of_a_command_line(
    args: list[str], words: list[str], named: list[str], others: list[str]
) -> None:
    assert split_paths(args, words, Path("/src")) == (named, others)


@pytest.fixture
def group() -> Iterator[Group]:
    made = Group()
    yield made
    sockets = [sock for gateway in made if (sock := socket_of(gateway))]
    made.terminate(timeout=5)
    for sock in sockets:  # execnet leaves them open
        sock.close()


def socket_of(gateway: Any) -> socket.socket | None:
    return getattr(gateway._io, "sock", None)


def test_a_machine_that_is_not_there_is_out_of_reach(tmp_path: Path) -> None:
    group = Group()
    config = tmp_path / "config"
    config.write_text("")
    closed = f"ssh=-p 1 127.0.0.1//ssh_config={config}"
    assert not reachable(XSpec(closed), group)
    assert not reachable(XSpec("popen//via=nobody"), group)
    assert not reachable(XSpec("socket=127.0.0.1:1"), group)


def test_a_gateway_that_lives_is_in_reach(group: Group) -> None:
    group.makegateway("popen//id=first")
    assert reachable(XSpec("popen//via=first"), group)


HOLDS = """
import time
file = open(channel.receive(), "wb")
channel.send(None)
time.sleep(600)
"""


def test_workers_end_when_the_connection_to_their_proxy_does(tmp_path: Path, group: Group) -> None:
    """But not the server in which the proxy was."""
    os.mkfifo(fifo := tmp_path / "held")
    held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with server(tmp_path, tmp_path / "log") as far:
        proxy = group.makegateway(f"{far.spec.partition('//')[0]}//id=first")
        proxy.remote_exec(_line).waitclose(30)
        for _ in range(2):
            worker = group.makegateway("popen//via=first//execmodel=main_thread_only")
            channel = worker.remote_exec(HOLDS)
            channel.send(str(fifo))
            channel.receive(30)
            forget(worker)
        line = socket_of(proxy)
        assert line is not None
        line.shutdown(socket.SHUT_RDWR)
        assert select.select([held], [], [], 60)[0]
        assert os.read(held, 1) == b""  # nobody has it open for writing any more
        again = group.makegateway(f"{far.spec.partition('//')[0]}//id=second")
        again.remote_exec("channel.send(None)").receive(30)
    os.close(held)
