"""SQL as psql reads it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gotest.postgres.baseline._statements import split


def texts(text: str) -> list[str]:
    return [statement.text for statement in split(text)]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ';'",
        "SELECT 'it''s;'",
        r"SELECT E'it\';'",
        "SELECT E'a'\n  'b\\';'",
        r"SELECT '\'",
        r"""SELECT U&'\0061;', N'x;', B'1', X'1F'""",
        'SELECT "a;""b;"',
        "SELECT $$;$$",
        "SELECT $a$ $b$;$$;$a$",
        "SELECT $é1$;$é1$",
        "SELECT a$b, c$$ FROM d$1",
        "SELECT 1 -- ;\n + 1",
        "SELECT 1 /* ; /* ; */ ; */ + 1",
        "SELECT 5--3;\n",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END",
        "create or replace procedure p() begin atomic select 1; end",
        "DO $$ BEGIN PERFORM 1; END $$",
        'SELECT \'{"a": "\\\\"}\'',
        "INSERT INTO t VALUES (ARRAY[1], 2)",
    ],
)
def test_one_statement(text: str) -> None:
    assert [one.strip() for one in texts(f"{text};SELECT 2;")] == [text.strip(), "SELECT 2"]


@pytest.mark.parametrize("text", ["SELECT 'a;", 'SELECT "a;', "SELECT $x$;", "SELECT 1 /* ;"])
def test_what_is_not_closed_goes_to_the_end(text: str) -> None:
    assert texts(text) == [text]


def test_blanks_and_comments_are_no_statements() -> None:
    assert texts(" ;; -- a;\n/* b; */ ;\n") == []


def test_begin_is_a_block_in_a_routine_alone() -> None:
    assert texts("BEGIN; SELECT 1; END; CREATE TABLE function (begin int); SELECT 2") == [
        "BEGIN", "SELECT 1", "END", "CREATE TABLE function (begin int)", "SELECT 2",
    ]  # fmt: skip


def test_lines() -> None:
    text = "-- first\nSELECT 1;\n\n/* x\n */ SELECT\n2; SELECT 3"
    assert [(one.line, one.text) for one in split(text)] == [
        (2, "SELECT 1"),
        (5, "SELECT\n2"),
        (6, "SELECT 3"),
    ]


def test_the_data_of_copy() -> None:
    text = "COPY public.t (a, b) FROM stdin;\n1\tx;'\n2\t\\N\n\\.\n\nSELECT 1;"
    copy, select = split(text)
    assert (copy.text, copy.data, copy.data_line) == (
        "COPY public.t (a, b) FROM stdin", "1\tx;'\n2\t\\N\n", 2,
    )  # fmt: skip
    assert (select.text, select.line, select.data) == ("SELECT 1", 6, None)


def test_copy_without_data() -> None:
    [copy] = split("COPY t FROM STDIN;")
    assert copy.data == ""
    [empty, after] = split("COPY t FROM STDIN WITH (FORMAT csv);\r\n\\.\r\nSELECT 1")
    assert (empty.data, after.text) == ("", "SELECT 1")
    [file] = split("COPY t FROM '/stdin';")
    assert file.data is None


def test_commands_of_psql() -> None:
    text = "\\restrict abc\nSELECT 1;\n\\connect other\nSELECT '\\x' \\gset\n"
    assert [(one.text, one.line, one.is_command) for one in split(text)] == [
        ("\\restrict abc", 1, True),
        ("SELECT 1", 2, False),
        ("\\connect other", 3, True),
        ("SELECT '\\x' ", 4, False),
        ("\\gset", 4, True),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "VACUUM t", "create unique index concurrently i on t (a)", "DROP INDEX CONCURRENTLY i",
        "REINDEX TABLE t", "ALTER SYSTEM SET a = 1", "CREATE DATABASE d", "BEGIN", "DISCARD ALL",
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY", "PREPARE TRANSACTION 'x'",
    ],
)  # fmt: skip
def test_statements_that_stand_alone(text: str) -> None:
    assert [one.is_alone for one in split(text)] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX i ON t (a)", "REFRESH MATERIALIZED VIEW CONCURRENTLY v", "PREPARE x AS SELECT 1",
        "ALTER TABLE system ADD a int", "DISCARD TEMP", "SELECT 'VACUUM'",
    ],
)  # fmt: skip
def test_statements_that_do_not(text: str) -> None:
    assert [one.is_alone for one in split(text)] == [False]


PARTS = st.sampled_from(
    ["a", "1", " ", "\n", "(';')", "'x'';'", 'E"y;"', "E'\\';'", "$$;$$", "$a$;$$;$a$", "/*;/*;*/*/",
     "--;\n", '"é;"', "::", "CASE", "END", "+", ".", "é", "$1"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.lists(PARTS, max_size=6).map(" ".join), max_size=6))
def test_what_is_put_together_comes_apart(parts: list[str]) -> None:
    found = [one.text for one in split(";".join(parts))]
    whole = [one for part in parts for one in texts(part)]
    assert found == whole


@settings(deadline=None)
@given(st.text(alphabet="ab;'\"$\\-/*()\n eE"))
def test_nothing_is_lost(text: str) -> None:
    """Of what is neither a comment, a blank nor a semicolon between statements."""
    position = 0
    for statement in split(text):
        position = text.index(statement.text, position) + len(statement.text)
        assert statement.line == 1 + text.count("\n", 0, position - len(statement.text))
