"""What a database holds before any test: made of files and by a command, and known by what these hang on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline import _inputs, _load, _migrations, _rows, _script
from pytest_gotest.postgres.baseline._command import Command

_VERSION = 2  # of how files are read; part of the key


@dataclass(frozen=True, slots=True)
class Baseline:
    """``files`` of SQL in the order in which they are run, then ``command``, then the rows of ``seeds``."""

    files: tuple[Path, ...] = ()
    command: Command | None = None
    seeds: tuple[Path, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == Baseline()

    @property
    def lasts(self) -> bool:
        """Whether it is the same in another session that has the same key."""
        return self.command is None or self.command.lasts

    def key(self) -> str:
        """Of the content and the order, and of nothing else but the names of seeds. Raises `PostgresError`."""
        sha = hashlib.sha256(b"%d" % _VERSION)
        for file in self.files:
            sha.update(hashlib.sha256(_inputs.content(file)).digest())
        if self.command is not None:
            sha.update(self.command.key().encode())
        for file in self.seeds:
            sha.update(f"\0{file.name}\0".encode("utf-8", "surrogateescape"))
            sha.update(hashlib.sha256(_inputs.content(file)).digest())
        return sha.hexdigest()[:16]

    @property
    def below(self) -> Baseline:
        """What its last step is added to; a provider may keep that by itself."""
        if self.seeds:
            return replace(self, seeds=())
        return replace(self, command=None) if self.command is not None else Baseline()

    def apply(self, server: Server) -> None:
        """Raises `PostgresError` that names the file, the line and what the server said."""
        if not self.below.is_empty:
            self.below.apply(server)
        self.finish(server)

    def finish(self, server: Server) -> None:
        """The last step alone."""
        if self.command is not None and not self.seeds:
            self.command.apply(server)
            return
        with _client.connect(server.dsn()) as connection:
            if self.seeds:
                _load.files(connection, self.seeds)
                return
            for file in self.files:
                _script.run(connection, file, _inputs.text(file))


def migrations(patterns: Iterable[str], root: Path) -> tuple[Path, ...]:
    """The files that are run, each pattern's in their order. Raises `PostgresError` if one matches nothing."""
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = _migrations.in_order(_inputs.files("gotest_migrations", pattern, root))
        ordered = [Path(path) for path in found]
        if not ordered:
            raise PostgresError(f"gotest_migrations: {pattern} is only what undoes migrations")
        first = _migrations.since_checkpoint([_inputs.text(path) for path in ordered])
        files |= dict.fromkeys(ordered[first:])
    return tuple(files)


def seeds(patterns: Iterable[str], root: Path) -> tuple[Path, ...]:
    """The same for files of rows."""
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = _inputs.files("gotest_seed", pattern, root)
        files |= dict.fromkeys(sorted(found, key=_migrations.natural))
    for file in files:
        if file.suffix not in (".sql", *_rows.SUFFIXES):
            known = ", ".join((".sql", *_rows.SUFFIXES))
            raise PostgresError(f"gotest_seed: {file} ends in none of {known}")
    return tuple(files)
