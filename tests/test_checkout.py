"""What another checkout has to have: the files, and who compares them with real processes elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from execnet import Group
from running import need_git

from pytest_gotest import __version__, _tree
from pytest_gotest._checkout import Checkout, difference
from pytest_gotest._errors import RemoteError


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
    found = dict(_tree.digests(str(tmp_path), ["."], ["query.sql", "gone.txt"]))
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
def group() -> Iterator[Group]:
    made = Group()
    yield made
    made.terminate(timeout=5)


def node_in(directory: Path, group: Group) -> SimpleNamespace:
    """A worker of a real process that works there."""
    gateway = group.makegateway(f"popen//chdir={directory}")
    return SimpleNamespace(gateway=gateway, nodemanager=SimpleNamespace(roots=[]))


def compare(here: Path, there: Path, group: Group, rootpath: Path | None = None) -> None:
    Checkout(here, rootpath or here).check(node_in(there, group))


def test_equal_trees_may_work(tmp_path: Path, group: Group) -> None:
    for name in ("here", "there"):
        write(tmp_path / name, a_go="1", p__testdata__x="2")
    (tmp_path / "there" / "report.xml").write_text("of an earlier run")
    compare(tmp_path / "here", tmp_path / "there", group)


def test_other_trees_may_not(tmp_path: Path, group: Group) -> None:
    write(tmp_path / "here", a_go="1", b_go="2", p__testdata__x="3")
    write(tmp_path / "there", a_go="1", b_go="other", c_go="4")
    with pytest.raises(RemoteError) as caught:
        compare(tmp_path / "here", tmp_path / "there", group)
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
        compare(tmp_path / "here", tmp_path / "there", group)


def test_another_version_over_there(
    tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_gotest._checkout.__version__", "9.9.9")
    write(tmp_path / "here", a_go="1")
    with pytest.raises(RemoteError, match=rf"has pytest-gotest {__version__}.*has 9\.9\.9"):
        compare(tmp_path / "here", tmp_path / "here", group)


def trees(tmp_path: Path, **files: str) -> tuple[Path, Path]:
    for name in ("here", "there"):
        write(tmp_path / name, **files)
    return tmp_path / "here", tmp_path / "there"


def test_what_git_would_keep_is_compared_and_what_it_ignores_is_not(
    tmp_path: Path, group: Group
) -> None:
    need_git()
    here, there = trees(tmp_path, a_go="1")
    subprocess.run(["git", "init", "-q"], cwd=here, check=True)
    write(here, report_xml="of an earlier run", _gitignore="*.xml\n")
    write(there, _gitignore="*.xml\n")
    compare(here, there, group)
    write(here, migrations__1_sql="new")
    with pytest.raises(RemoteError, match=r"missing: migrations/1\.sql") as caught:
        compare(here, there, group)
    assert "what no test needs, have git ignore" in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("conftest_py", r"\.\./conftest\.py"),  # in pytest's root directory
        ("m__go_mod", r"\.\./go\.mod"),
        ("lib__lib_go", r"lib/lib\.go"),  # of a module that a replace names
        ("other__o_go", r"other/o\.go"),  # of one that go.work names
        ("go_work", r"go\.work"),
        ("m__pkg__p_go", r"p\.go"),
    ],
)
def test_all_that_makes_up_the_project_and_lies_elsewhere(
    tmp_path: Path, group: Group, changed: str, said: str
) -> None:
    here, there = trees(
        tmp_path,
        go_work="go 1.22\n\nuse (\n\t./m\n\t./other\n)\n",
        m__go_mod="module m\n\ngo 1.22\n\nreplace example.com/lib => ../lib\n",
        m__pkg__p_go="package pkg\n",
        lib__go_mod="module example.com/lib\n",
        lib__lib_go="package lib\n",
        other__go_mod="module other\n",
        other__o_go="package other\n",
        nobody__x_go="package nobody\n",
    )
    rootpath = here if changed == "conftest_py" else here / "m"
    start = "m" if changed == "conftest_py" else "m/pkg"
    compare(here / start, there / start, group, rootpath)
    write(there, nobody__x_go="of another project")
    write(there, **{changed: "otherwise"})
    with pytest.raises(RemoteError, match=said) as caught:
        compare(here / start, there / start, group, rootpath)
    assert ("nobody" in str(caught.value)) is (
        changed == "conftest_py"
    )  # it is in the root directory there


def test_names_that_are_no_text(tmp_path: Path, group: Group) -> None:
    here, there = trees(tmp_path, testdata__x="1")
    odd = os.fsdecode(b"\xff.txt")
    for tree, text in ((here, "1"), (there, "1")):
        (tree / "testdata" / odd).write_text(text)
    compare(here, there, group)
    (there / "testdata" / odd).write_text("2")
    with pytest.raises(RemoteError, match=r"changed: testdata/.*xff") as caught:
        compare(here, there, group)
    str(caught.value).encode()  # it can be printed


def test_a_directory_that_is_no_text(tmp_path: Path, group: Group) -> None:
    here, there = trees(tmp_path, a_go="1")
    odd = tmp_path / os.fsdecode(b"\xff")
    there.rename(odd)
    node = node_in(tmp_path, group)
    enter = f"import os; os.chdir(os.fsdecode({os.fsencode(odd)!r}))"
    node.gateway.remote_exec(enter).waitclose()
    Checkout(here, here).check(node)
    write(odd, a_go="2")
    with pytest.raises(RemoteError, match=r"works in .*xff, which is not") as caught:
        Checkout(here, here).check(node)
    str(caught.value).encode()  # it can be printed


def test_of_several_workers_in_one_directory_one_is_asked(tmp_path: Path, group: Group) -> None:
    here, there = trees(tmp_path, a_go="1")
    (tmp_path / "beside").mkdir()
    (tmp_path / "link").symlink_to(there)
    checkout = Checkout(here, here)
    checkout.check(node_in(there, group))
    write(there, a_go="2")
    checkout.check(node_in(there, group))
    checkout.check(node_in(tmp_path / "link", group))
    with pytest.raises(RemoteError):
        checkout.check(node_in(tmp_path / "beside", group))
    with pytest.raises(RemoteError):  # who was not the same is asked again
        checkout.check(node_in(tmp_path / "beside", group))


def test_a_container_with_other_mounts_is_asked_for_itself(tmp_path: Path, group: Group) -> None:
    """It may be the same directory, and not the same around it or below."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare to make a mount namespace")
    here, there = trees(tmp_path, a_go="1")
    checkout = Checkout(here, here)
    checkout.check(node_in(there, group))
    write(there, a_go="2")
    spec = f"popen//python=unshare --mount {sys.executable}//chdir={there}"
    node = SimpleNamespace(gateway=group.makegateway(spec), nodemanager=SimpleNamespace(roots=[]))
    with pytest.raises(RemoteError, match=r"changed: a\.go"):
        checkout.check(node)


def test_each_interpreter_in_one_directory_has_the_plugin(
    tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = trees(tmp_path, a_go="1")
    checkout = Checkout(here, here)
    checkout.check(node_in(there, group))
    monkeypatch.setattr("pytest_gotest._checkout.__version__", "9.9.9")
    with pytest.raises(RemoteError, match=r"has 9\.9\.9"):
        checkout.check(node_in(there, group))


def test_one_s_own_directory_is_the_same(
    tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tree, "digests", None)
    Checkout(tmp_path, tmp_path).check(node_in(tmp_path, group))


def test_a_machine_that_says_nothing(
    tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = trees(tmp_path, a_go="1")
    node = node_in(there, group)
    pid = node.gateway.remote_exec("import os; channel.send(os.getpid())").receive()
    monkeypatch.setattr("pytest_gotest._checkout._PATIENCE", 0.5)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(RemoteError, match=r"which files it has and did not answer for 0\.5 s"):
            Checkout(here, here).check(node)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_machine_that_is_lost_meanwhile(tmp_path: Path, group: Group) -> None:
    here, there = trees(tmp_path, a_go="1")
    node = node_in(there, group)
    node.gateway.remote_exec("import os; os._exit(1)")
    with pytest.raises(RemoteError, match="was asked which files it has and failed"):
        Checkout(here, here).check(node)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, group: Group) -> None:
    here, there = trees(tmp_path, testdata__x="1")
    for tree in (here, there):
        os.mkfifo(tree / "testdata" / "pipe")
        (tree / "testdata" / "zeros").symlink_to("/dev/zero")
    compare(here, there, group)


def test_what_tools_keep_is_not_compared_where_git_does_not_ignore_it(
    tmp_path: Path, group: Group
) -> None:
    need_git()
    here, there = trees(tmp_path, a_go="1")
    subprocess.run(["git", "init", "-q"], cwd=here, check=True)
    write(here, p__env__pyvenv_cfg="", p__env__bin__python="")
    for directory in ("__pycache__", ".tox", "p/node_modules", ".mypy_cache"):
        (here / directory).mkdir()
        (here / directory / "x").write_text("a tool's")
    compare(here, there, group)
    (here / "__pycache__" / "kept").write_text("by whoever wanted that")
    subprocess.run(["git", "add", "__pycache__/kept"], cwd=here, check=True)
    with pytest.raises(RemoteError, match="missing: __pycache__/kept"):
        compare(here, there, group)


def test_data_of_a_submodule_is_compared(tmp_path: Path, group: Group) -> None:
    need_git()

    def git(directory: Path, *words: str) -> None:
        settings = [
            *("-c", "user.name=x", "-c", "user.email=x", "-c", "protocol.file.allow=always")
        ]
        subprocess.run(["git", *settings, *words], cwd=directory, check=True)

    here, there = trees(tmp_path, a_go="1", sub__data_sql="1")
    data = tmp_path / "data"
    write(data, data_sql="1")
    git(data, "init", "-q")
    git(data, "add", ".")
    git(data, "commit", "-qm", "data")
    git(here, "init", "-q")
    (here / "sub" / "data.sql").unlink()
    (here / "sub").rmdir()
    git(here, "submodule", "--quiet", "add", str(data), "sub")
    write(there, _gitmodules=(here / ".gitmodules").read_text())
    compare(here, there, group)
    write(there, sub__data_sql="2")
    with pytest.raises(RemoteError, match=r"changed: sub/data\.sql"):
        compare(here, there, group)


def test_a_root_directory_beside_where_pytest_was_started(tmp_path: Path, group: Group) -> None:
    here, there = trees(tmp_path, start__a_py="1", other__conftest_py="1")
    compare(here / "start", there / "start", group, here / "other")
    write(there, other__conftest_py="2")
    with pytest.raises(RemoteError, match=r"changed: \.\./other/conftest\.py"):
        compare(here / "start", there / "start", group, here / "other")


def test_a_module_with_an_absolute_path_is_that_one_everywhere(
    tmp_path: Path, group: Group
) -> None:
    """Here it is this machine's own, wherever the other checkout is."""
    write(tmp_path / "lib", go_mod="module example.com/lib\n", lib_go="package lib\n")
    text = f'module m\n\nreplace example.com/lib => "{tmp_path}/lib"\n'
    write(tmp_path / "here", go_mod=text)
    write(tmp_path / "some" / "where" / "there", go_mod=text)
    compare(tmp_path / "here", tmp_path / "some" / "where" / "there", group)


def test_go_work_can_be_named_in_the_environment(
    tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = trees(
        tmp_path,
        m__go_mod="module m\n",
        build__go_work="go 1.22\n\nuse ../m\n\nuse ../lib\n",
        lib__go_mod="module lib\n",
        lib__lib_go="package lib\n",
    )
    monkeypatch.setenv("GOWORK", str(here / "build" / "go.work"))
    compare(here / "m", there / "m", group)
    write(there, lib__lib_go="package other\n")
    with pytest.raises(RemoteError, match=r"changed: \.\./lib/lib\.go"):
        compare(here / "m", there / "m", group)
