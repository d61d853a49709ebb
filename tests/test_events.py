"""The decoders: recorded streams of Go 1.20 to 1.27, real runs, made-up bytes."""

from __future__ import annotations

import json
import random
import re
import runpy
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import MINORS, STREAMS, expected

from pytest_gotest._events import Event, JsonDecoder, RawDecoder

RECORD: dict[str, Any] = runpy.run_path(str(STREAMS / "record.py"))
MODULE = "example.test/streams/"
PACKAGES: list[str] = RECORD["packages"]()
RAW = [(minor, package) for minor in MINORS for package in PACKAGES]

# What each test binary itself says at its end; None: it did not get there.
FRAMED = {
    "attrs": "pass",
    "basics": "pass",
    "benchmarks": "fail",
    "controls": "fail",
    "exits": None,
    "exitzero": None,
    "failing": "fail",
    "mainskips": None,
    "panicexample": None,
    "panics": None,
    "parallel": "fail",
}


def decode_raw(
    stream: bytes,
    cuts: Sequence[int] = (),
    *,
    package: str = "p",
    escapes: bool = True,
    clock: Callable[[], float] = lambda: 1.0,
) -> list[Event]:
    decoder = RawDecoder(package, clock, escapes=escapes)
    return [e for chunk in cut(stream, cuts) for e in decoder.feed(chunk)] + decoder.close()


def decode_json(stream: bytes, cuts: Sequence[int] = ()) -> list[Event]:
    decoder = JsonDecoder()
    return [e for chunk in cut(stream, cuts) for e in decoder.feed(chunk)] + decoder.close()


def cut(stream: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    ends = sorted({0, len(stream), *(place % (len(stream) + 1) for place in cuts)})
    for start, end in pairwise(ends):
        yield stream[start:end]


def recorded_raw(minor: int, package: str) -> list[Event]:
    stream = (STREAMS / f"go1.{minor}.{package}.raw").read_bytes()
    return decode_raw(stream, package=MODULE + package, escapes=minor >= 27)


def recorded_json(minor: int) -> list[Event]:
    return decode_json((STREAMS / f"go1.{minor}.jsonl").read_bytes())


def brief(events: Iterable[Event]) -> list[tuple[str, str, str]]:
    """Action, test and output; neighbouring outputs of one test and type as one."""
    result = []
    for (action, test, kind), group in groupby(
        events, lambda event: (event.action, event.test, event.output_type)
    ):
        if action == "output":
            action = f"output {kind}".strip()
            result.append((action, test, "".join(event.output for event in group)))
        else:
            result += [(action, test, "") for _ in group]
    return result


def verdicts(events: Iterable[Event]) -> dict[str, dict[str, str]]:
    """For each package the last word on each test; "none" for one that only began."""
    found: dict[str, dict[str, str]] = {}
    for event in events:
        tests = found.setdefault(event.package.removeprefix(MODULE), {})
        if event.action in ("pass", "fail", "skip", "bench"):
            tests[event.test] = event.action
        elif event.action == "run":
            tests[event.test] = "none"
    return {package: tests for package, tests in found.items() if tests}


# Recorded streams


@pytest.mark.parametrize("minor", MINORS)
def test_recorded_json_gives_the_expected_verdicts(minor: int) -> None:
    assert verdicts(recorded_json(minor)) == expected(minor)


@pytest.mark.parametrize(("minor", "package"), RAW)
def test_recorded_raw_gives_the_expected_verdicts(minor: int, package: str) -> None:
    wanted = {test: verdict for test, verdict in expected(minor)[package].items() if test}
    if framed := FRAMED[package]:
        wanted[""] = framed
    assert verdicts(recorded_raw(minor, package)).get(package, {}) == wanted


def test_build_events() -> None:
    name = f"{MODULE}broken [{MODULE}broken.test]"
    events = recorded_json(24)
    assert [event for event in events if event.import_path == name] == [
        Event("build-output", import_path=name, output=f"# {name}\n"),
        Event(
            "build-output",
            import_path=name,
            output="broken/broken_test.go:6:38: undefined: missing\n",
        ),
        Event("build-fail", import_path=name),
    ]
    (failed,) = (e for e in events if e.action == "fail" and e.package == f"{MODULE}broken")
    assert failed.failed_build == name


def test_build_errors_before_1_24_are_plain_lines() -> None:
    lines = [event for event in recorded_json(23) if not event.package]
    assert Event("output", output="broken/broken_test.go:6:38: undefined: missing\n") in lines
    assert all(event.action == "output" and event.time is None for event in lines)


def test_attributes_and_artifacts() -> None:
    events = recorded_raw(26, "attrs")
    assert [(e.test, e.key, e.value) for e in events if e.action == "attr"] == [
        ("TestAttr", "key", "value"),
        ("TestAttr", "issue", "a longer value, with = and ünïcode"),
        ("TestAttr", "empty", ""),
        ("TestAttr/sub", "in", "the subtest"),
    ]
    (artifacts,) = (event for event in events if event.action == "artifacts")
    assert artifacts.test == "TestArtifacts"
    assert artifacts.path.startswith("/outputs/_artifacts/")


def test_errors_are_typed_since_1_27() -> None:
    events = [e for e in recorded_raw(27, "failing") if e.test == "TestErrorLines"]
    assert [(e.output_type, e.output) for e in events if e.action == "output"] == [
        ("frame", "=== RUN   TestErrorLines\n"),
        ("error", "    failing_test.go:12: got:\n"),
        ("error-continue", "          1\n"),
        ("error-continue", "        want:\n"),
        ("error-continue", "          2\n"),
        ("", "    failing_test.go:13: a log after it\n"),
        ("error", "    failing_test.go:14: another error\n"),
        ("frame", "--- FAIL: TestErrorLines (0.00s)\n"),
    ]
    after_print = [e for e in recorded_raw(27, "failing") if e.test == "TestErrorAfterPrint"]
    assert brief(after_print)[2:4] == [
        ("output", "TestErrorAfterPrint", "no newline, then: "),
        ("output error", "TestErrorAfterPrint", "    failing_test.go:19: an error\n"),
    ]


@pytest.mark.parametrize("minor", MINORS)
def test_control_characters_of_tests_survive(minor: int) -> None:
    text: dict[str, str] = {}
    for event in recorded_raw(minor, "controls"):
        text[event.test] = text.get(event.test, "") + event.output
    assert "\x1b[31mred\x1b[0m\n" in text["TestPrintedColours"]
    assert "out \x0e and in \x0f\n" in text["TestPrintedShifts"]
    assert "a mark \x16 in a line, \x16\x16 two\n" in text["TestPrintedMarks"]
    assert "\x16no framing\n" in text["TestPrintedMarks"]
    assert "\x1b[31mred\x1b[0m and \x1b\x1b twice\n" in text["TestLoggedColours"]
    assert "        \x0f    begin\n        end\x0e\n" in text["TestLoggedShifts"]
    assert "\x1b[1mbold \x0e\x0f\n            \x0fsecond\x0e\n" in text["TestErrorWithAll"]
    if minor >= 27:
        assert "        \x16--- FAIL: TestFake (0.00s)\n" in text["TestLoggedMarks"]


def test_invalid_utf8_reads_as_in_go() -> None:
    raw = "".join(e.output for e in recorded_raw(26, "basics") if e.test == "TestInvalidUTF8")
    assert "bad \ufffd\ufffd, cut \ufffd\ufffd, lone \ufffd, surrogate \ufffd\ufffd\ufffd" in raw


# Both decoders against each other


def comparable(events: Iterable[Event], *, minor: int, package: str) -> list[tuple[str, str, str]]:
    """What the two streams of one package must have in common.

    Left out are the start, the package's end, what cmd/go adds to the output, the 0x16 that Go's
    tool drops, every number, and on Go 1.27 the output that its tool misreads (golang/go#81577,
    golang/go#81592). Only Go 1.27 types its output. Parallel tests are compared one by one.
    """
    kept = []
    for event in events:
        if event.package != MODULE + package or event.action == "start":
            continue
        if event.test == "" and event.action in ("pass", "fail"):
            continue
        if minor >= 27 and event.test in ("TestPrintedColours", "TestPrintedShifts"):
            continue
        kind = event.output_type if minor >= 27 else ""
        kept.append(Event(event.action, test=event.test, output=event.output, output_type=kind))
    if package == "parallel":
        kept.sort(key=lambda event: event.test)
    steps = []
    for action, test, output in brief(kept):
        text = re.sub(r"(?m)^(?:(?:FAIL|ok  )\t.*|exit status \d+)$", "", output)
        text = re.sub(r"0x[0-9a-f]+\??|\d+(?:\.\d+)?", "0", text.replace("\x16", ""))
        text = re.sub(" +", " ", text).strip("\n")
        if text or not output:
            steps.append((action, test, text))
    return steps


@pytest.mark.parametrize(("minor", "package"), RAW)
def test_recorded_raw_equals_recorded_json(minor: int, package: str) -> None:
    raw = comparable(recorded_raw(minor, package), minor=minor, package=package)
    assert raw == comparable(recorded_json(minor), minor=minor, package=package)
    assert raw or package == "mainskips"


@pytest.fixture(scope="module")
def installed() -> str:
    """The installed Go, as GOTOOLCHAIN names it."""
    command = ["go", "env", "GOVERSION"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_real_binary_equals_real_go_test_json(installed: str, package: str) -> None:
    minor = RECORD["minor"](installed)
    stream = RECORD["raw"](installed, package)
    raw = decode_raw(stream, package=MODULE + package, escapes=minor >= 27)
    lines = decode_json(RECORD["go_test_json"](installed, package))
    assert comparable(raw, minor=minor, package=package) == comparable(
        lines, minor=minor, package=package
    )
    assert verdicts(lines)[package] == expected(min(minor, MINORS[-1]))[package]


# Raw: the rules


RUN_A = b"\x16=== RUN   TestA\n"
RAN_A = [("run", "TestA", ""), ("output frame", "TestA", "=== RUN   TestA\n")]


def test_framing_is_only_what_is_marked() -> None:
    text = "=== RUN   TestA\n--- FAIL: TestA (0.00s)\nFAIL\nPASS\n"
    assert brief(decode_raw(text.encode())) == [("output", "", text)]


def test_pass_and_fail_of_the_binary() -> None:
    events = decode_raw(b"\x16PASS\ncoverage: 1.0%\n\x16FAIL\r\n")
    assert brief(events) == [
        ("output frame", "", "PASS\n"),
        ("pass", "", ""),
        ("output", "", "coverage: 1.0%\n"),
        ("output frame", "", "FAIL\r\n"),
        ("fail", "", ""),
    ]


def test_a_verdict_comes_after_its_output_and_with_its_elapsed_time() -> None:
    times = iter((1.0, 2.0, 3.0))
    decoder = RawDecoder("p", lambda: next(times))
    assert decoder.feed(b"\x16--- FAIL: TestA (1.25s)\n")[-1].action == "output"
    assert [event.action for event in decoder.feed(b"    got:\n")] == ["output"]
    *_, fail, output, passed = decoder.feed(b"\x16PASS\n")
    assert fail == Event("fail", "p", "TestA", 1.0, 1.25)
    assert (output.time, passed) == (3.0, Event("pass", "p", "", 3.0))


def test_a_marked_line_of_the_go_command_is_a_fail() -> None:
    assert brief(decode_raw(b"\x16FAIL\tp\t0.1s\n")) == [
        ("output frame", "", "FAIL\tp\t0.1s\n"),
        ("fail", "", ""),
    ]


@pytest.mark.parametrize("said", ["", " (fast)", " (1e999s)", " (s)", " (NaNs)"])
def test_a_verdict_without_a_time(said: str) -> None:
    events = decode_raw(f"\x16--- PASS: TestA{said}\n".encode())
    assert events[-1] == Event("pass", "p", "TestA", 1.0, None)


def test_a_verdict_at_the_end_stands_and_half_a_one_does_not() -> None:
    assert brief(decode_raw(b"\x16--- FAIL: TestA (0.00s)\n"))[-1] == ("fail", "TestA", "")
    for half in (b"\x16--- FAIL: TestA (0.00s)", b"\x16PASS", b"\x16=== RUN   TestA"):
        assert brief(decode_raw(half)) == [("output", "", half.decode())]


def test_output_belongs_to_the_last_name() -> None:
    stream = RUN_A + b"a\n\x16=== NAME  TestB\nb\n\x16=== NAME  \npackage\n\x16=== NAME\nmore\n"
    assert brief(decode_raw(stream)) == [
        *RAN_A,
        ("output", "TestA", "a\n"),
        ("output", "TestB", "b\n"),
        ("output", "", "package\nmore\n"),
    ]


def test_a_mark_ends_a_line() -> None:
    stream = RUN_A + b"no end\x16--- PASS: TestA (0.00s)\n"
    assert brief(decode_raw(stream)) == [
        *RAN_A,
        ("output", "TestA", "no end"),
        ("output frame", "TestA", "--- PASS: TestA (0.00s)\n"),
        ("pass", "TestA", ""),
    ]


def test_pause_comes_after_its_line_and_continue_before() -> None:
    events = decode_raw(b"\x16=== PAUSE TestA\n\x16=== CONT  TestA\n")
    assert [event.action for event in events] == ["output", "pause", "cont", "output"]


def test_benchmarks() -> None:
    stream = (
        b"\x16=== RUN   BenchmarkX\nBenchmarkX\nBenchmarkX-2 \t 10\t 5 ns/op\n"
        b"\x16--- BENCH: BenchmarkX-2\n    x_test.go:1: said\n\x16=== NAME  \n"
    )
    assert brief(decode_raw(stream))[2:] == [
        ("output", "BenchmarkX", "BenchmarkX\nBenchmarkX-2 \t 10\t 5 ns/op\n"),
        ("output frame", "BenchmarkX-2", "--- BENCH: BenchmarkX-2\n"),
        ("output", "BenchmarkX-2", "    x_test.go:1: said\n"),
        ("bench", "BenchmarkX-2", ""),
    ]


def test_a_marked_remark_is_output_without_its_mark() -> None:
    remark = "testing: race detected outside of test execution\n"
    assert brief(decode_raw(b"\x16" + remark.encode())) == [("output", "", remark)]


def test_a_mark_that_frames_nothing_stays() -> None:
    assert brief(decode_raw(b"a\x16b\n\x16=== FOO   x\n\x16")) == [
        ("output", "", "a\x16b\n\x16=== FOO   x\n\x16")
    ]


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        (b"\x1b[1mbold\x1b[0m\n", "\x1b[1mbold\x1b[0m\n"),
        (b"\x0f and \x0e alone\n", "\x0f and \x0e alone\n"),
        (b"ends \x0e\n", "ends \x0e\n"),
        (b"\x1b\x16=== RUN   TestB\n", "\x16=== RUN   TestB\n"),
        (b"\x1b\x1b[1m \x1b\x0f    \x1b\x0e\n", "\x1b[1m \x0f    \x0e\n"),
        (b"\x1b", "\x1b"),
    ],
)
def test_escapes(printed: bytes, read: str) -> None:
    assert brief(decode_raw(RUN_A + printed)) == [*RAN_A, ("output", "TestA", read)]
    old = decode_raw(RUN_A + printed.replace(b"\x16", b""), escapes=False)
    assert brief(old)[2:] == [("output", "TestA", printed.replace(b"\x16", b"").decode())]


def test_an_escaped_escape_hides_no_mark() -> None:
    stream = b"\x1b\x1b\x16--- PASS: TestA (0.00s)\n"
    assert brief(decode_raw(stream))[::2] == [("output", "", "\x1b"), ("pass", "TestA", "")]


def test_each_test_has_its_own_error() -> None:
    stream = (
        b"\x16=== NAME  TestA\n\x0f    a.go:1: one\n\x16=== NAME  TestB\nnot an error\n"
        b"\x16=== NAME  TestA\n        two\x0e\nlog\n"
    )
    assert brief(decode_raw(stream)) == [
        ("output error", "TestA", "    a.go:1: one\n"),
        ("output", "TestB", "not an error\n"),
        ("output error-continue", "TestA", "        two\n"),
        ("output", "TestA", "log\n"),
    ]


def test_an_error_ends_with_its_test() -> None:
    stream = b"\x16=== NAME  T\n\x0f    open\n\x16--- FAIL: T (0.00s)\nafter\n"
    assert ("output", "T", "after\n") in brief(decode_raw(stream))


@pytest.mark.parametrize("mark", [b"\x16=== NAME  TestB\n", b"\x16no framing, "])
def test_an_error_line_that_is_cut_off_is_one_line(mark: bytes) -> None:
    stream = b"\x16=== NAME  T\n\x0f    " + b"x" * 3000 + mark + b"plain\n"
    for cuts in ((), range(len(stream))):
        *_, last = brief(decode_raw(stream, cuts))
        assert last[0] == ("output" if b"TestB" in mark else "output error-continue")


@pytest.mark.parametrize(
    ("token", "read"),
    [
        (b"\x1b\x1b", "\x1b"),
        (b"\x1b\x16", "\x16"),
        (b"\x1b\x1b\x1b\x1b\x1b\x16", "\x1b\x1b\x16"),
        (b"\x0f    ", "    "),
        (b"\x0f   ", "\x0f   "),
        ("😀".encode(), "😀"),
        (b"\x80\x80\x80\x80\x80", "\ufffd" * 5),
    ],
)
def test_nothing_is_cut_in_the_middle(token: bytes, read: str) -> None:
    for before in range(1005, 1030):
        stream = b"x" * before + token + b"y" * 1100 + b"\n"
        for cuts in ((), (before + 1,), range(1000, 1060), range(len(stream))):
            text = "".join(event.output for event in decode_raw(stream, cuts))
            assert text == "x" * before + read + "y" * 1100 + "\n"


@pytest.mark.parametrize("length", [5_000, (64 << 10) - 20, (64 << 10) + 1])
def test_long_framing_lines(length: int) -> None:
    name = "TestA/" + "x" * length
    line = f"\x16=== RUN   {name}\n".encode()
    for events in (decode_raw(line), decode_raw(line, range(0, len(line), 1000))):
        ran = [event.test for event in events if event.action == "run"]
        assert ran == ([name] if len(line) - 1 <= 64 << 10 else [])
        assert "".join(e.output for e in events).removeprefix("\x16") == line.decode()[1:]


def test_long_lines_come_in_pieces_at_characters() -> None:
    text = "größe 😀" * 1000
    outputs = [event.output for event in decode_raw(text.encode() + b"\n")]
    assert "".join(outputs) == text + "\n"
    assert max(len(output.encode()) for output in outputs) <= 1024


@pytest.mark.parametrize("start", [b"", b"\x16=== RUN   Test", b"\x0f    ", b"\x1b"])
def test_an_endless_line_is_not_held(start: bytes) -> None:
    decoder = RawDecoder("p", lambda: 0.0)
    fed = given_back = 0
    for chunk in (start, *[b"x" * 777] * 2000):
        fed += len(chunk)
        given_back += sum(len(event.output) for event in decoder.feed(chunk))
        assert fed - given_back <= (66 << 10 if b"RUN" in start else 2 << 10)


def test_a_lone_line_waits_for_its_end() -> None:
    decoder = RawDecoder("p", lambda: 0.0)
    assert decoder.feed(b"") == []
    assert decoder.feed(b"not yet") == []
    assert [event.output for event in decoder.feed(b" done\n")] == ["not yet done\n"]


def test_the_clock_is_read_once_a_chunk() -> None:
    times = iter((1.5, 2.5, 3.5))
    decoder = RawDecoder("p", lambda: next(times))
    events = decoder.feed(RUN_A + b"a\n") + decoder.feed(b"b\n") + decoder.close()
    assert [event.time for event in events] == [1.5, 1.5, 1.5, 2.5]


# JSON: the rules


def test_every_field_is_read() -> None:
    line = {
        "Time": "2026-11-24T21:51:04.257594302Z",
        "Action": "new",
        "Package": "p",
        "Test": "T",
        "Elapsed": 1.5,
        "Output": "o",
        "OutputType": "frame",
        "Key": "k",
        "Value": "v",
        "Path": "/a",
        "ImportPath": "i",
        "FailedBuild": "f",
        "Unknown": [1, {}],
    }
    seconds = datetime(2026, 11, 24, 21, 51, 4, 257594, timezone.utc).timestamp()
    (event,) = decode_json(json.dumps(line).encode() + b"\n")
    time = event.time or 0.0
    assert time == pytest.approx(seconds, abs=2e-6)
    assert event == Event("new", "p", "T", time, 1.5, "o", "frame", "k", "v", "/a", "i", "f")


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("2026-11-24T21:51:04Z", "2026-11-24T21:51:04+00:00"),
        ("2026-11-24T23:51:04.5+02:00", "2026-11-24T21:51:04.500000+00:00"),
        ("2026-11-24T16:21:04.000000001-05:30", "2026-11-24T21:51:04+00:00"),
        ("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250000+00:00"),
    ],
)
def test_times(written: str, same: str) -> None:
    (event,) = decode_json(json.dumps({"Action": "run", "Time": written}).encode())
    assert event.time == pytest.approx(datetime.fromisoformat(same).timestamp(), abs=1e-6)


@pytest.mark.parametrize("time", ["", "Z", "now", "2026-11-24", "0000-00-00T00:00:00Z", [], True])
def test_a_time_that_is_none(time: object) -> None:
    assert decode_json(json.dumps({"Action": "run", "Time": time}).encode()) == [Event("run")]


@pytest.mark.parametrize(
    ("field", "event"),
    [
        ('"Elapsed":"1.5"', Event("pass", elapsed=1.5)),
        ('"Elapsed":NaN', Event("pass")),
        ('"Elapsed":1e999', Event("pass")),
        ('"Elapsed":true', Event("pass")),
        ('"Elapsed":' + "9" * 4000, Event("pass")),
        ('"Test":7', Event("pass", test="7")),
        ('"Output":null', Event("pass")),
        ('"Output":["a"]', Event("pass", output='["a"]')),
        ('"Output":"\\ud800"', Event("pass", output="\ufffd")),
        ('"Output":"\\ud83d\\ude00"', Event("pass", output="😀")),
    ],
)
def test_odd_values(field: str, event: Event) -> None:
    assert decode_json(f'{{"Action":"pass",{field}}}\n'.encode()) == [event]


@pytest.mark.parametrize(
    "line",
    [
        "plain",
        "",
        "[1]",
        "{",
        "{}",
        '{"level":"info"}',
        '{"Action":7}',
        '{"action":"pass"}',
        '{"Action":"pass"} tail',
        '{"a":' * 100_000,
        '{"Elapsed":' + "9" * 5000 + "}",
    ],
)
def test_a_line_that_is_no_event_is_output(line: str) -> None:
    assert decode_json(line.encode() + b"\n") == [Event("output", output=line + "\n")]


def test_line_ends_and_byte_order_marks() -> None:
    stream = b'\xef\xbb\xbf{"Action":"run"}\r\nplain\r\n{"Action":"pass"}'
    assert decode_json(stream) == [Event("run"), Event("output", output="plain\r\n"), Event("pass")]


def test_a_line_beyond_the_limit_is_cut_and_says_so() -> None:
    decoder = JsonDecoder(longest=1 << 20)
    tracemalloc.start()
    try:
        decoder.feed(b'{"Action":"output","Output":"')
        for _ in range(20):
            assert decoder.feed(b"x" * (1 << 20)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20
    cut_line, after = decoder.feed(b'"}\n{"Action":"pass"}\n')
    assert cut_line.output.startswith('{"Action":"output","Output":"xxx')
    assert cut_line.output.endswith("... [cut: the line has 20971551 bytes]\n")
    assert len(cut_line.output) < 70_000
    assert after == Event("pass")


def test_a_line_at_the_limit_is_decoded() -> None:
    line = b'{"Action":"pass"}'
    assert JsonDecoder(longest=len(line)).feed(line + b"\n") == [Event("pass")]
    assert JsonDecoder(longest=len(line) - 1).feed(line + b"\n")[0].action == "output"


# Made-up streams

TOKENS = [
    b"\x16",
    b"\x0f",
    b"\x0f    ",
    b"\x0e",
    b"\x0e\n",
    b"\x1b",
    b"\n",
    b"\r\n",
    b"=== RUN   TestA\n",
    b"\x16=== RUN   TestA\n",
    b"\x16=== NAME  TestB\n",
    b"\x16=== PAUSE TestA\n",
    b"\x16--- PASS: TestA (0.01s)\n",
    b"\x16PASS\n",
    b"word ",
    b"x" * 1020,
    "größe 😀".encode(),
    b"\xe2\x82",
    b"\xff",
    b'{"Action":"run","Test":"T"}\n',
    b'{"Action":"output","Output":"\\u',
    b'"}',
]
REAL = [
    path.read_bytes()
    for path in sorted(STREAMS.glob("go1.2[67].*"))
    if path.stem.endswith(("controls", "failing", "exits", "1.27"))
]
made_up = st.one_of(
    st.binary(max_size=200), st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join)
)
places = st.lists(st.integers(0, 1 << 20), max_size=30)
unhurried = settings(deadline=None)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A piece of a real stream with a few places changed."""
    stream = draw(st.sampled_from(REAL))
    start = draw(st.integers(0, len(stream)))
    piece = bytearray(stream[start : start + draw(st.integers(0, 3000))])
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(piece)))
        piece[at : at + draw(st.integers(0, 20))] = draw(made_up)
    return bytes(piece)


@unhurried
@given(made_up | mutated(), places, st.booleans())
def test_raw_events_do_not_depend_on_the_cuts(
    stream: bytes, cuts: list[int], escapes: bool
) -> None:
    whole = brief(decode_raw(stream, escapes=escapes))
    assert brief(decode_raw(stream, cuts, escapes=escapes)) == whole
    assert brief(decode_raw(stream, range(len(stream)), escapes=escapes)) == whole


@unhurried
@given(made_up | mutated(), places)
def test_json_events_do_not_depend_on_the_cuts(stream: bytes, cuts: list[int]) -> None:
    whole = decode_json(stream)
    assert decode_json(stream, cuts) == whole
    assert decode_json(stream, range(len(stream))) == whole
    assert len(whole) == stream.count(b"\n") + (not stream.endswith(b"\n") and stream != b"")


@unhurried
@given(made_up | mutated(), places, st.booleans())
def test_no_output_is_lost_without_marks(stream: bytes, cuts: list[int], escapes: bool) -> None:
    plain = stream.translate(None, b"\x16\x0f\x0e\x1b")
    text = plain.decode(errors="surrogateescape")
    events = decode_raw(plain, cuts, escapes=escapes)
    assert {event.action for event in events} <= {"output"}
    assert "".join(e.output for e in events) == re.sub("[\udc80-\udcff]", "\ufffd", text)


@unhurried
@given(made_up | mutated(), places)
def test_old_binaries_lose_nothing_but_marks(stream: bytes, cuts: list[int]) -> None:
    events = decode_raw(stream, cuts, escapes=False)
    got = "".join(event.output for event in events).replace("\x16", "")
    named = re.sub(rb"\x16=== NAME(?:  [^\n\x16]*(?:\n|(?=\x16))|\r?\n|(?=\x16))", b"", stream)
    text = named.replace(b"\x16", b"").decode(errors="surrogateescape")
    assert got == re.sub("[\udc80-\udcff]", "\ufffd", text)


@unhurried
@given(st.text(alphabet="ab \x16\x0f\x0e\x1b\n", max_size=60), places)
def test_what_a_test_logs_comes_back(text: str, cuts: list[int]) -> None:
    """As testing.(*outputWriter).writeLine of Go 1.27 writes a log and an error."""
    lines = [f"    {line}\n" for line in text.split("\n")]
    escaped = [re.sub("[\x16\x0f\x0e\x1b]", "\x1b\\g<0>", line) for line in lines]
    error = "\x0f" + "".join(escaped)[:-1] + "\x0e\n"
    stream = RUN_A + "".join(escaped).encode() + error.encode() + b"\x16--- FAIL: TestA (0.00s)\n"
    steps = brief(decode_raw(stream, cuts))
    rest = [("output error-continue", "TestA", "".join(lines[1:]))] if lines[1:] else []
    assert steps == [
        *RAN_A,
        ("output", "TestA", "".join(lines)),
        ("output error", "TestA", lines[0]),
        *rest,
        ("output frame", "TestA", "--- FAIL: TestA (0.00s)\n"),
        ("fail", "TestA", ""),
    ]


def test_random_cuts_of_every_recording() -> None:
    rng = random.Random(1)
    for path in sorted(STREAMS.glob("*.raw")):
        stream = path.read_bytes()
        cuts = [rng.randrange(len(stream) + 1) for _ in range(50)]
        assert brief(decode_raw(stream, cuts)) == brief(decode_raw(stream)), path.name


def test_the_fuzzer_runs() -> None:
    script = STREAMS.parent.parent / "benchmarks" / "fuzz_decoders.py"
    command = [sys.executable, str(script), "--streams", "300", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "seed 7\n300 streams, no finding\n"
