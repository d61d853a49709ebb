"""The harness: its pure parts, and real test binaries of several Go versions under orders.

``GOTEST_GO_VERSIONS`` names the Go versions to build with, separated by commas; "local" is the
installed one.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from running import need_c_compiler

from pytest_gotest import _harness
from pytest_gotest._errors import BuildError, ProcessError
from pytest_gotest._events import Event, RawDecoder
from pytest_gotest._flags import user_overlay
from pytest_gotest._harness import (
    GATE,
    HARNESS_EXIT,
    Channel,
    EventFilter,
    Hello,
    Ready,
    Still,
    decode,
    describe_left,
    encode_go,
    leaked,
    may_share,
    overlay,
    read_overlay,
    shared_place,
    waits,
)

MODULE = Path(__file__).parent / "go" / "harness_module"
PACKAGES = {
    "orders": "orders",
    "kinds": "kinds",
    "fatal": "fatal",
    "twice": "twice",
    "command": "main",
    "onlyexternal": "only_test",
    "leaks": "leaks",
    "waits": "waits",
}
VERSIONS = os.environ.get("GOTEST_GO_VERSIONS", "local,1.22.12,1.27.3").split(",")
PATIENCE = 120.0  # seconds; only ever waited for when something is broken
VERDICT = re.compile(r"\x16--- (PASS|FAIL|SKIP): (\S+) \(")
linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux only")

HELLO = Hello(("TestA", "TestB", "TestA"), ("FuzzA",), ("ExampleA",), ("BenchmarkA",))
READY = {"ready": "test", "ok": True, "ns": 1_500_000_000, "goroutines": 2}


# The overlay


def test_overlay_puts_the_harness_into_the_external_test_package(tmp_path: Path) -> None:
    path = overlay({"/m/a": "a", "/m/cmd": "main", "/m/b": "b_test"}, tmp_path)
    replace = read_overlay(path)
    assert sorted(replace) == [
        f"/m/{package}/zz_gotest_harness{system}_test.go"
        for package in ("a", "b", "cmd")
        for system in ("_linux", "")
    ]
    clauses = {
        target: re.findall(r"^package (\w+)$", Path(source).read_text(), re.MULTILINE)
        for target, source in replace.items()
    }
    assert clauses["/m/a/zz_gotest_harness_test.go"] == ["a_test"]
    assert clauses["/m/b/zz_gotest_harness_linux_test.go"] == ["b_test"]
    assert clauses["/m/cmd/zz_gotest_harness_test.go"] == ["main_test"]


def test_overlay_adds_one_package_that_the_tests_import(tmp_path: Path) -> None:
    packages = {"/m/a": "a", "/m/cmd": "main", "/m/b": "b_test", "/m/c": "c"}
    replace = read_overlay(
        overlay(packages, tmp_path, shared="/go/src/go", internal=("/m/a", "/m/cmd"))
    )
    texts = {target: Path(source).read_text() for target, source in replace.items()}
    clauses = {
        target: re.findall(r"^package (\w+)$", text, re.MULTILINE) for target, text in texts.items()
    }
    # Go initialises files in the order of their names: that of Linux has to be the first.
    assert list(clauses.items()) == [
        ("/go/src/go/zz_gotest_harness_linux.go", ["gotestharness"]),
        ("/go/src/go/zz_gotest_harness_main.go", ["gotestharness"]),
        ("/m/a/zz_gotest_harness_test.go", ["a"]),
        ("/m/b/zz_gotest_harness_test.go", ["b_test"]),
        ("/m/c/zz_gotest_harness_test.go", ["c_test"]),
        ("/m/cmd/zz_gotest_harness_test.go", ["main"]),
    ]
    assert all('import _ "go"' in texts[path] for path in texts if path.startswith("/m"))


FREE = ("ast", "build")
DOWNLOADED = "/home/me/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.25.5.linux-amd64"


@pytest.mark.parametrize(
    ("goroot", "names", "version", "coverpkg", "shared"),
    [
        ("/usr/local/go", FREE, (1, 26), False, True),
        ("/usr/local/go", FREE, (1, 22), False, True),
        ("/usr/local/go", FREE, (1, 26), True, False),
        ("/usr/local/go", (*FREE, "new.go"), (1, 26), False, False),
        ("/usr/local/go", (), (1, 26), False, False),
        ("", FREE, (1, 26), False, False),
        (DOWNLOADED, FREE, (1, 24), False, True),
        (DOWNLOADED, FREE, (1, 25), False, False),
        ("/home/me/go/pkg/mod2", FREE, (1, 25), False, True),
    ],
)
def test_the_harness_is_shared_where_go_takes_it(
    goroot: str, names: tuple[str, ...], version: tuple[int, int], coverpkg: bool, shared: bool
) -> None:
    place, cache = shared_place(goroot), "/home/me/go/pkg/mod/"
    assert may_share(place, names, cache, version, coverpkg=coverpkg) is shared
    assert may_share(place, names, "", version, coverpkg=True) is False


def test_overlay_is_written_only_when_it_changes(tmp_path: Path) -> None:
    first = overlay({"/m/a": "a"}, tmp_path)
    before = {path: path.stat() for path in tmp_path.iterdir()}
    assert overlay({"/m/a": "a"}, tmp_path) == first
    assert {path: path.stat() for path in tmp_path.iterdir()} == before
    assert overlay({"/m/a": "a", "/m/b": "b"}, tmp_path) != first
    assert (
        read_overlay(first).keys()
        < read_overlay(overlay({"/m/a": "a", "/m/b": "b"}, tmp_path)).keys()
    )


def test_overlay_keeps_the_users_own(tmp_path: Path) -> None:
    merged = read_overlay(overlay({"/m/a": "a"}, tmp_path, {"/m/a/a.go": "other.go", "/m/x": ""}))
    assert merged["/m/a/a.go"] == "other.go"
    assert merged["/m/x"] == ""
    assert len(merged) == 4


@pytest.mark.parametrize(
    ("goflags", "arguments", "expected"),
    [
        ("", [], None),
        ("-tags=overlay -mod=mod", ["-v"], None),
        ("-overlay=a.json", [], "a.json"),
        ("-race --overlay=a.json -overlay=b.json", [], "b.json"),
        ("'-overlay=with space.json' -race", [], "with space.json"),
        ('"-overlay=with space.json"', [], "with space.json"),
        ("-overlay=a.json", ["-overlay", "b.json"], "b.json"),
        ("-overlay=a.json", ["-overlay=b.json", "--overlay=c.json"], "c.json"),
        ("-overlay=a.json", ["-overlay="], None),
        ("-overlay a.json", [], None),
        ("", ["-args", "-overlay=a.json"], None),
    ],
)
def test_user_overlay(goflags: str, arguments: list[str], expected: str | None) -> None:
    assert user_overlay(goflags, arguments) == (Path(expected) if expected else None)


@pytest.mark.parametrize("text", ["", "[]", '{"Replace": 3}', "nonsense"])
def test_read_overlay_says_what_is_wrong(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(BuildError, match=r"mine\.json"):
        read_overlay(path)


# The protocol


def test_hello_numbers_through_all_lists() -> None:
    assert [HELLO.names.index(name) for name in ("FuzzA", "ExampleA", "BenchmarkA")] == [3, 4, 5]
    assert HELLO.index("fuzz", "FuzzA") == 3
    assert HELLO.index("benchmarks", "BenchmarkA") == 5
    assert (HELLO.index("tests", "TestA"), HELLO.index("tests", "TestA", 1)) == (0, 2)
    assert HELLO.index("tests", "TestA", 2) is None
    assert HELLO.index("tests", "FuzzA") is None
    with pytest.raises(ValueError, match="units"):
        HELLO.index("units", "TestA")  # type: ignore[arg-type]


def test_decode() -> None:
    hello = {"tests": ["A"], "fuzz": [], "examples": ["B"], "benchmarks": []}
    assert decode(json.dumps({"hello": hello, "version": 2}).encode()) == Hello(
        ("A",), (), ("B",), ()
    )
    assert decode(json.dumps(READY).encode()) == Ready("test", True, 1.5, None, 2, "")
    full = {**READY, "state": ["cwd /"], "stacks": "goroutine 7", "unknown": 1}
    assert decode(json.dumps(full).encode()) == Ready(
        "test", True, 1.5, ("cwd /",), 2, "goroutine 7"
    )


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"null",
        b"3",
        b'"hello"',
        b"[]",
        b"{}",
        b'{"hello": 1, "version": 2}',
        b'{"hello": {"tests": [], "fuzz": [], "examples": []}, "version": 2}',
        b'{"hello": {"tests": [1], "fuzz": [], "examples": [], "benchmarks": []}, "version": 2}',
        *(
            json.dumps({**READY, key: value}).encode()
            for key, value in [("ready", "no"), ("ok", 1)]
        ),
        *(json.dumps({**READY, key: None}).encode() for key in ("ns", "goroutines")),
        json.dumps({**READY, "state": "cwd /"}).encode(),
    ],
)
def test_decode_says_what_came(line: bytes) -> None:
    with pytest.raises(ProcessError, match=re.escape(repr(line))):
        decode(line)


def test_decode_shortens_what_came() -> None:
    with pytest.raises(ProcessError, match="and 800 bytes more"):
        decode(b"x" * 1000)


def test_another_version_is_told_apart() -> None:
    with pytest.raises(ProcessError, match="version 1 of the harness's protocol") as caught:
        decode(b'{"hello": {}, "version": 1}')
    assert "build it again" in caught.value.hint


def test_encode_go() -> None:
    line = encode_go([3, 0], {"A": "ü\n", "B": None, "C": ""})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"go": [3, 0], "env": {"A": "ü\n", "B": None, "C": ""}}


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "\0"), ("A", "\udcff")]
)
def test_encode_go_refuses_what_no_process_can_have(name: str, value: str) -> None:
    with pytest.raises(ProcessError, match="environment variable"):
        encode_go([0], {name: value})


# What a test leaves

LEAK = """\
goroutine 21 [select (no cases)]:
example.com/m.leave()
\t/m/leak.go:19 +0xf
created by example.com/m.TestLeak in goroutine 20
\t/m/leak_test.go:17 +0x1a"""
SIGNALS = """\
goroutine 22 [syscall]:
os/signal.signal_recv()
\t/go/src/runtime/sigqueue.go:152 +0x98
os/signal.loop()
\t/go/src/os/signal/signal_unix.go:23 +0x13
created by os/signal.Notify.func1.1 in goroutine 6
\t/go/src/os/signal/signal.go:151 +0x1f"""


def test_describe_left_says_every_change() -> None:
    before = [
        "cwd /m",
        "GOMAXPROCS 2",
        "os.Stdout 0x1",
        "env A=1",
        "env B=x=y",
        "env C=1",
        'log.Prefix ""',
    ]
    after = [
        "cwd /",
        "GOMAXPROCS 3",
        "os.Stdout 0x2",
        "env A=1",
        "env B=x=z",
        "env D=1",
        'log.Prefix "a b"',
    ]
    assert describe_left(before, after) == [
        "GOMAXPROCS was left at 3, it was 2",
        "the working directory was left at /, it was /m",
        "the environment variable B was changed",
        "the environment variable C was removed",
        "the environment variable D was set",
        'log.Prefix was left at "a b", it was ""',
        "os.Stdout was left replaced",
    ]
    assert describe_left(before, before) == []


def test_describe_left_tells_where_goroutines_come_from() -> None:
    assert describe_left([], [], goroutines=2, stacks=f"{LEAK}\n\n{LEAK}") == [
        "2 goroutines were left running: started by example.com/m.TestLeak at /m/leak_test.go:17"
    ]
    assert describe_left([], [], goroutines=-1) == []


def test_what_runs_once_in_a_process_is_no_leak() -> None:
    assert leaked(f"{SIGNALS}\n\n{LEAK}\n") == [LEAK]
    assert describe_left([], [], goroutines=1, stacks=SIGNALS) == []


# The gates in the event stream


def filtered(*events: Event) -> list[Event]:
    return EventFilter().feed(events)


def run(test: str) -> list[Event]:
    return [Event("run", "m", test), Event("output", "m", test, output=f"=== RUN   {test}\n")]


def over(test: str, verdict: str) -> list[Event]:
    line = f"--- {verdict.upper()}: {test} (0.01s)\n"
    return [Event("output", "m", test, output=line), Event(verdict, "m", test)]


def test_filter_drops_the_gates_and_nothing_else() -> None:
    user = [*run("TestA"), *over("TestA", "fail")]
    between = Event("output", "m", GATE, output="a goroutine prints\n")
    assert filtered(
        *run(GATE),
        *run(GATE),
        *user,
        between,
        *over(GATE, "fail"),
        *over(GATE, "fail"),
        Event("fail", "m"),
    ) == [*user, dataclasses.replace(between, test=""), Event("fail", "m")]


def test_filter_gives_the_trace_of_a_panic_to_the_test() -> None:
    user = [*run("TestA"), *over("TestA", "fail")]
    trace = Event("output", "m", GATE, output="panic: smoke\n")
    events = [*run(GATE), *run(GATE), *user, *over(GATE, "fail"), *over(GATE, "fail"), trace]
    assert filtered(*events) == [*user, dataclasses.replace(trace, test="TestA")]


def test_filter_keeps_what_only_looks_like_a_gate() -> None:
    events = [
        *run("TestGotestHarness"),
        Event("output", "m", "TestA", output=f"=== RUN   {GATE}\n"),
        Event("output", "m", output=f"--- PASS: {GATE}s (0.00s)\n"),
    ]
    assert filtered(*events) == events


# The channel


def test_channel_uses_high_descriptors_and_leaves_none_open() -> None:
    with Channel() as channel:
        assert min(channel.child_fds) >= 200
        assert not any(os.get_inheritable(fd) for fd in (*channel.child_fds, channel.fileno()))
        setting = json.loads(channel.environment(3)["GOTEST_HARNESS"])
        assert setting == {"fds": list(channel.child_fds), "count": 3}
        ends = [*channel.child_fds, channel.fileno()]
        channel.close_child_ends()
        channel.close_child_ends()
    channel.close()
    for fd in ends:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_channel_takes_low_descriptors_where_high_ones_are_not_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (150, hard))
    try:
        with Channel() as channel:
            assert max(channel.child_fds) < 150
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_channel_reads_messages_cut_anywhere() -> None:
    with Channel() as channel:
        line = json.dumps(READY).encode() + b"\n"
        received = []
        for i in range(len(line) * 2):
            os.write(channel.child_fds[1], (line * 2)[i : i + 1])
            received += channel.read_messages()
        assert received == [decode(line)] * 2
        assert channel.read_messages() == []
        assert not channel.eof
        os.write(channel.child_fds[1], line + line[:7])
        channel.close_child_ends()
        assert channel.read_messages() == [decode(line)]
        assert channel.eof
        assert channel.read_messages() == []
        assert channel.send([1]) is False


def test_channel_bounds_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_harness, "_LONGEST_LINE", 1000)
    with Channel() as channel:
        os.write(channel.child_fds[1], b"x" * 1001)
        with pytest.raises(ProcessError, match="without an end of line"):
            channel.read_messages()


# Real binaries


def go_environment(version: str) -> dict[str, str]:
    chosen = "local" if version == "local" else f"go{version}"
    return {**os.environ, "GOTOOLCHAIN": chosen, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def go(version: str, *arguments: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        ["go", *arguments],
        cwd=cwd,
        env={**go_environment(version), **env},
        text=True,
        capture_output=True,
        timeout=600,
    )
    if done.returncode:
        pytest.fail(f"go {' '.join(arguments)} with Go {version}:\n{done.stdout}{done.stderr}")
    return done.stdout


INTERNAL = [str(MODULE / package) for package in ("fatal", "twice", "command")]
EACH = "in each package"


def shared(version: str) -> str:
    """Where this Go takes the harness as a package of its own; "" if it does not."""
    told = json.loads(go(version, "env", "-json", cwd=MODULE))
    place = shared_place(told["GOROOT"])
    number = tuple(int(part) for part in re.findall(r"\d+", told["GOVERSION"])[:2])
    names = os.listdir(place)
    free = may_share(place, names, told["GOMODCACHE"], (number[0], number[1]), coverpkg=False)
    return place if free else ""


@pytest.fixture(scope="session", params=[*VERSIONS, EACH])
def binaries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of all test binaries of the module, in the form that the plugin would build.

    A Go version that cannot be had is a failure, not a skip.
    """
    version = "local" if request.param == EACH else request.param
    told = go(version, "env", "GOVERSION", cwd=MODULE).strip()
    assert version == "local" or told == f"go{version}"
    directory = tmp_path_factory.mktemp(f"go{version}")
    path = overlay(
        {str(MODULE / p): name for p, name in PACKAGES.items()},
        directory / "overlay",
        shared="" if request.param == EACH else shared(version),
        internal=INTERNAL,
    )
    arguments = ["-c", "-vet=off", f"-overlay={path}", "-o", f"{directory}/", "./..."]
    go(version, "test", *arguments, cwd=MODULE)
    return directory


class Steered:
    """One binary under orders, its output, and its end."""

    def __init__(self, binary: Path, cwd: Path, out: Path, *flags: str, count: int = 1) -> None:
        self.channel = Channel()
        self.out = out
        with out.open("wb") as stdout:
            self.process = subprocess.Popen(
                [binary, "-test.v=test2json", "-test.timeout=24h", "-test.paniconexit0", *flags],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                pass_fds=self.channel.child_fds,
                env={**os.environ, **self.channel.environment(count), "PWD": str(cwd)},
            )
        self.channel.close_child_ends()
        self._messages: list[Hello | Ready | Still] = []

    def message(self) -> Hello | Ready | Still | None:
        """The next message; None at the end."""
        deadline = time.monotonic() + PATIENCE
        while not self._messages and not self.channel.eof:
            select.select([self.channel], [], [], max(0, deadline - time.monotonic()))
            self._messages += self.channel.read_messages()
            assert time.monotonic() < deadline, self.output()
        return self._messages.pop(0) if self._messages else None

    def hello(self, env: Mapping[str, str | None] | None = None) -> Hello:
        """Answer the first message, and stay for the names."""
        self.names = self.message()
        assert isinstance(self.names, Hello), self.output()
        self.channel.send([], env)
        return self.names

    def ready(self) -> Ready:
        message = self.message()
        assert isinstance(message, Ready), self.output()
        return message

    def still(self) -> str:
        message = self.message()
        assert isinstance(message, Still), self.output()
        return message.stacks

    def order(
        self,
        *names: str | int,
        env: Mapping[str, str | None] | None = None,
        watch: float = 0.0,
    ) -> None:
        assert isinstance(self.names, Hello)
        indexes = [n if isinstance(n, int) else self.names.names.index(n) for n in names]
        assert self.channel.send(indexes, env, watch)

    def go(self, *names: str | int, env: Mapping[str, str | None] | None = None) -> Ready:
        """Run one group to its end."""
        self.order(*names, env=env)
        return self.ready()

    def rest(self) -> int:
        """Order nothing more; the exit code."""
        self.order()
        while self.message():
            self.order()
        return self.process.wait(PATIENCE)

    def died(self) -> int:
        """Wait for the end that an order brought; the exit code."""
        assert self.message() is None, self.output()
        return self.process.wait(PATIENCE)

    def output(self) -> str:
        """Without the marks that Go 1.27 puts around what t.Error prints."""
        return re.sub("[\x0e\x0f]", "", self.out.read_text(errors="replace"))

    def events(self) -> list[Event]:
        """All so far, decoded and filtered as the runner does it."""
        events = EventFilter()
        decoder = RawDecoder("m")
        return events.feed(decoder.feed(self.out.read_bytes())) + events.feed(decoder.close())

    def verdicts(self) -> list[tuple[str, str]]:
        """All so far in the order of the stream, the gates' left out."""
        found = [(m[2], m[1]) for m in VERDICT.finditer(self.output())]
        return [(name, verdict) for name, verdict in found if name != GATE]

    def close(self) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


Start = Callable[..., Steered]


@pytest.fixture
def start(binaries: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the binary of a package of the module."""
    started: list[Steered] = []

    def begin(package: str, *flags: str, count: int = 1) -> Steered:
        out = tmp_path / f"out{len(started)}"
        binary = binaries / f"{package}.test"
        started.append(Steered(binary, MODULE / package, out, *flags, count=count))
        return started[-1]

    yield begin
    for steered in started:
        steered.close()


def test_tests_run_in_the_order_asked_for(start: Start) -> None:
    orders = start("orders")
    hello = orders.hello()
    assert hello.tests[:3] == ("TestFirst", "TestSecond", "TestThird")
    assert (hello.fuzz, hello.examples, hello.benchmarks) == ((), (), ())
    first = orders.ready()
    assert (first.kind, first.ok, first.seconds) == ("test", True, 0.0)
    assert orders.verdicts() == []
    expected = []
    for name in ("TestThird", "TestFirst", "TestSecond", "TestFirst"):
        ready = orders.go(name)
        expected.append((name, "PASS"))
        assert ready.ok
        assert ready.seconds > 0
        assert orders.verdicts() == expected, "a verdict is out before the process says ready"
    assert orders.rest() == 0
    assert orders.output().endswith("\x16PASS\n")


def test_a_failure_is_the_groups_own(start: Start) -> None:
    orders = start("orders")
    orders.hello()
    orders.ready()
    assert not orders.go("TestFails").ok
    assert orders.go("TestFirst").ok
    assert orders.go("TestSkips").ok
    assert orders.rest() == 1
    assert orders.verdicts() == [
        ("TestFails", "FAIL"),
        ("TestFirst", "PASS"),
        ("TestSkips", "SKIP"),
    ]


def test_lines_are_those_of_an_ordinary_run(start: Start) -> None:
    orders = start("orders")
    orders.hello()
    orders.ready()
    orders.go("TestFails")
    source = (MODULE / "orders" / "orders_test.go").read_text().splitlines()
    line = 1 + source.index("\thelper(t)")
    assert f"    orders_test.go:{line}: failed as it should\n" in orders.output()
    assert "cleaned up" in orders.output()
    assert "zz_gotest_harness" not in orders.output()


def test_parallel_tests_of_a_group_run_together(start: Start) -> None:
    orders = start("orders", "-test.parallel=2")
    orders.hello()
    orders.ready()
    assert orders.go("TestMeetRight", "TestFirst", "TestMeetLeft").ok
    assert orders.verdicts()[0] == ("TestFirst", "PASS")
    assert dict(orders.verdicts()) == dict.fromkeys(
        ("TestFirst", "TestMeetLeft", "TestMeetRight"), "PASS"
    )
    assert orders.go("TestSecond").ok
    assert orders.rest() == 0


def test_the_same_rules_hold_for_every_test(start: Start) -> None:
    orders = start("orders")
    hello = orders.hello()
    orders.ready()
    for name in ("TestSetenvAfterParallel", "TestSetenv", "TestDeadline", "TestNoForeignGoroutines",
                 "TestDescriptors", "TestChildInheritsNothing"):  # fmt: skip
        assert orders.go(name).ok, orders.output()
    meeting = {"TestMeetLeft", "TestMeetRight"}
    everything = [
        i for i, name in enumerate(hello.tests) if name not in meeting | {"TestSwapsStdio"}
    ]
    assert not orders.go(*everything).ok  # TestFails
    assert ("TestNoForeignGoroutines", "PASS") in orders.verdicts()[-len(everything) * 2 :]
    assert orders.rest() == 1


def test_subtests_have_the_names_of_a_first_run(start: Start) -> None:
    orders = start("orders")
    orders.hello()
    orders.ready()
    orders.go("TestSubs")
    once = orders.verdicts()
    assert [name for name, _ in once] == [
        "TestSubs/sub",
        "TestSubs/sub#01",
        "TestSubs/parallel",
        "TestSubs",
    ]
    orders.go("TestSubs")
    assert orders.verdicts() == once * 2


def test_twins_have_an_index_each(start: Start) -> None:
    orders = start("orders")
    hello = orders.hello()
    orders.ready()
    internal, external = (hello.index("tests", "TestTwin", i) for i in (0, 1))
    assert internal is not None
    assert external is not None
    orders.go(external)
    assert "external twin" in orders.output()
    assert "internal twin" not in orders.output()
    orders.go(internal)
    assert "internal twin" in orders.output()


def test_variables_hold_for_their_group_only(start: Start) -> None:
    orders = start("orders")
    orders.hello({"KEPT": "from the start", "GREETING": None})
    base = orders.ready().state
    assert base
    assert "env KEPT=from the start" in base
    groups: list[tuple[dict[str, str | None], str]] = [
        ({"GREETING": "hello ü\n2"}, 'GREETING is "hello ü\\n2", true'),
        ({}, 'GREETING is "", false'),
        ({"GREETING": ""}, 'GREETING is "", true'),
    ]
    for env, line in groups:
        assert orders.go("TestGreeting", env=env).state is None
        assert line in orders.output()
    groups = [
        ({"KEPT": None}, 'KEPT is "", false'),
        ({}, 'KEPT is "from the start", true'),
        ({"KEPT": "other"}, 'KEPT is "other", true'),
    ]
    for env, line in groups:
        assert orders.go("TestHome", env=env).state is None
        assert line in orders.output()


def test_nothing_printed_or_swapped_disturbs_the_harness(start: Start) -> None:
    orders = start("orders")
    orders.hello()
    base = orders.ready().state
    assert orders.go("TestForges").ok
    ready = orders.go("TestSwapsStdio")
    assert base is not None
    assert ready.state is not None
    assert describe_left(base, ready.state) == [
        f"os.{name} was left replaced" for name in ("Stderr", "Stdin", "Stdout")
    ]
    assert orders.go("TestFirst").ok
    assert orders.verdicts()[-1] == ("TestFirst", "PASS")


def test_filtering_flags_go_on_working(start: Start) -> None:
    orders = start("orders", f"-test.run=^({GATE}|TestSubs)$/^parallel$")
    orders.hello()
    orders.ready()
    orders.go("TestSubs")
    orders.go("TestFirst")
    assert orders.verdicts() == [("TestSubs/parallel", "PASS"), ("TestSubs", "PASS")]


def test_fuzz_targets_run_in_any_order_and_again(start: Start) -> None:
    kinds = start("kinds", count=2)
    hello = kinds.hello()
    assert hello.fuzz == ("FuzzOne", "FuzzTwo", "FuzzThree")
    kinds.ready()
    kinds.order()
    assert kinds.ready().kind == "fuzz"
    asked = ["FuzzThree", "FuzzOne", "FuzzTwo", "FuzzOne", "FuzzTwo", "FuzzThree"]
    ready = [kinds.go(name, env={"GREETING": name}) for name in asked]
    assert {(r.kind, r.state) for r in ready} == {("fuzz", None)}
    assert [r.ok for r in ready] == [name != "FuzzTwo" for name in asked]
    assert [name for name, _ in kinds.verdicts() if "/" not in name] == asked
    assert "GREETING FuzzOne" in kinds.output()
    assert kinds.rest() == 1


def test_examples_and_benchmarks_run_in_both_phases(start: Start) -> None:
    kinds = start("kinds", "-test.benchtime=100000x")
    kinds.hello()
    kinds.ready()
    env = {"GREETING": "hello"}
    assert kinds.go("Example_good", env=env).ok
    assert not kinds.go("Example_good").ok, "the variable was for one group"
    assert not kinds.go("Example_bad").ok
    assert kinds.go("TestPlain").ok
    benchmark = kinds.go("BenchmarkGood")
    assert benchmark.ok
    assert benchmark.state is None
    assert re.search(
        r"\nBenchmarkGood(-\d+)?\s+\t\s*100000\t\s+[\d.]+ ns/op\t\s+0 B/op\t\s+0 allocs/op\n",
        kinds.output(),
    )
    assert not kinds.go("BenchmarkSubs").ok
    assert re.search(r"\x16--- FAIL: BenchmarkSubs/bad(-\d+)?\n", kinds.output())
    assert kinds.go("BenchmarkGood").ok
    kinds.order()
    assert kinds.ready().kind == "fuzz"
    assert not kinds.go("Example_good", "Example_bad", "FuzzOne", env=env).ok
    assert kinds.go("FuzzThree").ok
    assert kinds.go("BenchmarkGood", "Example_good", env=env).ok
    assert kinds.rest() == 1
    assert [n for n, _ in kinds.verdicts() if not n.startswith("Bench")] == [
        "Example_good", "Example_good", "Example_bad", "TestPlain",
        "Example_good", "Example_bad", "FuzzOne/seed#0", "FuzzOne",
        "FuzzThree/seed#0", "FuzzThree", "Example_good",
    ]  # fmt: skip


def test_a_benchmark_looks_as_in_an_ordinary_run(start: Start, binaries: Path) -> None:
    def shape(text: str) -> list[str]:
        """Without figures, widths, the gates, and the `pkg:` line, which testing leaves out."""
        lines = [
            re.sub(r"\s+", " ", re.sub(r"[\d.]+ (ns|B|all)", r"N \1", line))
            for line in text.splitlines()
        ]
        return [line for line in lines if GATE not in line and not line.startswith("pkg:")]

    flags = [
        "-test.bench=.",
        "-test.benchtime=1x",
        "-test.cpu=1,2",
        "-test.count=2",
        "-test.run=^$",
    ]
    kinds = start("kinds", *flags[:2], "-test.cpu=1,2", "-test.count=2")
    kinds.hello()
    kinds.ready()
    kinds.go("BenchmarkGood", "BenchmarkSubs")
    steered = shape(kinds.output())
    kinds.rest()
    plain = subprocess.run(
        [binaries / "kinds.test", "-test.v=test2json", *flags],
        cwd=MODULE / "kinds",
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert plain.returncode == 1
    ended = shape(re.sub("[\x0e\x0f]", "", plain.stdout))
    assert steered == ended[: len(steered)]
    assert [line.strip() for line in ended[len(steered) :] if line.strip("\x16 ")] == ["\x16FAIL"]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["FuzzOne"], "fuzz target FuzzOne ordered among tests"),
        ([-1], "order -1 of"),
        ([99], "order 99 of"),
    ],
)
def test_a_wrong_order_is_refused(start: Start, order: list[str | int], message: str) -> None:
    kinds = start("kinds")
    kinds.hello()
    kinds.ready()
    kinds.order(*order)
    assert kinds.died() == 2
    assert f"panic: pytest-gotest harness: {message}" in kinds.output()


def test_a_second_run_of_the_tests_asks_again(start: Start) -> None:
    twice = start("twice")
    twice.hello({"DSN": "postgres:///one"})
    kinds = []
    for _ in range(2):
        kinds.append(twice.ready().kind)
        twice.go("TestRound", env={"DSN": "postgres:///two"})
        twice.order()
        kinds.append(twice.ready().kind)
        twice.go("FuzzRound")
        twice.order()
    assert twice.died() == 7
    assert kinds == ["test", "fuzz"] * 2
    assert twice.output().startswith("TestMain sees postgres:///one\n")
    rounds = re.findall(r"round (\d) (\S+)|(between|TestMain is over 0 0)", twice.output())
    assert rounds == [
        ("1", "postgres:///two", ""),
        ("", "", "between"),
        ("2", "postgres:///two", ""),
        ("", "", "TestMain is over 0 0"),
    ]


def test_count_asks_again(start: Start) -> None:
    twice = start("orders", "-test.count=2")
    twice.hello()
    twice.ready()
    twice.go("TestFirst")
    twice.order()
    twice.ready()
    twice.go("TestSecond")
    assert twice.rest() == 0
    assert [name for name, _ in twice.verdicts()] == ["TestFirst", "TestSecond"]


@pytest.mark.parametrize(
    ("name", "failed", "code", "text"),
    [
        ("TestPanics", ["TestPanics"], 2, "panic: went up in smoke"),
        ("TestPanicsBelow", ["TestPanicsBelow/sub", "TestPanicsBelow"], 2, "panic: went up below"),
        ("TestGoexits", ["TestGoexits"], 2, "runtime.Goexit"),
        ("TestExitsWell", ["TestExitsWell"], 2, "unexpected call to os.Exit(0)"),
        ("TestExits", [], 3, ""),
    ],
)
def test_a_test_that_ends_the_process_is_named(
    start: Start, name: str, failed: list[str], code: int, text: str
) -> None:
    fatal = start("fatal")
    fatal.hello()
    fatal.ready()
    assert fatal.go("TestFine").ok
    fatal.order(name)
    assert fatal.died() == code
    assert fatal.verdicts() == [("TestFine", "PASS"), *((n, "FAIL") for n in failed)]
    assert f"=== RUN   {name}\n" in fatal.output()
    assert text in fatal.output()


def test_an_example_that_panics_is_named(start: Start) -> None:
    kinds = start("kinds")
    kinds.hello()
    kinds.ready()
    kinds.order("Example_panics")
    assert kinds.died() == 2
    assert kinds.verdicts() == [("Example_panics", "FAIL")]
    assert "panic: example went up in smoke" in kinds.output()


def test_a_failure_after_the_test_names_the_test(start: Start) -> None:
    fatal = start("fatal")
    fatal.hello()
    fatal.ready()
    ready = fatal.go("TestFailsLate")
    assert "example.com/harness/fatal.TestFailsLate" in ready.stacks
    fatal.order("TestWaits", env={"OVER": "1"})
    assert fatal.died() == 2
    assert "panic: Fail in goroutine after TestFailsLate has completed" in fatal.output()


@pytest.mark.parametrize("gates", [0, 1, 2])
def test_a_binary_does_not_outlive_its_runner(start: Start, gates: int) -> None:
    """Whether the runner goes before TestMain, at the first gate or after a test."""
    orders = start("orders")
    if gates > 0:
        orders.hello()
        orders.ready()
    if gates > 1:
        orders.go("TestFirst")
    orders.channel.close()
    assert orders.process.wait(PATIENCE) == HARNESS_EXIT


FIGURES = re.compile(r"\+?0x[0-9a-f]+|\{.*\}|\d+(\.\d+)?s\b|goroutine \d+|\.go:\d+")


def steps(events: list[Event]) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """What must not differ between two runs, and the verdicts.

    Neighbouring output is one, figures are gone. Verdicts are apart because one is told as soon as
    the next framing line comes: after a panic, which closes the gates, before the trace.
    """
    steps: list[tuple[str, str, str]] = []
    verdicts = []
    for event in events:
        text = FIGURES.sub("N", event.output)
        if event.action in ("pass", "fail", "skip"):
            verdicts.append((event.action, event.test))
        elif event.action == "output" and steps and steps[-1][:2] == ("output", event.test):
            steps[-1] = ("output", event.test, steps[-1][2] + text)
        else:
            steps.append((event.action, event.test, text))
    return steps, verdicts


@pytest.mark.parametrize(
    ("package", "tests"),
    [
        ("orders", ["TestFirst", "TestSubs", "TestFails", "TestSkips", "TestSetenv"]),
        ("orders", ["TestSetenvAfterParallel", "TestSecond"]),
        ("fatal", ["TestFine", "TestPanics"]),
        ("fatal", ["TestPanicsBelow"]),
        ("fatal", ["TestExitsWell"]),
        ("fatal", ["TestExits"]),
        ("kinds", ["Example_bad", "Example_good"]),
        ("kinds", ["FuzzOne", "FuzzTwo"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
@pytest.mark.parametrize("together", [True, False], ids=["one group", "a group each"])
def test_the_events_are_those_of_an_ordinary_run(
    start: Start, binaries: Path, package: str, tests: list[str], together: bool
) -> None:
    steered = start(package)
    hello = steered.hello()
    wanted = sorted(hello.names.index(name) for name in tests)
    fuzz = any(name.startswith("Fuzz") for name in tests)
    steered.ready()
    if fuzz:
        steered.order()
        steered.ready()
    for group in [wanted] if together and not fuzz else [[i] for i in wanted]:
        steered.order(*group)
        steered.message()
    while not steered.channel.eof:
        steered.channel.send()
        steered.message()
    steered.process.wait(PATIENCE)
    flags = ["-test.v=test2json", "-test.paniconexit0", f"-test.run=^({'|'.join(tests)})$"]
    plain = subprocess.run(
        [binaries / f"{package}.test", *flags],
        cwd=MODULE / package,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    decoder = RawDecoder("m")
    assert steps(steered.events()) == steps(decoder.feed(plain.stdout) + decoder.close())
    assert steered.process.returncode == plain.returncode


def test_an_ordinary_run_is_an_ordinary_run(binaries: Path) -> None:
    command = [str(binaries / "kinds.test"), "-test.v=test2json", "-test.run=Plain|Fuzz|_good|_bad"]
    done = subprocess.run(command, cwd=MODULE / "kinds", text=True, capture_output=True)
    assert done.returncode == 1
    assert GATE not in done.stdout
    names = [m[2] for m in VERDICT.finditer(done.stdout)]
    assert names[0] == "TestPlain"
    assert names[-2:] == ["Example_good", "Example_bad"]


@pytest.mark.parametrize(
    ("package", "test"), [("command", "TestVariables"), ("onlyexternal", "TestOnly")]
)
def test_any_package_can_be_steered(start: Start, package: str, test: str) -> None:
    steered = start(package)
    assert steered.hello().names == (test,)
    steered.ready()
    assert steered.go(test).ok
    assert steered.rest() == 0


def test_the_state_is_sent_when_it_changes(start: Start) -> None:
    leaks = start("leaks")
    leaks.hello({"GIVEN": "original", "DROPPED": "x"})
    base = leaks.ready().state
    assert base is not None
    assert list(base) == sorted(base)
    assert f"cwd {MODULE / 'leaks'}" in base
    for name in ("TestClean", "TestEndsSoon", "TestPutsBack", "TestClean"):
        ready = leaks.go(name)
        assert (ready.state, ready.stacks) == (None, ""), name
    procs = next(int(fact.split()[1]) for fact in base if fact.startswith("GOMAXPROCS "))
    for name, sentences in {
        "TestEnvironment": [
            "the environment variable DROPPED was removed",
            "the environment variable GIVEN was changed",
            "the environment variable LEFT was set",
        ],
        "TestDirectory": [f"the working directory was left at /, it was {MODULE / 'leaks'}"],
        "TestProcs": [f"GOMAXPROCS was left at {procs + 1}, it was {procs}"],
        "TestLogger": ['log.Prefix was left at "left ", it was ""'],
    }.items():
        state = leaks.go(name).state
        assert state is not None
        assert describe_left(base, state) == sentences
        assert "secret" not in "".join(sentences)
        base = state
    state = leaks.go("TestLocation").state
    assert state is not None
    (sentence,) = describe_left(base, state)
    assert re.fullmatch(r"time\.Local was left at UTC \S+, it was as at the start", sentence)


def test_a_goroutine_is_reported_once(start: Start) -> None:
    leaks = start("leaks")
    leaks.hello()
    before = leaks.ready()
    assert before.stacks == ""
    after = leaks.go("TestGoroutine")
    assert after.goroutines == before.goroutines + 1
    (sentence,) = describe_left([], [], goroutines=1, stacks=after.stacks)
    place = re.escape(str(MODULE / "leaks" / "leaks_test.go"))
    assert re.fullmatch(
        rf"1 goroutine was left running: started by \S*leaks\.TestGoroutine at {place}:\d+",
        sentence,
    )
    assert len(leaked(after.stacks)) == 1
    assert leaks.go("TestClean").stacks == ""
    assert len(leaked(leaks.go("TestGoroutine").stacks)) == 1


@linux
def test_a_binary_dies_with_its_spawner(binaries: Path, tmp_path: Path) -> None:
    """Even while a test runs that will never come to a gate."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from test_harness import MODULE, Steered\n"
        "fatal = Steered(Path(sys.argv[1]), MODULE / 'fatal', Path(sys.argv[2]))\n"
        "fatal.hello(); fatal.ready(); fatal.order('TestHangs')\n"
        "print(fatal.process.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, binaries / "fatal.test", tmp_path / "out"],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as spawner:
        assert spawner.stdout is not None
        pid = int(spawner.stdout.readline())
        gone = os.pidfd_open(pid)
        try:
            assert select.select([gone], [], [], 0)[0] == []
            spawner.send_signal(signal.SIGKILL)
            assert select.select([gone], [], [], PATIENCE)[0] == [gone]
        finally:
            os.close(gone)


@linux
def test_a_binary_dies_with_the_thread_that_started_it(start: Start) -> None:
    """Why the runner must not start one from a thread that ends."""
    started: list[Steered] = []
    over = threading.Event()

    def spawn() -> None:
        started.append(start("orders"))
        started[0].hello()
        started[0].ready()
        over.wait()

    thread = threading.Thread(target=spawn)
    thread.start()
    over.set()
    thread.join()
    assert started[0].process.wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize("setting", ["", "nonsense", "[3, 4]", '{"fds": [3]}'])
def test_a_setting_that_is_not_understood_stops_the_binary(binaries: Path, setting: str) -> None:
    done = subprocess.run(
        [binaries / "orders.test"],
        cwd=MODULE / "orders",
        env={**os.environ, "GOTEST_HARNESS": setting},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 2
    assert "panic: pytest-gotest harness: GOTEST_HARNESS is" in done.stderr
    assert done.stdout == ""


# What takes a build of its own, with the installed Go


@pytest.fixture(params=["shared", EACH])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Steered]]:
    started: list[Steered] = []
    place = shared("local") if request.param == "shared" else ""

    def make(
        directory: Path,
        name: str,
        *flags: str,
        existing: Mapping[str, str] | None = None,
        **env: str,
    ) -> Steered:
        path = overlay({str(directory): name}, tmp_path / "overlay", existing, shared=place)
        binary = tmp_path / "built.test"
        arguments = ["test", "-c", "-vet=off", f"-overlay={path}", *flags, "-o", str(binary), "."]
        go("local", *arguments, cwd=directory, **env)
        started.append(Steered(binary, directory, tmp_path / "out"))
        return started[-1]

    yield make
    for steered in started:
        steered.close()


def test_another_testing_package_is_refused(build: Callable[..., Steered], tmp_path: Path) -> None:
    """A Go whose testing.T has no level: the binary says so before any test, or TestMain, runs."""
    testing = Path(go("local", "env", "GOROOT", cwd=MODULE).strip(), "src", "testing")
    existing = {}
    for source in testing.glob("*.go"):
        text = source.read_text()
        if re.search(r"\blevel\b", text) and not source.name.endswith("_test.go"):
            copy = tmp_path / source.name
            copy.write_text(re.sub(r"\blevel\b", "depth", text))
            existing[str(source)] = str(copy)
    assert existing
    twice = build(MODULE / "twice", "twice", existing=existing)
    assert twice.died() == 2
    assert twice.output().startswith("panic: pytest-gotest harness: testing.T of go1.")
    assert "level false, done true, mu true" in twice.output()
    assert "TestMain sees" not in twice.output()


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        (["-race"], {"CGO_ENABLED": "1"}),
        (["-cover"], {}),
        (["-gcflags=all=-N -l"], {}),
        (["-ldflags=-s -w", "-trimpath"], {}),
    ],
    ids=lambda value: " ".join(value),
)
def test_build_modes(build: Callable[..., Steered], flags: list[str], env: dict[str, str]) -> None:
    if "-race" in flags:
        need_c_compiler()
    orders = build(MODULE / "orders", "orders", *flags, **env)
    hello = orders.hello()
    orders.ready()
    wanted = [i for i, n in enumerate(hello.tests) if n not in ("TestSwapsStdio", "TestForges")]
    orders.go(*wanted)
    for i in wanted:
        if not hello.tests[i].startswith("TestMeet"):
            assert orders.go(i).ok == (hello.tests[i] != "TestFails"), orders.output()
    assert orders.rest() == 1
    assert {name for name, verdict in orders.verdicts() if verdict == "FAIL"} == {"TestFails"}, (
        orders.output()
    )
    assert "DATA RACE" not in orders.output()


def test_equal_overlays_keep_the_build_cache_warm(tmp_path: Path) -> None:
    """Written by two sessions into two directories: the second compiles nothing."""
    for session in ("one", "two"):
        path = overlay({str(MODULE / "leaks"): "leaks"}, tmp_path / session)
        done = subprocess.run(
            ["go", "test", "-c", "-x", "-vet=off", f"-overlay={path}", "-o", f"{tmp_path}/", "."],
            cwd=MODULE / "leaks",
            env=go_environment("local"),
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
    assert "compile -o" not in done.stderr


@functools.cache
def verdicts_of_go_test(package: str) -> dict[str, str]:
    """As `go test -json -count=1` reports them, subtests included."""
    lines = subprocess.run(
        ["go", "test", "-json", "-count=1", package],
        cwd=MODULE,
        env=go_environment("local"),
        text=True,
        capture_output=True,
        timeout=600,
    ).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    return {
        e["Test"]: e["Action"]
        for e in events
        if e["Action"] in ("pass", "fail", "skip") and "Test" in e
    }


@pytest.mark.parametrize(
    "package",
    [
        "strings",
        "sort",
        pytest.param("go/parser", marks=pytest.mark.campaign),
        pytest.param("bytes", marks=pytest.mark.campaign),
    ],
)
def test_reversed_std_packages_have_the_verdicts_of_go_test(
    build: Callable[..., Steered], package: str
) -> None:
    directory = Path(go("local", "env", "GOROOT", cwd=MODULE).strip(), "src", package)
    steered = build(directory, package.rpartition("/")[2])
    hello = steered.hello()
    steered.ready()
    ended = len(hello.tests) + len(hello.fuzz)
    others = range(ended, ended + len(hello.examples))
    for i in reversed((*range(len(hello.tests)), *others)):
        steered.go(i)
    if hello.fuzz:
        steered.order()
        steered.ready()
        for i in reversed(range(len(hello.tests), ended)):
            steered.go(i)
    assert steered.rest() == 0
    expected = verdicts_of_go_test(package)
    assert len(expected) > 10
    assert {name: verdict.lower() for name, verdict in steered.verdicts()} == expected


_WAITS = MODULE / "waits" / "waits_test.go"
_STAND = (
    *("TestReceives", "TestSends", "TestSelects", "TestLocks", "TestWaits"),
    *("TestWaitsForACondition", "TestSubtest", "TestBesideAListener", "TestBesideSignals"),
)
_HERE = [  # where, in the same order
    number for number, line in enumerate(_WAITS.read_text().splitlines(), 1) if "// here" in line
]


@pytest.mark.parametrize(
    ("name", "line"),
    list(zip(_STAND, _HERE, strict=True)),
)
def test_a_test_that_only_another_one_can_help(start: Start, name: str, line: int) -> None:
    steered = start("waits")
    steered.hello()
    steered.ready()
    steered.order(name, watch=0.05)
    before, now = steered.still(), steered.still()
    if not waits(before, now):  # it had not come so far
        before, now = now, steered.still()
    assert waits(before, now) == f"{_WAITS}:{line}", now


@pytest.mark.parametrize(
    "name", ["TestSleeps", "TestComputes", "TestIsHelped", "TestReads", "TestGoesOn"]
)
def test_a_test_to_which_something_may_still_come(start: Start, name: str) -> None:
    steered = start("waits")
    steered.hello()
    steered.ready()
    steered.order(name, watch=0.05)
    looks = []
    while isinstance(message := steered.message(), Still):
        looks.append(message.stacks)
    assert isinstance(message, Ready)
    assert message.ok
    assert len(looks) > 1
    for before, now in itertools.pairwise(looks):
        assert waits(before, now) == "", now


def test_who_is_not_watched_tells_nothing(start: Start) -> None:
    steered = start("waits")
    steered.hello()
    steered.ready()
    steered.order("TestIsHelped", watch=0.05)
    while isinstance(message := steered.message(), Still):
        pass
    assert isinstance(message, Ready)
    steered.go("TestIsHelped")  # a group says for itself whether it is watched
    assert steered.rest() == 0


@pytest.mark.parametrize("stacks", ["", "nonsense", "a\n\nb", "goroutine 1 [running]:"])
def test_traces_that_nobody_understands(stacks: str) -> None:
    assert waits(stacks, stacks) == ""
