"""That an unchanged package is run without asking go, and that whatever changes a binary is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gomodule import Module

from pytest_gotest import _manifest
from pytest_gotest._build import Built
from pytest_gotest._flags import Flags
from pytest_gotest._manifest import Made, Manifest, identity, inputs, state
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import Toolchain, find_go

A = "example.com/m/a"
B = "example.com/m/b"


class Watched(Module):
    """Package a embeds files and imports b and a module beside this one; go commands are counted."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.log = base / "log"
        self.environ = dict(os.environ)
        self.beside = base / "beside"
        self.beside.mkdir()
        (self.beside / "go.mod").write_text("module example.com/beside\n\ngo 1.22\n")
        (self.beside / "beside.go").write_text('package beside\n\nconst Word = "beside one"\n')
        self.write(
            "go.mod",
            "module example.com/m\n\ngo 1.22\n\nrequire example.com/beside v0.0.0\n\n"
            "replace example.com/beside => ../beside\n",
        )
        self.write("b/b.go", 'package b\n\nconst Word = "b one"\n')
        self.test_file("b/b_test.go")
        self.write("a/deep/er/text", "text one")
        self.write("a/one.txt", "glob one")
        self.write(
            "a/a.go",
            'package a\n\nimport (\n\t"embed"\n\n\t"example.com/beside"\n\t"example.com/m/b"\n)\n\n'
            "//go:embed all:deep\nvar deep embed.FS\n\n//go:embed *.txt\nvar texts embed.FS\n\n"
            "var Words = []any{beside.Word, b.Word, deep, texts}\n",
        )
        self.write(
            "a/a_test.go",
            'package a\n\nimport "testing"\n\nfunc TestA(t *testing.T) { t.Log(Words) }\n',
        )

    def asked(self) -> list[str]:
        """The go commands since the last call."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def build(self, **settings: object) -> Built:
        go = self.root.parent / "go"
        # By another way each time, and so always the same: a wrapper that only takes notes.
        if not go.exists():
            go.write_text(f'#!/bin/sh\necho "$1 $2" >> {self.log}\nexec {find_go()} "$@"\n')
            go.chmod(0o755)
        self.toolchain = Toolchain(str(go), self.environ, self.cache)
        return super().build(**settings)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    # Clocks of file systems are coarse; here nothing is changed while go reads it.
    monkeypatch.setattr(_manifest, "_SLACK", 0)
    return Watched(tmp_path)


def builds(asked: list[str]) -> bool:
    return "test -c" in asked


def test_of_what_did_not_change_go_is_not_asked(module: Watched) -> None:
    assert not module.build().errors
    assert builds(module.asked())
    built = module.build()
    assert (sorted(built.binaries), built.fresh, built.errors) == ([A, B], 0, {})
    assert not [line for line in module.asked() if not line.startswith("list -e")]  # `packages`


def _rewrite_in_place(module: Watched) -> None:
    """Another content of the same size, and the old times of modification put back."""
    path = module.root / "b" / "b.go"
    before = path.stat()
    text = path.read_text()
    with open(path, "r+") as file:
        file.write(text.replace("b one", "b two"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def _swap_link(module: Watched) -> None:
    path = module.root / "b" / "b.go"
    other = module.root.parent / "other.go"
    other.write_text('package b\n\nconst Word = "b two"\n')
    path.unlink()
    path.symlink_to(other)


CHANGES: dict[str, tuple[Callable[[Watched], object], bytes]] = {
    "a test": (lambda m: m.test_file("a/a_test.go", 'println("test two")'), b"test two"),
    "another test file": (lambda m: m.test_file("a/x_test.go", 'println("test two")', "a_test"), b"test two"),
    "its code": (lambda m: m.write("a/x.go", 'package a\n\nvar X = "code two"\n\nfunc init() { println(X) }\n'), b"code two"),
    "a dependency": (lambda m: m.write("b/b.go", 'package b\n\nconst Word = "b two"\n'), b"b two"),
    "a dependency, in place, times put back": (_rewrite_in_place, b"b two"),
    "a dependency that is a link now": (_swap_link, b"b two"),
    "a replaced module": (lambda m: (m.beside / "beside.go").write_text('package beside\n\nconst Word = "beside two"\n'), b"beside two"),
    "an embedded file": (lambda m: m.write("a/deep/er/text", "text two"), b"text two"),
    "another embedded file below": (lambda m: m.write("a/deep/er/more/.text", "text two"), b"text two"),
    "another embedded file of a pattern": (lambda m: m.write("a/two.txt", "glob two"), b"glob two"),
    "a renamed embedded file": (lambda m: (m.root / "a/one.txt").rename(m.root / "a/glob two.txt"), b"glob two.txt"),
    "an assembler file": (lambda m: m.write("b/x.s", ""), b""),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_input_is_noticed(module: Watched, change: str) -> None:
    module.build()
    act, content = CHANGES[change]
    act(module)
    module.asked()
    built = module.build()
    assert builds(module.asked())
    assert not built.errors
    assert content in Path(built.binaries[A].path).read_bytes()
    module.build()
    assert not builds(module.asked())  # and then it is known again


def test_what_goes_away_is_noticed(module: Watched) -> None:
    module.write("a/x_test.go", 'package a\n\nfunc init() { println("x is there") }\n')
    assert b"x is there" in Path(module.build().binaries[A].path).read_bytes()
    (module.root / "a" / "x_test.go").unlink()
    assert b"x is there" not in Path(module.build().binaries[A].path).read_bytes()


def test_files_that_are_no_part_of_a_package_make_no_other_binary(module: Watched) -> None:
    module.build()
    module.write("a/golden.out", "written by a test")
    module.write("a/testdata/x.go", "package x\n")
    module.write("README.md", "# m\n")
    module.asked()
    module.build()
    assert not builds(module.asked())


def _gowork(module: Watched) -> None:
    (module.root.parent / "go.work").write_text(f"go 1.22\n\nuse ./{module.root.name}\n")


def _go_env_w(module: Watched) -> None:
    module.environ["GOENV"] = str(module.root.parent / "env")
    (module.root.parent / "env").write_text("GOFLAGS=-ldflags=-s\n")


def _edit_go_mod(module: Watched) -> None:
    module.write("go.mod", (module.root / "go.mod").read_text() + "\n// and more\n")


# Variables of the environment: see test_toolchain.py, without so many builds of the standard library.
SURROUNDINGS: dict[str, Callable[[Watched], object]] = {
    "go.mod": _edit_go_mod,
    "go.mod of a replaced module": lambda m: (m.beside / "go.mod").write_text(
        "module example.com/beside\n\ngo 1.21\n"
    ),
    "go.sum": lambda m: m.write("go.sum", ""),
    "a go.work": _gowork,
    "GOFLAGS": lambda m: m.environ.update(GOFLAGS="-ldflags=-s"),
    "go env -w": _go_env_w,
    "another go": lambda m: m.environ.update(GOTOOLCHAIN="go1.22.12"),
}


@pytest.mark.parametrize("what", SURROUNDINGS)
def test_changed_surroundings_are_noticed(module: Watched, what: str) -> None:
    module.build()
    SURROUNDINGS[what](module)
    module.asked()
    module.build()
    assert builds(module.asked())


@pytest.mark.parametrize("settings", [{"tags": ("x",)}, {"build_args": ("-gcflags=-N",)}])
def test_changed_flags_are_noticed(module: Watched, settings: dict[str, object]) -> None:
    module.build()
    module.asked()
    module.build(**settings)
    assert builds(module.asked())


def test_with_an_overlay_of_the_users_own_go_is_always_asked(module: Watched) -> None:
    module.write("over.json", '{"Replace": {}}')
    for _ in range(2):
        module.asked()
        module.build(build_args=("-overlay=over.json",))
        assert builds(module.asked())


@pytest.mark.parametrize(
    ("flags", "plain"),
    [
        ((), True),
        (("-race", "--tags=a,b", "-tags", "a", "-ldflags=-X=a.b=c", "-buildvcs=false"), True),
        (("-cover", "-covermode=atomic"), True),
        (("-overlay=x.json",), False),
        (("-overlay", "x.json"), False),
        (("-toolexec=x",), False),
        (("-modfile=x.mod",), False),
        (("-pgo=x.pprof",), False),
        (("-buildvcs=true",), False),
        (("-buildvcs",), False),
        (("-coverpkg=./...",), False),
        (("-a",), False),
        (("-whatever",), False),
    ],
)
def test_only_flags_known_to_name_nothing_let_go_unasked(
    flags: tuple[str, ...], plain: bool
) -> None:
    assert Flags(Settings(build_args=flags)).are_plain is plain


@pytest.mark.parametrize("damage", [lambda p: os.truncate(p, 40_000), Path.unlink, lambda p: p.write_bytes(b"")])  # fmt: skip
def test_a_damaged_binary_is_made_anew(module: Watched, damage: Callable[[Path], None]) -> None:
    binary = Path(module.build().binaries[A].path)
    whole = binary.read_bytes()
    damage(binary)
    built = module.build()
    assert not built.errors
    assert binary.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff\x00", None])
def test_a_damaged_manifest_costs_time_only(module: Watched, content: bytes | None) -> None:
    module.build()
    (manifest,) = module.cache.rglob("manifest.json")
    manifest.unlink()
    if content is None:
        manifest.mkdir()
    else:
        manifest.write_bytes(content)
    module.asked()
    built = module.build()
    assert not built.errors
    assert sorted(built.binaries) == [A, B]
    assert builds(module.asked())


def test_a_package_that_does_not_build_is_asked_for_again(module: Watched) -> None:
    module.write("b/x.go", "package b\n\nvar x = undefined\n")
    for _ in range(2):
        module.asked()
        assert sorted(module.build().errors) == [A, B]
        assert builds(module.asked())


def test_what_changed_just_before_a_build_is_not_trusted(
    module: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    module.build()
    module.asked()
    module.build()
    assert builds(module.asked())


def test_vet_of_an_old_go_is_not_run_again_either(module: Watched) -> None:
    module.environ["GOTOOLCHAIN"] = "go1.22.12"
    module.build()
    assert [line for line in module.asked() if line.startswith("vet")]
    module.build()
    assert not [line for line in module.asked() if line.startswith(("vet", "test"))]


def test_cgo_with_pkg_config_is_never_taken_for_known() -> None:
    listed: list[dict[str, Any]] = [
        {"ImportPath": "m", "Dir": "/m", "CgoPkgConfig": ["zlib"]},
        {"ImportPath": "m.test", "Dir": "/m", "Deps": ["m"]},
        {"ImportPath": "n", "Dir": "/n"},
        {"ImportPath": "n.test", "Dir": "/n", "Deps": ["n", "unsafe"]},
        {"ImportPath": "unsafe"},
        {"ImportPath": "o", "Dir": "/o"},
        {"ImportPath": "o.test", "Dir": "/o", "Deps": ["o", "gone"], "Incomplete": True},
    ]
    assert inputs(listed, "") == {"n": frozenset({"dir /n"})}


def test_a_go_mod_between_a_package_and_its_module_is_an_input() -> None:
    module = {"Dir": "/m", "GoMod": "/m/go.mod", "Main": True}
    listed: list[dict[str, Any]] = [
        {"ImportPath": "m/a/b", "Dir": "/m/a/b", "Module": module},
        {"ImportPath": "m/a/b.test", "Dir": "/m/a/b", "Deps": []},
    ]
    assert inputs(listed, "/w/go.work")["m/a/b"] == {
        "dir /m/a/b", "file /m/a/b/go.mod", "file /m/a/go.mod", "file /m/go.mod", "file /m/go.sum",
        "file /m/vendor/modules.txt", "file /w/go.work", "file /w/go.work.sum", "file /w/vendor/modules.txt",
    }  # fmt: skip


def test_record_forgets_what_others_were_made_of_in_another_state(tmp_path: Path) -> None:
    shared, mine = tmp_path / "shared", tmp_path / "mine"
    for place in (shared, mine):
        place.mkdir()
        (place / "x.go").write_text("package x\n")
    of_both = frozenset({f"dir {shared}"})
    manifest = Manifest("facts")
    later = 1 << 62
    manifest.record({"a": Made((1,), "", of_both), "b": Made((2,), "", of_both)}, later)
    assert sorted(manifest.made) == ["a", "b"]
    (shared / "x.go").write_text("package shared\n")
    manifest.record({"b": Made((3,), "", of_both | {f"dir {mine}"})}, later)
    assert sorted(manifest.made) == ["b"]
    path = tmp_path / "manifest.json"
    manifest.write(path)
    again = Manifest.read(path, "facts")
    assert (again.made, again.states) == (manifest.made, manifest.states)
    assert Manifest.read(path, "others").made == {}


@pytest.mark.parametrize("pattern", ["*", "d[^x]r", "d\\ir", "d*/f*", "dir", "all:dir", "d?r"])
def test_an_embed_pattern_sees_what_go_would_embed(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "dir").mkdir()
    file = tmp_path / "dir" / "file"
    file.write_text("one")
    before = state(f"embed {tmp_path}\0{pattern}")
    file.write_text("other")
    assert state(f"embed {tmp_path}\0{pattern}")[0] != before[0]


def test_what_is_not_there_or_cannot_be_read_has_a_state(tmp_path: Path) -> None:
    for one in (f"dir {tmp_path}/no", f"file {tmp_path}/no", f"embed {tmp_path}/no\0x"):
        assert state(one) == state(one)
    (tmp_path / "link.go").symlink_to(tmp_path / "nowhere")
    before = state(f"dir {tmp_path}")
    (tmp_path / "nowhere").write_text("package x\n")
    assert state(f"dir {tmp_path}")[0] != before[0]
    assert identity(tmp_path / "no") == ()
