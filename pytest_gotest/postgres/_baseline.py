"""What a database holds before any test: made of files and by a command, and known by what these hang on."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client, _migrations, _script
from pytest_gotest.postgres._command import Command
from pytest_gotest.postgres._server import Server

_VERSION = 2  # of how files are read; part of the key


@dataclass(frozen=True, slots=True)
class Baseline:
    """``files`` of SQL in the order in which they are run, then ``command``."""

    files: tuple[Path, ...] = ()
    command: Command | None = None

    @property
    def is_empty(self) -> bool:
        return not self.files and self.command is None

    @property
    def lasts(self) -> bool:
        """Whether it is the same in another session that has the same key."""
        return self.command is None or self.command.lasts

    def key(self) -> str:
        """Of the content and the order, and of nothing else. Raises `PostgresError`."""
        sha = hashlib.sha256(b"%d" % _VERSION)
        for file in self.files:
            sha.update(hashlib.sha256(_read(file)).digest())
        if self.command is not None:
            sha.update(self.command.key().encode())
        return sha.hexdigest()[:16]

    def apply(self, server: Server) -> None:
        """Raises `PostgresError` that names the file, the line and what the server said."""
        with _client.connect(server.dsn()) as connection:
            for file in self.files:
                _script.run(connection, file, text_of(file))
        if self.command is not None:
            self.command.apply(server)


def migrations(patterns: Iterable[str], root: Path) -> tuple[Path, ...]:
    """The files that are run, each pattern's in their order. Raises `PostgresError` if one matches nothing."""
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = _migrations.in_order(matching("gotest_migrations", pattern, root))
        ordered = [Path(path) for path in found]
        if not ordered:
            raise PostgresError(f"gotest_migrations: {pattern} is only what undoes migrations")
        first = _migrations.since_checkpoint([text_of(path) for path in ordered])
        files |= dict.fromkeys(ordered[first:])
    return tuple(files)


def matching(option: str, pattern: str, root: Path) -> list[Path]:
    """Files. Raises `PostgresError` if there is none."""
    found = glob.glob(os.path.join(root, pattern), recursive=True)
    files = [Path(path) for path in sorted(found) if os.path.isfile(path)]
    if not files:
        raise PostgresError(
            f"{option}: nothing matches {pattern} in {root}",
            hint="paths count from pytest's root directory, and ** is any directories",
        )
    return files


def text_of(file: Path) -> str:
    """Without the mark that some editors put first."""
    try:
        return _read(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PostgresError(f"{file} is not UTF-8: {error}") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PostgresError(f"{file} cannot be read: {error.strerror}") from error
