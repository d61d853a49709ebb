"""The commands for Go tests; that an expression for -run selects just what was meant is asked of Go."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from pytest_gotest._build import Binary
from pytest_gotest._launch import binary_launch, gotest_launch, quote_meta, run_pattern
from pytest_gotest._plan import Group, Test
from pytest_gotest._settings import Settings
from pytest_gotest._source import Kind
from pytest_gotest._toolchain import GoEnv, Package, Toolchain, find_go

NASTY = [
    "plain",
    "plain more",
    "plain|more",
    "more",
    "two words",
    "tab\tand\nnewline",
    "grün 日本語 🎉",
    "\"double\" 'single' `back`",
    "[brackets]",
    "open[",
    "close]",
    "open(",
    "close)",
    "{2}",
    "(a+b)*c?^$.{2}",
    ".*",
    "back\\slash",
    "trailing\\",
    "\\Q.\\E",
    "a::b",
    "a/b",
    "a/c",
    "a",
    "[a/b]",
    "(a/b)",
    "(a|b)/c",
    "/lead",
    "trail/",
    "a//b",
    "",
    "same",
    "same",
    "#00",
    "comma,semicolon;%41&=~!@<>",
    "control\x01\x1b",
    "-flag",
    "--- FAIL: TestNasty (0.00s)",
    "(?i)PLAIN",
    "$HOME `id` $(id)",
    "x" * 3000,
]

SOURCE = """package nasty

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"
)

func names(t *testing.T) (names []string) {
	if err := json.Unmarshal([]byte(os.Getenv("NAMES")), &names); err != nil {
		t.Fatal(err)
	}
	return names
}

func note(t *testing.T, what string) {
	file, err := os.OpenFile(os.Getenv("NOTES"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	json.NewEncoder(file).Encode(what)
	file.Close()
}

func TestNasty(t *testing.T) {
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) { note(t, t.Name()) })
	}
}

func TestNastyToo(t *testing.T) { note(t, t.Name()) }
func TestNas(t *testing.T)      { note(t, t.Name()) }
func TestÜber(t *testing.T)     { note(t, t.Name()) }
func Test(t *testing.T)         { note(t, t.Name()) }

func TestQuoteMeta(t *testing.T) {
	for _, name := range names(t) {
		note(t, regexp.QuoteMeta(name))
	}
}
"""


class Nasty:
    """A test binary that notes which of its tests ran."""

    def __init__(self, base: Path) -> None:
        (base / "go.mod").write_text("module example.com/nasty\n\ngo 1.22\n")
        (base / "nasty_test.go").write_text(SOURCE, encoding="utf-8")
        self.binary = base / "nasty.test"
        self.notes = base / "notes"
        subprocess.run(["go", "test", "-c", "-o", self.binary], cwd=base, check=True)

    def run(self, pattern: str) -> list[str]:
        self.notes.unlink(missing_ok=True)
        environ = {**os.environ, "NAMES": json.dumps(NASTY), "NOTES": str(self.notes)}
        done = subprocess.run(
            [self.binary, f"-test.run={pattern}"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        lines = self.notes.read_text("utf-8").splitlines() if self.notes.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Nasty:
    return Nasty(tmp_path_factory.mktemp("nasty"))


def test_meta_characters_are_quoted_as_go_does(nasty: Nasty) -> None:
    assert nasty.run("^TestQuoteMeta$") == [quote_meta(name) for name in NASTY]


@pytest.mark.parametrize(
    "names",
    [
        ["Test"],
        ["TestNas"],
        ["TestNastyToo"],
        ["TestÜber"],
        ["TestNas", "TestÜber"],
        ["TestNone"],
    ],
    ids=" ".join,
)
def test_top_level_tests_are_selected_by_their_whole_names(nasty: Nasty, names: list[str]) -> None:
    assert nasty.run(run_pattern(names)) == [name for name in names if name != "TestNone"]


def test_a_subtest_is_selected_by_its_whole_name(nasty: Nasty) -> None:
    """With it go runs what stands on the way to it, and below it (testing/match.go), no other."""
    everything = nasty.run(run_pattern(["TestNasty"]))
    assert len(set(everything)) == len(NASTY)
    wrong = {}
    for full in everything:
        ran = nasty.run(run_pattern(["TestNasty"], full.partition("/")[2]))
        path = f"{full}/"
        related = [n for n in everything if path.startswith(f"{n}/") or n.startswith(path)]
        if ran != related:
            wrong[full] = ran
    assert not wrong


def test_a_subtest_is_selected_beside_a_gate(nasty: Nasty) -> None:
    assert nasty.run(run_pattern(["TestNasty", "TestNas"], "plain|more")) == [
        "TestNasty/plain|more",
        "TestNas",
    ]


# The commands

PACKAGE = Package("example.com/m/a", "a", "/m/a", "/m", ("a_test.go",))
ENV = GoEnv("go1.26.8", "/goroot", "linux", "amd64", "", "", True, "cc")
TEST = Test("example.com/m/a", "TestA")
FUZZ = Test("example.com/m/a", "FuzzA", Kind.FUZZ)
BENCH = Test("example.com/m/a", "BenchmarkA", Kind.BENCHMARK)


def binary_argv(
    group: Group, settings: Settings | None = None, plain: str = "", select: Test | None = None
) -> list[str]:
    launch = binary_launch(
        PACKAGE,
        Binary("/cache/a.test", plain),
        settings or Settings(),
        ENV,
        {"PATH": "/bin"},
        select=select,
    )
    assert launch.harness is not bool(plain)
    return list(launch.argv(group))


COMMON = ["/cache/a.test", "-test.paniconexit0", "-test.timeout=24h", "-test.v=test2json"]


def test_a_binary_with_the_harness_is_given_no_names() -> None:
    assert binary_argv(Group((TEST,))) == COMMON


def test_the_users_arguments_come_last() -> None:
    settings = Settings(short=True, args=("-update", "x"))
    assert binary_argv(Group((TEST,)), settings) == [*COMMON, "-test.short", "-update", "x"]


def test_a_subtest_is_filtered_beside_the_harness() -> None:
    chosen = Test("example.com/m/a", "TestA", select="x.y/z")
    (argument,) = binary_argv(Group((chosen,)), select=chosen)[len(COMMON) :]
    assert argument == r"-test.run=^(?:TestA|GotestHarness)$/^x\.y$/^z$"


@pytest.mark.parametrize(
    ("group", "arguments"),
    [
        (Group((TEST, FUZZ), times=3), ["-test.run=^(?:TestA|FuzzA)$", "-test.count=3"]),
        (
            Group((BENCH,)),
            ["-test.run=^$", "-test.bench=^(?:BenchmarkA)$", "-test.count=1"],
        ),
    ],
)
def test_a_binary_without_the_harness_is_given_the_names(
    group: Group, arguments: list[str]
) -> None:
    program, panics, limit, verbose, *chosen = binary_argv(group, plain="it is another Go")
    assert ([program, panics, verbose], chosen) == ([*COMMON[:2], COMMON[3]], arguments)
    # It ends by itself if pytest is killed, long after its own limit would have been told.
    seconds = int(limit.removeprefix("-test.timeout=").removesuffix("s"))
    tests = sum(test.timeout for test in group.tests) * group.times
    assert tests + 60 <= seconds < tests + 3600


def test_a_binary_runs_where_and_with_what_go_test_gives_it() -> None:
    settings = Settings(timeout=5)
    launch = binary_launch(PACKAGE, Binary("/cache/a.test"), settings, ENV, {"PATH": "/bin"})
    assert (launch.cwd, launch.timeout, launch.json) == ("/m/a", 5, False)
    assert launch.env == {"PATH": "/goroot/bin:/bin", "PWD": "/m/a"}
    without_path = binary_launch(PACKAGE, Binary("/cache/a.test"), settings, ENV, {})
    assert without_path.env["PATH"] == "/goroot/bin"


@pytest.mark.parametrize(("version", "escapes"), [("go1.26.8", False), ("go1.27.3", True)])
def test_which_go_escapes_its_markers(version: str, escapes: bool) -> None:
    env = GoEnv(version, "/goroot", "linux", "amd64", "", "", True, "cc")
    assert binary_launch(PACKAGE, Binary("x"), Settings(), env, {}).escapes is escapes


def test_go_test_gets_the_users_build_flags_and_arguments() -> None:
    settings = Settings(
        tags=("a", "b"), race=True, short=True, build_args=("-vet=off", "-x"), args=("-update",)
    )
    launch = gotest_launch(PACKAGE, Toolchain("/bin/go", {}), settings, {"PATH": "/bin"})
    argv = list(launch.argv(Group((TEST,))))
    assert argv[:3] == ["/bin/go", "test", "-json"]
    assert argv[-3:] == ["./a", "-args", "-update"]
    flags = set(argv[3:-3])
    assert flags >= {"-tags=a,b", "-race", "-short", "-vet=off", "-x", "-run=^(?:TestA)$"}
    assert not [flag for flag in flags if re.match(r"-v(=|$)", flag)], "it takes the markers away"
    assert (launch.cwd, launch.json, launch.harness) == ("/m", True, False)
    assert launch.env["PWD"] == "/m"


def test_a_go_test_command_is_one_that_go_accepts(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/m\n\ngo 1.22\n")
    (tmp_path / "m_test.go").write_text(
        'package m\n\nimport "testing"\n\nfunc TestA(t *testing.T) {}\n'
    )
    package = Package("example.com/m", "m", str(tmp_path), str(tmp_path), ("m_test.go",))
    toolchain = Toolchain(find_go(), dict(os.environ))
    settings = Settings(tags=("a",), short=True, build_args=("-vet=off", "-trimpath"))
    launch = gotest_launch(package, toolchain, settings, dict(os.environ))
    done = subprocess.run(
        launch.argv(Group((Test("example.com/m", "TestA"),))),
        cwd=launch.cwd,
        env=launch.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"Action":"pass","Package":"example.com/m","Test":"TestA"' in done.stdout
