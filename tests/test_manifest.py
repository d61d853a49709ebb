"""That an unchanged package is run without asking go, and that whatever changes a binary is noticed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gomodule import Module
from running import need_c_compiler

from pytest_gotest import _build as build
from pytest_gotest import _manifest
from pytest_gotest._build import Built
from pytest_gotest._flags import Flags
from pytest_gotest._manifest import UNSEEN, Made, Manifest, identity, inputs, module_files, state
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
    # `Watched` itself asks for the packages; and which Go a wrapper starts it has to be asked.
    assert module.asked() == ["list -e", "env GOVERSION"]


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


def _add_assembler(module: Watched) -> None:
    module.write("b/x.s", "")
    module.write("b/y.go", 'package b\n\nfunc init() { println("asm two") }\n')


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
    "an assembler file": (_add_assembler, b"asm two"),
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


def _flip(path: Path) -> None:
    """One bit in the middle, in place."""
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def _flip_secretly(path: Path) -> None:
    """And the old time put back; that of the change nobody can put back."""
    before = path.stat()
    _flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _be_a_directory(path: Path) -> None:
    path.unlink()
    (path / "below").mkdir(parents=True)


def _have_no_directory(path: Path) -> None:
    """A file in the place of all that the build wrote."""
    shutil.rmtree(path.parents[1])
    path.parents[1].write_text("")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "of no bytes": lambda path: path.write_bytes(b""),
    "gone": Path.unlink,
    "one bit": _flip,
    "one bit and the old time": _flip_secretly,
    "another program": lambda path: shutil.copy("/bin/true", path),
    "no program at all": lambda path: path.write_text("text, and what go calls no object file"),
    "a directory": _be_a_directory,
    "no directory": _have_no_directory,
    "not for running": lambda path: path.chmod(0o600),
}


@pytest.mark.parametrize("manifest", [True, False], ids=["known", "manifest lost"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_binary_is_made_anew(module: Watched, damage: str, manifest: bool) -> None:
    binary = Path(module.build().binaries[A].path)
    whole = binary.read_bytes()
    DAMAGES[damage](binary)
    if not manifest:
        next(module.cache.rglob("manifest.json")).unlink()
    built = module.build()
    assert not built.errors
    assert Path(built.binaries[A].path).read_bytes() == whole
    subprocess.run([built.binaries[A].path], check=True, stdout=subprocess.DEVNULL)
    module.asked()
    assert module.build().fresh == 0
    assert not builds(module.asked())


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
    module.build()
    assert not builds(module.asked())  # it is whole again


@pytest.mark.parametrize("name", [".used", ".runs", ".builder", ".done"])
def test_a_mark_that_is_a_directory_costs_nothing(module: Watched, name: str) -> None:
    binary = Path(module.build().binaries[A].path)
    place = binary.parents[2]
    (place / name).unlink(missing_ok=True)
    (place / name).mkdir()
    module.write("b/b.go", 'package b\n\nconst Word = "b two"\n')
    built = module.build()
    assert b"b two" in Path(built.binaries[A].path).read_bytes()


def test_a_damaged_file_of_the_harness_is_written_anew(module: Watched) -> None:
    module.build()
    (overlay,) = (module.cache / "overlay").glob("overlay-*.json")
    for path in (module.cache / "overlay").iterdir():
        os.truncate(path, path.stat().st_size // 2)
    module.write("b/b.go", 'package b\n\nconst Word = "b two"\n')
    built = module.build()
    assert not built.errors
    assert [binary.plain for binary in built.binaries.values()] == ["", ""]
    json.loads(overlay.read_bytes())


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


def test_what_no_file_here_tells_of_is_an_unseen_input() -> None:
    listed: list[dict[str, Any]] = [
        {"ImportPath": "m", "Dir": "/m", "CgoPkgConfig": ["zlib"]},
        {"ImportPath": "m.test", "Dir": "/m", "Deps": ["m"]},
        {"ImportPath": "l", "Dir": "/l", "CgoLDFLAGS": ["/l/lib/libx.a"]},
        {"ImportPath": "l.test", "Dir": "/l", "Deps": ["l"]},
        {"ImportPath": "n", "Dir": "/n", "CgoFiles": ["n.go"], "CgoLDFLAGS": ["-lm"]},
        {"ImportPath": "n.test", "Dir": "/n", "Deps": ["n", "unsafe"]},
        {"ImportPath": "unsafe"},
        {"ImportPath": "o", "Dir": "/o"},
        {"ImportPath": "o.test", "Dir": "/o", "Deps": ["o", "gone"], "Incomplete": True},
    ]
    assert inputs(listed) == {
        "m": {"dir /m", UNSEEN},
        "l": {"dir /l", UNSEEN},
        "n": {"dir /n"},
    }
    assert inputs(listed, ldflags=["-O2", "-lm"])["n"] == {"dir /n"}
    assert inputs(listed, ldflags=["-L/lib", "-lx"])["n"] == {"dir /n", UNSEEN}


def test_a_go_mod_between_a_package_and_its_module_is_an_input() -> None:
    module = {"Path": "m", "Dir": "/m", "GoMod": "/m/go.mod", "Main": True}
    listed: list[dict[str, Any]] = [
        {"ImportPath": "m/a/b", "Dir": "/m/a/b", "Module": module},
        {"ImportPath": "m/c", "Dir": "/mod/m/c@v1"},
        {"ImportPath": "m/a/b.test", "Dir": "/m/a/b", "Deps": ["m/c"]},
    ]
    assert inputs(listed, ["/w/go.work", "/m/go.mod"])["m/a/b"] == {
        "dir /m/a/b", "file /m/a/b/go.mod", "file /m/a/go.mod", "file /m/go.mod", "file /m/go.sum",
        "file /m/vendor/modules.txt", "file /w/go.work", "file /w/go.work.sum", "file /w/vendor/modules.txt",
        "dir /mod/m/c@v1", "file /m/c",
    }  # fmt: skip


def test_module_files_are_all_that_a_build_may_ask_for_versions(tmp_path: Path) -> None:
    (tmp_path / "go.work").write_text('go 1.22\n\nuse (\n\t.\n\t"./a b"\n)\nuse ./gone // ./x\n')
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "go.mod").write_text(
        "module m\n\nreplace example.com/x v1.0.0 => ../x\n\nreplace y => example.com/z v1.0.0\n"
    )
    found = module_files(["", str(tmp_path / "go.work")])
    assert found == {
        str(tmp_path / name)
        for name in ("go.work", "go.mod", "a b/go.mod", "gone/go.mod", "x/go.mod")
    }


def _needs(module: Watched, name: str, path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    (path / "go.mod").write_text(f"module example.com/{name}\n\ngo 1.22\n")


def test_another_member_of_the_workspace_may_ask_for_another_version(module: Watched) -> None:
    member = module.root.parent / "member"
    _needs(module, "member", member)
    (module.root.parent / "go.work").write_text(
        f"go 1.22\n\nuse (\n\t./{module.root.name}\n\t./member\n)\n"
    )
    module.environ["GOFLAGS"] = ""
    module.build()
    module.asked()
    module.build()
    assert not builds(module.asked())
    with open(member / "go.mod", "a") as file:
        file.write("\n// require something else\n")
    module.build()
    assert builds(module.asked())


@pytest.mark.parametrize("how", ["vanishes", "is swapped"])
def test_what_changes_while_go_builds_is_not_recorded(
    module: Watched, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    directory = module.root / "b"
    other = module.root / "other"
    other.mkdir()
    shutil.copy(directory / "b_test.go", other)
    (other / "b.go").write_text('package b\n\nconst Word = "b two"\n')
    run = build._Module._round

    def and_then(self: Any, *arguments: Any) -> Any:
        came = run(self, *arguments)
        directory.rename(module.root / "gone")
        if how == "is swapped":
            other.rename(directory)
        return came

    module.build()  # lets nothing of what was made above be younger than the build
    time.sleep(0.05)
    module.write("b/b.go", 'package b\n\nconst Word = "b three"\n')
    time.sleep(0.05)
    with monkeypatch.context() as patched:
        patched.setattr(build._Module, "_round", and_then)
        module.build()
    module.asked()
    built = module.build()
    assert builds(module.asked())
    if how == "is swapped":
        assert b"b two" in Path(built.binaries[A].path).read_bytes()
    else:
        assert A in built.errors


def test_a_binary_without_the_harness_is_tried_again(
    module: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What kept the harness out may pass, such as a disk that was full."""
    ours = module.root.parent / "harness-0123456789abcdef.go"
    overlay = module.root.parent / "overlay.json"
    place = str(module.root / "a" / "zz_gotest_harness_test.go")
    overlay.write_text(json.dumps({"Replace": {place: str(ours)}}))
    monkeypatch.setattr(build._Module, "_make_overlays", lambda self, place: [lambda: overlay])
    ours.write_text("package a_test\n\nvar x = undefined\n")
    assert module.build().binaries[A].plain
    ours.write_text("package a_test\n")
    module.asked()
    assert not module.build().binaries[A].plain
    assert builds(module.asked())


def test_two_environments_have_two_places(module: Watched) -> None:
    first = module.build().binaries[A].path
    module.environ["CGO_CFLAGS"] = "-O1"
    toolchain = Toolchain(find_go(), module.environ, module.cache)
    other = build.Builder(toolchain, Settings(cache_dir=module.cache))
    package = toolchain.packages(str(module.root), ["./b"], [])
    assert Path(first).parent != Path(other.build(package, package).binaries[B].path).parent


@pytest.mark.parametrize("named", ["#cgo LDFLAGS", "CGO_LDFLAGS", "-extldflags"])
def test_a_library_that_was_linked_in_is_linked_anew(module: Watched, named: str) -> None:
    need_c_compiler()
    library = module.root / "c" / "lib"
    library.mkdir(parents=True)
    directive, settings = "", {}
    if named == "CGO_LDFLAGS":
        module.environ["CGO_LDFLAGS"] = f"-O1 {library}/libword.a"
    elif named == "-extldflags":
        settings["build_args"] = (f"-ldflags=-extldflags={library}/libword.a",)
    else:
        directive = "// #cgo LDFLAGS: ${SRCDIR}/lib/libword.a\n"
    module.write(
        "c/c.go",
        f"package c\n\n{directive}// const char *word(void);\n"
        'import "C"\n\nfunc Word() string { return C.GoString(C.word()) }\n',
    )
    module.test_file("c/c_test.go", "println(Word())")

    def library_says(word: str) -> None:
        (library / "word.c").write_text(f'const char *word(void) {{ return "{word}"; }}\n')
        subprocess.run(["cc", "-c", "word.c"], cwd=library, check=True)
        (library / "libword.a").unlink(missing_ok=True)
        subprocess.run(["ar", "cr", "libword.a", "word.o"], cwd=library, check=True)

    for word in ("word one", "word two"):
        library_says(word)
        built = module.build(**settings)
        assert word.encode() in Path(built.binaries["example.com/m/c"].path).read_bytes()
    # Of packages without C nothing is linked anew.
    if named == "CGO_LDFLAGS":
        assert built.fresh == 1


def test_a_profile_for_the_compiler_is_noticed(tmp_path: Path) -> None:
    before = state(f"dir {tmp_path}")
    (tmp_path / "default.pgo").write_text("")
    assert state(f"dir {tmp_path}")[0] != before[0]


def test_record_forgets_what_others_were_made_of_in_another_state(tmp_path: Path) -> None:
    shared, mine = tmp_path / "shared", tmp_path / "mine"
    for place in (shared, mine):
        place.mkdir()
        (place / "x.go").write_text("package x\n")
    of_both = frozenset({f"dir {shared}"})
    manifest = Manifest("facts")
    later = 1 << 62
    manifest.record({"a": Made((1,), of_both), "b": Made((2,), of_both)}, later)
    assert sorted(manifest.made) == ["a", "b"]
    (shared / "x.go").write_text("package shared\n")
    manifest.record({"b": Made((3,), of_both | {f"dir {mine}"})}, later)
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
    for kind, there in (("dir", "no/x.go"), ("file", "no"), ("embed", "no/x")):
        one = f"{kind} {tmp_path}/no" + ("\0x" if kind == "embed" else "")
        before = state(one)
        assert before == state(one)
        assert before[1] >= tmp_path.stat().st_ctime_ns  # since when it may be gone
        path = tmp_path / there
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        assert state(one)[0] != before[0]
        path.unlink()
        if path.parent != tmp_path:
            path.parent.rmdir()
    (tmp_path / "link.go").symlink_to(tmp_path / "nowhere")
    before = state(f"dir {tmp_path}")
    (tmp_path / "nowhere").write_text("package x\n")
    assert state(f"dir {tmp_path}")[0] != before[0]
    assert identity(tmp_path / "no") == ()
