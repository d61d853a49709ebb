"""Whatever goes into a test binary is changed, one thing at a time: the next binary is of it. What does not go in makes none."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gomodule import Module
from running import need_c_compiler

from pytest_gotest import _manifest
from pytest_gotest._build import Builder
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import Toolchain, find_go

SOURCES = {
    "a/a.go": """package a

import (
	"embed"

	"example.com/beside"
	"example.com/m/b"
)

const Own = "own one"

var Linked = "linked one"

//go:embed text.txt glob*.txt all:dir
var files embed.FS

var Words = []string{Own, beside.Word, b.Word, Linked, Tag, Race, Level, Experiment}
""",
    "a/a_test.go": """package a

import (
	"fmt"
	"io/fs"
	"runtime"
	"testing"
)

func TestA(t *testing.T) {
	fmt.Println("test one", Words, runtime.Version())
	var said []func() int
	for i := 0; i < 3; i++ {
		said = append(said, func() int { return i })
	}
	fmt.Println("loop", said[0](), said[1](), said[2]())
	fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		text, _ := files.ReadFile(path)
		fmt.Println(path, string(text))
		return nil
	})
}
""",
    "a/text.txt": "text one",
    "a/glob0.txt": "glob nil",
    "a/glob1.txt": "glob one",
    "a/dir/one": "dir one",
    "a/testdata/golden": "golden one",
    "a/notes.md": "notes one",
    "b/b.go": 'package b\n\nimport _ "embed"\n\n//go:embed word\nvar Word string\n',
    "b/word": "b one",
    "b/b_test.go": 'package b\n\nimport "testing"\n\nfunc TestB(t *testing.T) {}\n',
    "c/on.go": """package c

/*
#ifndef WORD
#define WORD "plain C"
#endif
static const char *word(void) { return WORD; }
*/
import "C"

func Word() string { return C.GoString(C.word()) }
""",
    "c/off.go": '//go:build !cgo\n\npackage c\n\nfunc Word() string { return "no C" }\n',
    "c/c_test.go": 'package c\n\nimport (\n\t"fmt"\n\t"testing"\n)\n\nfunc TestC(t *testing.T) { fmt.Println(Word()) }\n',
}
SWITCHES = {
    "Tag": "x",
    "Race": "race",
    "Level": "amd64.v3 || arm64.v8.1",
    "Experiment": "goexperiment.fieldtrack",
}


class Project(Module):
    """A module of which everything can be changed: its files, the environment and the settings."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.beside = base / "beside"
        self.beside.mkdir()
        (self.beside / "go.mod").write_text("module example.com/beside\n\ngo 1.21\n")
        (self.beside / "beside.go").write_text('package beside\n\nconst Word = "beside one"\n')
        self.write(
            "go.mod",
            "module example.com/m\n\ngo 1.22\n\nrequire example.com/beside v0.0.0\n\n"
            "replace example.com/beside => ../beside\n",
        )
        for name, text in SOURCES.items():
            self.write(name, text)
        for name, constraint in SWITCHES.items():
            for state, word in ((f"!({constraint})", "without"), (constraint, "with")):
                self.write(
                    f"a/{name}_{word}.go".lower(),
                    f'//go:build {state}\n\npackage a\n\nconst {name} = "{word} {name}"\n',
                )
        self.environ = {**os.environ, "GOFLAGS": ""}
        self.settings: dict[str, Any] = {}

    def outcome(self, name: str) -> tuple[str, int]:
        """What the test of the package ``name`` prints but for times, and how many binaries were written for that."""
        toolchain = Toolchain(find_go(self.environ), self.environ, self.cache)
        builder = Builder(toolchain, Settings(cache_dir=self.cache, **self.settings))
        package = toolchain.packages(str(self.root), [f"./{name}"], [])
        built = builder.build(package, package)
        builder.close()
        assert not built.errors
        binary = built.binaries[f"example.com/m/{name}"].path
        done = subprocess.run(
            [binary, "-test.v"], cwd=self.root / name, check=True, capture_output=True, text=True
        )
        return re.sub(r"\(\d+\.\d+s\)", "", done.stdout), built.fresh


Undo = Callable[[], object]
Change = Callable[[Project], Undo]


def text(name: str, content: str | None) -> Change:
    """Another content of a file, beside the module with ``../``; None: the file goes."""

    def change(project: Project) -> Undo:
        path = project.root / name
        before = path.read_bytes() if path.exists() else None

        def write(content: bytes | None) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if content is None else path.write_bytes(content)

        write(None if content is None else content.encode())
        return lambda: write(before)

    return change


def edit(name: str, old: str, new: str) -> Change:
    def change(project: Project) -> Undo:
        before = (project.root / name).read_text()
        assert old in before
        return text(name, before.replace(old, new))(project)

    return change


def environ(**variables: str) -> Change:
    def change(project: Project) -> Undo:
        before = dict(project.environ)
        project.environ |= {
            name: value.replace("BASE", str(project.root.parent))
            for name, value in variables.items()
        }

        def undo() -> None:
            project.environ = before

        return undo

    return change


def setting(**settings: Any) -> Change:
    def change(project: Project) -> Undo:
        project.settings = settings

        def undo() -> None:
            project.settings = {}

        return undo

    return change


def every(*changes: Change) -> Change:
    def change(project: Project) -> Undo:
        undo = [one(project) for one in changes]
        return lambda: [one() for one in reversed(undo)]

    return change


def run(*command: str) -> Change:
    def change(project: Project) -> Undo:
        subprocess.run(
            command, cwd=project.root, env=project.environ, check=True, capture_output=True
        )
        return lambda: None

    return change


def touch(name: str) -> Change:
    def change(project: Project) -> Undo:
        (project.root / name).touch()
        return lambda: None

    return change


def vendored(project: Project) -> Undo:
    run("go", "mod", "vendor")(project)
    text("vendor/example.com/beside/beside.go", 'package beside\n\nconst Word = "vendored"\n')(
        project
    )

    def undo() -> None:
        for path in sorted((project.root / "vendor").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (project.root / "vendor").rmdir()

    return undo


def compiler(project: Project) -> Undo:
    """A program of the same name, of another content."""
    path = project.root.parent / "mycc"
    path.write_text('#!/bin/sh\nexec cc -DWORD=\'"another compiler"\' "$@"\n')
    path.chmod(0o755)
    return lambda: None


def go_before(line: str) -> Change:
    return edit("go.mod", "go 1.22", line)


# What is changed -> how, and what the test says then that it did not say before.
CHANGES: dict[str, tuple[Change, str]] = {
    "its own source": (edit("a/a.go", "own one", "own two"), "own two"),
    "its test": (edit("a/a_test.go", "test one", "test two"), "test two"),
    "a new test file": (text("a/new_test.go", 'package a\n\nfunc init() { Words[0] = "new test" }\n'), "new test"),
    "a test file of another system": (text("a/b_windows_test.go", "package a\n\nvar x = y\n"), ""),
    "a source of a dependency": (text("b/new.go", 'package b\n\nfunc init() { Word = "b two" }\n'), "b two"),
    "a file that a dependency embeds": (text("b/word", "b two"), "b two"),
    "a replaced module": (text("../beside/beside.go", 'package beside\n\nconst Word = "beside two"\n'), "beside two"),
    "an embedded file": (text("a/text.txt", "text two"), "text two"),
    "a file that matches a pattern now": (text("a/glob2.txt", "glob two"), "glob two"),
    "a file that matches a pattern no more": (text("a/glob1.txt", None), "!glob one"),
    "a file in an embedded directory": (text("a/dir/one", "dir two"), "dir two"),
    "a new file deep in an embedded directory": (text("a/dir/deep/.er", "deep two"), "deep two"),
    "--gotest-tags": (setting(tags=("x",)), "with Tag"),
    "-tags": (setting(build_args=("-tags=x,y",)), "with Tag"),
    "-tags in GOFLAGS": (environ(GOFLAGS="-tags=x"), "with Tag"),
    "-tags by go env -w": (every(text("../goenv", "GOFLAGS=-tags=x\n"), environ(GOENV="BASE/goenv", GOFLAGS="")), "with Tag"),
    "-ldflags": (setting(build_args=("-ldflags=-X example.com/m/a.Linked=two",)), " two "),
    "-ldflags in GOFLAGS": (environ(GOFLAGS="'-ldflags=-X example.com/m/a.Linked=two'"), " two "),
    "--gotest-race": (setting(race=True), "with Race"),
    "GOAMD64, GOARM64": (environ(GOAMD64="v3", GOARM64="v8.1"), "with Level"),
    "GOEXPERIMENT": (environ(GOEXPERIMENT="fieldtrack"), "with Experiment"),
    "the toolchain": (environ(GOTOOLCHAIN="go1.25.5"), "go1.25.5"),
    "the go line": (go_before("go 1.21"), "loop 3 3 3"),
    "a go.work": (
        every(
            text("../beside2/go.mod", "module example.com/beside\n\ngo 1.21\n"),
            text("../beside2/beside.go", 'package beside\n\nconst Word = "of the workspace"\n'),
            text("../go.work", "go 1.22\n\nuse ./module\n\nreplace example.com/beside => ./beside2\n"),
        ),
        "of the workspace",
    ),
    "another replacement": (
        every(
            text("../beside3/go.mod", "module example.com/beside\n\ngo 1.21\n"),
            text("../beside3/beside.go", 'package beside\n\nconst Word = "beside three"\n'),
            edit("go.mod", "=> ../beside", "=> ../beside3"),
        ),
        "beside three",
    ),
    "a vendor directory": (vendored, "vendored"),
}  # fmt: skip
CGO: dict[str, tuple[Change, str]] = {
    "CGO_ENABLED": (environ(CGO_ENABLED="0"), "no C"),
    "CGO_CFLAGS": (environ(CGO_CFLAGS='-DWORD="flags"'), "flags"),
    "CC": (every(compiler, environ(CC="BASE/mycc")), "another compiler"),
}
NONE: dict[str, Change] = {
    "nothing": lambda project: lambda: None,
    "what tests read": text("a/testdata/golden", "golden two"),
    "what else lies there": text("a/notes.md", "notes two"),
    "a new file in testdata": text("a/testdata/more.go", "package more\n"),
    "a time": touch("a/a.go"),
    "a test of a dependency": text("b/b_test.go", "package b\n"),
    "how go runs": environ(GOMAXPROCS="1", GOGC="50"),
    "a package beside": text("d/d.go", "package d\n"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("staleness"))


@pytest.fixture
def project(shared: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Clocks of file systems are coarse; here nothing is changed while go reads it, and the manifest shall answer.
    monkeypatch.setattr(_manifest, "_SLACK", 0)
    return shared


def changed(project: Project, name: str, change: Change, says: str) -> None:
    """The next binary is of the change, and the one after that, when it is undone, of what was before."""
    wanted = says.removeprefix("!")
    negated = wanted != says
    before, _ = project.outcome(name)
    assert (wanted in before) is negated or not wanted
    undo = change(project)
    try:
        said, fresh = project.outcome(name)
        again, none = project.outcome(name)
    finally:
        undo()
    assert (wanted in said) is not negated
    assert (fresh, none) == (1 if wanted else 0, 0)
    assert again == said
    after, _ = project.outcome(name)
    assert after == before


LONG = ("GOEXPERIMENT",)  # the standard library anew, as for GOAMD64


@pytest.mark.parametrize(
    "what",
    [pytest.param(name, marks=[pytest.mark.campaign] * (name in LONG)) for name in CHANGES],
)
def test_a_change_of_what_goes_into_a_binary_makes_another_one(project: Project, what: str) -> None:
    if what == "--gotest-race":
        need_c_compiler()
    changed(project, "a", *CHANGES[what])


@pytest.mark.parametrize("what", CGO)
def test_a_change_of_what_goes_into_c_makes_another_one(project: Project, what: str) -> None:
    need_c_compiler()
    changed(project, "c", *CGO[what])


@pytest.mark.parametrize("what", NONE)
def test_a_change_of_anything_else_makes_none(project: Project, what: str) -> None:
    before, _ = project.outcome("a")
    undo = NONE[what](project)
    try:
        assert project.outcome("a") == (before, 0)
    finally:
        undo()
