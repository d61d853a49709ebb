"""The error hierarchy: one root, messages that carry their hint, a safe way through a pickle."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from pytest_gotest import _errors
from pytest_gotest._errors import (
    BuildError,
    ChangeError,
    DirectiveError,
    DiscoveryError,
    FixtureError,
    GotestError,
    PostgresError,
    ProcessError,
    RemoteError,
    ReplayError,
    SourceError,
    ToolchainError,
)

PLAIN = (
    ToolchainError, DiscoveryError, BuildError, ProcessError, FixtureError, ChangeError, RemoteError,
    PostgresError,
    ReplayError,
)  # fmt: skip
PLACED = (SourceError, DirectiveError)
ALL: list[GotestError] = [
    GotestError("no go command", hint="install Go"),
    *(cls("no go command", hint="install Go") for cls in PLAIN),
    *(cls("unknown directive", path="a/b_test.go", line=12, hint="try mark") for cls in PLACED),
    SourceError("no hint", path="b_test.go", line=1),
]


def defined() -> set[type[GotestError]]:
    values = vars(_errors).values()
    return {v for v in values if isinstance(v, type) and issubclass(v, GotestError)}


def test_every_error_is_tested_and_drawn_in_the_tree() -> None:
    assert defined() == {type(error) for error in ALL}
    drawn = re.findall(r"^\W*(\w+Error)\b", _errors.__doc__ or "", re.MULTILINE)
    assert sorted(drawn) == sorted(cls.__name__ for cls in defined())


@pytest.mark.parametrize("cls", sorted(defined(), key=str))
def test_every_error_says_what_it_is_for(cls: type[GotestError]) -> None:
    assert "__doc__" in vars(cls)
    assert cls.__doc__


def test_a_directive_is_part_of_a_source_file() -> None:
    assert issubclass(DirectiveError, SourceError)


def test_hint_is_shown_on_a_line_of_its_own() -> None:
    assert str(BuildError("store does not build", hint="run go vet")) == (
        "store does not build\nrun go vet"
    )


def test_no_hint_adds_nothing() -> None:
    assert str(BuildError("store does not build")) == "store does not build"


def test_place_comes_first_as_go_writes_it() -> None:
    error = DirectiveError("unknown directive", path="a/b_test.go", line=12, hint="try mark")
    assert str(error) == "a/b_test.go:12: unknown directive\ntry mark"
    assert (error.path, error.line, error.hint) == ("a/b_test.go", 12, "try mark")
    assert error.message == "a/b_test.go:12: unknown directive"


def test_place_is_asked_for_by_name() -> None:
    with pytest.raises(TypeError):
        SourceError("unknown directive", "a/b_test.go", 12)  # type: ignore[call-arg]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_pickles_whole(error: GotestError, protocol: int) -> None:
    back = pickle.loads(pickle.dumps(error, protocol))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.args == error.args
    assert vars(back) == vars(error)


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_copies_whole(error: GotestError) -> None:
    back = copy.copy(error)
    assert back is not error
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_notes_and_fields_of_a_subclass_survive_a_pickle() -> None:
    error = SourceError("odd", path="a_test.go", line=3)
    error.__dict__["command"] = ["go", "list"]
    error.__dict__["__notes__"] = ["while collecting"]
    back = pickle.loads(pickle.dumps(error))
    assert back.command == ["go", "list"]
    assert back.__notes__ == ["while collecting"]
