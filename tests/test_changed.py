"""Which packages a change reaches: the rules on data, and what git says of real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import execnet
import pytest
from running import need_git

from pytest_gotest._changed import looks_beyond, reached
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
        (".gitattributes", dict.fromkeys(ALL, "how git writes its files")),
        ("../.gitattributes", dict.fromkeys(ALL, "how git writes its files")),
        ("go.work", dict.fromkeys(ALL, "versions of modules")),
        ("tool/go.mod", {"tool": "in its directory"}),
        ("Makefile", dict.fromkeys(ALL, "it is in no package's directory")),
        ("migrations/1.sql", dict.fromkeys(ALL, "it is in no package's directory")),
        # Python's: see test_only_changed. A package's own tests may read it.
        ("store/conftest.py", {"store": "in its directory"}),
        ("helpers.py", {}),
        ("store/testdata/script.py", {"store": "in its directory", "api": "it imports m/store"}),
        # A package that nothing here is made of.
        ("cmd/main.go", {}),
        ("../README.md", {}),
        ("../deploy/x.yaml", {}),
        ("docs/x.md", {}),
        ("store-old/x.go", {}),
        # Headers that a cgo package of another directory may include.
        ("include/x.h", dict.fromkeys(ALL, "it is in no package's directory")),
        ("store/include/x.h", {"store": "in its directory", "api": "it imports m/store"}),
        # Go's, but not of the package: as data.
        ("store/ignored/x.go", {"store": "in its directory"}),
    ],
)
def test_what_a_file_is_for_a_package(root: Path, changed: str, expected: dict[str, str]) -> None:
    packages, inputs = project(root / "src")
    path = Path(os.path.normpath(root / "src" / changed))
    found = reached(packages, inputs, [path], harmless=lambda path: path.suffix == ".md")
    assert {name.removeprefix("m/"): why.how for name, why in found.items()} == expected
    assert all(why.path == path for why in found.values())


@pytest.mark.parametrize(
    "changed", ["../README.md", "cmd/main.go", "store/x.txt", "store/store_test.go"]
)
def test_who_looks_around_is_reached_by_everything(root: Path, changed: str) -> None:
    packages, inputs = project(root / "src")
    path = Path(os.path.normpath(root / "src" / changed))
    found = reached(
        packages,
        inputs,
        [path],
        beyond=lambda place, tests: "x_test.go" if tests and place.name == "tool" else "",
    )
    assert found["m/tool"].how == "x_test.go looks beyond its directory"
    assert "m/free" not in found


def test_a_helper_that_looks_around_does_so_for_all_who_import_it(root: Path) -> None:
    packages, inputs = project(root)
    asked = set()

    def beyond(place: Path, tests: bool) -> str:
        asked.add((place.name, tests))
        return "golden.go" if place.name == "store" and not tests else ""

    found = reached(packages, inputs, [root / "cmd" / "main.go"], beyond=beyond)
    assert {name: why.how for name, why in found.items()} == {
        "m/api": "golden.go looks beyond its directory",
        "m/store": "golden.go looks beyond its directory",
    }
    assert asked >= {("api", True), ("store", False), ("tool", True)}
    assert ("api", False) in asked  # of its own directory


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("one.go", "its source"),
        ("README", "in its directory"),
        ("testdata/x", "in its directory"),
        # It may read all that lies below it, other packages too.
        ("configs/x.yaml", "below its directory"),
        ("store/store.go", "below its directory"),
        ("store/testdata/x", "below its directory"),
    ],
)
def test_a_package_at_the_root(root: Path, changed: str, expected: str) -> None:
    packages, inputs = project(root)
    packages["m"] = Package("m", "m", str(root), str(root))
    inputs["m"] = {f"file {root}/go.mod", f"dir {root}"}
    found = reached(packages, inputs, [root / changed])
    assert found["m"].how == expected
    # What lies at the root in no package's directory is not the root's alone.
    assert ("m/tool" in found) is (changed == "configs/x.yaml")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("store/gen.go", {"store": "its source", "api": "it imports m/store"}),
        ("store/sql/two.sql", {"store": "embedded", "api": "embedded in m/store"}),
        ("store/sql/", {"store": "embedded", "api": "embedded in m/store"}),
        ("store/", dict.fromkeys(("store", "api"), "a directory with a part of it")),
        ("tool/", {"tool": "a directory with a part of it"}),
        ("tool/testdata/", {"tool": "in its testdata"}),
        ("tool/testdata/out/", {"tool": "in its testdata"}),
        ("tool/testdata/x.golden", {"tool": "in its testdata"}),
        ("tool/__pycache__/", {}),
        ("tool/coverage.out", {}),
        ("node_modules/", {}),
        (".env", {}),
    ],
)
def test_what_git_ignores_may_have_changed(root: Path, name: str, expected: dict[str, str]) -> None:
    packages, inputs = project(root)
    path = root / name
    if name.endswith("/"):
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = reached(packages, inputs, [], unknown=[path])
    assert {one.removeprefix("m/"): why.how for one, why in found.items()} == {
        one: f"{how}, and git does not keep it" for one, how in expected.items()
    }


def test_a_package_that_go_cannot_tell_of_runs(root: Path) -> None:
    packages, inputs = project(root)
    del inputs["m/tool"]
    found = reached(packages, inputs, [root / "api" / "api.go"])
    assert found["m/tool"].how == "go cannot tell what it is made of"


def test_a_submodule_stands_for_all_in_it(root: Path) -> None:
    packages, inputs = project(root / "sub")
    (root / "sub").mkdir()
    found = reached(packages, inputs, [root / "sub"])
    assert {why.how for why in found.values()} == {"a directory with a part of it"}
    assert len(found) == 3


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
        (b'root, _ := filepath.Abs(".")', True),
        (b'import "go/build"', True),
        (b'import "golang.org/x/tools/go/packages"', True),
        (b'os.StartProcess("/usr/bin/go", nil, nil)', True),
        (b'#include "../../c/impl.inc"', True),
        (b'import "go/ast"', False),
        (b'os.ReadFile("testdata/x")', False),
        (b"args...", False),
        (b'fmt.Println("and so on..")', False),
        (b'x() // os.Getwd() is not what we want, nor "../data"', False),
        (b'/* exec.Command, "os/exec",\n"../x" */ x()', False),
        (b'u := "http://x/y"; f("../data")', True),  # what begins in a string is no comment
        (b'u := `/*`; f("../data"); v := `*/`', True),
        (b'c := \'"\'; f("../data") // "', True),
        (b'/*\n#include "../x.h"\n*/\nimport "C"', True),  # which cgo compiles
        (b'if strings.Contains(path, "..") { t.Fatal(path) }', False),
        (b'ok := strings.HasPrefix(filepath.Clean(p), "../")', False),
        (b'open(strings.TrimPrefix("../x", p))', True),
        (b'open(strings.ReplaceAll(p, "a", "../"))', True),
        (b'strings.Contains(p, ".."); os.Open("../data")', True),
    ],
)
def test_looks_beyond(source: bytes, expected: bool) -> None:
    assert looks_beyond(source) is expected


# git


def test_a_repository_named_by_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to where pytest was started, not to the directory that is asked about."""
    repository = Repository(root / "files")
    repository.write("sub/a.txt")
    repository.commit()
    (root / "files/.git").rename(root / "elsewhere")
    repository.write("sub/a.txt", "changed")
    monkeypatch.chdir(root)
    monkeypatch.setenv("GIT_DIR", "elsewhere")
    monkeypatch.setenv("GIT_WORK_TREE", "files")
    found = change(root / "files/sub", "HEAD")
    assert [path.name for path in found.paths] == ["a.txt"]


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


@pytest.mark.parametrize("given", [".git", "absolute"])
def test_in_a_hook_of_git(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """git tells its hooks where its directory is: from a directory below that would be another place, or all there is."""
    repository.write("edited", "otherwise")
    below = repository.write("sub/file").parent
    place = ".git" if given == ".git" else str(repository.root / ".git")
    for name, value in (
        ("GIT_DIR", place),
        ("GIT_INDEX_FILE", f"{place}/index"),
        ("GIT_PREFIX", ""),
    ):
        monkeypatch.setenv(name, value)
    found = change(below, None)
    assert found.top == repository.root
    assert {path.name for path in found.paths} == {"edited", "file"}


def test_a_work_tree_that_was_named(
    repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository.root / ".git").rename(root / "elsewhere")
    repository.write("edited", "otherwise")
    monkeypatch.setenv("GIT_DIR", str(root / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository.root))
    assert {path.name for path in change(repository.root, None).paths} == {"edited"}


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


def test_a_link_to_what_changed_has_changed(repository: Repository, root: Path) -> None:
    repository.write("shared/data/x")
    repository.write("shared/one.go")
    repository.write("other/untouched")
    for name, target in {
        "a/testdata": "../shared/data",
        "a/one.go": "../shared/one.go",
        "b/data": "../a/testdata",
        "b/nowhere": "../gone",
        "b/itself": "itself",
        "c/other": "../other",
    }.items():
        link = repository.root / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
    repository.commit()
    repository.write("shared/data/x", "otherwise")
    repository.write("shared/one.go", "otherwise")
    assert repository.changed("HEAD") == {
        "shared/data/x", "a/testdata/x", "b/data/x", "shared/one.go", "a/one.go",
    }  # fmt: skip
    # One that git does not know yet, and a link that leads elsewhere now.
    (repository.root / "d").symlink_to("shared/data")
    (repository.root / "c" / "other").unlink()
    (repository.root / "c" / "other").symlink_to("../shared")
    assert repository.changed("HEAD") == {
        "shared/data/x", "a/testdata/x", "b/data/x", "shared/one.go", "a/one.go", "d", "d/x",
        "c/other", "c/other/data/x", "c/other/one.go",
    }  # fmt: skip


def test_what_git_ignores_behind_a_link_or_in_a_submodule(
    repository: Repository, root: Path
) -> None:
    repository.write(".gitignore", "build/\n")
    for name, target in {"a/gen.go": "../build/gen.go", "a/out": "../../outside"}.items():
        link = repository.root / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
    other = Repository(root / "other")
    other.write(".gitignore", "gen.go\n")
    other.commit()
    add = ("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.root), "sub")
    repository.git(*add)
    repository.commit()
    repository.write("build/gen.go")
    repository.write("sub/gen.go")
    found = change(repository.root, "HEAD")
    assert {path.relative_to(found.top).as_posix() for path in found.ignored} == {
        "build", "a/gen.go", "a/out", "sub/gen.go",
    }  # fmt: skip


def test_what_git_was_told_not_to_look_at(repository: Repository) -> None:
    repository.git("update-index", "--assume-unchanged", "same")
    repository.git("update-index", "--skip-worktree", "edited")
    found = change(repository.root, "HEAD")
    assert {path.name for path in found.ignored} == {"same", "edited"}


def test_a_tag_of_the_branchs_name(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    repository.write("edited", "on the branch")
    repository.commit()
    repository.git("tag", "main")
    assert repository.changed() == {"edited"}


def test_on_the_default_branch_it_says_so(repository: Repository) -> None:
    assert change(repository.root, None).since.endswith("which HEAD is: only what is not committed")


def test_nothing_is_committed_yet(root: Path) -> None:
    need_git()
    with pytest.raises(ChangeError, match="nothing is committed yet"):
        change(Repository(root / "new").root, None)


def test_many_changes_and_many_links(repository: Repository) -> None:
    """Each link to a directory in which something changed, and no other."""
    repository.write("data/x")
    for number in range(50):
        repository.write(f"other{number}/x")
        (repository.root / f"link{number}").symlink_to("data" if number == 7 else f"other{number}")
    repository.commit()
    repository.write("data/x", "otherwise")
    assert repository.changed("HEAD") == {"data/x", "link7/x"}


def test_what_git_ignores(repository: Repository) -> None:
    repository.write(".gitignore", "gen/\n*.log\n")
    repository.write("deep/kept")
    repository.commit()
    repository.write("gen/x.go")
    repository.write("deep/gen/y.go")
    repository.write("same.log")
    found = change(repository.root, None)
    assert found.paths == ()
    assert {path.relative_to(found.top).as_posix() for path in found.ignored} == {
        "gen", "deep/gen", "same.log",
    }  # fmt: skip


def test_a_repository_reached_through_a_link(repository: Repository, root: Path) -> None:
    repository.write("edited", "otherwise")
    (root / "link").symlink_to(repository.root)
    found = change(root / "link", None)
    assert found.paths == (repository.root / "edited",)
    assert Change.from_data(found.as_data(root / "link"), root / "link") == found


def test_as_told_to_a_worker_elsewhere(root: Path) -> None:
    odd = os.fsdecode(b"\xff.txt")
    one = Change("main (abc)", root, (root / "a" / odd, root.parent / "beside"), (root / "gen",))
    data = one.as_data(root)
    execnet.dumps(data)  # which refuses text that is not Unicode
    there = Change.from_data(data, Path("/elsewhere/src"))
    below = Path("/elsewhere/src")
    paths = (below / "a" / odd, Path("/elsewhere/beside"))
    assert there == Change("main (abc)", below, paths, (below / "gen",))
