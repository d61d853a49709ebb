"""Building: what go says and whom it blames, where binaries lie, and that no stale one ever runs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gomodule import Module

from pytest_gotest import _harness, _manifest
from pytest_gotest._build import Builder, Built, executable, rounds
from pytest_gotest._complaints import complaints
from pytest_gotest._flags import Flags
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import Package, Toolchain, find_go


def test_complaints_stand_under_their_headings() -> None:
    found, rest = complaints(
        "go: downloading x v1\n"
        "# example.com/a [example.com/a.test]\n"
        "a_test.go:3:1: undefined: x\n"
        "\tmore\n"
        "# example.com/b\n"
        "# [example.com/b]\n"
        "b_test.go:5:2: vet says so\n"
        "FAIL\texample.com/a [build failed]\n"
    )
    assert [(c.package, c.vet) for c in found] == [
        ("example.com/a", False),
        ("example.com/b", True),
    ]
    assert found[0].text == "a_test.go:3:1: undefined: x\n\tmore"
    assert found[1].text == "b_test.go:5:2: vet says so"
    assert rest == "go: downloading x v1"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("example.com/a/b", "b.test"),
        ("example.com/a/v2", "a.test"),
        ("example.com/a/v1", "v1.test"),
        ("example.com/a/v10", "a.test"),
        ("v2", "v2.test"),
    ],
)
def test_a_binary_has_the_name_that_go_gives_it(path: str, name: str) -> None:
    assert executable(path) == name


def test_equal_names_build_in_rounds_that_do_not_depend_on_the_selection() -> None:
    everyone = [Package(path, "util", f"/m/{path}", "/m") for path in ("a/util", "b/util", "c")]
    assert [len(group) for group in rounds(everyone, everyone).values()] == [2, 1]
    assert list(rounds([everyone[1]], everyone)) == [1]


@pytest.fixture
def module(tmp_path: Path) -> Module:
    return Module(tmp_path)


def test_a_second_build_writes_nothing(module: Module) -> None:
    module.test_file("a/a_test.go")
    assert module.build().fresh == 1
    again = module.build()
    assert (again.fresh, list(again.binaries), again.errors) == (0, ["example.com/m/a"], {})


def test_nothing_is_written_into_the_module(module: Module) -> None:
    module.test_file("a/a_test.go")
    before = sorted(module.root.rglob("*"))
    module.build()
    assert sorted(module.root.rglob("*")) == before


def test_a_stale_binary_is_gone_when_its_package_no_longer_builds(module: Module) -> None:
    module.test_file("a/a_test.go")
    module.test_file("b/b_test.go")
    binary = Path(module.build().binaries["example.com/m/a"].path)
    assert binary.exists()
    module.test_file("a/a_test.go", "undefinedName()")
    built = module.build()
    assert "a_test.go:6:2: undefined: undefinedName" in str(built.errors["example.com/m/a"])
    assert not binary.exists()
    assert list(built.binaries) == ["example.com/m/b"]


MANY = 'package a\n\nimport (\n\t"testing"\n\n\t_ "{}"\n)\n\nfunc TestA(t *testing.T) {{}}\n'
CYCLE = {
    "a/a.go": 'package a\n\nimport _ "example.com/m/c"\n',
    "c/c.go": 'package c\n\nimport _ "example.com/m/a"\n',
}
# What is wrong with package a -> its files, and what its error says.
FAULTS = {
    "compile": ({"a/a_test.go": "package a\n\nvar x = y\n"}, "a_test.go:3:9: undefined: y"),
    "syntax": ({"a/a_test.go": "package a\n\nfunc {\n"}, "a_test.go:3:6: expected 'IDENT'"),
    "missing-import": (
        {"a/a_test.go": MANY.format("example.com/x/y")},
        "a_test.go:6:2: no required module provides",
    ),
    "import-cycle": (CYCLE, "import cycle not allowed"),
    "test-import-cycle": (
        {
            "a/a_test.go": MANY.format("example.com/m/c"),
            "a/a.go": "package a\n",
            "c/c.go": CYCLE["c/c.go"],
        },
        "import cycle not allowed in test",
    ),
    "dependency": (
        {"a/a_test.go": MANY.format("example.com/m/c"), "c/c.go": "package c\n\nvar x = y\n"},
        "c.go:3:9: undefined: y",
    ),
    "internal": (
        {
            "a/a_test.go": MANY.format("example.com/m/b/internal/c"),
            "b/internal/c/c.go": "package c\n",
        },
        "use of internal package example.com/m/b/internal/c not allowed",
    ),
    "signature": (
        {"a/a_test.go": 'package a\n\nimport "testing"\n\nfunc TestA(t *testing.T, n int) {}\n'},
        "wrong signature for TestA",
    ),
    "two-packages": (
        {"a/z_test.go": "package z\n"},
        "found packages a (a_test.go) and z (z_test.go)",
    ),
}


@pytest.mark.parametrize("version", ["local", "go1.22.12"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_on_its_package_and_no_stale_binary_is_left(
    module: Module, fault: str, version: str
) -> None:
    if version != "local":
        module.toolchain = Toolchain(find_go(), {**os.environ, "GOTOOLCHAIN": version})
    module.test_file("a/a_test.go")
    module.test_file("b/b_test.go", 'println("the first b")')
    assert not module.build().errors
    files, said = FAULTS[fault]
    for name, text in files.items():
        module.write(name, text)
    module.test_file("b/b_test.go", 'println("the second b")')
    built = module.build()
    assert said in str(built.errors.pop("example.com/m/a"))
    if (fault, version) == ("import-cycle", "go1.22.12"):
        # That go gives up on all packages, and says why.
        assert said in str(built.errors.pop("example.com/m/b"))
        assert built.binaries == {}
    else:
        assert list(built.binaries) == ["example.com/m/b"]
        content = Path(built.binaries["example.com/m/b"].path).read_bytes()
        assert b"the second b" in content
    assert not built.errors


def test_of_a_go_that_was_killed_no_binary_is_believed(module: Module, tmp_path: Path) -> None:
    module.test_file("a/a_test.go")
    module.test_file("b/b_test.go")
    assert len(module.build().binaries) == 2
    killed = tmp_path / "go"
    killed.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "test -c" ] || exec {find_go()} "$@"\n'
        'echo "# example.com/m/a"; echo "a_test.go:1:1: half a word"; kill -KILL $$\n'
    )
    killed.chmod(0o755)
    module.toolchain = Toolchain(str(killed), dict(os.environ))
    built = module.build()
    assert built.binaries == {}
    assert "half a word" in str(built.errors["example.com/m/a"])
    assert "exit -9" in str(built.errors["example.com/m/b"])
    assert not list(module.cache.rglob("*.test"))


def test_a_newcomer_with_the_same_last_element_takes_no_ones_place(module: Module) -> None:
    module.test_file("b/util/u_test.go", 'println("of b")', package="util")
    module.build()
    module.test_file("a/util/u_test.go", 'println("of a")', package="util")
    binaries = module.build().binaries
    for name in ("a", "b"):
        content = Path(binaries[f"example.com/m/{name}/util"].path).read_bytes()
        assert f"of {name}".encode() in content
    module.test_file("a/util/u_test.go", "undefinedName()", package="util")
    built = module.build()
    assert list(built.errors) == ["example.com/m/a/util"]
    assert b"of b" in Path(built.binaries["example.com/m/b/util"].path).read_bytes()


def test_paths_may_have_blanks_and_letters_beyond_ascii(tmp_path: Path) -> None:
    base = tmp_path / 'mit Räumen, "so" = ü'
    base.mkdir()
    module = Module(base)
    module.test_file("a/a_test.go")
    module.test_file("grün/g_test.go", package="g")
    built = module.build()
    assert Path(built.binaries["example.com/m/a"].path).exists()
    # No import path of Go's: its own words.
    assert "malformed import path" in str(built.errors["example.com/m/grün"])


@pytest.mark.parametrize(
    ("build_args", "goflags", "flags"),
    [
        ((), "", ["-ldflags=-w"]),
        (("-ldflags=-X a.b=c",), "", ["-ldflags=-X a.b=c -w"]),
        (("-ldflags=-w",), "", ["-ldflags=-w"]),
        (("-ldflags=example.com/m=-s",), "", ["-ldflags=example.com/m=-s"]),
        ((), "-ldflags=-s", []),
        ((), "'-ldflags=-X a.b=c'", []),
        (("-overlay=x.json", "-trimpath"), "", ["-trimpath", "-ldflags=-w"]),
        (("-overlay", "x.json", "-trimpath"), "", ["-trimpath", "-ldflags=-w"]),
    ],
)
def test_flags_are_the_users_and_no_debug_information(
    module: Module, build_args: tuple[str, ...], goflags: str, flags: list[str]
) -> None:
    toolchain = Toolchain(find_go(), {**os.environ, "GOFLAGS": goflags})
    settings = Settings(cache_dir=module.cache, build_args=build_args)
    assert Flags(settings, toolchain.env(str(module.root)).goflags).build == flags


@pytest.mark.parametrize("spelling", ["one word", "two words", "GOFLAGS"])
def test_the_users_ldflags_reach_the_linker(module: Module, spelling: str) -> None:
    module.write("a/a.go", "package a\n\nvar version string\n")
    module.test_file("a/a_test.go", 'if version != "7" {\n\t\tt.Fatal(version)\n\t}')
    value = "-X example.com/m/a.version=7"
    arguments: tuple[str, ...] = ()
    if spelling == "GOFLAGS":
        environ = {**os.environ, "GOFLAGS": f"'-ldflags={value}'"}
        module.toolchain = Toolchain(find_go(), environ)
    else:
        arguments = (f"-ldflags={value}",) if spelling == "one word" else ("-ldflags", value)
    binary = module.build(build_args=arguments).binaries["example.com/m/a"]
    subprocess.run([binary.path], check=True)


def test_a_broken_dependency_is_told_on_those_that_import_it(module: Module) -> None:
    module.write("dep/dep.go", "package dep\n\nfunc X() { y }\n")
    module.write(
        "user/user_test.go",
        'package user\n\nimport (\n\t"testing"\n\n\t"example.com/m/dep"\n)\n\n'
        "func TestA(t *testing.T) { dep.X() }\n",
    )
    module.test_file("other/other_test.go")
    built = module.build()
    assert list(built.errors) == ["example.com/m/user"]
    assert "its dependency example.com/m/dep does not build" in str(
        built.errors["example.com/m/user"]
    )
    assert list(built.binaries) == ["example.com/m/other"]


@pytest.mark.parametrize("version", ["", "go1.22.12"])
def test_vet_refuses_also_where_it_cannot_see_the_overlay(
    module: Module, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version:
        module.toolchain = Toolchain(find_go(), {**os.environ, "GOTOOLCHAIN": version})
    module.test_file("a/a_test.go", 't.Logf("%d", "x")')
    module.test_file("b/b_test.go")
    built = module.build()
    assert "vet refuses example.com/m/a" in str(built.errors["example.com/m/a"])
    assert list(built.binaries) == ["example.com/m/b"]
    assert not module.build(build_args=("-vet=off",)).errors


def test_equal_last_path_elements_are_two_binaries(module: Module) -> None:
    module.test_file("a/util/u_test.go", package="util")
    module.test_file("b/util/u_test.go", package="util")
    paths = [binary.path for binary in module.build().binaries.values()]
    assert len(set(paths)) == 2


def test_the_users_own_overlay_stays_in_force(module: Module) -> None:
    module.test_file("a/a_test.go", "undefinedName()")
    module.write("fixed.txt", 'package a\n\nimport "testing"\n\nfunc TestA(t *testing.T) {}\n')
    replaced = {str(module.root / "a/a_test.go"): str(module.root / "fixed.txt")}
    overlay = module.root / "overlay.json"
    overlay.write_text(json.dumps({"Replace": replaced}))
    assert module.build().errors
    assert not module.build(build_args=(f"-overlay={overlay}",)).errors


SHARED, EACH = b"zz_gotest_harness_main.go", b"_test.gotestRefuse"


def downloaded() -> str:
    """A version of Go that is not the one installed, and as new as those that refuse the shared harness."""
    installed = Toolchain(find_go(), {**os.environ, "GOTOOLCHAIN": "local"}).env("/").goversion
    return "go1.25.5" if installed == "go1.27.3" else "go1.27.3"


def form(built: Built, path: str) -> str:
    """How the harness is in a binary, told by its file or the names of its functions."""
    assert not built.errors
    content = Path(built.binaries[path].path).read_bytes()
    return "shared" if SHARED in content else "each" if EACH in content else "none"


def calls(module: Module, tmp_path: Path, version: str = "local") -> Path:
    """A file that gets a line for every `go test` from here on."""
    log, counting = tmp_path / "log", tmp_path / "go"
    log.touch()
    counting.write_text(
        f'#!/bin/sh\n[ "$1" != test ] || echo "$@" >> {log}\nexec {find_go()} "$@"\n'
    )
    counting.chmod(0o755)
    module.toolchain = Toolchain(str(counting), {**os.environ, "GOTOOLCHAIN": version})
    return log


FORMS = {
    "internal": ({"a/a.go": "package a\n"}, "package a"),
    "external": ({"a/a.go": "package a\n"}, "package a_test"),
    "only external": ({}, "package a_test"),
    "main": ({"a/a.go": "package main\n\nfunc main() {}\n"}, "package main"),
    "named as a test": ({"a/a.go": "package a_test\n"}, "package a_test_test"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_the_harness_is_one_package_for_all(module: Module, kind: str, tmp_path: Path) -> None:
    files, clause = FORMS[kind]
    for name, text in files.items():
        module.write(name, text)
    module.test_file("a/a_test.go", package=clause.removeprefix("package "))
    log = calls(module, tmp_path)
    assert form(module.build(), "example.com/m/a") == "shared"
    assert len(log.read_text().splitlines()) == 1


def test_a_go_that_knows_no_package_of_young_files_shares_the_harness_too(
    module: Module, tmp_path: Path
) -> None:
    """Go 1.23 and 1.24 index no directory of GOROOT whose files are younger than two seconds."""
    module.test_file("a/a_test.go")
    log = calls(module, tmp_path, "go1.24.10")
    assert form(module.build(), "example.com/m/a") == "shared"
    assert len(log.read_text().splitlines()) == 1


def test_a_downloaded_toolchain_gets_the_harness_in_each_package(
    module: Module, tmp_path: Path
) -> None:
    module.test_file("a/a_test.go")
    log = calls(module, tmp_path, downloaded())
    assert form(module.build(), "example.com/m/a") == "each"
    assert len(log.read_text().splitlines()) == 1


def test_a_go_that_refuses_the_shared_harness_gets_it_in_each_package(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_harness, "may_share", lambda *args, **named: True)
    module.test_file("a/a_test.go")
    module.test_file("b/b_test.go", "undefinedName()")
    log = calls(module, tmp_path, downloaded())
    built = module.build()
    error = str(built.errors.pop("example.com/m/b"))
    assert "b_test.go:6:2: undefined: undefinedName" in error
    assert "GOMODCACHE" not in error
    assert form(built, "example.com/m/a") == "each"
    assert built.binaries["example.com/m/a"].plain == ""
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize("flag", ["argument", "GOFLAGS"])
def test_coverage_of_other_packages_does_not_meet_the_harness(module: Module, flag: str) -> None:
    module.test_file("a/a_test.go")
    arguments = ("-coverpkg=all",) if flag == "argument" else ()
    if flag == "GOFLAGS":
        environ = {**os.environ, "GOFLAGS": "-coverpkg=./..."}
        module.toolchain = Toolchain(find_go(), environ)
    assert form(module.build(build_args=("-cover", *arguments)), "example.com/m/a") == "each"


@pytest.mark.parametrize("broken", ["shared", "both"])
def test_a_harness_that_does_not_compile_is_nobodys_error(
    module: Module, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the other form, then none; an error of the user's own is shown alone."""
    real = _harness._template

    def template(name: str) -> str:
        text = real(name).replace("func init() {", "func init() {\n\tgotestNotThere()", 1)
        return text if broken == "both" or inside else real(name)

    inside = False
    write = _harness.overlay

    def overlay(*args: Any, shared: str = "", **named: Any) -> Path:
        nonlocal inside
        inside = bool(shared)
        return write(*args, shared=shared, **named)

    monkeypatch.setattr(_harness, "_template", template)
    monkeypatch.setattr(_harness, "overlay", overlay)
    module.test_file("a/a_test.go")
    module.test_file("b/b_test.go", package="b_test")
    module.test_file("c/c_test.go", "undefinedName()")
    module.write("dep/dep.go", "package dep\n\nvar X = y\n")
    module.write("d/d_test.go", MANY.format("example.com/m/dep").replace("package a", "package d"))
    built = module.build()
    assert sorted(built.errors) == ["example.com/m/c", "example.com/m/d"]
    for error, told in zip(built.errors.values(), ("c_test.go:6:2", "dep.go:3:9"), strict=True):
        assert told in str(error)
        assert "gotest" not in str(error)
        assert "dependency go " not in str(error)
    built.errors.clear()
    for name in ("a", "b"):
        path = f"example.com/m/{name}"
        assert form(built, path) == ("each" if broken == "shared" else "none")
        assert bool(built.binaries[path].plain) == (broken == "both")


def test_a_goroot_of_symbolic_links_has_the_shared_harness(module: Module, tmp_path: Path) -> None:
    """As Debian has it: src of /usr/lib/go-1.x is a link to /usr/share."""
    real = Path(module.toolchain.env(str(module.root)).goroot)
    goroot = tmp_path / "goroot"
    goroot.mkdir()
    for entry in real.iterdir():
        (goroot / entry.name).symlink_to(entry)
    module.test_file("a/a_test.go")
    environ = {**os.environ, "GOROOT": str(goroot), "GOTOOLCHAIN": "local"}
    module.toolchain = Toolchain(find_go(), environ)
    assert module.toolchain.env(str(module.root)).goroot == str(goroot)
    assert form(module.build(), "example.com/m/a") == "shared"


def test_packages_that_the_harness_imports_get_it_too(module: Module) -> None:
    root = str(Path(module.toolchain.env(str(module.root)).goroot, "src"))
    patterns = ["./sort", "./errors", "./encoding/json", "./testing/fstest"]
    found = module.toolchain.packages(root, patterns, [])
    built = Builder(module.toolchain, Settings(cache_dir=module.cache)).build(found, found)
    assert [form(built, package.import_path) for package in found] == ["shared"] * 4


@pytest.mark.parametrize(
    "arguments", [("-trimpath",), ("-gcflags=all=-N -l",), ("-mod=vendor",), ("-cover",)]
)
def test_flags_of_the_user_go_with_the_shared_harness(
    module: Module, arguments: tuple[str, ...]
) -> None:
    module.test_file("a/a_test.go")
    assert form(module.build(build_args=arguments), "example.com/m/a") == "shared"


def test_a_cache_that_cannot_be_written_is_one_clear_error(module: Module) -> None:
    module.test_file("a/a_test.go")
    module.cache.write_text("a file, not a directory")
    error = module.build().errors["example.com/m/a"]
    assert "cannot be used" in str(error)
    assert "--gotest-cache-dir" in str(error)


def test_an_overlay_of_goflags_stays_in_force_too(module: Module) -> None:
    module.test_file("a/a_test.go", "undefinedName()")
    module.write("fixed.txt", 'package a\n\nimport "testing"\n\nfunc TestA(t *testing.T) {}\n')
    replaced = {str(module.root / "a/a_test.go"): str(module.root / "fixed.txt")}
    module.write("overlay.json", json.dumps({"Replace": replaced}))
    environ = {**os.environ, "GOFLAGS": f"-overlay={module.root}/overlay.json"}
    module.toolchain = Toolchain(find_go(), environ)
    assert not module.build().errors


def test_an_overlay_that_is_not_there_is_one_clear_error(module: Module) -> None:
    module.test_file("a/a_test.go")
    error = module.build(build_args=("-overlay=none.json",)).errors["example.com/m/a"]
    assert "none.json, which cannot be read" in str(error)


def test_a_read_only_cache_is_one_clear_error(module: Module) -> None:
    module.test_file("a/a_test.go")
    module.cache.mkdir()
    if os.getuid() != 0:
        module.cache.chmod(0o500)
    elif os.system(f"mount -t tmpfs -o ro tmpfs {module.cache}") != 0:
        pytest.skip("root may write anywhere, and no file system can be mounted here")
    try:
        error = module.build().errors["example.com/m/a"]
    finally:
        if os.getuid() == 0:
            os.system(f"umount {module.cache}")
        module.cache.chmod(0o700)
    assert "--gotest-cache-dir" in str(error)


@pytest.fixture
def small(module: Module, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """The cache is a file system of its own; call it with options to mount it with others."""
    if os.getuid() != 0:
        pytest.skip("a small file system is mounted for this, which takes root")
    monkeypatch.setattr(_manifest, "_SLACK", 0)  # what is unchanged is known at once
    module.cache.mkdir()
    if os.system(f"mount -t tmpfs -o size=256k tmpfs {module.cache}") != 0:
        pytest.skip("no file system can be mounted here")

    def remount(options: str) -> None:
        assert os.system(f"mount -o remount,{options} {module.cache}") == 0

    yield remount
    assert os.system(f"umount {module.cache}") == 0  # nobody holds a file in it any more


def test_a_full_disk_is_one_clear_error_and_no_more_once_there_is_room(
    module: Module, small: Callable[[str], None]
) -> None:
    module.test_file("a/a_test.go")
    error = module.build().errors["example.com/m/a"]
    assert "no space left on device" in str(error).lower()
    assert not list(module.cache.glob("bin/*/build-*"))  # half a binary takes no room either
    small("size=100m")
    assert not module.build().errors


def test_a_full_disk_stops_nothing_that_is_built(
    module: Module, small: Callable[[str], None]
) -> None:
    small("size=100m")
    module.test_file("a/a_test.go")
    assert not module.build().errors
    with contextlib.suppress(OSError), open(module.cache / "filler", "wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    built = module.build()
    assert (built.errors, built.asked) == ({}, 0)
    module.test_file("a/a_test.go", "_ = 1")
    error = str(module.build().errors["example.com/m/a"]).lower()
    assert "no space left on device" in error


def test_a_cache_that_can_only_be_read_serves_what_it_has(
    module: Module, small: Callable[[str], None]
) -> None:
    small("size=100m")
    module.test_file("a/a_test.go")
    assert not module.build().errors
    small("ro")
    built = module.build()
    assert (built.errors, built.asked) == ({}, 0)
    module.test_file("a/a_test.go", "_ = 1")
    error = str(module.build().errors["example.com/m/a"])
    assert "Read-only file system" in error
    assert "--gotest-cache-dir" in error


def test_a_lock_that_is_none_is_one_clear_error(module: Module) -> None:
    module.test_file("a/a_test.go")
    place = Path(module.build().binaries["example.com/m/a"].path).parents[2]
    (place / ".lock").unlink()
    (place / ".lock").mkdir()
    module.test_file("a/a_test.go", "_ = 1")
    error = str(module.build().errors["example.com/m/a"])
    assert ".lock" in error
    assert "--gotest-cache-dir" in error


def test_the_race_detector_without_cgo_is_refused(module: Module) -> None:
    module.test_file("a/a_test.go")
    module.toolchain = Toolchain(find_go(), {**os.environ, "CGO_ENABLED": "0"})
    error = module.build(race=True).errors["example.com/m/a"]
    assert "--gotest-race needs cgo" in str(error)
