"""Pytest fixtures around Go tests: their order, their errors, and the variables they give."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopping import Shop, verdicts

RECORDING = """
import os
import pytest

def note(text):
    with open(os.environ["SHOP_LOG"], "a") as file:
        file.write(text + "\\n")

def recording(scope):
    @pytest.fixture(scope=scope, autouse={autouse})
    def fixture(request):
        note(f"{{scope}} begins")
        yield
        note(f"{{scope}} ends")
    return fixture

for scope in ("session", "package", "module", "function"):
    globals()[f"a_{{scope}}"] = recording(scope)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log"
    monkeypatch.setenv("SHOP_LOG", str(path))
    return path


IN_ORDER = [
    "session begins",
    "package begins",
    "module begins",
    "TestMain",
    "function begins",
    "TestA",
    "function ends",
    "function begins",
    "TestB",
    "function ends",
    "module ends",
]


def test_autouse_fixtures_of_every_scope_act_around_each_go_test(shop: Shop, log: Path) -> None:
    shop.write("order/conftest.py", RECORDING.format(autouse=True))
    result = shop.run("order/order_test.go")
    result.assert_outcomes(passed=2)
    assert log.read_text().splitlines() == [*IN_ORDER, "package ends", "session ends"]


def test_usefixtures_in_ini_does_the_same(shop: Shop, log: Path) -> None:
    shop.write("order/conftest.py", RECORDING.format(autouse=False))
    names = "a_session a_package a_module a_function"
    result = shop.run("order/order_test.go", "-o", f"usefixtures={names}")
    result.assert_outcomes(passed=2)
    assert log.read_text().splitlines() == [*IN_ORDER, "package ends", "session ends"]


def test_a_session_fixture_is_set_up_once_for_packages_below(shop: Shop, log: Path) -> None:
    shop.write("order/conftest.py", RECORDING.format(autouse=True))
    shop.run("order").assert_outcomes(passed=3)
    said = log.read_text().splitlines()
    assert said.count("session begins") == said.count("session ends") == 1
    assert said.count("module begins") == 2
    at = said.index("TestC")
    assert said[at - 1] == "function begins"
    assert said[at + 1] == "function ends"


def test_setup_show_and_plan_and_fixtures_per_test(shop: Shop, log: Path) -> None:
    shop.write("order/conftest.py", RECORDING.format(autouse=True))
    node = "order/order_test.go::TestA"
    shown = [
        "*SETUP    S a_session",
        "*SETUP    F a_function",
        f"*{node} (fixtures used: a_function, *",
    ]
    result = shop.run(node, "--setup-show")
    result.stdout.fnmatch_lines([*shown, "*TEARDOWN F a_function"])
    assert "TestA" in log.read_text().splitlines()

    log.unlink()
    result = shop.run(node, "--setup-only")
    result.stdout.fnmatch_lines(shown)
    assert "TestA" not in log.read_text().splitlines()

    log.unlink()
    result = shop.run(node, "--setup-plan")
    result.stdout.fnmatch_lines(shown)
    assert not log.exists()

    result = shop.run(node, "--fixtures-per-test")
    result.stdout.fnmatch_lines(["*fixtures used by TestA*", "*order_test.go:22*", "a_function*"])
    result = shop.run("--fixtures", "order")
    result.stdout.fnmatch_lines(["gotest_env *", "*Variables that the Go test processes get*"])


FAILING = """
import pytest

@pytest.fixture(autouse=True)
def fails(request):
    if request.node.name == "TestA" and {setup}:
        raise RuntimeError("no till")
    yield
    if request.node.name == "TestA":
        raise RuntimeError("till is open")
"""


def test_an_error_in_set_up_is_the_items_own_and_it_does_not_run(shop: Shop, log: Path) -> None:
    shop.write("order/conftest.py", FAILING.format(setup=True))
    result = shop.run("order/order_test.go")
    assert verdicts(result) == {
        "order/order_test.go::TestA": "error",
        "order/order_test.go::TestB": "passed",
    }
    result.stdout.fnmatch_lines(["*ERROR at setup of TestA*", "E*RuntimeError: no till"])
    assert log.read_text().splitlines() == ["TestMain", "TestB"]


@pytest.mark.parametrize("style", ["auto", "long", "short"])
def test_a_wide_fixture_that_fails_shows_itself_alone(shop: Shop, style: str) -> None:
    shop.write(
        "order/conftest.py",
        """
import pytest

@pytest.fixture(scope="session")
def till():
    raise RuntimeError("no till")
""",
    )
    shop.write("order/test_till.py", "def test_till(till): pass")
    result = shop.run("order/test_till.py", f"--tb={style}")
    result.stdout.fnmatch_lines(["E*RuntimeError: no till"])
    assert "_hooks.py" not in result.stdout.str()


def test_an_error_in_tear_down_is_the_items_own(shop: Shop, log: Path) -> None:
    shop.write("order/conftest.py", FAILING.format(setup=False))
    result = shop.run("order/order_test.go")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of TestA*", "E*RuntimeError: till is open"])
    assert "_hooks.py" not in result.stdout.str()
    assert log.read_text().splitlines() == ["TestMain", "TestA", "TestB"]


@pytest.mark.parametrize("scope", ["session", "package", "module"])
def test_what_belongs_to_one_test_is_not_for_a_wider_fixture(
    shop: Shop, log: Path, scope: str
) -> None:
    shop.write(
        "order/conftest.py",
        f"""
import pytest

@pytest.fixture(scope="{scope}", autouse=True)
def wide(gotest_test_env): pass
""",
    )
    result = shop.run("order/order_test.go")
    assert {*verdicts(result).values()} == {"error"}
    result.stdout.fnmatch_lines(
        [f"ScopeMismatch: * function scoped fixture gotest_test_env with a {scope} scoped *"]
    )
    assert "order/conftest.py" in result.stdout.str()


def test_gotest_env_is_there_before_testmain(shop: Shop) -> None:
    shop.write(
        "env/conftest.py",
        """
import pytest

@pytest.fixture(scope="package")
def gotest_env():
    return {"SHOP_VALUE": "package"}
""",
    )
    result = shop.run("env/env_test.go", "-rP")
    result.stdout.fnmatch_lines(
        ["one: early=package now=package", "two: early=package now=package"]
    )


@pytest.mark.parametrize(
    ("scope", "value", "said"),
    [
        ("function", "{}", "but its scope is too narrow"),
        ("class", "{}", "but its scope is too narrow"),
        ("package", "None", "but it is None"),
        ("session", "[1]", "but it is [[]1]"),
    ],
)
def test_a_gotest_env_that_cannot_serve_is_one_clear_error(
    shop: Shop, scope: str, value: str, said: str
) -> None:
    shop.write(
        "env/conftest.py",
        f"""
import pytest

@pytest.fixture(scope="{scope}")
def gotest_env():
    return {value}
""",
    )
    result = shop.run("env/env_test.go")
    result.stdout.fnmatch_lines(
        [
            f"E   gotest_env is what a Go process gets before any fixture of a test acts, {said}",
            'E   give it @pytest.fixture(scope="package") or "session" and return a dictionary; *',
        ]
    )
    result.assert_outcomes(errors=2)


def test_gotest_env_is_overridden_for_a_directory(shop: Shop) -> None:
    fixture = """
import pytest

@pytest.fixture(scope="package")
def gotest_env({argument}):
    return {value}
"""
    shop.write("env/conftest.py", fixture.format(argument="", value="{'SHOP_VALUE': 'outer'}"))
    shop.write(
        "env/deep/conftest.py",
        fixture.format(
            argument="gotest_env", value="{'SHOP_VALUE': gotest_env['SHOP_VALUE'] + '+'}"
        ),
    )
    result = shop.run("env", "-rP")
    text = result.stdout.str()
    assert "one: early=outer now=outer" in text
    assert "deep: early=outer+ now=outer+" in text


@pytest.mark.parametrize(
    "change",
    ["gotest_test_env['SHOP_VALUE'] = 'mine'", "monkeypatch.setenv('SHOP_VALUE', 'mine')"],
)
def test_a_variable_for_one_test_is_gone_for_the_next(shop: Shop, change: str) -> None:
    shop.write(
        "env/conftest.py",
        f"""
import pytest

@pytest.fixture(autouse=True)
def value(request, gotest_test_env, monkeypatch):
    if request.node.name == "TestOne":
        {change}
""",
    )
    result = shop.run("env/env_test.go", "-rP")
    result.stdout.fnmatch_lines(["one: early= now=mine", "two: early= now="])


def test_a_variable_is_taken_away_for_one_test(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_VALUE", "outer")
    shop.write(
        "env/conftest.py",
        """
import pytest

@pytest.fixture(autouse=True)
def value(request, gotest_test_env):
    if request.node.name == "TestOne":
        gotest_test_env["SHOP_VALUE"] = None
""",
    )
    result = shop.run("env/env_test.go", "-rP")
    result.stdout.fnmatch_lines(["one: early=outer now=", "two: early=outer now=outer"])


def test_fixtures_see_the_item_and_its_markers(shop: Shop) -> None:
    shop.write(
        "directives/conftest.py",
        """
import pytest

@pytest.fixture(autouse=True)
def sees(request):
    mark = request.node.get_closest_marker("owner")
    print(request.node.nodeid, mark.args, mark.kwargs, request.path.name, request.module.__file__)
""",
    )
    result = shop.run("directives/directives_test.go::TestOwner", "-rP")
    result.stdout.fnmatch_lines(
        [
            "directives/directives_test.go::TestOwner ('ann',) {'team': 'till'} directives_test.go "
            "*directives_test.go"
        ]
    )
