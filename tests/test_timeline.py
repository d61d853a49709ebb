"""Spans on tracks, gaps, outcomes and totals, from data alone; and what a recorder notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gotest import _timeline
from pytest_gotest._outcome import Exit, Result
from pytest_gotest._plan import Test as GoTest
from pytest_gotest._recorder import RESET, Recorder
from pytest_gotest._timeline import (
    CATEGORIES,
    CRASH,
    START,
    Phase,
    Process,
    Seen,
    Session,
    Span,
    Worker,
)


def span(name: str, category: str, begin: float, end: float, **more: Any) -> Span:
    return Span(name, category, begin, end, **more)


def session(*workers: Worker) -> Session:
    return Session("shop", 0, 0.0, 10.0, workers)


def places(*spans: Span) -> list[list[tuple[str, int]]]:
    return [[(one.span.name, one.depth) for one in row] for row in _timeline.place(spans, 0.0)]


def test_phases_stand_within_their_test() -> None:
    assert places(
        span("call", "call", 1, 2), span("A", "test", 0, 3), span("setup", "setup", 0, 1)
    ) == [[("A", 0), ("setup", 1), ("call", 1)]]


def test_tests_beside_each_other_do_not_nest() -> None:
    """TestB lies within TestA by its times and is none of its parts."""
    assert places(
        span("p", "process", 0, 9), span("A", "go test", 1, 5), span("B", "go test", 1, 3)
    ) == [[("p", 0), ("A", 1)], [("B", 0)]]


def test_what_takes_no_time_is_beside_its_neighbour_and_within_what_holds_both() -> None:
    assert places(
        span("p", "process", 0, 2),
        span("A", "go test", 1, 2),
        span("B", "go test", 2, 2),
        span("C", "go test", 2, 2),
    ) == [[("p", 0), ("A", 1), ("B", 1), ("C", 1)]]


_MOMENTS = st.integers(0, 12)


@settings(deadline=None)  # a busy machine
@given(st.lists(st.tuples(_MOMENTS, _MOMENTS, st.sampled_from(CATEGORIES))))
def test_on_a_track_spans_nest_or_do_not_overlap(given: list[tuple[int, int, str]]) -> None:
    spans = [span(str(n), kind, min(a, b), max(a, b)) for n, (a, b, kind) in enumerate(given)]
    rows = _timeline.place(spans, 0.0)
    assert sorted(one.span.name for row in rows for one in row) == sorted(s.name for s in spans)
    for row in rows:
        for index, one in enumerate(row):
            for other in row[index + 1 :]:
                apart = one.end <= other.begin
                within = one.begin <= other.begin and other.end <= one.end
                assert apart or within
                if not apart:
                    assert other.depth > one.depth


def test_gaps_are_what_no_span_covers() -> None:
    spans = [span("A", "test", 2, 4), span("setup", "setup", 2, 3), span("B", "test", 5, 6)]
    found = [(gap.begin, gap.end) for gap in _timeline.gaps(spans, 0.0, 8.0)]
    assert found == [(0, 2), (4, 5), (6, 8)]
    long = [(gap.begin, gap.end) for gap in _timeline.gaps(spans, 0.0, 8.0, least=2)]
    assert long == [(0, 2), (6, 8)]


def test_a_gap_ends_with_its_worker_although_a_span_comes_later() -> None:
    assert [
        (gap.begin, gap.end) for gap in _timeline.gaps([span("A", "test", 5, 6)], 0.0, 3.0)
    ] == [(0, 3)]


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        ({"setup": "passed", "call": "passed", "teardown": "passed"}, "passed"),
        ({"setup": "passed", "call": "failed", "teardown": "passed"}, "failed"),
        ({"setup": "failed", "teardown": "passed"}, "error"),
        ({"setup": "passed", "call": "passed", "teardown": "failed"}, "error"),
        ({"setup": "skipped", "teardown": "passed"}, "skipped"),
        ({"setup": "passed", "call": "xfailed", "teardown": "passed"}, "xfailed"),
        ({"setup": "passed", "call": "rerun", "teardown": "passed"}, "rerun"),
        ({"setup": "passed", CRASH: "failed"}, "crashed"),
        ({"setup": "passed"}, "interrupted"),
        ({START: ""}, "interrupted"),
        ({START: "", "setup": "passed", "call": "passed", "teardown": "passed"}, "passed"),
    ],
)
def test_the_outcome_of_an_item(phases: dict[str, str], outcome: str) -> None:
    seen = Seen("a_test.go::TestA", "a_test.go", 3)
    for number, (when, word) in enumerate(phases.items()):
        seen.phases.append(Phase(when, number, number + 1, word))
    item, *parts = _timeline.item_spans(seen, end=20.0, last=True)
    assert (item.category, item.outcome) == ("test", outcome)
    assert (item.begin, item.end) == (0, 20 if outcome == "interrupted" else len(phases))
    assert [part.name for part in parts] == [when for when in phases if when not in (START, CRASH)]
    assert item.detail["file"] == "a_test.go:3"


@pytest.mark.parametrize(
    ("begins", "heard", "ahead"),
    [
        ([100.5], [(101.0, 101.01)], 0.0),  # one clock
        ([], [], 0.0),  # it never said anything
        ([160.5], [(161.0, 101.01), (162.0, 102.001)], 59.999),  # reports from the future
        ([40.5], [(41.0, 101.01), (42.0, 102.001)], -60.001),  # begun before it was asked to
    ],
)
def test_clocks_that_cannot_be_one(
    begins: list[float], heard: list[tuple[float, float]], ahead: float
) -> None:
    assert _timeline.skew(100.0, begins, heard) == pytest.approx(ahead)


def shop() -> Session:
    """A worker whose TestA ran ahead of its item."""
    item = {"nodeid": "a_test.go::TestA"}
    go = {"nodeid": "a_test.go::TestA", "package": "a"}
    return session(
        Worker("controller", 0, 10, [span("start", "reset", 0, 1)], controls=True),
        Worker(
            "gw0",
            1,
            9,
            [span("a_test.go::TestA", "test", 5, 6, outcome="failed", detail=item)],
            [
                Process(
                    span("a", "process", 1, 5),
                    (span("TestA", "go test", 2, 5, outcome="failed", detail=go),),
                ),
                Process(span("b", "process", 2, 3)),
                Process(span("c", "process", 5, 6)),
            ],
        ),
    )


def test_each_worker_has_a_track_for_pytest_and_as_many_for_go_as_ran_at_once() -> None:
    found = [
        (track.pid, track.tid, track.worker, track.name, [one.span.name for one in track.placed])
        for track in _timeline.tracks(shop())
    ]
    assert found == [
        (1, 1, "controller", "pytest", ["start"]),
        (2, 1, "gw0", "pytest", ["idle", "a_test.go::TestA", "idle"]),
        (2, 2, "gw0", "Go 1", ["a", "TestA", "c"]),
        (2, 3, "gw0", "Go 2", ["b"]),
    ]


def test_trace_events() -> None:
    made = _timeline.trace(shop())
    assert json.loads(json.dumps(made)) == made
    names = {
        (event["name"], event["pid"], event["tid"]): event["args"]
        for event in made["traceEvents"]
        if event["ph"] == "M"
    }
    assert names["process_name", 2, 0] == {"name": "gw0"}
    assert names["thread_name", 2, 2] == {"name": "Go 1"}
    assert names["process_sort_index", 2, 0] == {"sort_index": 2}
    (event,) = (event for event in made["traceEvents"] if event["name"] == "TestA")
    assert event == {
        "name": "TestA",
        "cat": "go test",
        "ph": "X",
        "ts": 2_000_000,
        "dur": 3_000_000,
        "pid": 2,
        "tid": 2,
        "args": {"nodeid": "a_test.go::TestA", "package": "a", "outcome": "failed"},
    }


def test_totals() -> None:
    totals = _timeline.totals(shop())
    assert totals.outcomes == {"failed": 1}
    assert totals.longest == [("a_test.go::TestA", 3, "failed", "gw0")], "Go's time, not its item's"
    assert totals.idle == [("gw0", 7, 8)]
    assert ("process", 6, 3) in totals.categories
    assert ("idle", 7, 2) in totals.categories


# What is noted


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("pytest_gotest._recorder.time.time", lambda: now[0])
    return now


def test_a_reset_is_noted_although_it_fails(clock: list[float]) -> None:
    recorder = Recorder()

    def reset() -> None:
        with recorder.span(RESET, "shop", tables=3):
            clock[0] = 102.0
            raise KeyError

    with pytest.raises(KeyError):
        reset()
    assert _timeline.noted_spans(recorder.data({})) == [
        Span("shop", "reset", 100.0, 102.0, detail={"tables": 3})
    ]


def test_a_process_with_its_tests(clock: list[float]) -> None:
    recorder = Recorder()
    never = recorder.process("never")  # could not be started
    never.ended(None)
    process = recorder.process("a")
    process.pid = 7
    clock[0] = 101.0
    process.stands()
    clock[0] = 104.0
    process.stands()
    first, second, absent = (GoTest("a", name) for name in ("TestA", "TestB", "TestC"))
    process.test(first, Result("pass", seconds=0.5, began=103.75, ended=104.0))
    clock[0] = 106.0
    process.test(second, Result("fail", began=105.0))  # it took its process along
    process.test(absent, Result("error"))
    process.ended(Exit(2))
    (found,) = _timeline.noted_processes(recorder.data({first: "a_test.go::TestA"}))
    detail = {"package": "a", "pid": 7, "exit": "exit 2", "code": 2}
    assert found.span == Span("a", "process", 100, 106, detail=detail)
    assert found.inner == (
        Span(
            "TestA",
            "go test",
            103.5,
            104,
            "passed",
            {"package": "a", "nodeid": "a_test.go::TestA"},
        ),
        Span("TestB", "go test", 105, 106, "failed", {"package": "a"}),
        Span("start-up", "start-up", 100, 101, detail={"package": "a"}),
    )


def test_what_a_recorder_hands_over_can_be_carried_by_xdist(tmp_path: Path) -> None:
    import execnet

    recorder = Recorder()
    with recorder.span(RESET, "shop"):
        pass
    process = recorder.process("a")
    process.pid = 7
    process.test(GoTest("a", "TestA", select="sub"), Result("pass", began=1.0))
    data = recorder.data({})
    assert execnet.loads(execnet.dumps(data)) == data
