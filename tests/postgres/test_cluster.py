"""Real servers: that they start, are nobody else's, and go without a trace however their owner ends."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from running import until

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _databases
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers import _cluster, _places, _provider
from pytest_gotest.postgres.servers._binaries import Binaries
from pytest_gotest.postgres.servers._cluster import Cluster, Clusters

Start = Callable[..., Cluster]

# Where the two versions cannot differ.
ONE = pytest.mark.parametrize("binaries", ["embedded"], indirect=True)


def ask(cluster: Cluster, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(cluster.server().url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def own_places() -> list[Path]:
    """Other tests, and other sessions, have servers at the same time."""
    return [path for path in _places.all_in(_places.base()) if _places.owner(path) == os.getpid()]


def test_a_server_of_its_own(start: Start, binaries: Binaries) -> None:
    one, other = start(), start()
    assert one.port != other.port
    ask(one, "CREATE TABLE mine (x int)")
    assert ask(other, "SELECT to_regclass('mine')") == [(None,)]
    [(version,)] = ask(one, "SHOW server_version")
    assert str(version).startswith(".".join(map(str, binaries.version)))


def test_the_same_everywhere(start: Start) -> None:
    """Whatever the machine's own settings are."""
    facts = ask(
        start(),
        "SELECT current_setting('TimeZone'), current_setting('DateStyle'), pg_encoding_to_char(encoding),"
        " datcollate, current_setting('lc_messages') FROM pg_database WHERE datname = current_database()",
    )
    assert facts == [("UTC", "ISO, MDY", "UTF8", "C.UTF-8", "C.UTF-8")]


@ONE
def test_the_users_own_settings_do_not_reach_it(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "PGOPTIONS"):
        monkeypatch.setenv(name, "nonsense")
    cluster = start()
    monkeypatch.undo()
    assert ask(cluster, "SELECT 1") == [(1,)]


def test_nobody_gets_in_without_the_password(start: Start) -> None:
    server = start().server()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn(password="another"))
    [mine] = own_places()
    assert (
        stat.S_IMODE((mine / "s").stat().st_mode) == 0o700
    )  # the sockets, where none is asked for
    assert stat.S_IMODE((mine / "data").stat().st_mode) == 0o700
    assert server.password not in "".join(
        path.read_text(errors="replace") for path in mine.rglob("*.conf")
    )


def test_nothing_is_left(start: Start) -> None:
    cluster = start()
    place, pid = (
        cluster._place.path,
        int((cluster._place.data / "postmaster.pid").read_text().split()[0]),
    )
    cluster.stop()
    assert not place.exists()
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


OWNER = """
import os, sys, time
from pathlib import Path
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres._provide import choose

cluster = choose(sys.argv[1], "", Path(sys.argv[2]), os.environ).start(Baseline())
pid = (cluster._place.data / "postmaster.pid").read_text().split()[0]
print(cluster._place.path, pid, cluster._guard.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("whom", ["the owner", "the guard", "both"])
def test_who_is_killed_leaves_nothing(
    start: Start, binaries: Binaries, cache: Path, whom: str
) -> None:
    start()  # so that what is copied is there
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, binaries.provider, str(cache)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert owner.stdout is not None
        path, pid, guard = owner.stdout.readline().split()
        assert _runs(int(pid))
        if whom != "the owner":
            os.kill(int(guard), signal.SIGKILL)
        if whom != "the guard":
            owner.kill()
        until(lambda: not _runs(int(pid)), "the server lives")
        if whom == "the owner":
            until(lambda: not os.path.exists(path), "its directory is there")
    finally:
        owner.kill()
        owner.wait()
        assert owner.stdout is not None
        owner.stdout.close()
    # What nobody was left to remove goes when the next one comes.
    start()
    assert not os.path.exists(path)


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from pytest_gotest.postgres.servers import _places

place = _places.Place(Path(sys.argv[1]), None)
for number in range(50):
    (place.data / str(number)).mkdir(parents=True)
left = int(sys.argv[2])

def dying(path, *args, **kwargs):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return removed(path, *args, **kwargs)

removed, os.rmdir = os.rmdir, dying
place.leave()
"""


@pytest.mark.parametrize("number", [1, 7, 52, 53])
def test_who_is_killed_while_it_cleans_up(tmp_path: Path, number: int) -> None:
    """After so many directories were removed."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(number)], check=False)
    assert done.returncode == -signal.SIGKILL
    [place] = tmp_path.iterdir()
    for path in (place, *place.iterdir()):
        os.utime(path, (0, 0))  # it is long ago
    assert _places.sweep(tmp_path) == [place]
    assert not [*tmp_path.iterdir()]


def test_what_is_half_made_goes_when_nobody_makes_it_any_more(tmp_path: Path) -> None:
    old, new = tmp_path / ".making-old", tmp_path / ".making-new"
    half, fresh = tmp_path / "s-half", tmp_path / "s-fresh"
    for path in (old, new, half, fresh):
        (path / "more").mkdir(parents=True)
    for path in (old, half):
        os.utime(path, (0, 0))
    assert {*_places.sweep(tmp_path)} == {old, half}
    assert {*tmp_path.iterdir()} == {new, fresh}


def test_programs_that_nobody_uses_go(tmp_path: Path) -> None:
    used, idle, recent = (tmp_path / f"programs-{name}" for name in ("used", "idle", "recent"))
    for path in (used, idle, recent):
        (path / "bin").mkdir(parents=True)
    holder = "import sys; from pathlib import Path; from pytest_gotest.postgres.servers import _places as p;"
    holder += "p.hold(p.used_by(Path(sys.argv[1]))); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(used)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        for path in (used, idle):
            os.utime(path, (0, 0))
        _places.sweep_programs(tmp_path)
        process.communicate()
    assert {path for path in tmp_path.iterdir() if path.is_dir()} == {used, recent}


@ONE
def test_a_sweep_leaves_the_living_alone(start: Start) -> None:
    cluster = start()
    assert cluster._place.path not in _places.sweep(_places.base())
    assert ask(cluster, "SELECT 1") == [(1,)]


def test_a_directory_that_is_being_made_is_swept_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its most delicate moment: the file of its owner is there, and not locked yet."""
    swept = []
    lock = fcntl.flock

    def late(fd: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        swept.extend(_places.sweep(tmp_path))
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    place = _places.Place(tmp_path, None)
    assert swept == []
    assert _places.sweep(tmp_path) == []
    place.leave()
    assert list(tmp_path.iterdir()) == []


@ONE
def test_a_port_that_is_taken(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    first = start()
    ports = iter([first.port, first.port])
    free = _cluster._free_port
    monkeypatch.setattr(_cluster, "_free_port", lambda: next(ports, None) or free())
    second = start()
    assert second.port != first.port
    assert ask(second, "SELECT 1") == [(1,)]


def test_anew_at_the_same_address(start: Start, files: Callable[..., Baseline]) -> None:
    """Whatever has become of it."""
    cluster = start(files("CREATE TABLE t (x int);"))
    server = cluster.server()
    for damage in ("DROP TABLE t", "CREATE ROLE somebody", "ALTER SYSTEM SET work_mem = '8MB'"):
        ask(cluster, damage)
    [(pid,)] = ask(cluster, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    os.kill(int(str(pid)), signal.SIGKILL)
    cluster.recopy()
    assert cluster.server() == server
    facts = (
        "SELECT to_regclass('t') IS NOT NULL, to_regrole('somebody'), current_setting('work_mem')"
    )
    assert ask(cluster, facts) == [(True, None, "4MB")]
    assert len(own_places()) == 1


@ONE
def test_the_baseline_lies_beside_it(start: Start, files: Callable[..., Baseline]) -> None:
    cluster = start(files("CREATE TABLE t (x int);"))
    ask(cluster, "DROP TABLE t")
    with psycopg.connect(cluster.maintenance().dsn(), autocommit=True) as connection:
        cluster.renew(connection)
    assert ask(cluster, "SELECT count(*) FROM t") == [(0,)]


@ONE
def test_a_server_that_does_not_start_says_why(
    start: Start, binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_provider.SETTINGS, "shared_buffers", "nonsense")
    with pytest.raises(PostgresError) as caught:
        start(cache=tmp_path)
    said = str(caught.value)
    assert 'invalid value for parameter "shared_buffers"' in said
    assert binaries.postgres in said or "initdb" in said
    assert own_places() == []


@ONE
def test_initdb_that_fails_says_why(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_cluster, "SUPERUSER", "pg_reserved")
    with pytest.raises(PostgresError, match="superuser name"):
        start(cache=tmp_path)


# What is in it before any test


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Baseline]:
    def write(*texts: str) -> Baseline:
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"{number}.sql")
            paths[-1].write_text(text)
        return Baseline(tuple(paths))

    return write


@ONE
def test_migrations_are_run_once(
    start: Start, files: Callable[..., Baseline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = files(
        "CREATE TABLE t (x int);", "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);"
    )
    assert ask(start(baseline), "SELECT x FROM t ORDER BY x") == [(1,), (2,)]
    ran = []
    monkeypatch.setattr(Baseline, "apply", lambda self, server: ran.append(server))
    again = start(baseline)
    assert ask(again, "SELECT count(*) FROM t") == [(2,)]
    assert ran == []


@ONE
def test_another_content_is_another_baseline(start: Start, files: Callable[..., Baseline]) -> None:
    start(files("CREATE TABLE t (x int);", "INSERT INTO t VALUES (1);"))
    changed = files("CREATE TABLE t (x int);", "INSERT INTO t VALUES (7);")
    assert ask(start(changed), "SELECT x FROM t") == [(7,)]
    fewer = files("CREATE TABLE t (x int);")
    assert ask(start(fewer), "SELECT x FROM t") == []


@ONE
def test_what_nobody_used_for_long_goes(
    start: Start, files: Callable[..., Baseline], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    start(files("CREATE TABLE t (x int);"), cache)
    kept = {path for path in (cache / "postgres").iterdir() if path.is_dir()}
    assert len(kept) == 2
    long_ago = time.time() - 31 * 86400
    for path in kept:
        os.utime(path, (long_ago, long_ago))
    other = files("CREATE TABLE other (x int);")
    start(other, cache)
    now = {path for path in (cache / "postgres").iterdir() if path.is_dir()}
    assert len(now) == 2
    assert len(now & kept) == 1  # as initdb leaves it


@ONE
def test_a_migration_that_fails_names_file_and_line(
    start: Start, files: Callable[..., Baseline], tmp_path: Path
) -> None:
    broken = files("CREATE TABLE t (x int);", "-- first\nSELECT 1;\nSELEKT 2;")
    for _ in range(2):  # and nothing half done is kept
        with pytest.raises(PostgresError, match=r"1\.sql:3: syntax error"):
            start(broken)


@ONE
def test_a_migration_that_cannot_be_read(start: Start, tmp_path: Path) -> None:
    with pytest.raises(PostgresError, match=r"gone\.sql cannot be read: No such file"):
        start(Baseline((tmp_path / "gone.sql",)))


@ONE
def test_sixteen_at_once_make_one_baseline(
    binaries: Binaries, tmp_path: Path, files: Callable[..., Baseline]
) -> None:
    sql = files("CREATE TABLE t (x int);").files[0]
    code = """
import os, sys
from pathlib import Path
import psycopg
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres._provide import choose

made = Baseline((Path(sys.argv[3]),))
cluster = choose(sys.argv[1], "", Path(sys.argv[2]), os.environ).start(made)
with psycopg.connect(cluster.server().url) as connection:
    print(connection.execute("SELECT count(*) FROM t").fetchone())
cluster.stop()
"""
    command = [sys.executable, "-c", code, binaries.provider, str(tmp_path / "cache"), str(sql)]
    many = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(16)
    ]
    said = [process.communicate()[0] for process in many]
    assert said == [b"(0,)\n"] * 16
    made = [path.name for path in (tmp_path / "cache" / "postgres").iterdir() if path.is_dir()]
    assert len(made) == 2  # as initdb leaves it, and with the baseline


def test_programs_in_a_closed_home(
    binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of root, whose servers run as somebody else: what that one cannot reach is copied, or refused."""
    monkeypatch.setattr(_cluster, "_is_open", lambda directory: False)
    clusters = Clusters(binaries, tmp_path, os.environ)
    if clusters.account is None:
        pytest.skip("servers run as ourselves where we are not root")
    if binaries.tree is None:
        with pytest.raises(PostgresError, match="is closed to the account"):
            clusters.start(Baseline())
        return
    cluster = clusters.start(Baseline())
    try:
        assert ask(cluster, "SELECT 1") == [(1,)]
        assert str(clusters.base) in cluster._programs.postgres
    finally:
        cluster.stop()


def _segments(creator: int) -> list[str]:
    """Of System V's shared memory (proc_sysvipc_shm(5))."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return [line for line in lines if int(line.split()[4]) == creator]


@pytest.mark.skipif(sys.platform != "linux", reason="System V segments are listed by Linux only")
@pytest.mark.parametrize("end", ["stop", "recopy"])
def test_a_server_that_is_killed_leaves_no_shared_memory(start: Start, end: str) -> None:
    cluster = start()
    assert ask(cluster, "SHOW dynamic_shared_memory_type") == [("mmap",)]
    pid = int((cluster.data / "postmaster.pid").read_text().split()[0])
    assert len(_segments(pid)) == 1
    os.kill(pid, signal.SIGKILL)
    cluster.stop() if end == "stop" else cluster.recopy()
    until(lambda: not _segments(pid), "its segment is there")


SEGMENT = """
import ctypes, os
print(os.getpid(), ctypes.CDLL(None).shmget(-559038737, 56, 0o1600))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="System V segments are listed by Linux only")
@pytest.mark.parametrize("whose", ["ours", "of another process", "of another key"])
def test_a_sweep_takes_the_segment_of_a_server_that_was_killed_and_no_other(
    tmp_path: Path, whose: str
) -> None:
    done = subprocess.run([sys.executable, "-c", SEGMENT], capture_output=True, check=True)
    pid, number = map(int, done.stdout.split())
    assert len(_segments(pid)) == 1
    try:
        place = _places.Place(tmp_path, None)
        place.data.mkdir()
        key = -559038737 % 2**64 + (whose == "of another key")
        first = pid + (whose == "of another process")
        written = (
            f"{first}\n{place.data}\n0\n5432\n{place.sockets}\n127.0.0.1\n{key:>9} {number:>9}\n"
        )
        (place.data / "postmaster.pid").write_text(written)
        place.leave()
        assert bool(_segments(pid)) == (whose != "ours")
    finally:
        ctypes.CDLL(None).shmctl(number, 0, None)


@pytest.mark.parametrize("written", ["", "1\n", "1\n" + 5 * "\n" + "\n", 6 * "1\n" + "a b\n"])
def test_a_file_that_tells_of_no_segment_keeps_no_directory(tmp_path: Path, written: str) -> None:
    place = _places.Place(tmp_path, None)
    place.data.mkdir()
    (place.data / "postmaster.pid").write_text(written)
    place.leave()
    assert not place.path.exists()


@pytest.mark.parametrize(
    "setting",
    [
        "search_path = ''",
        'search_path = \'\', "a, b", """"',
        'search_path = "$user", "a""b", \'\'',
        "temp_tablespaces = ''",
        "application_name = ''",
        "application_name = 'it''s, \"\"'",
    ],
)
def test_a_setting_is_given_to_a_clone_as_it_is(start: Start, setting: str) -> None:
    """Of a list names are kept in quotes, and an empty one is no name (CREATE DATABASE copies none of it)."""
    kept = (
        "SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase"
        " WHERE datname = %s"
    )
    with psycopg.connect(start().maintenance().dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE one")
        connection.execute("CREATE DATABASE other")
        connection.execute(f"ALTER DATABASE one SET {setting}".encode())
        _databases.give(connection, _databases.properties(connection, "one", "other"))
        given = connection.execute(kept, ("one",)).fetchone()
        assert given is not None
        assert connection.execute(kept, ("other",)).fetchone() == given
