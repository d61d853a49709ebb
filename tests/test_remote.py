"""Machines as specs name them, and how the loss of one is noticed; the connections themselves are in acceptance/."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from execnet import Group, XSpec

from pytest_gotest._line import keep_alive
from pytest_gotest._remote import host, reachable, split_paths, with_signs_of_life


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
def group() -> object:
    made = Group()
    yield made
    made.terminate(timeout=5)


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
