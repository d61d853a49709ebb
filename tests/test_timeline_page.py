"""The page of a timeline, in a real browser: what it draws, what it answers, what it never does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Page, browser

from pytest_gotest import _timeline_page
from pytest_gotest._timeline import Process, Session, Span, Worker

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>&amp;"
FOREIGN = "Tëst/日本語 🎉 \u2028"
# Of `timeline.html`: where the spans begin, the axis, a row and the head of a worker.
LABELS, AXIS, ROW, HEAD = 130, 24, 18, 20


def span(name: str, category: str, begin: float, end: float, **more: Any) -> Span:
    return Span(name, category, begin, end, **more)


def small() -> Session:
    nodeid = f"a_test.go::TestA[{HOSTILE}]"
    failed = {"nodeid": "b_test.go::TestB"}
    return Session(
        HOSTILE,
        1,
        1000.0,
        1010.0,
        [
            Worker(
                "gw0",
                1000.0,
                1010.0,
                [
                    span("collection", "collect", 1000, 1001),
                    span(nodeid, "test", 1002, 1006, outcome="passed", detail={"nodeid": nodeid}),
                    span("setup", "setup", 1002, 1003, outcome="passed"),
                    span("b_test.go::TestB", "test", 1008, 1010, outcome="failed", detail=failed),
                ],
                [
                    Process(
                        span("example.com/a", "process", 1002, 1006, detail={"pid": 7}),
                        (span(FOREIGN, "go test", 1004, 1005, outcome="passed"),),
                    )
                ],
            ),
            Worker(HOSTILE, 1000.0, 1010.0, [span("c.py::test_c", "test", 1000, 1010, outcome="")]),
        ],
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def opened(page: Page, session: Session, directory: Path) -> Page:
    file = directory / "timeline.html"
    file.write_text(_timeline_page.page(session), encoding="utf-8")
    page.open(file)
    page.dark(False)
    return page


@pytest.fixture
def drawn(page: Page, tmp_path: Path) -> Iterator[Page]:
    yield opened(page, small(), tmp_path)
    assert page.complaints() == []
    assert page.requests() == [(tmp_path / "timeline.html").as_uri()]
    assert page.run("document.title") == "Timeline of the tests"


def box(page: Page) -> dict[str, float]:
    found: dict[str, float] = page.run(
        "(({left, top, width}) => ({left, top, width}))(canvas.getBoundingClientRect())"
    )
    return found


def at(page: Page, seconds: float, row: int) -> tuple[float, float]:
    """Where a time of ten seconds and a row of the first worker are, while all is shown."""
    area = box(page)
    rows_above = HEAD + row * ROW
    x = area["left"] + LABELS + seconds / 10 * (area["width"] - LABELS)
    return x, area["top"] + AXIS + rows_above + ROW / 2


def color(page: Page, x: float, y: float) -> list[int]:
    """The red, green and blue that the canvas shows there. Of a copy: a canvas that is read often is warned of."""
    area = box(page)
    spot = f"{int(x - area['left'])}, {int(y - area['top'])}"
    found: list[int] = page.run(
        "(copy => { copy.width = canvas.width; copy.height = canvas.height;"
        "const pen = copy.getContext('2d'); pen.drawImage(canvas, 0, 0);"
        f"return [...pen.getImageData({spot}, 1, 1).data]; }})(document.createElement('canvas'))"
    )
    return found[:3]


def named(page: Page, name: str) -> list[int]:
    """A colour of the page's style as red, green and blue."""
    text = page.run(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')")
    return [int(part, 16) for part in re.findall("..", text.strip().removeprefix("#"))]


def tip(page: Page) -> str:
    text: str = page.run("tip.hidden ? '' : tip.innerText")
    return text


def shown(page: Page) -> tuple[float, float]:
    left, right = page.run("[canvas.dataset.left, canvas.dataset.right].map(Number)")
    return left, right


def test_the_data_cannot_end_its_element() -> None:
    made = _timeline_page.page(small())
    data = made.partition('<script id="data" type="application/json">')[2].partition("</script>")[0]
    texts = json.loads(data)["texts"]
    assert FOREIGN in texts
    assert "<" not in data
    assert data.isascii()


def test_spans_have_their_places_and_colours(drawn: Page) -> None:
    background = named(drawn, "back")
    assert color(drawn, *at(drawn, 5.8, 0)) == named(drawn, "passed")
    assert color(drawn, *at(drawn, 9.8, 0)) == named(drawn, "failed")
    assert color(drawn, *at(drawn, 2.95, 1)) == named(drawn, "setup")
    assert color(drawn, *at(drawn, 7.5, 0)) == named(drawn, "idle")
    assert color(drawn, *at(drawn, 7.5, 1)) == background
    assert len({tuple(named(drawn, name)) for name in ("back", "passed", "failed", "idle")}) == 4


def test_the_dark_scheme_draws_in_other_colours(drawn: Page) -> None:
    light = color(drawn, *at(drawn, 7.5, 1))
    drawn.dark(True)
    dark = color(drawn, *at(drawn, 7.5, 1))
    assert dark == named(drawn, "back") != light
    assert sum(dark) < 200 < sum(light)


def test_a_hover_tells_name_duration_and_outcome(drawn: Page) -> None:
    drawn.mouse("mouseMoved", *at(drawn, 5.8, 0))
    told = tip(drawn)
    assert told.splitlines()[0] == f"a_test.go::TestA[{HOSTILE}]"
    assert "4.00 s · passed · test" in told
    drawn.mouse("mouseMoved", *at(drawn, 9.0, 0))
    assert "2.00 s · failed · test" in tip(drawn)
    # The Go process: below two rows and the space behind a track.
    x, y = at(drawn, 4.5, 3)
    drawn.mouse("mouseMoved", x, y + 6)
    assert tip(drawn).startswith(FOREIGN.split(" ")[0])
    assert "1.00 s · passed · go test" in tip(drawn)
    drawn.mouse("mouseMoved", x, y + 2 * ROW)
    assert tip(drawn) == ""


def test_the_wheel_zooms_around_the_pointer(drawn: Page) -> None:
    x, y = at(drawn, 9.0, 0)
    drawn.mouse("mouseWheel", x, y, deltaX=0, deltaY=-600)
    left, right = shown(drawn)
    assert right - left < 6e6
    under = left + (right - left) * 0.9
    assert under == pytest.approx(9e6, rel=0.01)
    assert color(drawn, x, y) == named(drawn, "failed")
    drawn.mouse("mouseWheel", x, y, deltaX=0, deltaY=600)
    drawn.mouse("mouseWheel", x, y, deltaX=0, deltaY=600)
    assert shown(drawn) == (0, 10e6)


def test_a_drag_moves(drawn: Page) -> None:
    x, y = at(drawn, 5.0, 0)
    drawn.mouse("mouseWheel", x, y, deltaX=0, deltaY=-600)
    before = shown(drawn)
    drawn.mouse("mousePressed", x, y, button="left", clickCount=1)
    drawn.mouse("mouseMoved", x - 100, y, button="left", buttons=1)
    drawn.mouse("mouseReleased", x - 100, y, button="left")
    after = shown(drawn)
    moved = 100 * (before[1] - before[0]) / (box(drawn)["width"] - LABELS)
    assert after[0] - before[0] == pytest.approx(moved, rel=0.01)


def test_keys_zoom_and_move(drawn: Page) -> None:
    drawn.run("canvas.focus()")
    drawn.key("+", text="+")
    left, right = shown(drawn)
    assert (left, right) == pytest.approx((2.5e6, 7.5e6))
    drawn.key("ArrowRight")
    assert shown(drawn)[0] == pytest.approx(2.5e6 + 5e6 / 8)
    drawn.key("-", text="-")
    drawn.key("0", text="0")
    assert shown(drawn) == (0, 10e6)


def test_search_counts_dims_and_goes_to_the_match(drawn: Page) -> None:
    plain = color(drawn, *at(drawn, 5.8, 0))
    drawn.run("search.focus()")
    drawn.type("TESTB")
    assert drawn.run("hits.textContent") == "1 found"
    assert color(drawn, *at(drawn, 9.8, 0)) == named(drawn, "failed")
    assert color(drawn, *at(drawn, 5.8, 0)) != plain
    drawn.key("Enter")
    assert drawn.run("hits.textContent") == "1 of 1"
    assert shown(drawn) == pytest.approx((4e6, 10e6)), "with as much around it as there is"
    drawn.key("Escape")
    assert drawn.run("[search.value, hits.textContent]") == ["", ""]
    drawn.type("</script>")
    assert drawn.run("hits.textContent") == "1 found"


def test_the_tables_tell_the_same_and_lead_to_the_span(drawn: Page) -> None:
    rows = drawn.run(
        "Object.fromEntries(['longest', 'categories', 'idle'].map(id => "
        "[id, [...document.querySelectorAll(`#${id} tbody tr`)].map(tr => [...tr.cells].map(td => td.textContent))]))"
    )
    assert rows["longest"] == [
        ["c.py::test_c", "10.00 s", "", HOSTILE],
        [f"a_test.go::TestA[{HOSTILE}]", "4.00 s", "passed", "gw0"],
        ["b_test.go::TestB", "2.00 s", "failed", "gw0"],
    ]
    assert ["go test", "1.00 s", "1"] in rows["categories"]
    assert rows["idle"] == [
        ["gw0", "3.00 s", "10.00 s", "30 %"],
        [HOSTILE, "0 µs", "10.00 s", "0 %"],
    ]
    drawn.run("document.querySelectorAll('#longest button')[2].click()")
    drawn.settle()
    assert shown(drawn) == pytest.approx((4e6, 10e6))


def many(number: int) -> Session:
    """Each test takes half of its millisecond; one in the middle fails."""
    spans = [
        span(
            f"a_test.go::Test{n}",
            "test",
            n / 1000,
            n / 1000 + 0.0005,
            outcome="failed" if n == number // 2 else "passed",
        )
        for n in range(number)
    ]
    return Session("many", 0, 0.0, number / 1000, [Worker("gw0", 0.0, number / 1000, spans)])


def test_ten_thousand_spans_are_there_and_only_those_in_sight_are_drawn(
    page: Page, tmp_path: Path
) -> None:
    opened(page, many(10_000), tmp_path)
    area = box(page)
    marks = page.run("Number(canvas.dataset.drawn)")
    assert 100 < marks <= 4 * area["width"], "at most some marks for each pixel"
    assert color(page, *at(page, 2.0, 0)) != named(page, "back")
    x, y = at(page, 5.0, 0)
    reds = [color(page, x + off, y) == named(page, "failed") for off in range(-3, 4)]
    assert any(reds), "one failure among ten thousand is seen"
    page.run("search.focus()")
    page.type("test7777")
    assert page.run("hits.textContent") == "1 found"
    page.key("Enter")
    assert page.run("Number(canvas.dataset.drawn)") < 10
    middle = area["left"] + LABELS + (area["width"] - LABELS) / 2
    page.mouse("mouseMoved", middle, y)
    assert tip(page).splitlines()[0] == "a_test.go::Test7777"
    assert page.complaints() == []


def test_more_tracks_than_fit_are_scrolled_to(page: Page, tmp_path: Path) -> None:
    workers = [
        Worker(f"gw{n}", 0.0, 10.0, [span(f"a.py::test_{n}", "test", 0, 10, outcome="passed")])
        for n in range(60)
    ]
    opened(page, Session("wide", 0, 0.0, 10.0, workers), tmp_path)
    x, y = at(page, 5.0, 0)
    page.mouse("mouseMoved", x, y)
    assert tip(page).startswith("a.py::test_0")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=440, modifiers=8)  # Shift
    assert page.run("Number(canvas.dataset.top)") == 440
    page.mouse("mouseMoved", x, y)
    assert tip(page).startswith("a.py::test_10"), "each worker takes 44 pixels"
    page.run("search.focus()")
    page.type("test_59")
    page.key("Enter")
    assert page.run("Number(canvas.dataset.top)") > 1500
    page.run("fit.click()")
    page.settle()
    assert page.run("Number(canvas.dataset.top)") == 0
    assert page.complaints() == []
