"""Choosing Go tests by pytest's own means: keywords, markers, ids, what failed last time."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopping import Shop, verdicts

TOGGLE = "toggle/toggle_test.go"


def names(result: pytest.RunResult) -> list[str]:
    return [node.partition("::")[2] for node in verdicts(result)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("First or Second", ["TestFirst", "TestSecond"]),
        ("not First and not Table", ["TestSecond", "TestLast"]),
        ("two_words", ["TestTable"]),
        ("leaf", ["TestTable"]),
        ("toggle_test and Last", ["TestLast"]),
    ],
)
def test_keywords_mean_tests_and_what_the_source_tells_of_subtests(
    shop: Shop, expression: str, expected: list[str]
) -> None:
    assert names(shop.run("toggle", "-k", expression)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("gotest and slow", ["TestSlowMark"]),
        ("slow", ["TestSlowMark", "test_slow"]),
        ("not gotest", ["test_slow"]),
        ("owner(team='till')", ["TestOwner"]),
    ],
)
def test_markers(shop: Shop, expression: str, expected: list[str]) -> None:
    shop.write(
        "directives/test_marks.py", "import pytest\n\n@pytest.mark.slow\ndef test_slow(): pass\n"
    )
    assert names(shop.run("directives", "-m", expression)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("gotest_example", ["ExampleAdd", "ExampleAdd_wrong"]),
        ("gotest_fuzz", ["FuzzAdd"]),
        ("gotest_fuzz or gotest_benchmark", ["FuzzAdd"]),
    ],
)
def test_markers_of_kinds(shop: Shop, expression: str, expected: list[str]) -> None:
    assert names(shop.run("basics", "-m", expression)) == expected


def test_an_id_of_a_test(shop: Shop) -> None:
    assert names(shop.run(f"{TOGGLE}::TestSecond")) == ["TestSecond"]


@pytest.mark.parametrize("sub", ["two words", "two_words"])
def test_an_id_of_a_subtest_with_its_name_as_written_and_as_go_reports_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, sub: str
) -> None:
    # The other subtests would fail.
    monkeypatch.setenv("SHOP_BROKEN", "TestTable/plain,TestTable/group/leaf")
    result = shop.run(f"{TOGGLE}::TestTable[{sub}]")
    assert verdicts(result) == {f"{TOGGLE}::TestTable[{sub}]": "passed"}


def test_an_id_of_a_subtest_of_a_subtest(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_BROKEN", "TestTable/group/leaf,TestTable/plain")
    result = shop.run(f"{TOGGLE}::TestTable[group/leaf]")
    assert verdicts(result) == {f"{TOGGLE}::TestTable[group/leaf]": "failed"}
    result.stdout.fnmatch_lines(["E   TestTable/group/leaf is broken"])
    result.stdout.no_fnmatch_line("*plain is broken*")


def test_a_subtest_that_does_not_exist_fails_and_says_which_do(shop: Shop) -> None:
    result = shop.run(f"{TOGGLE}::TestTable[three words]")
    assert verdicts(result) == {f"{TOGGLE}::TestTable[three words]": "failed"}
    result.stdout.fnmatch_lines(["E   no subtest 'three_words' ran*"])


def test_a_test_that_does_not_exist_is_pytests_usual_error(shop: Shop) -> None:
    result = shop.run(f"{TOGGLE}::TestNowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: not found: *TestNowhere*"])


def test_an_id_from_another_directory(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, shop_directory: Path
) -> None:
    monkeypatch.chdir(shop_directory / "env")
    result = shop.run(f"../{TOGGLE}::TestTable[plain]")
    assert verdicts(result) == {f"{TOGGLE}::TestTable[plain]": "passed"}


def test_deselect(shop: Shop) -> None:
    result = shop.run("toggle", f"--deselect={TOGGLE}::TestTable", f"--deselect={TOGGLE}::TestLast")
    assert names(result) == ["TestFirst", "TestSecond"]


class TestLastTime:
    """--lf and its like: tests that fail, then are mended."""

    def test_last_failed(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_BROKEN", "TestSecond,TestLast")
        shop.run("toggle")
        monkeypatch.setenv("SHOP_BROKEN", "TestLast")
        assert names(shop.run("toggle", "--lf")) == ["TestSecond", "TestLast"]
        assert names(shop.run("toggle", "--lf")) == ["TestLast"]
        monkeypatch.delenv("SHOP_BROKEN")
        assert names(shop.run("toggle", "--lf")) == ["TestLast"]
        result = shop.run("toggle", "--lf")
        result.stdout.fnmatch_lines(["run-last-failure: no previously failed tests*"])
        assert names(result) == ["TestFirst", "TestSecond", "TestTable", "TestLast"]

    def test_a_failed_subtest_makes_its_test_run_again(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP_BROKEN", "TestTable/two_words")
        shop.run("toggle")
        result = shop.run("toggle", "--lf")
        assert verdicts(result) == {
            f"{TOGGLE}::TestTable [two_words]": "failed",
            f"{TOGGLE}::TestTable": "failed",
        }
        monkeypatch.delenv("SHOP_BROKEN")
        shop.run("toggle", "--lf")
        shop.run("toggle", "--lf").stdout.fnmatch_lines(["*no previously failed tests*"])

    def test_a_subtest_asked_for_by_id(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = f"{TOGGLE}::TestTable[two words]"
        monkeypatch.setenv("SHOP_BROKEN", "TestTable/two_words,TestFirst")
        shop.run(wanted, f"{TOGGLE}::TestFirst")
        result = shop.run("toggle", "--lf")
        assert list(verdicts(result)) == [f"{TOGGLE}::TestFirst", wanted]
        monkeypatch.delenv("SHOP_BROKEN")
        assert verdicts(shop.run("toggle", "--lf"))[wanted] == "passed"
        shop.run("toggle", "--lf").stdout.fnmatch_lines(["*no previously failed tests*"])

    def test_failed_first(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_BROKEN", "TestTable/plain,TestLast")
        shop.run("toggle")
        monkeypatch.delenv("SHOP_BROKEN")
        assert names(shop.run("toggle", "--ff")) == [
            "TestTable",
            "TestLast",
            "TestFirst",
            "TestSecond",
        ]

    def test_new_first(self, shop: Shop) -> None:
        shop.run(f"{TOGGLE}::TestSecond")
        shop.run(f"{TOGGLE}::TestSecond")
        assert names(shop.run("toggle", "--nf")) == [
            "TestFirst",
            "TestTable",
            "TestLast",
            "TestSecond",
        ]

    def test_stepwise(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_BROKEN", "TestSecond,TestTable/plain")
        assert names(shop.run("toggle", "--sw")) == ["TestFirst", "TestSecond"]
        monkeypatch.setenv("SHOP_BROKEN", "TestTable/plain")
        result = shop.run("toggle", "--sw")
        assert names(result) == ["TestSecond", "TestTable [plain]", "TestTable"]
        monkeypatch.delenv("SHOP_BROKEN")
        assert names(shop.run("toggle", "--sw")) == ["TestTable", "TestLast"]

    @pytest.mark.parametrize(
        ("limit", "expected"),
        [
            ("-x", ["TestFirst"]),
            ("--maxfail=2", ["TestFirst", "TestSecond"]),
        ],
    )
    def test_stop_at_failures(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, limit: str, expected: list[str]
    ) -> None:
        monkeypatch.setenv("SHOP_BROKEN", "TestFirst,TestSecond,TestLast")
        assert names(shop.run("toggle", limit)) == expected
