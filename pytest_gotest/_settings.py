"""Options and ini values as one frozen dataclass; knows pytest's config and the options and nothing else.

The command line wins over ini; list values of both are joined, ini first.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_gotest._options import OPTIONS, POSTGRES, POSTGRES_IMAGE, Option


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for, checked. Times are seconds, sizes bytes."""

    tags: tuple[str, ...] = ()
    race: bool = False
    build_args: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    short: bool = False
    count: int = 1
    shuffle: int | None = None
    timeout: float = 600.0
    isolate: str = "auto"
    subtests: str = "auto"
    bench: str | None = None
    engine: str = "binary"
    replay: str | None = None
    changed: str | None = None  # since which commit; empty is the default branch's
    changed_ignore: tuple[str, ...] = ()
    postgres: str = "auto"
    isolation: str = "auto"
    postgres_image: str = POSTGRES_IMAGE
    postgres_env: tuple[tuple[str, str], ...] = ()  # name and template
    migrations: tuple[str, ...] = ()
    migrate_command: str = ""
    migrate_inputs: tuple[str, ...] = ()
    seed: tuple[str, ...] = ()
    reset: str = "auto"
    require_db: bool = False
    timeline: Path | None = None
    cache_dir: Path = Path()
    cache_limit: int | None = None


def read(config: pytest.Config) -> Settings:
    """Settings of ``config``. Raises `pytest.UsageError` that names the option and what it takes."""

    def value(option: Option) -> Any:
        given = getattr(config.option, option.ini, None)
        if option.cli:
            return given
        ini = config.getini(option.ini)
        if option.kind == "list":
            return (*ini, *(given or ()))
        if given is not None:
            return given
        if option.kind == "choice" and ini and ini not in option.choices:
            raise _usage(option, ini, "one of " + ", ".join(option.choices))
        return ini if ini or option.kind == "flag" else option.default

    by_name = {option.name: option for option in OPTIONS}
    got = {option.name: value(option) for option in OPTIONS}

    def parsed(name: str, parse: Callable[[str], Any], takes: str) -> Any:
        try:
            return parse(str(got[name]))
        except (ValueError, re.error) as error:
            detail = f" ({error})" if isinstance(error, re.error) else ""
            raise _usage(by_name[name], got[name], takes + detail) from None

    bench = None if got["bench"] == "off" else str(got["bench"])
    if bench is not None:
        parsed("bench", re.compile, "off or a regular expression")
    return Settings(
        tags=tuple(tag for given in got["tags"] for tag in re.split(r"[,\s]+", given) if tag),
        race=bool(got["race"]),
        build_args=_words(got["build-arg"], by_name["build-arg"]),
        args=tuple(got["arg"]),
        short=bool(got["short"]),
        count=parsed("count", _positive_int, "a whole number from 1"),
        shuffle=parsed("shuffle", _shuffle, "off, on or a whole number as seed"),
        timeout=parsed("timeout", _positive_float, "a number of seconds above 0"),
        isolate=got["isolate"],
        subtests=got["subtests"],
        bench=bench,
        engine=got["engine"],
        replay=got["replay"],
        changed=got["changed"],
        changed_ignore=tuple(got["changed-ignore"]),
        postgres=parsed("postgres", _postgres, "one of " + ", ".join(POSTGRES) + ", or a URL"),
        isolation=got["isolation"],
        postgres_image=got["postgres-image"],
        postgres_env=_postgres_env(got["postgres-env"], by_name["postgres-env"]),
        migrations=tuple(got["migrations"]),
        migrate_command=_migrate_command(got["migrate-command"], by_name["migrate-command"]),
        migrate_inputs=tuple(got["migrate-inputs"]),
        seed=tuple(got["seed"]),
        reset=got["reset"],
        require_db=bool(got["require-db"]),
        timeline=_timeline(got["timeline"], by_name["timeline"], config.invocation_params.dir),
        cache_dir=_cache_dir(got["cache-dir"], config.rootpath),
        cache_limit=parsed(
            "cache-limit", _size, "off or a size with its unit, such as 500MiB or 2G"
        ),
    )


# Flags that this plugin passes itself, or that would take the stream away from it.
_RESERVED = {
    "-c", "-o", "-json", "-v", "-run", "-bench", "-exec", "-i", "-n", "-count", "-timeout",
    "-fuzz", "-list", "-args", "-failfast", "-shuffle", "-short", "-skip",
}  # fmt: skip


def _words(given: Sequence[str], option: Option) -> tuple[str, ...]:
    """``-ldflags '-X a=b'`` on one line is two words; Go takes both spellings."""
    words: list[str] = []
    for line in given:
        try:
            words += shlex.split(line)
        except ValueError as error:
            raise _usage(
                option, line, f"flags of go build, quoted as in a shell ({error})"
            ) from None
    for word in words:
        name = "-" + word.lstrip("-").partition("=")[0]
        if word.startswith("-") and name in _RESERVED:
            raise _usage(
                option, word, "flags of go build; pytest or another option does what this one does"
            )
    return tuple(words)


def _postgres(text: str) -> str:
    if text not in POSTGRES and not text.startswith(("postgresql://", "postgres://")):
        raise ValueError
    return text


def _postgres_env(given: Sequence[str], option: Option) -> tuple[tuple[str, str], ...]:
    from pytest_gotest.postgres import _server

    found = {}
    for line in given:
        name, equals, template = line.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise _usage(option, line, "NAME=TEMPLATE, such as DATABASE_URL={url}")
        try:
            _server.check(template)
        except ValueError as error:
            raise _usage(
                option, line, f"NAME=TEMPLATE, where what stands in braces is known ({error})"
            ) from None
        found[name] = template.strip()
    return tuple(found.items())


def _migrate_command(given: str, option: Option) -> str:
    if given:
        from pytest_gotest.postgres.baseline import _command

        try:
            _command.check(given)
        except ValueError as error:
            raise _usage(option, given, f"a command, quoted as in a shell ({error})") from None
    return given


def _positive_int(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def _positive_float(text: str) -> float:
    if not 0 < (number := float(text)) < float("inf"):
        raise ValueError
    return number


def _shuffle(text: str) -> int | None:
    if text == "off":
        return None
    if text == "on":
        return -1  # a seed is drawn by the controller, see plugin
    if (seed := int(text)) < 0:
        raise ValueError
    return seed


def _timeline(given: str | None, option: Option, base: Path) -> Path | None:
    if given is None:
        return None
    if Path(given).suffix.lower() not in (".json", ".html"):
        raise _usage(option, given, "a file that ends in .json or .html")
    return base / Path(given).expanduser()


def _size(text: str) -> int | None:
    """Bytes. ``G`` and ``GiB`` are powers of 1024, ``GB`` is one of 1000."""
    if text == "off":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?B)?|B)", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError
    number, unit, ending = found.groups()
    base = 1000 if (ending or "").upper() == "B" else 1024
    return int(float(number) * base ** (" KMGT".index(unit.upper()) if unit else 0))


def _cache_dir(given: str, rootpath: Path) -> Path:
    if given:
        return rootpath / Path(given).expanduser()
    import platformdirs  # not at the top: only needed when Go tests are asked for

    return Path(platformdirs.user_cache_dir("pytest-gotest", appauthor=False))


def _usage(option: Option, given: object, takes: str) -> pytest.UsageError:
    where = option.flag if option.cli else f"{option.flag} (ini: {option.ini})"
    shown = "what it was given" if "@" in str(given) else repr(given)  # there is a password in URLs
    return pytest.UsageError(f"{where} takes {takes}, not {shown}")
