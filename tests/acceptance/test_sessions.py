"""Whole sessions: what is loaded and built, how they are stopped, and how they fail."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import gone, start_pytest
from shopping import Shop, verdicts

TOGGLE = ("TestFirst", "TestSecond", "TestTable", "TestLast")


def test_collecting_builds_nothing(shop: Shop) -> None:
    cache = shop.scratch / "gotest-cache"
    for arguments in (["--co"], ["--co", "-q"], ["--setup-plan"], ["--fixtures-per-test"]):
        result = shop.run("toggle", f"--gotest-cache-dir={cache}", *arguments)
        assert result.ret == 0
        assert not (cache / "bin").exists(), arguments
    result = shop.run("env", "toggle", "--co", "-q")
    assert result.outlines[:7] == [
        "env/deep/deep_test.go::TestOne",
        "env/env_test.go::TestOne",
        "env/env_test.go::TestTwo",
        *(f"toggle/toggle_test.go::{name}" for name in TOGGLE),
    ]


def test_collection_shows_packages_as_pytest_shows_modules(shop: Shop) -> None:
    result = shop.run("toggle", "--co")
    result.stdout.fnmatch_lines(
        ["*<GoFile toggle_test.go>", "*<GoItem TestFirst>", "*<GoItem TestLast>"]
    )


def test_go_python_and_doctests_in_one_run(shop: Shop) -> None:
    shop.write(
        "toggle/test_prices.py", "def test_price(): pass\n\ndef test_wrong(): assert 1 == 2\n"
    )
    shop.write(
        "toggle/prices.py",
        'def half(n):\n    """\n    >>> half(4)\n    2\n    """\n    return n // 2\n',
    )
    shop.write("toggle/notes.txt", ">>> 1 + 1\n3\n")
    result = shop.run("toggle", "--doctest-modules", "--doctest-glob=*.txt")
    assert verdicts(result) == {
        "toggle/notes.txt::notes.txt": "failed",
        "toggle/prices.py::prices.half": "passed",
        "toggle/test_prices.py::test_price": "passed",
        "toggle/test_prices.py::test_wrong": "failed",
        **{f"toggle/toggle_test.go::{name}": "passed" for name in TOGGLE},
    }
    result.stdout.fnmatch_lines(["E   assert 1 == 2"])


LOADED = """
import sys
import pytest

class Probe:
    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        print("LOADED", sorted(m for m in sys.modules if m.startswith(("pytest_gotest", "tree_sitter"))))

pytest.main(["-p", "gotest", "-p", "no:cacheprovider", "-q", "toggle", *sys.argv[1:]], plugins=[Probe()])
"""


def loaded_by(*arguments: str) -> tuple[list[str], str]:
    """The modules of ours that a session has loaded when it is over, and all that it printed."""
    command = [sys.executable, "-c", LOADED, *arguments]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded = next(line for line in said.splitlines() if line.startswith("LOADED"))
    return ast.literal_eval(loaded.removeprefix("LOADED ")), said


def test_without_the_option_nothing_of_it_is_loaded(shop: Shop) -> None:
    loaded, said = loaded_by()
    assert loaded == ["pytest_gotest", "pytest_gotest._options", "pytest_gotest.plugin"]
    assert "no tests ran" in said


def test_without_a_database_nothing_of_it_is_loaded(shop: Shop) -> None:
    loaded, said = loaded_by("--gotest")
    ours = [name for name in loaded if name.startswith("pytest_gotest.postgres")]
    # What reads gotest_postgres_env.
    assert ours == ["pytest_gotest.postgres", "pytest_gotest.postgres._server"]
    assert " passed" in said


def test_what_loading_the_entry_point_costs(record_property: Callable[[str, object], None]) -> None:
    """Prints and records milliseconds; asserts only that the clock covers the plugin."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import pytest, pytest_gotest.plugin"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|") for line in done.stderr.splitlines() if "pytest_gotest" in line]
    cost = {row[2].strip(): int(row[1]) / 1000 for row in rows}
    record_property("gotest_import_ms", cost["pytest_gotest.plugin"])
    print(f"import of the plugin: {cost} ms")
    assert {name for name in cost} == {
        "pytest_gotest",
        "pytest_gotest._options",
        "pytest_gotest.plugin",
    }


# Ended early


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.01)


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "pids"
    monkeypatch.setenv("SHOP_PIDS", str(path))
    yield path
    for pid in path.read_text().split() if path.exists() else ():
        if not gone(int(pid)):
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("arguments", [[], ["-s"], ["--gotest-isolate=package"], ["-n1"]])
def test_ctrl_c_ends_the_session_and_all_that_it_started(
    shop: Shop, pids: Path, arguments: list[str]
) -> None:
    process = start_pytest(None, *shop.cache, *arguments, "slow/slow_test.go::TestHang")
    try:
        wait_for(lambda: pids.exists() or process.poll() is not None, "the test")
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "KeyboardInterrupt" in said
    assert "INTERNALERROR" not in said
    binary, child = map(int, pids.read_text().split())
    wait_for(lambda: gone(binary) and gone(child), f"the end of {binary} and {child}")


def test_maxfail_begins_no_test_after_the_last(shop: Shop, pids: Path) -> None:
    """With -x nothing runs ahead of pytest, not even a test of the same package."""
    shop.write("slow/test_fails.py", "def test_fails():\n    assert False\n")
    outcome = shop.run_outside(
        "slow/slow_test.go::TestQuick",
        "slow/test_fails.py",
        "slow/slow_test.go::TestHang",
        "-x",
        SHOP_PIDS=str(pids),
    )
    assert outcome.exitstatus == 1
    assert outcome.items == {
        "slow/slow_test.go::TestQuick": "passed",
        "slow/test_fails.py::test_fails": "failed",
    }
    assert not pids.exists()


def test_a_killed_pytest_leaves_no_process(shop: Shop, pids: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "pytest", "-p", "gotest", "--gotest", *shop.cache,
            "slow/slow_test.go::TestHang",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: pids.exists() or process.poll() is not None, "the test")
    process.kill()
    process.wait()
    binary, _ = pids.read_text().split()
    wait_for(lambda: gone(int(binary)), "the end of the test binary")


# Errors of the whole session


def test_without_a_go_command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_gotest._toolchain.shutil.which", lambda *_, **__: None)
    result = shop.run("toggle")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: there is no go command: looked on PATH and in *",
            "*pip install 'pytest-gotest[[]go[]]'",
        ]
    )


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--gotest-timeout=0", "--gotest-timeout (ini: gotest_timeout) takes a number of seconds above 0, not '0'"),
        ("--gotest-timeout=soon", "--gotest-timeout (ini: gotest_timeout) takes a number of seconds above 0, not 'soon'"),
        ("--gotest-count=0", "--gotest-count (ini: gotest_count) takes a whole number from 1, not '0'"),
        ("--gotest-shuffle=maybe", "--gotest-shuffle (ini: gotest_shuffle) takes off, on or a whole number as seed, not 'maybe'"),
        ("--gotest-bench=(", "--gotest-bench (ini: gotest_bench) takes off or a regular expression*, not '('"),
        ("--gotest-build-arg=-run=X", "--gotest-build-arg (ini: gotest_build_arg) takes flags of go build*, not '-run=X'"),
        ("-ogotest_isolate=all", "--gotest-isolate (ini: gotest_isolate) takes one of auto, package, gate, test, not 'all'"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_the_option_and_what_it_takes(
    shop: Shop, option: str, said: str
) -> None:
    result = shop.run("toggle", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_wrong_choice_is_refused_by_pytest_itself(shop: Shop) -> None:
    result = shop.run("toggle", "--gotest-isolate=all")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*argument --gotest-isolate: invalid choice: 'all'*"])


def collection_error(shop: Shop, directory: Path, *expected: str) -> None:
    result = shop.run(str(directory))
    assert result.ret == pytest.ExitCode.INTERRUPTED, result.stdout.str()
    result.stdout.fnmatch_lines(["*ERROR collecting *", *expected])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    directory = tmp_path / "other"
    directory.mkdir()
    (directory / "pytest.ini").write_text("[pytest]\n")
    (directory / "a_test.go").write_text(
        'package other\n\nimport "testing"\n\nfunc TestA(t *testing.T) {}\n'
    )
    return directory


def test_outside_any_module(shop: Shop, other: Path) -> None:
    collection_error(
        shop, other, "E   *a_test.go is outside any Go module: *", "E   run `go mod init`*"
    )


def test_a_file_that_cannot_be_read(shop: Shop, other: Path) -> None:
    (other / "go.mod").write_text("module example.com/other\n\ngo 1.22\n")
    (other / "b_test.go").symlink_to(other / "nowhere_test.go")
    result = shop.run(str(other))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["E   example.com/other cannot be loaded:", "E   *b_test.go: no such file or directory"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_module_that_does_not_parse(shop: Shop, other: Path) -> None:
    (other / "go.mod").write_text("modul example.com/other\n")
    collection_error(shop, other, "E   *go.mod:1: unknown directive: modul*")


def test_a_file_that_does_not_parse(shop: Shop, other: Path) -> None:
    (other / "go.mod").write_text("module example.com/other\n\ngo 1.22\n")
    with (other / "a_test.go").open("a") as file:
        file.write("\nfunc TestB(t *testing.T) {\n")
    result = shop.run(str(other))
    assert result.ret != 0
    result.stdout.fnmatch_lines(["E*a_test.go:*"])
    assert "passed" not in verdicts(result).values()
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_go_mod_that_asks_for_a_go_that_there_is_not(
    shop: Shop, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    (other / "go.mod").write_text("module example.com/other\n\ngo 1.99\n")
    collection_error(
        shop,
        other,
        "E   go cannot serve the module in *",
        "E   *go.mod requires go >= 1.99*",
        "E   install the go that the go.mod asks for*",
    )


def test_a_conftest_may_set_the_thresholds_of_the_garbage_collector(
    pytester: pytest.Pytester,
) -> None:
    """They are raised while pytest collects; what somebody sets meanwhile stays."""
    pytester.mkdir("sub").joinpath("conftest.py").write_text(
        "import gc\n\ngc.set_threshold(123_000, 20, 20)\n"
    )
    pytester.path.joinpath("sub", "test_x.py").write_text(
        "import gc\n\n\ndef test_x():\n    assert gc.get_threshold() == (123_000, 20, 20)\n"
    )
    pytester.runpytest_subprocess("--gotest").assert_outcomes(passed=1)
