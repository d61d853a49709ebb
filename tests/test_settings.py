"""Options and their ini twins, through a real pytest configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_gotest import _options, _settings
from pytest_gotest._options import OPTIONS
from pytest_gotest._settings import Settings


def settings(pytester: pytest.Pytester, *args: str, ini: str = "") -> Settings:
    pytester.makeini(f"[pytest]\n{ini}")
    return _settings.read(pytester.parseconfig(*args))


def test_nothing_is_wanted_by_default(pytester: pytest.Pytester) -> None:
    assert not _options.wanted(pytester.parseconfig())


@pytest.mark.parametrize("args", [["--gotest"], ["--gotest-replay=log"]])
def test_an_option_asks_for_go_tests(pytester: pytest.Pytester, args: list[str]) -> None:
    assert _options.wanted(pytester.parseconfig(*args))


def test_ini_asks_for_go_tests(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ngotest = true\n")
    assert _options.wanted(pytester.parseconfig())


def test_defaults_are_those_of_the_table(pytester: pytest.Pytester) -> None:
    got = settings(pytester, "--gotest")
    assert (got.count, got.shuffle, got.timeout) == (1, None, 600.0)
    assert (got.isolate, got.subtests, got.engine, got.bench) == ("auto", "auto", "binary", None)
    assert got.cache_dir.name == "pytest-gotest"
    assert got.cache_limit == 10 << 30


@pytest.mark.parametrize(
    ("flag", "ini", "field", "value"),
    [
        ("--gotest-tags=a,b", "gotest_tags = a b", "tags", ("a", "b")),
        ("--gotest-race", "gotest_race = true", "race", True),
        ("--gotest-build-arg=-mod=mod", "gotest_build_arg = -mod=mod", "build_args", ("-mod=mod",)),
        ("--gotest-arg=-x", "gotest_arg = -x", "args", ("-x",)),
        ("--gotest-short", "gotest_short = true", "short", True),
        ("--gotest-count=3", "gotest_count = 3", "count", 3),
        ("--gotest-shuffle=7", "gotest_shuffle = 7", "shuffle", 7),
        ("--gotest-timeout=1.5", "gotest_timeout = 1.5", "timeout", 1.5),
        ("--gotest-isolate=gate", "gotest_isolate = gate", "isolate", "gate"),
        ("--gotest-subtests=all", "gotest_subtests = all", "subtests", "all"),
        ("--gotest-bench=.", "gotest_bench = .", "bench", "."),
        ("--gotest-engine=gotest", "gotest_engine = gotest", "engine", "gotest"),
        ("--gotest-cache-limit=2G", "gotest_cache_limit = 2G", "cache_limit", 2 << 30),
        (
            "--gotest-migrate-command=m {url}",
            "gotest_migrate_command = m {url}",
            "migrate_command",
            "m {url}",
        ),
        ("--gotest-migrate-inputs=a", "gotest_migrate_inputs = a", "migrate_inputs", ("a",)),
        ("--gotest-seed=a.csv", "gotest_seed = a.csv", "seed", ("a.csv",)),
        ("--gotest-cache-limit=off", "gotest_cache_limit = off", "cache_limit", None),
    ],
)
def test_a_flag_and_its_ini_twin_say_the_same(
    pytester: pytest.Pytester, flag: str, ini: str, field: str, value: object
) -> None:
    assert getattr(settings(pytester, "--gotest", flag), field) == value
    assert getattr(settings(pytester, "--gotest", ini=ini), field) == value


def test_lists_of_both_are_joined_and_the_command_line_wins_otherwise(
    pytester: pytest.Pytester,
) -> None:
    ini = "gotest_arg = -one\ngotest_count = 2"
    got = settings(pytester, "--gotest", "--gotest-arg=-two", "--gotest-count=5", ini=ini)
    assert got.args == ("-one", "-two")
    assert got.count == 5


def test_a_build_flag_may_be_quoted_as_in_a_shell(pytester: pytest.Pytester) -> None:
    got = settings(pytester, "--gotest", "--gotest-build-arg=-ldflags='-X a.b=c d'")
    assert got.build_args == ("-ldflags=-X a.b=c d",)


def test_the_cache_directory_is_relative_to_the_root(pytester: pytest.Pytester) -> None:
    got = settings(pytester, "--gotest", "--gotest-cache-dir=here")
    assert got.cache_dir == Path(pytester.path, "here")


@pytest.mark.parametrize(
    ("size", "number"),
    [
        ("500MiB", 500 << 20),
        ("500M", 500 << 20),
        ("1.5GiB", 3 << 29),
        ("2 TiB", 2 << 40),
        ("100kb", 100_000),
        ("3GB", 3_000_000_000),
        ("0B", 0),
    ],
)
def test_a_size_has_a_unit(pytester: pytest.Pytester, size: str, number: int) -> None:
    assert settings(pytester, "--gotest", f"--gotest-cache-limit={size}").cache_limit == number


@pytest.mark.parametrize(
    ("flag", "takes"),
    [
        ("--gotest-count=0", "a whole number from 1"),
        ("--gotest-count=many", "a whole number from 1"),
        ("--gotest-shuffle=-3", "off, on or a whole number"),
        ("--gotest-timeout=0", "a number of seconds above 0"),
        ("--gotest-timeout=inf", "a number of seconds above 0"),
        ("--gotest-bench=(", "a regular expression"),
        ("--gotest-cache-limit=10", "a size with its unit, such as 500MiB or 2G"),
        ("--gotest-cache-limit=-1G", "off or a size"),
        ("--gotest-cache-limit=much", "off or a size"),
        ("--gotest-cache-limit=1e3G", "off or a size"),
        ("--gotest-build-arg=-run=X", "another option does"),
        ("--gotest-build-arg='open", "quoted as in a shell"),
        (
            "--gotest-migrate-command='open",
            "a command, quoted as in a shell (No closing quotation)",
        ),
        ("--gotest-migrate-command=  ", "a command, quoted as in a shell (it is empty)"),
        ("--gotest-migrate-command=up {uri}", "{uri} is none of {url}"),
    ],
)
def test_a_wrong_value_names_the_option_and_what_it_takes(
    pytester: pytest.Pytester, flag: str, takes: str
) -> None:
    with pytest.raises(pytest.UsageError) as raised:
        settings(pytester, "--gotest", flag)
    assert flag.partition("=")[0] in str(raised.value)
    assert takes in str(raised.value)


def test_a_wrong_choice_in_ini_is_an_error_too(pytester: pytest.Pytester) -> None:
    with pytest.raises(pytest.UsageError, match="one of binary, gotest"):
        settings(pytester, "--gotest", ini="gotest_engine = fast")


def test_every_option_has_a_help_text_and_an_ini_twin(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig()
    for option in OPTIONS:
        assert option.help
        if not option.cli:
            config.getini(option.ini)
