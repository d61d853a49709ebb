"""How a PostgreSQL server is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from urllib.parse import quote, urlencode

_FIELDS = ("url", "dsn", "jdbc_url", "host", "port", "user", "password", "dbname")


@dataclass(frozen=True, slots=True)
class Server:
    """One database of a server. The password is in `url`, `dsn` and the like, and never in the ``repr``."""

    host: str
    port: int
    user: str
    password: str = field(repr=False, compare=False)  # pytest shows what differs
    dbname: str
    server_version: tuple[int, ...]
    provider: str
    parameters: Mapping[str, str] = field(default_factory=lambda: {"sslmode": "disable"})

    @property
    def kind(self) -> str:
        """Version and provider."""
        return f"postgres {'.'.join(map(str, self.server_version))} {self.provider}"

    def __str__(self) -> str:
        return f"{self.kind} at {self.host}:{self.port}, database {self.dbname}"

    @property
    def url(self) -> str:
        """As libpq, pgx and lib/pq read it (libpq's connection URIs)."""
        who = f"{_quoted(self.user)}:{_quoted(self.password)}"
        if self.host.startswith("/"):  # Go's net/url takes no directory of sockets for a host
            given = {"host": self.host, "port": str(self.port), **self.parameters}
            return f"postgresql://{who}@/{_quoted(self.dbname)}{self._query(given)}"
        return f"postgresql://{who}@{self._where}{self._query(self.parameters)}"

    @property
    def jdbc_url(self) -> str:
        given = {"user": self.user, "password": self.password, **self.parameters}
        return f"jdbc:postgresql://{self._where}{self._query(given)}"

    @property
    def _where(self) -> str:
        # A directory of sockets, percent-encoded as libpq has it.
        host = f"[{self.host}]" if ":" in self.host else _quoted(self.host)
        return f"{host}:{self.port}/{_quoted(self.dbname)}"

    @staticmethod
    def _query(given: Mapping[str, str]) -> str:
        return f"?{urlencode(given, quote_via=quote)}" if given else ""

    def dsn(self, **changes: str) -> str:
        """Key and value, as libpq reads them; ``changes`` are other values or further keys."""
        given = {
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "password": self.password,
            "dbname": self.dbname,
            **self.parameters,
            **changes,
        }
        return " ".join(f"{key}={_escaped(value)}" for key, value in given.items())

    def env(self) -> dict[str, str]:
        """The variables that libpq and most drivers read."""
        named = {"sslmode": "PGSSLMODE", "options": "PGOPTIONS"}
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.dbname,
            **{named[key]: value for key, value in self.parameters.items() if key in named},
        }

    def fill(self, template: str) -> str:
        """``{url}`` and its like replaced. Raises ValueError that names what cannot be."""
        values = {name: self.dsn() if name == "dsn" else getattr(self, name) for name in _FIELDS}
        check(template)
        return template.format(**values)


def of_url(url: str) -> Server:
    """What a libpq URL says; without a password where it has none. Raises ValueError that does not repeat it."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        raise ValueError(
            "it is no URL as libpq reads them, postgresql://user:password@host:port/database"
        ) from None
    host, port = given.pop("host", "localhost"), given.pop("port", "5432")
    user = given.pop("user", "")
    if not user or not port.isdigit() or "," in host:
        raise ValueError("it has to name a user, and one host and port")
    return Server(
        host=host,
        port=int(port),
        user=user,
        password=given.pop("password", ""),
        dbname=given.pop("dbname", user),
        server_version=(),
        provider="external",
        parameters=given,
    )


def check(template: str) -> None:
    """Raises ValueError unless all that stands in braces is known."""
    for _, name, *_ in Formatter().parse(template):
        if name is not None and name not in _FIELDS:
            raise ValueError(f"{{{name}}} is none of {', '.join(f'{{{one}}}' for one in _FIELDS)}")


def _quoted(word: str) -> str:
    return quote(word, safe="")


def _escaped(value: str) -> str:
    """By libpq's rules: in single quotes where it is empty or has blanks, both escaped by a backslash."""
    plain = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{plain}'" if not value or any(letter.isspace() for letter in value) else plain
