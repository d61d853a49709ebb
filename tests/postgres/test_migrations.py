"""Which files of migrations are run, in what order, and what of each."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from pytest_gotest.postgres.baseline import _migrations
from pytest_gotest.postgres.baseline._migrations import ForeignError, upward


def in_order(*names: str) -> list[str]:
    return [str(path) for path in _migrations.in_order(map(PurePath, names))]


@pytest.mark.parametrize(
    "names",
    [
        ["1_a.sql", "2_b.sql", "10_c.sql"],
        ["000001_a.up.sql", "000002_b.up.sql"],
        ["20240101120000_z.sql", "20240101120001_a.sql"],
        ["1.sql", "1_a.sql"],
        ["01_a.sql", "1_b.sql"],
        ["a/2.sql", "a/10.sql", "b/1.sql"],
        ["V1__a.sql", "V1.1__b.sql", "V1_2__c.sql", "V2__d.sql", "V10__e.sql", "R__a.sql", "R__b.sql"],
        ["z/V1__a.sql", "a/V2__b.sql"],
    ],
)  # fmt: skip
def test_numbers_count_as_numbers(names: list[str]) -> None:
    assert in_order(*reversed(names)) == names


def test_what_undoes_is_left_out() -> None:
    assert in_order("1_a.up.sql", "1_a.down.sql") == ["1_a.up.sql"]
    assert in_order("V1__a.sql", "U1__a.sql") == ["V1__a.sql"]


def test_flyway_begins_with_the_newest_baseline() -> None:
    names = ["V1__a.sql", "B1__x.sql", "V2__b.sql", "B2__y.sql", "V3__c.sql", "R__z.sql"]
    assert in_order(*names) == ["B2__y.sql", "V3__c.sql", "R__z.sql"]


def test_atlas_begins_with_the_last_checkpoint() -> None:
    texts = ["a", "-- atlas:checkpoint\nb", "c", "-- x\n\n-- atlas:checkpoint v1\nd", "e"]
    assert _migrations.since_checkpoint(texts) == 3
    assert _migrations.since_checkpoint(["a", "SELECT 1;\n-- atlas:checkpoint"]) == 0


UP, DOWN = "CREATE TABLE t ();", "DROP TABLE t;"


@pytest.mark.parametrize(
    "text",
    [
        f"-- +goose Up\n{UP}\n\n-- +goose Down\n{DOWN}\n",
        f"-- hi\n\n-- +goose up\n-- +goose StatementBegin\n{UP}\n-- +goose StatementEnd\n-- +goose down\n{DOWN}",
        f"-- +migrate Up\n{UP}\n-- +migrate Down\n{DOWN}",
        f"-- migrate:up\n{UP}\n-- migrate:down\n{DOWN}",
        f"--migrate:up\r\n{UP}\r\n--migrate:down\r\n{DOWN}",
        f"{UP}\n---- create above / drop below ----\n{DOWN}",
        f"-- +goose Up\n{UP}",
        UP,
    ],
)
def test_what_leads_upward(text: str) -> None:
    script = upward(text)
    assert (UP in script.text, DOWN in script.text, script.transaction) == (True, False, True)
    # An error in a line of it is one in this line of the file.
    line = text.split("\n").index(next(one for one in text.split("\n") if UP in one))
    assert UP in script.text.split("\n")[line]


@pytest.mark.parametrize(
    "text",
    [
        f"-- +goose NO TRANSACTION\n-- +goose Up\n{UP}\n-- +goose Down\n{DOWN}",
        f"-- +migrate Up notransaction\n{UP}\n-- +migrate Down\n{DOWN}",
        f"-- migrate:up transaction:false\n{UP}\n-- migrate:down\n{DOWN}",
        f"---- tern: disable-tx ----\n{UP}\n---- create above / drop below ----\n{DOWN}",
        f"-- no-transaction\n{UP}",
        f"-- atlas:txmode none\n\n{UP}",
    ],
)
def test_what_wants_no_transaction(text: str) -> None:
    script = upward(text)
    assert (UP in script.text, DOWN in script.text, script.transaction) == (True, False, False)


@pytest.mark.parametrize(
    "text",
    [
        f"-- +migrate Up\n{UP}\n-- +migrate Down notransaction\n{DOWN}",
        f"{UP}\n---- create above / drop below ----\n---- tern: disable-tx ----\n{DOWN}",
        f"{UP}\n-- no-transaction",
    ],
)
def test_what_only_its_undoing_wants(text: str) -> None:
    assert upward(text).transaction


@pytest.mark.parametrize("line", ["-- +goose ENVSUB ON", "-- atlas:delimiter \\n\\n"])
def test_what_only_the_tool_itself_can_do(line: str) -> None:
    with pytest.raises(ForeignError) as caught:
        upward(f"-- +goose Up\n{line}\n{UP}")
    assert (str(caught.value), caught.value.line) == (line, 2)
