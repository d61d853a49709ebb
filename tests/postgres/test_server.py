"""How a server is reached, in the words of libpq, JDBC and the environment."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pytest_gotest.postgres._server import Server, check, of_url
from pytest_gotest.postgres.reset._sessions import Transaction

ODD = "p@ss/w:o?r'd \\ü%20"


def server(**given: object) -> Server:
    known: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 5432,
        "user": "me",
        "password": ODD,
        "dbname": "my db",
        "server_version": (18, 1),
        "provider": "embedded",
    }
    return Server(**{**known, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["url", "dsn"])
@pytest.mark.parametrize("password", [ODD, "", "plain", "' \\"])
def test_libpq_reads_back_what_was_meant(form: str, password: str) -> None:
    one = server(password=password)
    read = conninfo_to_dict(one.url if form == "url" else one.dsn())
    if not password and form == "url":
        read.setdefault("password", "")
    assert read == {
        "host": "127.0.0.1",
        "port": "5432",
        "user": "me",
        "password": password,
        "dbname": "my db",
        "sslmode": "disable",
    }


def test_dsn_with_changes() -> None:
    read = conninfo_to_dict(server().dsn(dbname="other", application_name="x y"))
    assert (read["dbname"], read["application_name"]) == ("other", "x y")


def test_an_address_of_the_sixth_version() -> None:
    assert conninfo_to_dict(server(host="::1").url)["host"] == "::1"


def test_a_directory_of_sockets() -> None:
    """Where Go's net/url reads it too: it refuses a host with percent-encoded slashes."""
    url = server(host="/run/pg", password="x").url
    assert url == "postgresql://me:x@/my%20db?host=%2Frun%2Fpg&port=5432&sslmode=disable"
    assert conninfo_to_dict(url)["host"] == "/run/pg"
    assert of_url(url).host == "/run/pg"


def test_jdbc() -> None:
    assert server(password="a&b", dbname="d").jdbc_url == (
        "jdbc:postgresql://127.0.0.1:5432/d?user=me&password=a%26b&sslmode=disable"
    )


def test_env_is_what_libpq_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server().env().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(psycopg.OperationalError, match=r"127\.0\.0\.1"):
        psycopg.connect("port=1 connect_timeout=5")
    assert server().env()["PGSSLMODE"] == "disable"


def test_the_password_is_in_no_repr() -> None:
    assert ODD not in repr(server())
    assert "p@ss" not in str(server())


def test_templates() -> None:
    one = server(password="secret", dbname="d")
    assert one.fill("{url}") == "postgresql://me:secret@127.0.0.1:5432/d?sslmode=disable"
    assert one.fill("{host}:{port} {{x}}") == "127.0.0.1:5432 {x}"
    assert one.fill("{dsn}") == one.dsn()


@pytest.mark.parametrize("template", ["{nothing}", "{}", "{0}", "{url", "url}"])
def test_templates_that_cannot_be_filled(template: str) -> None:
    with pytest.raises(ValueError, match=r"none of \{url\}|Single|expected"):
        check(template)


@pytest.mark.parametrize(
    "query",
    [
        "ALTER ROLE a PASSWORD 'two words'",
        "ALTER ROLE a PASSWORD 'it''s two words'",
        "ALTER ROLE a PASSWORD U&'two words'",
        "ALTER ROLE a ENCRYPTED PASSWORD E'two words",  # cut off
        'SELECT \'{"user": "a", "password": "two words"}\'',
        "SELECT dblink('host=h password=words dbname=d')",
        "SELECT dblink('postgresql://a:words@h/d')",
    ],
)
def test_a_query_that_was_left_open_is_shown_without_passwords(query: str) -> None:
    left = Transaction(1, True, True, "idle in transaction", 0.1, 0.0, query)
    assert "words" not in str(left)
    assert "***" in str(left)
