"""Turns at building: who comes next, who is told meanwhile, and what a builder tells the others of its run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_gotest._session import speaks
from pytest_gotest._turns import Session, read_done, turn, write_done

# Takes its turn, says so, and keeps it until it is killed.
KEEPER = """
import sys, time
from pathlib import Path
from pytest_gotest._turns import Session, turn
with turn(Path(sys.argv[1]), Session("r", "gw0"), lambda *_: None):
    print("mine", flush=True)
    time.sleep(600)
"""


def test_who_waits_is_told_who_builds_and_comes_when_that_one_is_killed(tmp_path: Path) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    told: list[tuple[Session | None, float]] = []

    def waiting(whom: Session | None, seconds: float) -> None:
        told.append((whom, seconds))
        keeper.kill()

    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "mine\n"
        with turn(tmp_path, Session("r", "gw1"), waiting):
            assert keeper.wait() != 0
    finally:
        keeper.kill()
        keeper.communicate()
    whom, seconds = told[0]
    assert whom == Session("r", "gw0", keeper.pid)
    assert seconds > 0
    assert not (tmp_path / ".builder").exists()  # nobody builds now


@pytest.mark.parametrize("content", ["", "[]", '{"pid": 1, "more": 2}', "{"])
def test_a_builder_that_nobody_can_read_is_an_unknown_one(tmp_path: Path, content: str) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    told: list[Session | None] = []

    def waiting(whom: Session | None, seconds: float) -> None:
        told.append(whom)
        keeper.kill()

    try:
        assert keeper.stdout is not None
        keeper.stdout.readline()
        (tmp_path / ".builder").write_text(content)
        with turn(tmp_path, Session(), waiting):
            pass
    finally:
        keeper.kill()
        keeper.communicate()
    assert told[0] is None


def test_a_lock_that_cannot_be_had_is_an_error() -> None:
    """Of another user, say. It is nobody's to take away: somebody may hold it."""
    with tempfile.TemporaryDirectory() as name:  # tmp_path is for one user alone
        place = Path(name)
        place.chmod(0o777)
        (place / ".lock").touch()
        (place / ".lock").chmod(0o444)
        if os.getuid() == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(PermissionError), turn(place, Session(), lambda *_: None):
                pass
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
        assert (place / ".lock").exists()


def test_how_a_builder_is_called() -> None:
    me = Session("r", "gw1", 7, "here")
    assert Session("r", "gw0", 8, "here").told_to(me) == "gw0 (pid 8)"
    assert Session("s", "gw0", 8, "here").told_to(me) == "another session (pid 8)"
    assert Session("s", "", 8, "there").told_to(me) == "another session (pid 8 on there)"
    assert Session("", "", 8, "here").told_to(Session()).startswith("another session")
    assert (Session().pid, bool(Session().host)) == (os.getpid(), True)


def test_one_worker_speaks_for_all_that_wait() -> None:
    def speakers(run: str, builder: Session | None) -> list[str]:
        return [name for name in ("gw0", "gw1", "gw2") if speaks(Session(run, name), builder)]

    assert speakers("r", Session("r", "gw0")) == ["gw1"]
    assert speakers("r", Session("r", "gw2")) == ["gw0"]
    assert speakers("r", Session("s", "gw0")) == ["gw0"]
    assert speakers("r", None) == ["gw0"]
    assert speaks(Session("r"), Session("s", "gw0"))


def test_what_is_done_is_told_to_the_same_run_alone(tmp_path: Path) -> None:
    assert read_done(tmp_path, "r") == {}
    write_done(tmp_path, "r", {"a": 1})
    write_done(tmp_path, "r", {"b": [2]})
    assert read_done(tmp_path, "r") == {"a": 1, "b": [2]}
    assert read_done(tmp_path, "s") == {}
    write_done(tmp_path, "s", {"c": 3})
    assert read_done(tmp_path, "s") == {"c": 3}
    write_done(tmp_path, "", {"d": 4})
    assert read_done(tmp_path, "") == {}  # no run, and nobody else in it
    (tmp_path / ".done").write_text("[")
    assert read_done(tmp_path, "s") == {}
