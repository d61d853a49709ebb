"""What another machine has to have, and how its loss is noticed; the connections themselves are in acceptance/."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from execnet import Group, XSpec
from running import need_git

from pytest_gotest import __version__, _tree
from pytest_gotest._errors import RemoteError
from pytest_gotest._remote import (
    Project,
    difference,
    host,
    keep_alive,
    reachable,
    split_paths,
    with_signs_of_life,
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
    ("path", "expected"),
    [
        ("store/query.go", True),
        ("go.sum", True),
        ("store/testdata/any/thing", True),
        ("testdata/x", True),
        ("conftest.py", True),
        ("pyproject.toml", True),
        ("report.xml", False),
        ("store/query.sql", False),
        ("notes/my-testdata/x", False),
    ],
)
def test_what_matters_wherever_it_comes_from(path: str, expected: bool) -> None:
    assert _tree.matters(path) is expected


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


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_tree_without_what_tools_keep(tmp_path: Path) -> None:
    write(tmp_path, a_go="1", p__a_go="2", p__testdata__x="3", report_xml="4", query_sql="5")
    for hidden in (".git", "node_modules", "__pycache__", ".mypy_cache", "env"):
        (tmp_path / hidden).mkdir()
        (tmp_path / hidden / "a.go").write_text("not ours")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    found = _tree.digests(str(tmp_path), ["query.sql", "gone.txt"])
    assert set(found) == {"a.go", "p/a.go", "p/testdata/x", "query.sql", "gone.txt"}
    assert found["gone.txt"] == ""
    assert found["a.go"] == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"


def test_difference_names_each_kind() -> None:
    here = {"same": "1", "changed": "1", "gone": "1", "nowhere": ""}
    there = {"same": "1", "changed": "2", "gone": "", "nowhere": "", "more.go": "3"}
    assert difference(here, there) == "  missing: gone\n  extra: more.go\n  changed: changed"
    assert difference(here, here) == ""


def test_a_long_difference_is_cut() -> None:
    said = difference({f"f{number:02}": "1" for number in range(30)}, {})
    assert "f09" in said
    assert "f10" not in said
    assert said.endswith("and 20 more")


@pytest.fixture
def group() -> object:
    made = Group()
    yield made
    made.terminate(timeout=5)


def node_in(directory: Path, group: Group) -> SimpleNamespace:
    """A worker of a real process that works there."""
    gateway = group.makegateway(f"popen//chdir={directory}")
    return SimpleNamespace(gateway=gateway, nodemanager=SimpleNamespace(roots=[]))


def test_equal_trees_may_work(tmp_path: Path, group: Group) -> None:
    for name in ("here", "there"):
        write(tmp_path / name, a_go="1", p__testdata__x="2")
    (tmp_path / "there" / "report.xml").write_text("of an earlier run")
    Project(tmp_path / "here").check(node_in(tmp_path / "there", group))


def test_other_trees_may_not(tmp_path: Path, group: Group) -> None:
    write(tmp_path / "here", a_go="1", b_go="2", p__testdata__x="3")
    write(tmp_path / "there", a_go="1", b_go="other", c_go="4")
    with pytest.raises(RemoteError) as caught:
        Project(tmp_path / "here").check(node_in(tmp_path / "there", group))
    assert "missing: p/testdata/x" in str(caught.value)
    assert "extra: c.go" in str(caught.value)
    assert "changed: b.go" in str(caught.value)
    assert str(tmp_path / "there") in str(caught.value)


def test_what_git_keeps_is_compared_too(tmp_path: Path, group: Group) -> None:
    need_git()
    write(tmp_path / "here", a_go="1", query_sql="2")
    write(tmp_path / "there", a_go="1", query_sql="other")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "here", check=True)
    subprocess.run(["git", "add", "query.sql"], cwd=tmp_path / "here", check=True)
    with pytest.raises(RemoteError, match=r"changed: query\.sql"):
        Project(tmp_path / "here").check(node_in(tmp_path / "there", group))


def test_another_version_over_there(
    tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_gotest._remote.__version__", "9.9.9")
    write(tmp_path / "here", a_go="1")
    with pytest.raises(RemoteError, match=rf"has pytest-gotest {__version__}.*has 9\.9\.9"):
        Project(tmp_path / "here").check(node_in(tmp_path / "here", group))


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
