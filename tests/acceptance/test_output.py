"""What a user sees: failures in pytest's own look, verbosity, live output, JUnit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from shopping import Shop, verdicts

BASICS = "basics/basics_test.go"


def lines_of(result: pytest.RunResult, heading: str) -> list[str]:
    """What stands between a heading of the failures and the next line of its kind."""
    lines = result.outlines
    start = next(n for n, line in enumerate(lines) if line.strip("_ ") == heading) + 1
    end = next(n for n in range(start, len(lines)) if lines[n].startswith(("__", "==", "gotest:")))
    return lines[start:end]


@pytest.mark.parametrize(
    ("test", "heading", "expected"),
    [
        (
            "TestFail",
            "TestFail",
            [
                "basics/basics_test.go:16: in TestFail",
                "    func TestFail(t *testing.T) {",
                '        fmt.Println("printed by TestFail")',
                "        sum := Add(2, 2)",
                "        if sum != 5 {",
                '>           t.Errorf("2 + 2 = %d, want 5", sum)',
                "E   2 + 2 = 4, want 5",
                "----------------------------- Captured stdout call -----------------------------",
                "printed by TestFail",
                "    basics_test.go:18: a remark",
            ],
        ),
        (
            "TestLines",
            "TestLines",
            [
                "basics/basics_test.go:22: in TestLines",
                "    func TestLines(t *testing.T) {",
                '>       t.Errorf("first line\\n  second line\\n\\nfourth line")',
                "E   first line",
                "E     second line",
                "E   ",
                "E   fourth line",
            ],
        ),
        (
            "TestHelper",
            "TestHelper",
            [
                "basics/basics_test.go:26: in TestHelper",
                "    func TestHelper(t *testing.T) {",
                ">       same(t, Add(1, 1), 3)",
                "E   got 2, want 3",
            ],
        ),
        (
            "TestElsewhere",
            "TestElsewhere",
            [
                "basics/check_test.go:14: in TestElsewhere",
                "    func sameWithoutHelper(t *testing.T, got, want int) {",
                "        if got != want {",
                '>           t.Errorf("elsewhere: got %d, want %d", got, want)',
                "E   elsewhere: got 2, want 3",
            ],
        ),
        (
            "TestSilent",
            "TestSilent",
            [
                "basics/basics_test.go:48: in TestSilent",
                "E   it failed and said nothing (t.Fail, t.FailNow)",
            ],
        ),
        (
            "TestTable",
            "TestTable [big_sum]",
            [
                "basics/basics_test.go:62: in TestTable/big_sum",
                '    if c.name == "none" {',
                '        t.Skip("nothing to add")',
                "    }",
                "    if got := Add(1, 1); got != c.want {",
                '>       t.Errorf("%s: got %d, want %d", c.name, got, c.want)',
                "E   big sum: got 2, want 7",
            ],
        ),
        (
            "TestTable",
            "TestTable",
            [
                "basics/basics_test.go:52: in TestTable",
                "E   contains 1 failed subtest: big_sum",
            ],
        ),
        (
            "ExampleAdd_wrong",
            "ExampleAdd_wrong",
            [
                "basics/basics_test.go:78: in ExampleAdd_wrong",
                "E   got:",
                "E   3",
                "E   want:",
                "E   4",
            ],
        ),
    ],
)
def test_a_failure(shop: Shop, test: str, heading: str, expected: list[str]) -> None:
    assert lines_of(shop.run(f"{BASICS}::{test}"), heading) == expected


def test_a_table_of_testify(shop: Shop) -> None:
    result = shop.run(f"{BASICS}::TestRequire")
    assert lines_of(result, "TestRequire")[-6:] == [
        '>       t.Errorf("\\n%s", ""+',
        "E   \tError Trace:\tbasics_test.go:33",
        "E   \tError:      \tNot equal:",
        "E   \t            \texpected: 3",
        "E   \t            \tactual  : 2",
        "E   \tTest:       \tTestRequire",
    ]
    result.stdout.fnmatch_lines(["FAILED *::TestRequire - Not equal: expected: 3 actual : 2"])


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (
            "TestPanic",
            [
                "crash/crash_test.go:14: in TestPanic",
                ">       b.n = 1",
                "E   panic: runtime error: invalid memory address or nil pointer dereference*",
                "E     goroutine * [[]running[]]:",
            ],
        ),
        (
            "TestPanicSub",
            [
                "crash/crash_test.go:17: in TestPanicSub/inner",
                "E   it failed and said nothing itself; see TestPanicSub",
                "crash/crash_test.go:18: in TestPanicSub",
                '>       t.Run("inner", func(t *testing.T) { panic("oh\\nno") })',
                "E   panic: oh",
                "E     \tno*",
                "E     goroutine * [[]running[]]:",
                "E   contains 1 failed subtest: inner",
            ],
        ),
        (
            "TestGoroutine",
            [
                "crash/crash_test.go:27: in TestGoroutine",
                '>       go func() { panic("elsewhere") }()',
                "E   panic: elsewhere",
                "E     process died (exit 2)",
            ],
        ),
        ("TestExit", ["crash/crash_test.go:21: in TestExit", "E   process died (exit 3)"]),
    ],
)
def test_a_crash(shop: Shop, test: str, expected: list[str]) -> None:
    result = shop.run(f"crash/crash_test.go::{test}", "crash/crash_test.go::TestAfter")
    assert verdicts(result)["crash/crash_test.go::TestAfter"] == "passed"
    result.stdout.fnmatch_lines(expected)
    # The evidence is told once.
    result.stdout.no_fnmatch_line("*Captured stdout*")


def test_packages_that_do_not_build_say_why_once(shop: Shop) -> None:
    result = shop.run("broken", "vetted", "customer", "toggle")
    result.assert_outcomes(errors=5, passed=4)
    result.stdout.fnmatch_lines(
        [
            "gotest: * failed to build",
            "*ERROR at setup of TestOne*",
            "E   cannot build example.com/shop/broken:",
            "E   broken/broken_test.go:6:2: undefined: undefined",
            "E   broken/broken_test.go:7:14: cannot use *",
            "*ERROR at setup of TestTwo*",
            "E   cannot build example.com/shop/broken:*",
            "E   *broken/broken_test.go::TestOne",
            "E   vet refuses example.com/shop/vetted:",
            'E   vetted/vetted_test.go:6:*: * format %d has arg "text" of wrong type string',
            "E   cannot build example.com/shop/customer: its dependency example.com/shop/supplier *",
            "E   supplier/supplier.go:3:*",
        ]
    )
    assert result.stdout.str().count("declared and not used: x") == 1


@pytest.mark.parametrize(
    ("style", "shown", "hidden"),
    [
        ("long", ["    func TestFail(t *testing.T) {", ">           t.Errorf(*", "E   2 + 2 = 4, want 5"], "-"),
        ("auto", ["    func TestFail(t *testing.T) {", ">           t.Errorf(*", "E   2 + 2 = 4, want 5"], "-"),
        ("short", [">           t.Errorf(*", "E   2 + 2 = 4, want 5"], "    func TestFail*"),
        ("line", ["*basics_test.go:16: 2 + 2 = 4, want 5"], ">*"),
        ("native", ["    basics_test.go:16: 2 + 2 = 4, want 5", "    basics_test.go:18: a remark"], ">*"),
        ("no", ["FAILED *::TestFail*"], ">*"),
    ],
)  # fmt: skip
def test_traceback_styles(shop: Shop, style: str, shown: list[str], hidden: str) -> None:
    result = shop.run(f"{BASICS}::TestFail", f"--tb={style}")
    result.stdout.fnmatch_lines(shown)
    result.stdout.no_fnmatch_line(hidden)


def test_colours(shop: Shop) -> None:
    text = shop.run(f"{BASICS}::TestFail", "--color=yes", "--code-highlight=no").stdout.str()
    assert "\x1b[31mE   2 + 2 = 4, want 5\x1b[0m" in text
    assert "\x1b[31mbasics/basics_test.go\x1b[0m:16: in TestFail" in text


def test_highlighting_leaves_each_mark_at_its_line(shop: Shop) -> None:
    plain = lines_of(shop.run("basics", "--color=no", "-k", "TestFail"), "TestFail")
    coloured = shop.run("basics", "--color=yes", "-k", "TestFail").stdout.str()
    marked = next(line for line in coloured.splitlines() if line.startswith(">"))
    assert marked.startswith(plain[5][:13])


def test_header_and_last_lines(shop: Shop) -> None:
    result = shop.run("toggle", "env")
    header = result.outlines[: result.outlines.index("")]
    assert len([line for line in header if line.startswith("gotest: ")]) <= 3
    result.stdout.fnmatch_lines(
        [
            "gotest: go1.* */*, shuffle off",
            "gotest: * package* *",
            "gotest: 7 Go tests in 3 processes",
        ]
    )


def test_quiet(shop: Shop) -> None:
    result = shop.run("toggle", "-q")
    result.stdout.fnmatch_lines(["....*[[]100%[]]", "4 passed in *"])
    result.stdout.no_fnmatch_line("*go1.*")


def test_verbose_tells_every_subtest_and_why_it_runs_so(shop: Shop) -> None:
    result = shop.run("basics", "-v", "-k", "Table or Skip or Fuzz or ExampleAdd")
    result.stdout.fnmatch_lines(
        [
            f"{BASICS}::TestSkip SKIPPED (no printer)*",
            f"{BASICS}::TestTable SUBFAILED[[]big_sum[]]*",
            f"{BASICS}::TestTable SUBPASSED[[]small_sum[]]*",
            f"{BASICS}::TestTable SUBSKIPPED[[]none[]] (nothing to add)*",
            f"{BASICS}::TestTable FAILED*",
            f"{BASICS}::ExampleAdd PASSED*",
            f"{BASICS}::FuzzAdd SUBPASSED[[]seed#0[]]*",
            "gotest: example.com/shop/basics: free: *",
            "*= 3 failed, 2 passed, 2 skipped, 7 deselected, 2 subtests passed in *",
        ]
    )


def test_summary_of_all_outcomes(shop: Shop) -> None:
    result = shop.run(BASICS, "-rA", "-k", "Pass or Skip or Table or Lines")
    result.stdout.fnmatch_lines(
        [
            "*= PASSES =*",
            "*Captured stdout call*",
            "printed by TestPass",
            "PASSED basics/basics_test.go::TestPass",
            "SKIPPED [[]1[]] basics/basics_test.go:45: no printer",
            "FAILED basics/basics_test.go::TestLines - first line",
            "SUBFAILED[[]big_sum[]] basics/basics_test.go::TestTable - big sum: got 2, want 7",
            "FAILED basics/basics_test.go::TestTable - contains 1 failed subtest: big_sum",
        ]
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("all", {"big_sum": "failed", "small_sum": "passed", "none": "skipped"}),
        ("auto", {"big_sum": "failed", "none": "skipped"}),
        ("failed", {"big_sum": "failed"}),
        ("none", {}),
    ],
)
def test_which_subtests_are_reported(shop: Shop, mode: str, expected: dict[str, str]) -> None:
    node = f"{BASICS}::TestTable"
    result = shop.run(node, f"--gotest-subtests={mode}")
    shown = {f"{node} [{name}]": outcome for name, outcome in expected.items()}
    assert verdicts(result) == {**shown, node: "failed"}
    # Failed subtests are told whether or not they are reports of their own.
    result.stdout.fnmatch_lines(
        ["basics/basics_test.go:62: in TestTable/big_sum", "E   big sum: *"]
    )


def test_durations_are_those_of_go(shop: Shop) -> None:
    result = shop.run("slow", "-k", "Nap or Quick", "--durations=2", "-v")
    result.stdout.fnmatch_lines(["*slowest*durations*", "0.1*s call * slow/slow_test.go::TestNap"])


def test_junit(shop: Shop) -> None:
    report = shop.scratch / "junit.xml"
    shop.run("basics", "slow", "attrs", "-k", "not Hang and not Live", f"--junitxml={report}")
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert {name: case.get("classname") for name, case in cases.items()} == {
        **dict.fromkeys([*cases], "basics.basics_test.go"),
        "TestNap": "slow.slow_test.go",
        "TestQuick": "slow.slow_test.go",
        "TestAttr": "attrs.attrs_test.go",
    }
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert failed == {
        "TestFail", "TestLines", "TestHelper", "TestElsewhere", "TestRequire", "TestSilent",
        "TestTable", "ExampleAdd_wrong",
    }  # fmt: skip
    skipped = cases["TestSkip"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "no printer"
    # 50 ms of its own and 50 of its subtest: Go says 100, and adding up would say 150.
    assert 0.09 < float(cases["TestNap"].get("time", 0)) < 0.145
    properties = {p.get("name"): p.get("value") for p in cases["TestAttr"].iter("property")}
    assert properties == {"ticket": "SHOP-7"}
    failure = cases["TestFail"].find("failure")
    assert failure is not None
    assert failure.get("message") == "2 + 2 = 4, want 5"
    assert "basics/basics_test.go:16: in TestFail" in (failure.text or "")


def test_junit_holds_output_when_asked_to(shop: Shop) -> None:
    report = shop.scratch / "junit.xml"
    shop.run(f"{BASICS}::TestPass", f"--junitxml={report}", "-o", "junit_logging=system-out")
    out = ElementTree.parse(report).getroot().find(".//system-out")
    assert out is not None
    assert "printed by TestPass" in (out.text or "")


@pytest.mark.parametrize("gate", ["package", "gate"])
def test_without_capture_output_is_seen_as_it_comes(shop: Shop, tmp_path: Path, gate: str) -> None:
    file = tmp_path / "go-on"
    with subprocess.Popen(
        [
            sys.executable, "-m", "pytest", "-p", "gotest", "--gotest", "-s", *shop.cache,
            f"--gotest-isolate={gate}", "slow/slow_test.go::TestLive",
        ],
        env={**os.environ, "SHOP_FILE": str(file)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        alarm = threading.Timer(60, process.kill)
        alarm.start()
        seen = ""
        while "waiting for a file" not in seen and (line := process.stdout.readline()):
            seen += line
        file.touch()
        rest = process.stdout.read()
        alarm.cancel()
    assert "waiting for a file" in seen
    assert "there it is" in rest
    assert "1 passed" in rest
