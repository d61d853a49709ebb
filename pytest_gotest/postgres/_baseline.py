"""What a database holds before any test: made from files, and known by their content."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client
from pytest_gotest.postgres._server import Server


@dataclass(frozen=True, slots=True)
class Baseline:
    """``files`` of SQL, in the order in which they are run."""

    files: tuple[Path, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.files

    def key(self) -> str:
        """Of the content and the order, and of nothing else. Raises `PostgresError`."""
        sha = hashlib.sha256()
        for file in self.files:
            sha.update(hashlib.sha256(_read(file)).digest())
        return sha.hexdigest()[:16]

    def apply(self, server: Server) -> None:
        """Raises `PostgresError` that names the file, the line and what the server said."""
        import psycopg

        with _client.connect(server.dsn()) as connection:
            for file in self.files:
                text = _read(file)
                try:
                    # Without parameters all statements go at once, as the simple protocol has it: a transaction of
                    # their own unless they say otherwise.
                    connection.execute(text)
                except psycopg.Error as error:
                    raise PostgresError(f"{_where(file, text, error)}: {error}") from error
                except UnicodeDecodeError as error:
                    raise PostgresError(f"{file} is not UTF-8: {error}") from error


def find(patterns: Iterable[str], root: Path) -> Baseline:
    """The files that match, each pattern's in the order of their names. Raises `PostgresError` if one matches nothing."""
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = sorted(glob.glob(os.path.join(root, pattern), recursive=True))
        if not found:
            raise PostgresError(
                f"gotest_migrations: nothing matches {pattern} in {root}",
                hint="paths count from pytest's root directory, and ** is any directories",
            )
        files |= dict.fromkeys(Path(path) for path in found if os.path.isfile(path))
    return Baseline(tuple(files))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PostgresError(f"{file} cannot be read: {error.strerror}") from error


def _where(file: Path, text: bytes, error: object) -> str:
    """The file, and the line where the server says that it stumbled (it counts letters, from one)."""
    position = getattr(getattr(error, "diag", None), "statement_position", None)
    if position is None:
        return str(file)
    before = text.decode("utf-8", "replace")[: int(position) - 1]
    return f"{file}:{before.count(chr(10)) + 1}"
