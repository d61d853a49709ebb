"""One build for all who need it: who waits says so, who is killed spoils nothing, who edits disturbs nobody."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gomodule import Module
from running import Outcome, run_pytest, start_pytest

from pytest_gotest._cache import USED
from pytest_gotest._toolchain import find_go

# A go command that does what the environment asks for when it shall build, with $out the directory to build into.
GO = f"""#!/bin/sh
real() {{ {find_go()} "$@"; }}
[ "$1 $2" = "test -c" ] || {{ real "$@"; exit; }}
[ -z "$ASKED" ] || echo "$$" >> "$ASKED"
for word; do [ "$before" = -o ] && out=$word; before=$word; done
case "$MOMENT" in
before) kill -KILL $PPID; exit 1;;
half) real "$@" > "$LOG"; for one in "$out"/*.test; do truncate -s 1500000 "$one"; done; kill -KILL $PPID;;
after) real "$@" > "$LOG"; kill -KILL $PPID;;
later) kill -KILL $PPID; while [ ! -e "$GATE" ]; do sleep 0.05; done; real "$@" > "$LOG"
       for one in "$out"/*.test; do truncate -s 1500000 "$one"; done; touch "$GATE.over";;
wait) touch "$GATE.there"; while [ ! -e "$GATE" ]; do sleep 0.05; done; real "$@"; exit;;
*) real "$@"; exit;;
esac
"""


class Project(Module):
    """Package a passes if the word in its source is the one in WANT; b and c are there to be built too."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.base = base
        self.write("pytest.ini", "[pytest]\n")
        self.write(
            "a/a_test.go",
            'package a\n\nimport (\n\t"os"\n\t"testing"\n)\n\nfunc TestWord(t *testing.T) {\n'
            '\tif want := os.Getenv("WANT"); Word != want {\n'
            '\t\tt.Fatalf("built of %s, want %s", Word, want)\n\t}\n}\n',
        )
        self.says("one")
        for name in ("b", "c"):
            self.test_file(f"{name}/{name}_test.go")
        bin = base / "bin"
        bin.mkdir()
        (bin / "go").write_text(GO)
        (bin / "go").chmod(0o755)
        (base / "tmp").mkdir()
        self.gate = base / "gate"
        self.started: list[subprocess.Popen[str]] = []
        self.asked_log = base / "asked"
        self.environ = {
            **{name: value for name, value in os.environ.items() if "XDIST" not in name},
            "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
            "GATE": str(self.gate),
            "GOTMPDIR": str(base / "tmp"),  # a go that is killed leaves its own there
            "LOG": str(base / "log"),
            "ASKED": str(self.asked_log),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

    def says(self, word: str) -> None:
        self.write("a/a.go", f'package a\n\nconst Word = "{word}"\n')

    @property
    def asked(self) -> int:
        """How many builds were begun since the last time."""
        found = len(self.asked_log.read_text().splitlines()) if self.asked_log.exists() else 0
        self.asked_log.unlink(missing_ok=True)
        return found

    @property
    def arguments(self) -> list[str]:
        return ["-p", "no:cacheprovider", f"--gotest-cache-dir={self.cache}"]

    def run(self, word: str, *arguments: str, plugins: tuple[str, ...] = (), **env: str) -> Outcome:
        """A whole session that wants ``word``."""
        return run_pytest(
            self.root,
            *self.arguments,
            *arguments,
            record=self.base / "record",
            env={**self.environ, "WANT": word, **env},
            plugins=plugins,
        )

    def start(self, word: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
        environ = {**self.environ, "WANT": word, **env}
        process = start_pytest(self.root, *self.arguments, *arguments, env=environ)
        self.started.append(process)
        return process

    def clean(self) -> None:
        self.gate.touch()  # for an orphan that still waits
        for process in self.started:
            kill(process)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def kill(process: subprocess.Popen[str]) -> None:
    """With all that it started; of one that has ended already too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def read_until(process: subprocess.Popen[str], *words: str) -> str:
    """What it says until all ``words`` were said. A process that does not say them is killed."""
    assert process.stdout is not None
    late = threading.Timer(60, kill, [process])
    late.start()
    said = ""
    try:
        while not all(word in said for word in words):
            line = process.stdout.readline()
            assert line, said
            said += line
    finally:
        late.cancel()
    return said


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    project.clean()


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.01)


def all_pass(outcome: Outcome) -> None:
    assert outcome.exitstatus == 0, outcome.output
    assert list(outcome.items.values()) == ["passed"] * len(outcome.items), outcome.output
    assert outcome.items


# Killed


@pytest.mark.parametrize("moment", ["before", "half", "after", "later"])
@pytest.mark.parametrize("first", [True, False], ids=["nothing built", "built before"])
def test_of_a_session_that_is_killed_while_it_builds_nothing_is_run(
    project: Project, moment: str, first: bool
) -> None:
    if not first:
        all_pass(project.run("one"))
    project.says("two")
    killed = project.run("two", MOMENT=moment)
    assert killed.exitstatus == -signal.SIGKILL
    assert not killed.items
    all_pass(project.run("two"))
    if moment == "later":  # its go outlives it and builds after that
        project.gate.touch()
        wait_for(Path(f"{project.gate}.over").exists, "the end of the orphan")
        all_pass(project.run("two"))
    project.says("three")
    all_pass(project.run("three"))
    # What the killed one wrote is gone.
    assert len(list(project.cache.rglob("a.test"))) == 1


def test_sessions_killed_at_any_moment_leave_a_cache_that_works(project: Project) -> None:
    place = project.cache / "bin"
    for turn in range(6):
        project.says(f"word {turn}")
        process = project.start(f"word {turn}")
        before = set(place.glob("*/build-*"))
        while process.poll() is None and set(place.glob("*/build-*")) == before:
            time.sleep(0.005)
        time.sleep(0.15 * turn)  # listing, compiling, linking, writing
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    all_pass(project.run("word 5"))
    assert len(list(project.cache.rglob("a.test"))) == 1


@pytest.mark.parametrize("arguments", [[], ["-n2"]], ids=["alone", "two workers"])
def test_ctrl_c_while_it_builds_leaves_nothing(project: Project, arguments: list[str]) -> None:
    all_pass(project.run("one"))
    project.says("two")
    process = project.start("two", *arguments, MOMENT="wait")
    wait_for(Path(f"{project.gate}.there").exists, "the build")
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "INTERNALERROR" not in said
    all_pass(project.run("two"))
    assert len(list(project.cache.rglob("a.test"))) == 1


# What is killed between two steps of its own: the process kills itself at that step.
STEPS = {
    "before the manifest": "_manifest.Manifest.write",
    "within the manifest": "_files.put",
    "after the manifest": "_cache.sweep",
}
KILLED = """
import os, sys
import pytest
from pytest_gotest import _build, _cache, _files, _manifest

def build(self, *arguments):
    {step} = lambda *_, **__: os.kill(os.getpid(), 9)
    real(self, *arguments)

real, _build._Module._build = _build._Module._build, build
pytest.main(["-p", "gotest", "--gotest", *sys.argv[1:]])
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_session_killed_between_two_steps_costs_time_only(project: Project, step: str) -> None:
    all_pass(project.run("one"))
    project.says("two")
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(step=STEPS[step]), *project.arguments],
        cwd=project.root,
        env={**project.environ, "WANT": "two"},
    )
    assert done.returncode == -signal.SIGKILL
    all_pass(project.run("two"))
    assert len(list(project.cache.rglob("a.test"))) == 1


# At once


def test_of_two_sessions_the_second_waits_says_so_and_builds_nothing(project: Project) -> None:
    old = time.time() - 100  # what changed just before a build is not trusted, and go asked again
    for path in [*project.root.rglob("*"), project.root]:
        os.utime(path, (old, old))
    first = project.start("one", MOMENT="wait")
    wait_for(Path(f"{project.gate}.there").exists, "the first one's build")
    second = project.start("one")
    said = read_until(second, "waiting")
    assert re.search(
        rf"^gotest: waiting for another session \(pid {first.pid}\), "
        rf"which builds the tests of module \(\d s\)$",
        said,
        re.MULTILINE,
    ), said
    project.gate.touch()
    for process in (first, second):
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert "3 passed" in output


def test_workers_build_once_and_one_of_those_that_wait_says_so(project: Project) -> None:
    process = project.start("one", "-n3", MOMENT="wait")
    said = read_until(process, "waiting for", "building")
    project.gate.touch()
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 0, said
    assert "3 passed" in said
    waiting = re.findall(
        r"^\[(gw\d)\] gotest: waiting for (gw\d) \(pid \d+\), which", said, re.MULTILINE
    )
    (builder,) = re.findall(
        r"^\[(gw\d)\] gotest: building 3 packages \(\d s\)$", said, re.MULTILINE
    )[:1]
    # On a busy machine the same one may wait for the next as well, who finds all built.
    of_builder = [who for who, whom in waiting if whom == builder]
    assert of_builder == ["gw0" if builder != "gw0" else "gw1"]
    assert len({*waiting}) == len(waiting)
    assert re.search(rf"^gotest: 3 packages built in \d+\.\d s by {builder}$", said, re.MULTILINE)
    assert project.asked == 1


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_what_workers_built_is_told_once(project: Project, quiet: tuple[str, ...]) -> None:
    project.write("b/b_test.go", "package b\n\nvar x = undefined\n\n")
    project.write("b/c_test.go", 'package b\n\nimport "testing"\n\nfunc TestB(t *testing.T) {}\n')
    first = project.run("one", "-n2", *quiet, plugins=("xdist",))
    assert first.items == {
        "a/a_test.go::TestWord": "passed", "b/c_test.go::TestB": "error", "c/c_test.go::TestA": "passed",
    }  # fmt: skip
    lines = [line for line in first.output.splitlines() if line.startswith("gotest: 2 packages")]
    assert len(lines) == 1
    built = r"gotest: 2 packages built in \d+\.\d s by gw[01], 1 failed to build"
    assert re.fullmatch(built, lines[0]), first.output
    # What one worker could not build the other does not try to.
    assert project.asked == 1
    assert first.output.count("undefined: undefined") >= 1
    project.test_file("b/b_test.go")
    second = project.run("one", "-n2", *quiet, plugins=("xdist",))
    all_pass(second)
    assert project.asked == 1
    assert re.search(
        r"^gotest: 1 package built in .* s by gw[01] \(2 up to date\)$", second.output, re.MULTILINE
    )


def test_a_short_build_is_waited_for_in_silence(project: Project) -> None:
    """Package b only, and in the cache of go by now: no line of the build but the sum."""
    all_pass(project.run("one"))
    project.test_file("b/b_test.go", "_ = 1")
    outcome = project.run("one", "-n2", "b", plugins=("xdist",))
    all_pass(outcome)
    if (
        "built in 0." in outcome.output or "built in 1." in outcome.output
    ):  # unless this machine took longer
        assert "waiting for" not in outcome.output
    assert (
        len([line for line in outcome.output.splitlines() if "gotest: 1 package built" in line])
        == 1
    )


def test_a_session_keeps_its_binaries_whatever_another_one_builds(project: Project) -> None:
    """Also those it has not started yet: here each test has a process of its own."""
    project.write(
        "a/b_test.go",
        'package a\n\nimport (\n\t"os"\n\t"testing"\n\t"time"\n)\n\nfunc TestAfter(t *testing.T) {\n'
        '\tTestWord(t)\n}\n\nfunc init() {\n\tif len(os.Args) < 2 || os.Getenv("MEET") == "" {\n\t\treturn\n\t}\n'
        '\tos.WriteFile(os.Getenv("MEET")+".there", nil, 0o666)\n'
        '\tfor {\n\t\tif _, err := os.Stat(os.Getenv("MEET")); err == nil {\n\t\t\treturn\n\t\t}\n'
        "\t\ttime.Sleep(time.Millisecond)\n\t}\n}\n",
    )
    meet = project.base / "meet"
    first = project.start("one", "a", "--gotest-isolate=test", "-x", MEET=str(meet))
    wait_for(Path(f"{meet}.there").exists, "the first test of the first session")
    project.says("two")
    all_pass(project.run("two"))  # builds a anew, and sweeps
    project.says("three, which does not build\nx")
    broken = project.run("three", "a")
    assert set(broken.items.values()) == {"error"}
    meet.touch()
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert "2 passed" in said
    project.says("two")
    all_pass(project.run("two"))
    assert len(list(project.cache.rglob("a.test"))) == 1  # now that nobody runs the others


def test_sessions_that_edit_and_evict_all_the_time_get_what_they_want(project: Project) -> None:
    """Two at once over one cache: one with a limit of nothing, each with flags of its own and in turn the same."""
    beside = project.base / "other"
    beside.mkdir()
    other = Project(beside)
    other.cache = project.cache
    project.started = other.started
    for turn in range(3):
        running = []
        for number, one in enumerate((project, other)):
            word = f"word {turn} of {number}"
            one.says(word)
            limit = "--gotest-cache-limit=" + ("0B" if number else "off")
            running += [
                one.start(word, limit),
                one.start(word, limit, f"--gotest-build-arg=-tags=t{turn % 2}"),
            ]
        for process in running:
            said, _ = process.communicate(timeout=90)
            assert process.returncode == 0, said
            assert "3 passed" in said


# The limit


def test_a_limit_evicts_what_no_session_uses_and_tells_with_v(project: Project) -> None:
    all_pass(project.run("one"))
    (unused,) = (project.cache / "bin").iterdir()
    past = time.time() - 1000
    os.utime(unused / USED, (past, past))
    tags = "--gotest-tags=x"
    quiet = project.run("one", tags, "--gotest-cache-limit=1GiB")
    assert unused.exists()
    assert "evicted" not in quiet.output
    project.says("two")
    outcome = project.run("two", tags, "--gotest-cache-limit=1MiB", "-v")
    all_pass(outcome)
    assert re.search(
        r"^gotest: cache: 1 directory evicted, \d+\.\d MiB$", outcome.output, re.MULTILINE
    )
    assert not unused.exists()
    assert len(list((project.cache / "bin").iterdir())) == 1  # its own stays, however large
    all_pass(project.run("two"))  # and the other one is built again


def test_the_cache_is_looked_through_only_after_a_build(project: Project) -> None:
    old = time.time() - 100
    for path in [*project.root.rglob("*"), project.root]:
        os.utime(path, (old, old))
    time.sleep(2.1)  # what changed just before a build is not trusted, and go asked again
    all_pass(project.run("one"))
    stray = project.cache / "bin" / "stray"
    stray.mkdir()
    for _ in range(2):
        outcome = project.run("one", "--gotest-cache-limit=0B", "-v")
        all_pass(outcome)
        assert "3 packages up to date" in outcome.output
        assert stray.exists()


def test_workers_tell_of_evictions_too(project: Project) -> None:
    stray = project.cache / "bin" / "stray"
    stray.mkdir(parents=True)
    outcome = project.run("one", "-n2", "-v", "--gotest-cache-limit=0B", plugins=("xdist",))
    all_pass(outcome)
    assert "gotest: cache: 1 directory evicted, 0 B" in outcome.output
    assert not stray.exists()
