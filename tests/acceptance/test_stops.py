"""Somebody dies while a Go test process stands between two tests: who comes next starts from the baseline."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running import Outcome, run_pytest, until
from selling import package, write

# What happens to WHOM at the stage WHEN of TestB.
CONFTEST = """
import os
import signal
from pathlib import Path

import pytest

WHOM, WHEN = {whom!r}, {when!r}
ONCE = Path(__file__).with_name("once")

def strike(gotest_db):
    try:
        ONCE.touch(exist_ok=False)
    except FileExistsError:
        return
    if WHOM == "go":
        os.kill(int(Path(__file__).with_name("pid").read_text()), signal.SIGKILL)
    elif WHOM == "server":
        [(data,)] = gotest_db.execute("SHOW data_directory")
        os.kill(int(Path(data, "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    elif WHOM == "backends":
        gotest_db.execute(
            "SELECT pg_terminate_backend(pid, CASE backend_type WHEN 'client backend' THEN 10000 ELSE 0 END)"
            " FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
    elif WHOM == "worker":
        os.kill(os.getpid(), signal.SIGKILL)
    elif WHOM == "pytest":
        # Whoever starts us in the background has it ignored, and Python leaves it so.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)
    elif WHOM == "fixture":
        raise RuntimeError("of the fixture's own")

@pytest.fixture(autouse=True)
def around(request, gotest_db):
    is_it = request.node.name == "TestB"
    if is_it and WHEN == "before":
        strike(gotest_db)
    yield
    if is_it and WHEN == "after":
        strike(gotest_db)
"""
MAIN = 'os.WriteFile("../pid", []byte(fmt.Sprint(os.Getpid())), 0o644)'
B, LAST = "shop/shop_test.go::TestB", "shop/shop_test.go::TestE"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "shop"


def strike(root: Path, cache: Path, whom: str, when: str, *options: str) -> Outcome:
    shop = package(*["insert(t)"] * 5, main=MAIN)
    write(root, **{"conftest.py": CONFTEST.format(whom=whom, when=when), "shop/shop_test.go": shop})
    return run_pytest(
        root,
        f"--gotest-cache-dir={cache}",
        *options,
        plugins=["xdist"],
        record=root.parent / "record",
        timeout=120,
    )


# What is said of TestB, and of the last test, at whose teardown the end of a process is told.
EXPECTED = {
    ("go", "before"): ("passed", "passed+error"),
    ("go", "after"): ("passed", "passed+error"),
    ("server", "before"): ("failed", "passed"),
    ("server", "after"): ("passed", "passed"),
    ("backends", "before"): ("passed", "passed"),  # database/sql connects anew
    ("backends", "after"): ("passed", "passed"),
    ("worker", "before"): ("error", "passed"),
    ("worker", "after"): ("passed+error", "passed"),
    ("fixture", "before"): ("error", "passed"),
    ("fixture", "after"): ("passed+error", "passed"),
}


@pytest.mark.parametrize(("whom", "when"), EXPECTED)
def test_who_comes_next_starts_from_the_baseline(
    root: Path, go_databases_cache: Path, whom: str, when: str
) -> None:
    """Each test sees to it that it does, and each runs."""
    options = ["-n", "1"] if whom == "worker" else []
    outcome = strike(root, go_databases_cache, whom, when, *options)
    said, last = EXPECTED[whom, when]
    expected = {f"shop/shop_test.go::Test{letter}": "passed" for letter in "ABCD"}
    assert outcome.items == {**expected, B: said, LAST: last}, outcome.output
    if whom == "go":
        after = "TestA" if when == "before" else "TestB"
        assert f"process died (signal SIGKILL) between two tests, after {after}" in outcome.output


@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_leaves_nothing(root: Path, go_databases_cache: Path, when: str) -> None:
    outcome = strike(root, go_databases_cache, "pytest", when)
    assert outcome.exitstatus == pytest.ExitCode.INTERRUPTED, outcome.output
    pid = int((root / "pid").read_text())
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the process lives", seconds=30)
