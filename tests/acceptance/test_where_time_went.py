"""``--gotest-timeline`` in real sessions: whole ones, with workers, crashed, interrupted, and where it cannot write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from browser import browser
from otlp import Receiver, attributes
from running import Outcome, gone, run_pytest, start_pytest

HOSTILE = "</script><script>document.title='taken'</script>é"
Event = dict[str, Any]


class Module:
    """A Go module with a test of each outcome, two that run beside each other, and a Python test."""

    def __init__(self, base: Path) -> None:
        self.root = base / "module"
        self.record = base / "record"
        self.write("go.mod", "module example.com/m\n\ngo 1.22\n")
        self.write("pytest.ini", "[pytest]\n")
        self.write(
            "a/a_test.go",
            """
            package a

            import "testing"

            func TestPasses(t *testing.T) {
                t.Run("sub", func(t *testing.T) {})
            }
            func TestFails(t *testing.T) { t.Error("so it is") }
            func TestSkips(t *testing.T) { t.Skip("not today") }
            """,
        )
        self.write(
            "b/b_test.go",
            """
            package b

            import (
                "testing"
                "time"
            )

            func TestLong(t *testing.T) {
                t.Parallel()
                time.Sleep(80 * time.Millisecond)
            }
            func TestShort(t *testing.T) {
                t.Parallel()
                time.Sleep(40 * time.Millisecond)
            }
            """,
        )
        self.write(
            "test_py.py",
            f"""
            import pytest

            @pytest.mark.parametrize("value", [1], ids=[{HOSTILE!r}])
            def test_py(value):
                pass
            """,
        )

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")

    def run(self, *arguments: str, file: str = "timeline.json", **more: Any) -> Outcome:
        return run_pytest(
            self.root, f"--gotest-timeline={file}", *arguments, record=self.record, **more
        )

    def trace(self, *arguments: str, **more: Any) -> tuple[Outcome, list[Event]]:
        outcome = self.run(*arguments, **more)
        file = self.root / "timeline.json"
        assert file.exists(), outcome.output
        return outcome, checked(json.loads(file.read_text(encoding="utf-8")))


@pytest.fixture
def module(tmp_path: Path) -> Module:
    return Module(tmp_path)


def checked(trace: dict[str, Any]) -> list[Event]:
    """The complete events, each with its ``worker`` and ``track``; what every trace must keep to is asserted."""
    names = {
        (event["name"], event["pid"], event["tid"]): event["args"]["name"]
        for event in trace["traceEvents"]
        if event["ph"] == "M" and event["name"].endswith("_name")
    }
    tracks = defaultdict(list)
    events = [event for event in trace["traceEvents"] if event["ph"] != "M"]
    for event in events:
        assert event["ph"] == "X"
        assert {"name", "cat", "ts", "dur", "pid", "tid", "args"} <= event.keys()
        assert event["ts"] >= 0, event
        assert event["dur"] >= 0, event
        event["worker"] = names["process_name", event["pid"], 0]
        event["track"] = names["thread_name", event["pid"], event["tid"]]
        event["end"] = event["ts"] + event["dur"]
        tracks[event["pid"], event["tid"]].append(event)
    for track in tracks.values():
        open_ends: list[int] = []
        for event in track:
            while open_ends and open_ends[-1] <= event["ts"] and event["ts"] < event["end"]:
                open_ends.pop()
            while open_ends and open_ends[-1] < event["ts"]:
                open_ends.pop()
            assert not open_ends or event["end"] <= open_ends[-1], (event, track)
            open_ends.append(event["end"])
    return events


def of(events: list[Event], category: str) -> list[Event]:
    return [event for event in events if event["cat"] == category]


def one(events: list[Event], name: str) -> Event:
    (found,) = (event for event in events if event["name"] == name)
    return found


def began(module: Module) -> float:
    """Seconds since the epoch."""
    trace = json.loads((module.root / "timeline.json").read_text())
    return float(trace["otherData"]["began"])


OUTCOMES = {
    "a/a_test.go::TestPasses": "passed",
    "a/a_test.go::TestFails": "failed",
    "a/a_test.go::TestSkips": "skipped",
    "b/b_test.go::TestLong": "passed",
    "b/b_test.go::TestShort": "passed",
}


def python_test(outcome: Outcome) -> str:
    (found,) = (name for name in outcome.items if name.startswith("test_py.py"))
    return found


@pytest.mark.parametrize(
    "arguments", [[], ["-n2"], ["--tx", "2*popen"], ["--gotest-engine=gotest"]], ids=str
)
def test_each_test_is_there_once_with_its_phases_and_its_run(
    module: Module, arguments: list[str]
) -> None:
    outcome, events = module.trace(*arguments, plugins=["xdist"])
    assert outcome.exitstatus == 1
    assert "gotest: timeline in timeline.json" in outcome.output
    tests = {event["name"]: event["args"]["outcome"] for event in of(events, "test")}
    assert tests == OUTCOMES | {python_test(outcome): "passed"}
    assert len(of(events, "test")) == len(tests)
    for phase in ("setup", "call", "teardown"):
        phases = Counter(event["args"]["nodeid"] for event in of(events, phase))
        assert phases == Counter(list(tests)), "each once"
    runs = {event["args"]["nodeid"]: event["args"]["outcome"] for event in of(events, "go test")}
    assert runs == OUTCOMES
    assert len(of(events, "go test")) == len(runs)
    assert {event["worker"] for event in events} == (
        {"gw0", "gw1"} if "-n2" in arguments else {"main"}
    )
    assert {event["track"] for event in of(events, "test")} == {"pytest"}
    for run in of(events, "go test"):
        item = one(of(events, "test"), run["args"]["nodeid"])
        assert run["worker"] == item["worker"]
        assert run["track"].startswith("Go ")
        assert run["ts"] < item["end"], "a result is not reported before it is there"
    for process in of(events, "process"):
        assert process["args"]["exit"].startswith("exit ")
        assert process["args"]["pid"] > 0


def test_tests_that_run_beside_each_other_are_on_tracks_beside_each_other(module: Module) -> None:
    _, events = module.trace("b", env={"GOMAXPROCS": "2"})
    long, short = one(events, "TestLong"), one(events, "TestShort")
    assert {long["track"], short["track"]} == {"Go 1", "Go 1, beside 1"}
    assert max(long["ts"], short["ts"]) < min(long["end"], short["end"])


def test_a_build_is_there_and_what_is_done_before_it(module: Module, tmp_path: Path) -> None:
    _, events = module.trace("a", f"--gotest-cache-dir={tmp_path / 'cache'}")
    (build,) = of(events, "build")
    (collection,) = of(events, "collect")
    assert collection["ts"] <= build["ts"]
    assert build["end"] <= collection["end"]
    assert build["name"] == "1 package"
    (start,) = of(events, "start-up")
    (process,) = of(events, "process")
    assert start["ts"] == process["ts"] >= build["end"]
    assert start["end"] <= one(events, "TestPasses")["ts"]


_HOLDER = """
import pathlib, sys, time
from filelock import FileLock

with FileLock(sys.argv[1]):
    print("held", flush=True)
    while not pathlib.Path("asked").exists():
        time.sleep(0.01)
    time.sleep(0.3)
    print(time.time(), flush=True)
"""


def test_waiting_for_another_builder_is_noted(module: Module, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    module.run("a", f"--gotest-cache-dir={cache}")
    (place,) = (cache / "bin").iterdir()
    module.write("a/a_test.go", 'package a\n\nimport "testing"\n\nfunc TestNew(t *testing.T) {}\n')
    module.write(
        "conftest.py",
        """
        import pathlib
        from pytest_gotest import _build

        original = _build._Module._take_current

        def last_step_before_the_lock(self, *arguments):
            found = original(self, *arguments)
            pathlib.Path("asked").touch()
            return found

        _build._Module._take_current = last_step_before_the_lock
        """,
    )
    command = [sys.executable, "-c", _HOLDER, str(place / ".lock")]
    with subprocess.Popen(command, cwd=module.root, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        _, events = module.trace("a", f"--gotest-cache-dir={cache}")
        released = float(holder.stdout.readline())
    (wait,) = of(events, "wait")
    (build,) = of(events, "build")
    assert wait["name"] == "another build of module"
    assert build["ts"] <= wait["ts"]
    assert wait["end"] <= build["end"]
    assert began(module) + wait["end"] / 1e6 >= released


def test_a_test_that_ran_ahead_is_shown_when_it_ran(module: Module) -> None:
    """What Go printed of it has been read before its own item begins."""
    module.write(
        "c/c_test.go",
        """
        package c

        import "testing"

        func TestFirst(t *testing.T) {}
        func TestSecond(t *testing.T) {}
        """,
    )
    module.write(
        "conftest.py",
        """
        import time

        def pytest_runtest_teardown(item):
            if item.name != "TestFirst":
                return
            processes = item.gotest.recorder.processes
            until = time.monotonic() + 30
            while "TestSecond" not in [test[0].name for one in processes for test in one.tests]:
                assert time.monotonic() < until
                time.sleep(0.01)
        """,
    )
    outcome, events = module.trace("c")
    assert set(outcome.items.values()) == {"passed"}, outcome.output
    item = one(of(events, "test"), "c/c_test.go::TestSecond")
    assert one(events, "TestSecond")["ts"] < item["ts"]


def test_idle_is_what_is_left_of_a_worker(module: Module) -> None:
    module.write(
        "conftest.py",
        """
        import time

        def pytest_runtest_logfinish():
            time.sleep(0.02)
        """,
    )
    _, events = module.trace("a")
    idle = sum(event["dur"] for event in of(events, "idle"))
    assert idle > 50_000
    assert {event["track"] for event in of(events, "idle")} == {"pytest"}


def test_a_worker_that_dies_keeps_what_it_reported(module: Module) -> None:
    module.write(
        "a/conftest.py",
        """
        import os
        import signal

        def pytest_runtest_call(item):
            if item.name == "TestFails":
                os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    outcome, events = module.trace("-n1", "a", plugins=["xdist"])
    assert "crashed while running" in outcome.output
    tests = {event["name"]: event for event in of(events, "test")}
    assert {name: event["args"]["outcome"] for name, event in tests.items()} == {
        "a/a_test.go::TestPasses": "passed",
        "a/a_test.go::TestFails": "crashed",
        "a/a_test.go::TestSkips": "skipped",
    }
    assert tests["a/a_test.go::TestPasses"]["worker"] == "gw0"
    assert tests["a/a_test.go::TestFails"]["worker"] == "gw0"
    assert tests["a/a_test.go::TestSkips"]["worker"] == "gw1", "the one that took its place"
    assert [e["args"]["nodeid"] for e in of(events, "call") if e["worker"] == "gw0"] == [
        "a/a_test.go::TestPasses"
    ]
    assert [e["args"]["outcome"] for e in of(events, "go test")] == ["skipped"], "of gw1"


@pytest.mark.parametrize("arguments", [[], ["-n1"]], ids=str)
def test_an_interrupted_session_is_written(module: Module, arguments: list[str]) -> None:
    module.write(
        "c/c_test.go",
        """
        package c

        import (
            "os"
            "strconv"
            "testing"
            "time"
        )

        func TestBefore(t *testing.T) {}
        func TestHangs(t *testing.T) {
            os.WriteFile("pid.new", []byte(strconv.Itoa(os.Getpid())), 0o600)
            os.Rename("pid.new", "pid")
            time.Sleep(time.Hour)
        }
        """,
    )
    pid = module.root / "c" / "pid"
    process = start_pytest(
        module.root,
        *("--gotest-isolate=gate", "--gotest-timeline=timeline.json", *arguments, "c"),
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    try:
        until = time.monotonic() + 60
        while not pid.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "INTERNALERROR" not in said
    assert "gotest: timeline in timeline.json" in said
    events = checked(json.loads((module.root / "timeline.json").read_text()))
    outcomes = {event["name"]: event["args"]["outcome"] for event in of(events, "test")}
    assert outcomes == {
        "c/c_test.go::TestBefore": "passed",
        "c/c_test.go::TestHangs": "interrupted",
    }
    if not arguments:
        (ran,) = of(events, "process")
        assert ran["args"]["exit"] == "ended by the session"
    assert gone(int(pid.read_text()))


def test_an_interrupt_while_a_test_is_set_up(module: Module) -> None:
    module.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def interrupts():
            raise KeyboardInterrupt
        """,
    )
    module.write("test_py.py", "def test_py(interrupts):\n    pass\n")
    outcome, events = module.trace("test_py.py")
    assert outcome.exitstatus == pytest.ExitCode.INTERRUPTED
    assert one(of(events, "test"), "test_py.py::test_py")["args"]["outcome"] == "interrupted"


# The page


def test_the_page_of_a_session(module: Module, tmp_path: Path) -> None:
    outcome = module.run("-n2", file="out/timeline.html", plugins=["xdist"])
    file = module.root / "out" / "timeline.html"
    assert f"gotest: timeline in {os.path.join('out', 'timeline.html')}" in outcome.output
    with browser(tmp_path / "browser") as page:
        page.open(file)
        rows = page.run(
            "[...document.querySelectorAll('#longest tbody tr')].map(tr => [...tr.cells].map(td => td.textContent))"
        )
        assert {(name, result) for name, _, result, _ in rows} == {
            *OUTCOMES.items(),
            (python_test(outcome), "passed"),
        }
        page.run("search.focus()")
        page.type("TestLong")
        assert page.run("hits.textContent") == "2 found", "its item and its run"
        assert page.run("Number(canvas.dataset.drawn)") > 10
        assert page.run("document.title") == "Timeline of the tests"
        assert page.complaints() == []
        assert page.requests() == [file.as_uri()]


# The trace


def test_a_session_is_one_trace(module: Module) -> None:
    with Receiver() as receiver:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        outcome = module.run("-n2", env=endpoint, plugins=["xdist"])
        assert "no trace" not in outcome.output
        cases = {
            of["test.case.name"]: of["test.case.result.status"]
            for of in map(attributes, receiver.spans)
            if "test.case.name" in of
        }
        assert cases == {
            "a/a_test.go::TestPasses": "pass",
            "a/a_test.go::TestFails": "fail",
            "a/a_test.go::TestSkips": "skipped",
            "b/b_test.go::TestLong": "pass",
            "b/b_test.go::TestShort": "pass",
            python_test(outcome): "pass",
        }
        root = receiver.named("pytest module")
        assert attributes(root)["test.suite.run.status"] == "failure"
        assert {span.trace_id for span in receiver.spans} == {root.trace_id}
        known = {span.span_id for span in receiver.spans}
        assert all(span.parent_span_id in known for span in receiver.spans if span is not root)
        assert all(
            span.start_time_unix_nano >= root.start_time_unix_nano for span in receiver.spans
        )
        assert all(span.end_time_unix_nano <= root.end_time_unix_nano for span in receiver.spans)
        receiver.spans.clear()
        run_pytest(module.root, "a", record=module.record, env=endpoint)
        assert receiver.spans == [], "only with --gotest-timeline"


def test_a_receiver_that_is_not_there_costs_one_line(module: Module) -> None:
    with Receiver() as receiver:
        url = receiver.url
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    outcome, _ = module.trace("test_py.py", env=env)
    assert outcome.exitstatus == 0
    lines = [line for line in outcome.output.splitlines() if "no trace" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"gotest: no trace sent to {url}: ")
    assert "Traceback" not in outcome.output


# What cannot be


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("timeline.txt", "--gotest-timeline takes a file that ends in .json or .html, not 'timeline.txt'"),
        ("timeline", "--gotest-timeline takes a file that ends in .json or .html, not 'timeline'"),
        ("go.mod/timeline.json", "--gotest-timeline: *timeline.json cannot be written: *"),
        ("a.json", "--gotest-timeline: *a.json cannot be written: Is a directory"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_ends_the_session_before_it_starts(
    module: Module, file: str, said: str, pytester: pytest.Pytester
) -> None:
    (module.root / "a.json").mkdir()
    outcome = module.run(file=file)
    assert outcome.exitstatus == pytest.ExitCode.USAGE_ERROR, outcome.output
    pytest.LineMatcher(outcome.output.splitlines()).fnmatch_lines([f"ERROR: {said}"])
    assert outcome.items == {}
    assert "Traceback" not in outcome.output


def test_a_check_leaves_nothing_behind_and_nothing_out(module: Module) -> None:
    file = module.root / "timeline.json"
    file.write_text("before")
    module.run("--co", "nowhere")
    assert file.read_text() != "before"


def test_a_place_that_goes_away_costs_the_timeline_only(module: Module) -> None:
    module.write(
        "test_py.py",
        """
        import pathlib

        def test_takes_it_away():
            pathlib.Path("out").rmdir()
            pathlib.Path("out").write_text("")
        """,
    )
    outcome = module.run("test_py.py", file="out/timeline.json")
    assert outcome.exitstatus == 0
    assert "gotest: no timeline: " in outcome.output
    assert "cannot be written: Not a directory" in outcome.output
    assert "Traceback" not in outcome.output
    assert "1 passed" in outcome.output


@pytest.fixture
def loaded(module: Module) -> Module:
    module.write(
        "conftest.py",
        """
        import sys

        def pytest_unconfigure():
            print("LOADED", *sorted(name for name in sys.modules if "_timeline" in name
                                    or "_recorder" in name or "_otel" in name or "opentelemetry" in name))
        """,
    )
    return module


def test_without_the_option_nothing_of_it_is_loaded(loaded: Module) -> None:
    outcome = run_pytest(loaded.root, "a", record=loaded.record)
    assert "LOADED\n" in outcome.output
    outcome = loaded.run("a")
    assert "LOADED pytest_gotest._otel pytest_gotest._recorder" in outcome.output
    assert "_timeline_page" not in outcome.output
    assert " opentelemetry" not in outcome.output
