"""From events to verdicts, fed with events: every quirk that needs no process to be seen."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gotest._events import Event
from pytest_gotest._outcome import (
    FAIL,
    PASS,
    SKIP,
    Exit,
    Output,
    PackageRun,
    benchmark_result,
    death,
    result_of,
)


def fed(events: Iterable[tuple[str, str] | Event], known: set[str] | None = None) -> PackageRun:
    run = PackageRun("example.com/p", known)
    for number, event in enumerate(events):
        if isinstance(event, tuple):
            event = Event(event[0], "example.com/p", event[1], float(number))
        run.feed(event)
    return run


def said(test: str, text: str, kind: str = "") -> Event:
    return Event("output", "example.com/p", test, 0.0, output=text, output_type=kind)


def test_a_test_that_ends_has_its_own_verdict() -> None:
    run = fed([("run", "TestA"), ("pass", "TestA"), ("run", "TestB"), ("fail", "TestB")])
    assert {name: record.verdict for name, record in run.tests.items()} == {
        "TestA": PASS,
        "TestB": FAIL,
    }
    assert run.running == []


def test_subtests_belong_to_their_test_also_without_a_parent_between() -> None:
    run = fed([("run", "TestA"), ("run", "TestA/a/b"), ("skip", "TestA/a/b"), ("pass", "TestA")])
    result = result_of(run.tests["TestA"])
    assert result.verdict == PASS
    assert [(sub.name, sub.verdict) for sub in result.subtests] == [("a/b", SKIP)]


def test_a_subtest_without_an_end_fails() -> None:
    run = fed([("run", "TestA"), ("run", "TestA/x"), ("fail", "TestA")])
    (sub,) = result_of(run.tests["TestA"]).subtests
    assert sub.verdict == FAIL
    assert "it never ended" in sub.notes


def test_the_worst_of_several_runs_counts() -> None:
    once = [("run", "TestA"), ("pass", "TestA")]
    assert fed([*once, ("run", "TestA"), ("fail", "TestA"), *once]).tests["TestA"].verdict == FAIL


def test_of_two_ends_of_one_run_the_last_counts_and_the_conflict_is_noted() -> None:
    run = fed([("run", "TestA"), ("fail", "TestA"), ("pass", "TestA")])
    result = result_of(run.tests["TestA"])
    assert result.verdict == PASS
    assert any("the last word counts" in note for note in result.notes)


def test_a_phantom_is_no_test_and_its_words_are_those_of_the_test_that_ran() -> None:
    run = fed(
        [
            ("run", "TestA"),
            ("run", "TestPhantom"),
            said("TestPhantom", "a word\n"),
            ("fail", "TestPhantom"),
            ("pass", "TestA"),
        ],
        known={"TestA"},
    )
    result = result_of(run.tests["TestA"])
    assert list(run.tests) == ["TestA"]
    assert result.verdict == PASS
    assert result.output == "a word\n"
    assert any("TestPhantom" in note for note in result.notes)


def test_a_benchmarks_processor_count_is_no_part_of_its_name() -> None:
    run = fed(
        [("run", "BenchmarkX"), said("BenchmarkX-8", "BenchmarkX-8 \t 100\t 12.5 ns/op\n")],
        known={"BenchmarkX"},
    )
    assert list(run.tests) == ["BenchmarkX"]
    assert benchmark_result(run.tests["BenchmarkX"], ok=True).verdict == PASS


@pytest.mark.parametrize(
    ("output", "ok", "verdict"),
    [
        ("BenchmarkX-2   \t       1\t     17827 ns/op\n", True, PASS),
        ("BenchmarkX   \t 3\t 1.5e+06 ns/op\t 42.00 answers/op\n", True, PASS),
        ("       1\t       931.0 ns/op\n", True, PASS),
        ("BenchmarkX\n", True, FAIL),
        ("BenchmarkX-2   \t       1\t     17827 ns/op\n", False, FAIL),
    ],
)
def test_a_benchmark_passes_by_its_result_line(output: str, ok: bool, verdict: str) -> None:
    run = fed([("run", "BenchmarkX"), said("BenchmarkX", output)])
    assert benchmark_result(run.tests["BenchmarkX"], ok=ok).verdict == verdict


def test_framing_is_not_output_but_what_only_looks_like_it_is() -> None:
    run = fed(
        [
            ("run", "TestA"),
            said("TestA", "=== RUN   TestA\n", "frame"),
            said("TestA", "=== RUN   TestA\n"),
            said("TestA", "--- FAIL: TestOther (0.00s)\n"),
            said("TestA", "--- a diff\n"),
            ("pass", "TestA"),
        ]
    )
    assert str(run.tests["TestA"].output) == "--- FAIL: TestOther (0.00s)\n--- a diff\n"


def test_pauses_are_in_no_duration() -> None:
    run = PackageRun("p")
    for action, at in (("run", 0.0), ("pause", 1.0), ("cont", 10.0), ("pass", 12.0)):
        run.feed(Event(action, "p", "TestA", at))
    assert run.tests["TestA"].seconds == 3.0


def test_a_test_that_was_running_when_the_process_died_fails() -> None:
    run = fed([("run", "TestA"), said("TestA", "about to\n")])
    result = death(run.tests["TestA"], Exit(3), "the tail")
    assert (result.verdict, result.problem) == (FAIL, "process died (exit 3)")
    assert result.evidence == "the tail"


@pytest.mark.parametrize(
    ("code", "text"),
    [(3, "exit 3"), (-9, "signal SIGKILL"), (-99, "signal 99"), (None, "end unknown")],
)
def test_an_end_is_said_in_words(code: int | None, text: str) -> None:
    assert str(Exit(code)) == text


def test_one_subtest_that_was_asked_for_gives_the_verdict() -> None:
    events = [
        ("run", "TestA"),
        ("run", "TestA/x"),
        ("run", "TestA/x/deep"),
        ("pass", "TestA/x/deep"),
        ("skip", "TestA/x"),
        ("pass", "TestA"),
    ]
    result = result_of(fed(events).tests["TestA"], select="x")
    assert result.verdict == SKIP
    assert [sub.name for sub in result.subtests] == ["x/deep"]
    missing = result_of(fed(events).tests["TestA"], select="y")
    assert missing.verdict == FAIL
    assert missing.problem == "no subtest 'y' ran; there were: x, x/deep"
    alone = result_of(fed([("run", "TestA"), ("pass", "TestA")]).tests["TestA"], select="y")
    assert alone.problem == "no subtest 'y' ran; TestA alone shows what it has"


def test_output_is_bounded_and_the_cut_is_said() -> None:
    output = Output(head=10, tail=20)
    for number in range(100_000):
        output.append(f"{number:06}\n")
    text = str(output)
    assert text.startswith("000000\n000")
    assert text.endswith("099999\n")
    assert len(text) < 150
    assert f"{output.cut:,} characters cut" in text
    assert output.cut + len(text) > 700_000


def test_the_output_of_very_many_subtests_is_bounded_together() -> None:
    run = PackageRun("m")
    run.feed(Event("run", test="TestA"))
    piece = "x" * (200 << 10)
    for number in range(1000):
        name = f"TestA/{number}"
        run.feed(Event("run", test=name))
        run.feed(Event("output", test=name, output=piece + f"last of {number}\n"))
        run.feed(Event("output", test=name, output=piece + f"last of {number}\n"))
        run.feed(Event("fail", test=name))
    run.feed(Event("fail", test="TestA"))
    outputs = [str(record.output) for record in run.tests["TestA"].subtests.values()]
    assert sum(map(len, outputs)) < 64 << 20
    assert all("cut by pytest-gotest" in output for output in outputs)
    assert all(output.endswith(f"last of {n}\n") for n, output in enumerate(outputs))


def test_one_endless_piece_is_bounded_too() -> None:
    output = Output(head=10, tail=20)
    output.append("x" * 1_000_000)
    output.append("y")
    output.append("z" * 25)
    assert len(str(output)) < 200
    assert str(output).endswith("z")


@given(st.lists(st.text(alphabet="abc\n", max_size=30), max_size=60))
def test_short_output_is_whole(pieces: list[str]) -> None:
    output = Output(head=1000, tail=2000)
    for piece in pieces:
        output.append(piece)
    assert str(output) == "".join(pieces)


NAMES = st.sampled_from(["", "TestA", "TestB", "TestA/x", "TestA/x/y", "TestB/x", "TestGhost"])
ACTIONS = st.sampled_from(
    [
        "start",
        "run",
        "pause",
        "cont",
        "pass",
        "fail",
        "skip",
        "bench",
        "output",
        "attr",
        "artifacts",
        "build-fail",
        "wat",
    ]
)
EVENTS = st.builds(
    Event,
    action=ACTIONS,
    package=st.just("p"),
    test=NAMES,
    time=st.none() | st.floats(0, 100),
    elapsed=st.none() | st.floats(0, 100),
    output=st.text(max_size=20),
)


@given(st.lists(EVENTS, max_size=60))
def test_no_stream_loses_or_invents_a_verdict(events: list[Event]) -> None:
    run = PackageRun("p", {"TestA", "TestB"})
    for event in events:
        run.feed(event)
    ended = {e.test for e in events if e.action in ("pass", "fail", "skip")}
    for name in ("TestA", "TestB"):
        record = run.tests.get(name)
        if record is None:
            assert not any(e.test.partition("/")[0] == name for e in events)
            continue
        result = result_of(record)
        last = [e.action for e in events if e.test == name and e.action in (PASS, FAIL, SKIP)]
        if name in ended:
            assert result.verdict in (PASS, FAIL, SKIP)
            if set(last) == {PASS} and not any(e.action == "bench" for e in events):
                assert result.verdict == PASS
            if last[-1] == FAIL:
                assert result.verdict == FAIL
        elif not any(e.action == "bench" and e.test == name for e in events):
            assert result.verdict == FAIL
    assert "TestGhost" not in run.tests
