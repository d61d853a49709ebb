"""Which packages a change reaches: the rules on data, and what git says of real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from running import need_git

from pytest_gotest._changed import looks_outside, reached
from pytest_gotest._errors import ChangeError
from pytest_gotest._git import Change, change
from pytest_gotest._toolchain import Package


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path))


def project(root: Path) -> tuple[dict[str, Package], dict[str, set[str]]]:
    """m/api imports m/store, m/store embeds sql/*.sql, m/tool stands alone; m/free has its own module's root."""
    packages = {
        f"m/{name}": Package(f"m/{name}", name, str(root / name), str(root))
        for name in ("api", "store", "tool")
    }
    everywhere = {f"file {root}/go.mod", f"file {root}/go.sum"}
    inputs = {
        "m/api": {*everywhere, f"dir {root}/api", f"dir {root}/store", f"embed {root}/store\0sql/*.sql"},
        "m/store": {*everywhere, f"dir {root}/store", f"embed {root}/store\0sql/*.sql"},
        "m/tool": {*everywhere, f"dir {root}/tool"},
    }  # fmt: skip
    return packages, inputs


ALL = {"api", "store", "tool"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("api/api.go", {"api": "its source"}),
        ("store/store.go", {"store": "its source", "api": "it imports m/store"}),
        ("store/fast_amd64.s", {"store": "its source", "api": "it imports m/store"}),
        # Tests of a package are no part of those that import it.
        ("store/store_test.go", {"store": "its source"}),
        ("store/sql/one.sql", {"store": "embedded", "api": "embedded in m/store"}),
        ("store/sql/README", {"store": "in its directory", "api": "it imports m/store"}),
        ("tool/testdata/deep/golden.txt", {"tool": "in its directory"}),
        ("tool/testdata/x.go", {"tool": "in its directory"}),
        ("tool/notes.md", {"tool": "in its directory"}),
        ("go.mod", dict.fromkeys(ALL, "versions of modules")),
        ("go.sum", dict.fromkeys(ALL, "versions of modules")),
        ("go.work", dict.fromkeys(ALL, "versions of modules")),
        ("tool/go.mod", {"tool": "in its directory"}),
        ("Makefile", dict.fromkeys(ALL, "it is in no package's directory")),
        ("migrations/1.sql", dict.fromkeys(ALL, "it is in no package's directory")),
        # Python's: see test_only_changed.
        ("store/conftest.py", {}),
        ("helpers.py", {}),
        ("store/testdata/script.py", {"store": "in its directory", "api": "it imports m/store"}),
        # A package that nothing here is made of.
        ("cmd/main.go", {}),
        ("../README.md", {}),
        ("store-old/x.go", {}),
    ],
)
def test_what_a_file_is_for_a_package(root: Path, changed: str, expected: dict[str, str]) -> None:
    packages, inputs = project(root / "src")
    path = Path(os.path.normpath(root / "src" / changed))
    found = reached(packages, inputs, [path])
    assert {name.removeprefix("m/"): why.how for name, why in found.items()} == expected
    assert all(why.path == path for why in found.values())


@pytest.mark.parametrize(
    "changed", ["../README.md", "cmd/main.go", "store/x.txt", "store/store_test.go"]
)
def test_who_looks_around_is_reached_by_everything(root: Path, changed: str) -> None:
    packages, inputs = project(root / "src")
    path = Path(os.path.normpath(root / "src" / changed))
    found = reached(packages, inputs, [path], lambda name: name == "m/tool")
    assert found["m/tool"].how == "its tests look beyond their directory"


def test_a_package_that_go_cannot_tell_of_runs(root: Path) -> None:
    packages, inputs = project(root)
    del inputs["m/tool"]
    found = reached(packages, inputs, [root / "api" / "api.go"])
    assert found["m/tool"].how == "go cannot tell what it is made of"


def test_a_submodule_stands_for_all_in_it(root: Path) -> None:
    packages, inputs = project(root / "sub")
    (root / "sub").mkdir()
    assert {why.how for why in reached(packages, inputs, [root / "sub"]).values()} == {
        "a submodule with a part of it"
    }


def test_names_that_are_links(root: Path) -> None:
    (root / "real").mkdir()
    (root / "link").symlink_to(root / "real")
    packages, inputs = project(root / "link")
    assert set(reached(packages, inputs, [root / "real" / "api" / "x.go"])) == {"m/api"}


def test_nothing_changed(root: Path) -> None:
    packages, inputs = project(root)
    assert reached(packages, inputs, []) == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b'os.ReadFile("../migrations/1.sql")', True),
        (b'filepath.Join("..", "migrations")', True),
        (b"os.ReadFile(`../../x`)", True),
        (b'os.ReadFile("testdata/../x")', True),
        (b'import "os/exec"', True),
        (b"_, file, _, _ := runtime.Caller(0)", True),
        (b"dir, err := os.Getwd()", True),
        (b'os.ReadFile("testdata/x")', False),
        (b"args...", False),
        (b'fmt.Println("and so on..")', False),
    ],
)
def test_looks_outside(source: bytes, expected: bool) -> None:
    assert looks_outside(source) is expected


# git


class Repository:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "somebody")
        self.git("config", "user.email", "somebody@example.com")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, message: str = "more") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def changed(self, ref: str | None = None) -> set[str]:
        found = change(self.root, ref)
        return {str(path.relative_to(self.root)) for path in found.paths}


@pytest.fixture
def repository(root: Path) -> Repository:
    need_git()
    made = Repository(root / "repository")
    for name in ("same", "edited", "staged", "deleted", "renamed", "with space ü"):
        made.write(name, f"{name} of many lines\n" * 20)
    made.write(".gitignore", "*.log\n")
    made.commit()
    return made


def test_all_that_is_not_committed(repository: Repository) -> None:
    repository.write("edited", "otherwise")
    repository.write("staged", "otherwise")
    repository.git("add", "staged")
    (repository.root / "deleted").unlink()
    repository.git("mv", "renamed", "new name")
    repository.write("with space ü", "otherwise")
    repository.write("deep/er/untracked", "new")
    repository.write("ignored.log", "new")
    assert repository.changed() == {
        "edited", "staged", "deleted", "renamed", "new name", "with space ü", "deep/er/untracked",
    }  # fmt: skip


def test_since_the_branch_left_the_default_one(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    repository.write("edited", "on the branch")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.write("same", "changed on main, later")
    repository.commit()
    repository.git("checkout", "-q", "topic")
    repository.write("staged", "not committed")
    assert repository.changed() == {"edited", "staged"}
    assert change(repository.root, None).since.startswith("main (")
    assert repository.changed("main") == {"edited", "staged", "same"}


def test_the_remotes_default_branch_comes_first(repository: Repository, root: Path) -> None:
    repository.git("branch", "trunk")
    repository.write("edited", "on main")
    repository.commit()
    repository.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    repository.git("reset", "-q", "--hard")
    subprocess.run(["git", "clone", "-q", repository.root, root / "clone"], check=True)
    found = change(root / "clone", None)
    assert found.since.startswith("origin/trunk (")
    assert found.paths == ()


@pytest.mark.parametrize("ref", ["HEAD~1", "v1", "commit"])
def test_since_any_commit(repository: Repository, ref: str) -> None:
    before = repository.git("rev-parse", "HEAD")
    repository.git("tag", "-a", "-m", "one", "v1")
    repository.write("edited", "otherwise")
    repository.commit()
    assert repository.changed(before if ref == "commit" else ref) == {"edited"}


def test_from_a_directory_below(repository: Repository) -> None:
    repository.write("edited", "otherwise")
    below = repository.write("sub/file").parent
    found = change(below, None)
    assert {path.name for path in found.paths} == {"edited", "file"}
    assert all(path.is_absolute() for path in found.paths)


def test_another_worktree(repository: Repository, root: Path) -> None:
    repository.git("worktree", "add", "-q", str(root / "tree"), "-b", "topic")
    (root / "tree" / "edited").write_text("otherwise")
    assert [path for path in change(root / "tree", None).paths] == [root / "tree" / "edited"]
    assert repository.changed() == set()


def test_errors_say_what_to_do(
    repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ChangeError, match=r"--gotest-changed=nowhere: git knows no such commit"):
        change(repository.root, "nowhere")
    with pytest.raises(ChangeError, match="not a git repository"):
        change(root, None)
    repository.git("branch", "-m", "odd")
    with pytest.raises(ChangeError, match=r"no default branch; looked for origin/main.*\n.*=REF"):
        change(repository.root, None)
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(ChangeError, match="git, which cannot be started"):
        change(repository.root, None)


def test_a_shallow_clone_says_so(repository: Repository, root: Path) -> None:
    repository.git("checkout", "-q", "-b", "topic", "HEAD")
    repository.write("edited", "otherwise")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.write("same", "otherwise")
    repository.commit()
    clone = root / "clone"
    origin = f"file://{repository.root}"
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", "--no-single-branch", "-b", "topic", origin, clone],
        check=True,
    )
    with pytest.raises(ChangeError, match="shallow"):
        change(clone, "main~1")
    with pytest.raises(ChangeError, match="no commit in common"):
        change(clone, None)


def test_as_told_to_a_worker_elsewhere(root: Path) -> None:
    one = Change("main (abc)", (root / "a" / "x.go", root.parent / "beside"))
    there = Change.from_data(one.as_data(root), Path("/elsewhere/src"))
    assert there == Change("main (abc)", (Path("/elsewhere/src/a/x.go"), Path("/elsewhere/beside")))
