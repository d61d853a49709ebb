"""Which go command is found, what it says of itself, and how it refuses a module."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_gotest._errors import DiscoveryError, ToolchainError
from pytest_gotest._toolchain import GoEnv, Package, Toolchain, find_go

GO = find_go()


def fake_go(directory: Path) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    go = directory / "go"
    go.write_text("#!/bin/sh\n")
    go.chmod(0o755)
    return str(go)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without go: the usual places are looked at and found empty."""
    which = shutil.which

    def only_here(command: str, path: str) -> str | None:
        inside = [place for place in path.split(os.pathsep) if place.startswith(str(tmp_path))]
        return which(command, path=os.pathsep.join(inside)) if inside else None

    monkeypatch.setattr(shutil, "which", only_here)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "bin" / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    return tmp_path


def module(root: Path, **files: str) -> str:
    root.mkdir(exist_ok=True)
    for name, text in {"go.mod": "module example.com/m\n\ngo 1.22\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


TEST_FILE = 'package {}\n\nimport "testing"\n\nfunc TestA(t *testing.T) {{}}\n'


# The command


def test_path_comes_first(nowhere: Path) -> None:
    found = fake_go(nowhere / "on-path")
    fake_go(nowhere / "python" / "bin")
    fake_go(nowhere / "goroot" / "bin")
    environ = {"PATH": str(nowhere / "on-path"), "GOROOT": str(nowhere / "goroot")}
    assert find_go(environ) == found


@pytest.mark.parametrize("place", ["python/bin", "scripts", "goroot/bin"])
def test_it_is_found_where_python_or_goroot_have_it(nowhere: Path, place: str) -> None:
    found = fake_go(nowhere / place)
    assert find_go({"PATH": "", "GOROOT": str(nowhere / "goroot")}) == found


def test_a_relative_path_entry_gives_an_absolute_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fake_go(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)
    assert find_go({"PATH": "bin"}) == found


def test_without_one_the_error_lists_the_places_and_says_how_to_get_one(nowhere: Path) -> None:
    with pytest.raises(ToolchainError) as caught:
        find_go({"PATH": "", "GOROOT": str(nowhere / "goroot")})
    for place in ("python/bin", "scripts", "goroot/bin"):
        assert str(nowhere / place) in caught.value.message
    assert "/usr/local/go/bin" in caught.value.message
    assert "pip install 'pytest-gotest[go]'" in caught.value.hint


def test_no_environment_at_all_is_no_traceback(nowhere: Path) -> None:
    with pytest.raises(ToolchainError):
        find_go({})


# Its environment


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("go1.26.8", (1, 26)),
        ("go1.22", (1, 22)),
        ("go1.27rc1", (1, 27)),
        ("go1.9beta2", (1, 9)),
        ("go1.25.5 X:nocoverageredesign", (1, 25)),
        ("go1.24.1-custom", (1, 24)),
        ("devel go1.28-1a2b3c Mon Nov 1", (1, 28)),
        ("devel +1a2b3c Mon Nov 1", (1, 99)),
        ("", (1, 99)),
    ],
)
def test_versions_are_read_by_their_first_two_numbers(said: str, version: tuple[int, int]) -> None:
    env = GoEnv(said, "/go", "linux", "amd64", "", "", True, "cc")
    assert env.version == version


def test_go_is_asked_once_for_each_module(tmp_path: Path) -> None:
    toolchain = Toolchain(GO, dict(os.environ))
    root = module(tmp_path / "m")
    first = toolchain.env(root)
    assert first.version >= (1, 22)
    assert os.path.isdir(os.path.join(first.goroot, "src"))
    assert toolchain.env(root) is first


def test_go_mod_chooses_the_toolchain_of_its_module(tmp_path: Path) -> None:
    toolchain = Toolchain(GO, {**os.environ, "GOTOOLCHAIN": "go1.22.12+auto"})
    chosen = "module example.com/m\n\ngo 1.22\n\ntoolchain go1.23.12\n"
    roots = [module(tmp_path / "a"), module(tmp_path / "b", **{"go.mod": chosen})]
    assert [toolchain.env(root).version for root in roots] == [(1, 22), (1, 23)]


@pytest.mark.parametrize("toolchain", ["local", "auto"])
def test_a_go_that_cannot_be_had_is_told_with_what_to_do(tmp_path: Path, toolchain: str) -> None:
    file = "module example.com/m\n\ngo 1.99\n"
    root = module(tmp_path / "m", **{"go.mod": file, "a/a_test.go": TEST_FILE.format("a")})
    environ = {**os.environ, "GOTOOLCHAIN": toolchain, "GOPROXY": "off"}
    asks: list[Callable[[], object]] = [
        lambda: Toolchain(GO, environ).packages(root, ["./..."], [])
    ]
    if toolchain == "auto":  # a local go answers `go env` for any module
        asks.append(lambda: Toolchain(GO, environ).env(root))
    for ask in asks:
        with pytest.raises(ToolchainError) as caught:
            ask()
        assert root in caught.value.message
        assert "1.99" in caught.value.message
        assert "GOTOOLCHAIN" in caught.value.hint


# The packages


def test_packages_with_tests_are_listed_with_what_a_session_needs(tmp_path: Path) -> None:
    root = module(
        tmp_path / "m",
        **{
            "m_test.go": TEST_FILE.format("m"),
            "a/a.go": "package a\n",
            "a/a_test.go": TEST_FILE.format("a"),
            "a/a_ext_test.go": TEST_FILE.format("a_test").replace("TestA", "TestB"),
            "a/off_test.go": "//go:build never\n\n" + TEST_FILE.format("a"),
            "outside/outside_test.go": TEST_FILE.format("outside_test"),
            "untested/untested.go": "package untested\n",
            "vendor/example.com/x/x_test.go": TEST_FILE.format("x"),
        },
    )
    found = Toolchain(GO, {**os.environ, "GOFLAGS": "-mod=mod"}).packages(root, ["./..."], [])
    assert found == [
        Package("example.com/m", "m", root, root, ("m_test.go",)),
        Package(
            "example.com/m/a",
            "a",
            f"{root}/a",
            root,
            test_files=("a_test.go",),
            xtest_files=("a_ext_test.go",),
            ignored_files=("off_test.go",),
        ),
        Package(
            "example.com/m/outside",
            "outside",
            f"{root}/outside",
            root,
            xtest_files=("outside_test.go",),
        ),
    ]
    assert [package.pattern for package in found] == [".", "./a", "./outside"]
    assert [Package.from_dict(package.to_dict()) for package in found] == found


def test_flags_choose_the_files(tmp_path: Path) -> None:
    tagged = "//go:build slow\n\n" + TEST_FILE.format("a")
    root = module(tmp_path / "m", **{"a/a.go": "package a\n", "a/a_test.go": tagged})
    toolchain = Toolchain(GO, dict(os.environ))
    without, with_tag = (toolchain.packages(root, ["./..."], f) for f in ([], ["-tags=slow"]))
    assert (without[0].test_files, without[0].ignored_files) == ((), ("a_test.go",))
    assert (with_tag[0].test_files, with_tag[0].ignored_files) == (("a_test.go",), ())


def test_a_package_that_cannot_be_loaded_carries_gos_words(tmp_path: Path) -> None:
    root = module(
        tmp_path / "m",
        **{
            "two/a_test.go": TEST_FILE.format("one"),
            "two/b_test.go": TEST_FILE.format("two"),
            "with space/a_test.go": TEST_FILE.format("a"),
            "sound/a_test.go": TEST_FILE.format("a"),
        },
    )
    found = Toolchain(GO, dict(os.environ)).packages(root, ["./..."], [])
    errors = {package.import_path.partition("/m/")[2]: package.error for package in found}
    assert "found packages one (a_test.go) and two (b_test.go)" in errors["two"]
    assert "malformed import path" in errors["with space"]
    assert errors["sound"] == ""


@pytest.mark.parametrize(
    ("file", "environ", "said"),
    [
        ("module example.com/m\n\nnonsense\n", {}, "unknown directive: nonsense"),
        ("module example.com/m\n\ngo 1.22\n", {"GOFLAGS": "-mod=nonsense"}, "nonsense"),
    ],
    ids=["go.mod", "GOFLAGS"],
)
def test_a_module_that_cannot_be_read_is_an_error_with_gos_words(
    tmp_path: Path, file: str, environ: dict[str, str], said: str
) -> None:
    root = module(tmp_path / "m", **{"go.mod": file, "a/a_test.go": TEST_FILE.format("a")})
    with pytest.raises(DiscoveryError, match=said) as caught:
        Toolchain(GO, {**os.environ, **environ}).packages(root, ["./..."], [])
    assert root in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOFLAGS", "-tags=x"),
        ("GOEXPERIMENT", "rangefunc"),
        ("GOAMD64", "v3"),
        ("GOTOOLCHAIN", "go1.22.12"),
        ("GODEBUG", "x509sha1=1"),
        ("CGO_ENABLED", "0"),
        ("CGO_CFLAGS", "-O1"),
        ("CC", "clang"),
        ("PKG_CONFIG_PATH", "/x"),
    ],
)
def test_a_fingerprint_tells_environments_apart(tmp_path: Path, name: str, value: str) -> None:
    environ = {**os.environ, "GOWORK": "off"}
    before = Toolchain(GO, environ).fingerprint(str(tmp_path))
    assert Toolchain(GO, {**environ, name: value}).fingerprint(str(tmp_path)) != before


def test_a_fingerprint_tells_the_compilers_on_the_path_apart(tmp_path: Path) -> None:
    compiler = tmp_path / "bin" / "gcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    environ = {**os.environ, "GOWORK": "off", "PATH": "/nowhere"}
    before = Toolchain(GO, environ).fingerprint(str(tmp_path))
    environ["PATH"] = str(compiler.parent)
    assert Toolchain(GO, environ).fingerprint(str(tmp_path)) != before


@pytest.mark.parametrize("name", ["GOMAXPROCS", "GOTEST_X", "GOTRACEBACK", "LANG", "DATABASE_URL"])
def test_a_fingerprint_knows_no_variable_that_steers_no_build(tmp_path: Path, name: str) -> None:
    before = Toolchain(GO, dict(os.environ)).fingerprint(str(tmp_path))
    assert Toolchain(GO, {**os.environ, name: "5"}).fingerprint(str(tmp_path)) == before


def test_what_go_env_says_is_remembered_until_something_it_depends_on_changes(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    go = tmp_path / "go"
    go.write_text(f'#!/bin/sh\necho "$2" >> {log}\nexec {GO} "$@"\n')
    go.chmod(0o755)
    root = tmp_path / "m"
    root.mkdir()
    (root / "go.mod").write_text("module m\n\ngo 1.22\n")
    environ = dict(os.environ)

    def ask() -> tuple[str, int]:
        log.unlink(missing_ok=True)
        env = Toolchain(str(go), environ, tmp_path / "cache").env(str(root))
        return env.gowork, log.read_text().split().count("-json")

    assert [ask()[1], ask()[1]] == [1, 0]
    (tmp_path / "go.work").write_text("go 1.22\n\nuse ./m\n")
    assert ask() == (str(tmp_path / "go.work"), 1)
    environ["GOFLAGS"] = "-tags=x"
    assert ask()[1] == 1
    for kept in (tmp_path / "cache" / "env").iterdir():
        kept.write_text("{")
    assert [ask()[1], ask()[1]] == [1, 0]


def test_a_shim_is_asked_which_go_it_starts(tmp_path: Path) -> None:
    """asdf, goenv and their like: one and the same command, another Go."""
    shim = tmp_path / "go"
    shim.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/other ] && export GOTOOLCHAIN=go1.22.12\nexec {GO} "$@"\n'
    )
    shim.chmod(0o755)
    root = tmp_path / "m"
    root.mkdir()
    (root / "go.mod").write_text("module m\n\ngo 1.22\n")

    def version() -> tuple[str, str]:
        toolchain = Toolchain(str(shim), dict(os.environ), tmp_path / "cache")
        return toolchain.env(str(root)).goversion, toolchain.fingerprint(str(root))

    before = version()
    assert version() == before
    (tmp_path / "other").touch()
    after = version()
    assert after[0] == "go1.22.12"
    assert after[1] != before[1]


def test_what_go_env_says_is_kept_for_the_state_it_was_asked_in(tmp_path: Path) -> None:
    """Settings that change between two looks at them: neither answer may stand for the other state."""
    root = tmp_path / "m"
    root.mkdir()
    (root / "go.mod").write_text("module m\n\ngo 1.22\n")
    settings = tmp_path / "env"
    environ = {**os.environ, "GOENV": str(settings), "GOFLAGS": ""}
    del environ["GOFLAGS"]

    def flags(toolchain: Toolchain) -> str:
        return toolchain.env(str(root)).goflags

    settings.write_text("GOFLAGS=-tags=one\n")
    early = Toolchain(GO, environ, tmp_path / "cache")
    early.fingerprint(str(root))
    settings.write_text("GOFLAGS=-tags=two\n")
    assert flags(early) == "-tags=two"
    settings.write_text("GOFLAGS=-tags=one\n")
    assert flags(Toolchain(GO, environ, tmp_path / "cache")) == "-tags=one"


def test_a_go_work_that_a_variable_names_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    work = tmp_path / "elsewhere.work"
    work.write_text("go 1.22\n")
    environ = {**os.environ, "GOWORK": str(work)}
    before = Toolchain(GO, environ).fingerprint(str(tmp_path))
    work.write_text("go 1.23\n")
    assert Toolchain(GO, environ).fingerprint(str(tmp_path)) != before
