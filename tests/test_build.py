"""Building: what go says and whom it blames, where binaries lie, and that no stale one ever runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pytest_gotest._build import Builder, Built, complaints, executable, rounds
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


class Module:
    """A Go module in a directory of its own, built into a cache beside it."""

    def __init__(self, base: Path) -> None:
        self.root = base / "module"
        self.cache = base / "cache"
        self.root.mkdir()
        self.toolchain = Toolchain(find_go(), dict(os.environ))
        self.write("go.mod", "module example.com/m\n\ngo 1.22\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_file(self, name: str, body: str = "", package: str = "") -> None:
        package = package or name.split("/")[0]
        self.write(
            name,
            f'package {package}\n\nimport "testing"\n\nfunc TestA(t *testing.T) {{\n\t{body}\n}}\n',
        )

    def build(self, **settings: object) -> Built:
        chosen = Settings(cache_dir=self.cache, **settings)  # type: ignore[arg-type]
        found = self.toolchain.packages(str(self.root), ["./..."], [])
        return Builder(self.toolchain, chosen).build(found, found)


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


def test_a_cache_that_cannot_be_written_is_one_clear_error(module: Module) -> None:
    module.test_file("a/a_test.go")
    module.cache.write_text("a file, not a directory")
    error = module.build().errors["example.com/m/a"]
    assert "cannot be used" in str(error)
    assert "--gotest-cache-dir" in str(error)


def test_a_full_disk_is_one_clear_error(module: Module, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("a small file system is mounted for this, which takes root")
    module.test_file("a/a_test.go")
    module.cache.mkdir()
    mounted = os.system(f"mount -t tmpfs -o size=256k tmpfs {module.cache}")
    if mounted != 0:
        pytest.skip("no file system can be mounted here")
    try:
        error = module.build().errors["example.com/m/a"]
    finally:
        os.system(f"umount {module.cache}")
    assert "no space left on device" in str(error).lower()


def test_the_race_detector_without_cgo_is_refused(module: Module) -> None:
    module.test_file("a/a_test.go")
    module.toolchain = Toolchain(find_go(), {**os.environ, "CGO_ENABLED": "0"})
    error = module.build(race=True).errors["example.com/m/a"]
    assert "--gotest-race needs cgo" in str(error)
