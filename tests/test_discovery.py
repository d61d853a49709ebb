"""What is remembered between sessions, when it is asked for anew, and where modules begin and end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from pytest_gotest import __version__, _source
from pytest_gotest._discovery import Catalog
from pytest_gotest._errors import DiscoveryError
from pytest_gotest._toolchain import Package, Toolchain, find_go

GO = find_go()
TEST_FILE = 'package {}\n\nimport "testing"\n\nfunc TestA(t *testing.T) {{}}\n'


class Counting(Toolchain):
    """Notes which go commands were run."""

    def __init__(self, **environ: str) -> None:
        super().__init__(GO, {**os.environ, **environ})
        self.commands: list[str] = []

    def run(self, arguments: Sequence[str], cwd: str) -> CompletedProcess[str]:
        self.commands.append(arguments[0])
        return super().run(arguments, cwd)


class Place:
    """A module below an outer directory, and sessions that look at it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "outer" / "module"
        self.cache = base / "cache"
        self.write("go.mod", "module example.com/m\n\ngo 1.22\n")
        self.write("a/a_test.go", TEST_FILE.format("a"))
        self.write("a/a.go", "package a\n")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def session(self, *flags: str, **environ: str) -> list[str]:
        """The commands that one session ran to learn of package a and of its test file."""
        toolchain = Counting(**environ)
        catalog = Catalog(toolchain, flags, self.cache)
        file = self.root / "a/a_test.go"
        catalog.package_of(file)
        catalog.source(file)
        catalog.save()
        return toolchain.commands

    @property
    def kept(self) -> Path:
        (file,) = (self.cache / "collect").iterdir()
        return file


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# What is remembered


def test_a_second_session_asks_nothing_and_parses_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.session() == ["list"]
    written = place.kept.stat().st_mtime_ns

    def refuse(content: bytes) -> None:
        raise AssertionError("parsed again")

    monkeypatch.setattr(_source, "parse", refuse)
    assert place.session() == []
    assert place.kept.stat().st_mtime_ns == written, "nothing was new, and it was written again"


def test_what_is_remembered_is_what_was_learnt(place: Place) -> None:
    file = place.root / "a/a_test.go"
    first, second = (Catalog(Counting(), (), place.cache) for _ in range(2))
    learnt = first.package_of(file), first.source(file)
    first.save()
    assert (second.package_of(file), second.source(file)) == learnt


def _touch(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


CHANGES: dict[str, Callable[[Place], object]] = {
    "content": lambda p: p.write("a/a_test.go", TEST_FILE.format("a") + "\n"),
    "modification-time": lambda p: _touch(p.root / "a/a_test.go"),
    "time-of-a-file-without-tests": lambda p: _touch(p.root / "a/a.go"),
    "mode": lambda p: (p.root / "a/a.go").chmod(0o600),
    "file-added": lambda p: p.write("a/b_test.go", "package a\n"),
    "file-removed": lambda p: (p.root / "a/a.go").unlink(),
    "package-added": lambda p: p.write("deep/er/b_test.go", TEST_FILE.format("b")),
    "file-renamed": lambda p: (p.root / "a/a.go").rename(p.root / "a/z.go"),
    "go.mod": lambda p: p.write("go.mod", "module example.com/n\n\ngo 1.22\n"),
    "nested-module": lambda p: p.write("a/nested/go.mod", "module example.com/x\n"),
    "go.work-above": lambda p: (p.root.parent / "go.work").write_text("go 1.22\n\nuse ./module\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_go_is_asked_again_after_a_change_of(place: Place, change: str) -> None:
    place.session()
    CHANGES[change](place)
    assert place.session().count("list") == 1
    assert place.session() == []


STAYS: dict[str, Callable[[Place], object]] = {
    "a file that is not Go": lambda p: p.write("a/README.md", "words"),
    "testdata": lambda p: p.write("a/testdata/x.go", "package x\n"),
    "a hidden directory": lambda p: p.write(".git/x.go", "package x\n"),
    "an underscore directory": lambda p: p.write("_old/x.go", "package x\n"),
    "an empty directory": lambda p: (p.root / "empty").mkdir(),
    "a time of a directory": lambda p: _touch(p.root / "a"),
    "the outer directory": lambda p: (p.root.parent / "x.go").write_text("package x\n"),
}


@pytest.mark.parametrize("change", STAYS)
def test_go_is_not_asked_again_for(place: Place, change: str) -> None:
    place.session()
    STAYS[change](place)
    assert place.session() == []


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        (("-tags=slow",), {}),
        ((), {"GOFLAGS": "-tags=slow"}),
        ((), {"GOOS": "windows"}),
        ((), {"CGO_ENABLED": "0"}),
        ((), {"GOWORK": "off"}),
        ((), {"GOTOOLCHAIN": "go1.22.12"}),
    ],
)
def test_go_is_asked_again_with_other(
    place: Place, flags: tuple[str, ...], environ: dict[str, str]
) -> None:
    place.session()
    assert place.session(*flags, **environ) == ["list"]


def test_go_is_asked_again_when_another_version_kept_other_fields(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(Package, "__slots__", (*Package.__slots__, "importable"))
        place.session()
    assert place.session() == ["list"]


def test_other_variables_change_nothing(place: Place) -> None:
    place.session()
    assert place.session(WHATEVER="else", PYTEST_CURRENT_TEST="x") == []


@pytest.mark.parametrize("named", [True, False], ids=["GOENV", "the user's own"])
def test_go_is_asked_again_after_go_env_w(place: Place, named: bool) -> None:
    if named:
        file = place.base / "env"
        environ = {"GOENV": str(file)}
    else:
        file = place.base / "config" / "go" / "env"
        # Wherever this system keeps it.
        environ = {"GOENV": "", "XDG_CONFIG_HOME": str(place.base / "config")}
    place.session(**environ)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("GOFLAGS=-tags=slow\n")
    assert place.session(**environ) == ["list"]
    assert place.session(**environ) == []


def test_another_go_command_is_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.session()
    other = place.base / "go"
    other.write_text(f'#!/bin/sh\nexec {GO} "$@"\n')
    other.chmod(0o755)
    monkeypatch.setattr(f"{__name__}.GO", str(other))
    assert place.session() == ["env", "list"]  # which Go a wrapper starts it has to be asked


def test_only_the_source_that_changed_is_parsed_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = place.write("a/b_test.go", "package a\n")
    catalog = Catalog(Counting(), (), place.cache)
    for file in (place.root / "a/a_test.go", other):
        catalog.source(file)
    catalog.save()
    place.write("a/b_test.go", TEST_FILE.format("a").replace("TestA", "TestNew"))
    parsed: list[bytes] = []
    parse = _source.parse

    def noting(content: bytes) -> _source.SourceFile:
        parsed.append(content)
        return parse(content)

    monkeypatch.setattr(_source, "parse", noting)
    again = Catalog(Counting(), (), place.cache)
    again.source(place.root / "a/a_test.go")
    assert [function.name for function in again.source(other).functions] == ["TestNew"]
    assert parsed == [other.read_bytes()]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[1, 2]",
        "null",
        json.dumps({"version": "0.0", "stamp": "STAMP", "packages": [], "sources": {}}),
        json.dumps({"version": __version__, "stamp": "STAMP"}),
        json.dumps({"version": __version__, "stamp": "STAMP", "packages": None, "sources": []}),
    ],
    ids=["empty", "words", "list", "null", "other-version", "fields-missing", "other-types"],
)
def test_a_spoilt_file_is_replaced(place: Place, content: str) -> None:
    place.session()
    stamp = json.loads(place.kept.read_text())["stamp"]
    place.kept.write_text(content.replace("STAMP", stamp))
    assert place.session() == ["list"]
    assert place.session() == []


def test_half_a_file_is_replaced(place: Place) -> None:
    place.session()
    whole = place.kept.read_bytes()
    place.kept.write_bytes(whole[: len(whole) // 2])
    assert place.session() == ["list"]


def test_a_place_that_cannot_be_written_costs_time_only(place: Place) -> None:
    place.cache.write_text("a file, not a directory")
    assert place.session() == ["list"]
    assert place.session() == ["list"]


def test_nothing_but_one_file_is_left_in_the_cache(place: Place) -> None:
    for number in range(3):
        place.write("a/a_test.go", TEST_FILE.format("a") + "\n" * number)
        place.session()
    assert place.kept.suffix == ".json"


def test_what_was_removed_is_forgotten(place: Place) -> None:
    gone = place.write("a/b_test.go", "package a\n")
    catalog = Catalog(Counting(), (), place.cache)
    catalog.source(gone)
    catalog.save()
    gone.unlink()
    place.session()
    assert list(json.loads(place.kept.read_text())["sources"]) == [str(place.root / "a/a_test.go")]


# Modules


def test_the_nearest_go_mod_is_the_module(place: Place) -> None:
    place.write("tools/go.mod", "module example.com/tools\n")
    catalog = Catalog(Counting(), (), place.cache)
    assert catalog.module_root(str(place.root / "a")) == str(place.root)
    assert catalog.module_root(str(place.root / "tools/deep")) == str(place.root / "tools")
    assert catalog.module_root(str(place.root.parent)) is None


def test_a_directory_called_go_mod_is_no_module(place: Place) -> None:
    (place.root / "a/go.mod").mkdir()
    assert Catalog(Counting(), (), place.cache).module_root(str(place.root / "a")) == str(
        place.root
    )


def test_a_module_inside_another_is_nested_unless_a_go_work_joins_it(place: Place) -> None:
    inner = place.write("tools/go.mod", "module example.com/tools\n\ngo 1.22\n").parent

    def nested(**environ: str) -> bool:
        return Catalog(Counting(**environ), (), place.cache).nested(str(inner))

    assert nested()
    work = place.root / "go.work"
    work.write_text("go 1.22\n\nuse (\n\t.\n\t./tools\n)\n")
    assert not nested()
    assert nested(GOWORK="off")
    elsewhere = place.base / "elsewhere" / "go.work"
    elsewhere.parent.mkdir()
    shutil.move(work, elsewhere)
    elsewhere.write_text(f"go 1.22\n\nuse (\n\t{place.root}\n\t{inner}\n)\n")
    assert nested()
    assert not nested(GOWORK=str(elsewhere))
    elsewhere.write_text("nonsense\n")
    assert nested(GOWORK=str(elsewhere))


def test_neither_a_plain_directory_nor_an_outermost_module_is_nested(place: Place) -> None:
    catalog = Catalog(Counting(), (), place.cache)
    assert not catalog.nested(str(place.root / "a"))
    assert not catalog.nested(str(place.root))


def test_testdata_is_not_listed_and_is_found_by_name(place: Place) -> None:
    file = place.write("a/testdata/kept/k_test.go", TEST_FILE.format("kept"))
    for _ in range(2):  # learnt and remembered
        catalog = Catalog(Counting(), (), place.cache)
        assert not catalog.listed(str(file.parent))
        package = catalog.package_of(file)
        assert package.import_path == "example.com/m/a/testdata/kept"
        assert package.test_files == ("k_test.go",)
        catalog.save()
        # What was named once is not there for a session that does not name it.
        assert [
            p.import_path
            for p in Catalog(Counting(), (), place.cache).all_packages([str(place.root)])
        ] == ["example.com/m/a"]


def test_which_directories_hold_packages(place: Place) -> None:
    place.write("deep/er/b_test.go", TEST_FILE.format("b"))
    place.write("deeper.txt", "")
    place.write("bad name/c_test.go", TEST_FILE.format("c"))
    catalog = Catalog(Counting(), (), place.cache)
    seen = {
        name: (
            catalog.listed(str(place.root / name)),
            catalog.holds_packages(str(place.root / name)),
        )
        for name in ("a", "deep", "deep/er", "dee", "none")
    }
    assert seen == {
        "a": (True, True),
        "deep": (False, True),
        "deep/er": (True, True),
        "dee": (False, False),
        "none": (False, False),
    }
    # go refuses its name and tells no directory; its files are an error all the same.
    assert catalog.listed(str(place.root / "bad name"))


def test_a_file_outside_any_module_is_an_error_that_says_what_to_do(place: Place) -> None:
    file = place.root.parent / "x_test.go"
    file.write_text(TEST_FILE.format("x"))
    with pytest.raises(DiscoveryError, match="outside any Go module") as caught:
        Catalog(Counting(), (), place.cache).package_of(file)
    assert "go mod init" in caught.value.hint


def test_a_source_that_is_gone_is_an_os_error(place: Place) -> None:
    with pytest.raises(FileNotFoundError):
        Catalog(Counting(), (), place.cache).source(place.root / "a/gone_test.go")


def test_a_module_that_go_cannot_read_is_an_error(place: Place) -> None:
    place.write("go.mod", "nonsense\n")
    with pytest.raises(DiscoveryError, match="unknown directive: nonsense"):
        place.session()
