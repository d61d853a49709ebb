"""A project's own command that brings a database up to date: what it is given, what it says, and what its result hangs on."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pytest_gotest._errors import PostgresError, ProcessError
from pytest_gotest._process import Child
from pytest_gotest.postgres import _client, _server
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline import _inputs

_PATIENCE = 10  # seconds until it is said again that it still runs
_SHOWN = 20  # last lines of its output in an error


@dataclass(frozen=True, slots=True)
class Command:
    """``text`` with its placeholders, run in ``root``; ``inputs`` are globs of all it reads, empty where nobody said.

    ``run`` is the session's own id, ``say`` shows a line while the command takes long.
    """

    text: str
    root: Path
    environ: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    run_id: str = ""
    say: Callable[[str], None] = lambda text: None

    @property
    def lasts(self) -> bool:
        """Whether another session can tell that it would do the same again."""
        return bool(self.inputs)

    def key(self) -> str:
        """Of the text and the content of what it reads; of this session where that is not known. Raises `PostgresError`."""
        sha = hashlib.sha256(self.text.encode())
        if not self.lasts:
            sha.update(self.run_id.encode())
        for file in dict.fromkeys(self._read()):
            name = os.path.relpath(file, self.root)
            sha.update(f"\0{name}\0".encode("utf-8", "surrogateescape"))
            sha.update(hashlib.sha256(_inputs.content(file)).digest())
        return sha.hexdigest()

    def _read(self) -> Iterator[Path]:
        for pattern in self.inputs:
            yield from _files(_inputs.matching("gotest_migrate_inputs", pattern, self.root))

    def apply(self, server: Server) -> None:
        """Run it. Raises `PostgresError` with what it said last."""
        words = [server.fill(word) for word in shlex.split(self.text)]
        try:
            child = Child(words, cwd=str(self.root), env=self._environment(server))
        except ProcessError as error:
            raise PostgresError(
                f"gotest_migrate_command = {self.text}: {error.message}",
                hint="it is run without a shell, in pytest's root directory",
            ) from error
        try:
            said = self._listen(child, server)
            ended = child.exit()
        finally:
            child.close()
        if ended.code:
            last = "\n".join(said.strip().splitlines()[-_SHOWN:]) or "(it said nothing)"
            raise PostgresError(f"gotest_migrate_command = {self.text}: {ended}:\n{last}")

    def _environment(self, server: Server) -> dict[str, str]:
        """That of pytest without the user's own PG*, and how the database is reached."""
        # A tool of the virtual environment is found although that one is not activated.
        path = f"{self.environ.get('PATH', os.defpath)}{os.pathsep}{Path(sys.executable).parent}"
        others = _client.without_own(self.environ)
        return {**others, "PATH": path, "DATABASE_URL": server.url, **server.env()}

    def _listen(self, child: Child, server: Server) -> str:
        """What it prints, without the password."""
        said, began = bytearray(), time.monotonic()

        def text() -> str:
            return _masked(said.decode("utf-8", "replace"), server)

        until = began + _PATIENCE
        while "exit" not in (found := child.wait(max(0.0, until - time.monotonic()))):
            if "output" in found:
                said += child.read()
            if time.monotonic() >= until:
                until += _PATIENCE
                last = [self.text, *text().strip().splitlines()][-1]
                self.say(f"gotest: migrating: {last} ({time.monotonic() - began:.0f} s)")
        said += b"".join(child.drain())
        return text()


def check(text: str) -> None:
    """Raises ValueError where it is no command, or has braces around something unknown."""
    words = shlex.split(text)
    if not words:
        raise ValueError("it is empty")
    for word in words:
        _server.check(word)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """A directory is all that is below it, through links too, but for what Python keeps there."""
    for path in paths:
        if path.is_file():
            yield path
        seen = set()
        for place, names, files in os.walk(path, followlinks=True):
            real = os.path.realpath(place)
            names[:] = [] if real in seen else sorted(set(names) - {"__pycache__"})
            if real not in seen:
                yield from (one for name in sorted(files) if (one := Path(place, name)).is_file())
            seen.add(real)


def _masked(text: str, server: Server) -> str:
    for secret in {server.password, quote(server.password, safe="")} - {""}:
        text = text.replace(secret, "***")
    return text
