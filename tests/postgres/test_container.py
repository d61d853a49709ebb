"""Servers in containers of a real daemon: that they start, are nobody else's, and go without a trace however their owner ends."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import postgres_image
import psycopg
import pytest
from running import until

from pytest_gotest import _cache
from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres._provide import choose
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers import _binaries, _container, _daemon, _owner, _provider
from pytest_gotest.postgres.servers._container import Container, Containers
from pytest_gotest.postgres.servers._daemon import Daemon

Start = Callable[..., Container]
Files = Callable[..., Baseline]
BOTH = pytest.mark.parametrize("image", ["embedded", "local"], indirect=True)  # two versions


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    """docker's client leaves some to be collected; whoever runs when they are would be blamed."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def daemon() -> Daemon:
    return postgres_image.daemon()


@pytest.fixture
def image(request: pytest.FixtureRequest) -> str:
    return postgres_image.image(getattr(request, "param", "embedded"))


@pytest.fixture
def start(daemon: Daemon, image: str, cache: Path) -> Iterator[Start]:
    """Starts servers, which end with the test."""
    running: list[Container] = []

    def one(baseline: Baseline | None = None, image: str = image) -> Container:
        containers = Containers(daemon, image, cache, print)
        running.append(containers.start(baseline or Baseline()))
        return running[-1]

    yield one
    for container in running:
        container.stop()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    def write(*texts: str) -> Baseline:
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"{number}.sql")
            # Nobody else's: what it makes is made by this test.
            paths[-1].write_text(f"{text}\n-- {tmp_path}\n")
        return Baseline(tuple(paths))

    return write


def ask(container: Container, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(container.server().url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def there(daemon: Daemon, name: str, **filters: str) -> bool:
    """Whatever state it is in, unless ``filters`` say."""
    return bool(daemon.client.api.containers(all=True, filters={"name": name, **filters}))


def ours(daemon: Daemon) -> set[str]:
    return {tag for image in daemon.client.images.list("pytest-gotest") for tag in image.tags}


def inspect(container: Container) -> dict[str, Any]:
    attrs: dict[str, Any] = container._daemon.client.api.inspect_container(container.name)
    return attrs


@BOTH
def test_a_server_of_its_own(start: Start) -> None:
    one, other = start(), start()
    assert one.port != other.port
    ask(one, "CREATE TABLE mine (x int)")
    assert ask(other, "SELECT to_regclass('mine')") == [(None,)]
    [(number,)] = ask(one, "SHOW server_version_num")
    server = one.server()
    assert divmod(int(str(number)), 10000) == server.server_version
    assert (server.provider, server.user, server.dbname) == ("container", "postgres", "test")


@BOTH
def test_the_same_everywhere(start: Start) -> None:
    """As a server without a container is."""
    container = start()
    facts = (
        "SELECT current_setting('TimeZone'), current_setting('DateStyle'), pg_encoding_to_char(encoding), datcollate,"
        " current_setting('lc_messages') FROM pg_database WHERE datname = current_database()"
    )
    assert ask(container, facts) == [("UTC", "ISO, MDY", "UTF8", "C.UTF-8", "C.UTF-8")]
    for name, value in _provider.SETTINGS.items():
        [(found,)] = ask(container, f"SHOW {name}")
        assert str(found).lower() == value.lower()


def test_its_data_lie_in_memory(start: Start) -> None:
    container = start()
    [(directory,)] = ask(container, "SHOW data_directory")
    assert os.path.dirname(str(directory)) in inspect(container)["HostConfig"]["Tmpfs"]


def test_on_the_disk_where_memory_is_short(
    start: Start, monkeypatch: pytest.MonkeyPatch, files: Files
) -> None:
    baseline = files("CREATE TABLE t (x int);")
    start(baseline)
    poor = _container._SCRIPT.replace("MemAvailable", "HugePages_Total")
    assert poor != _container._SCRIPT
    monkeypatch.setattr(_container, "_SCRIPT", poor)
    container = start(baseline)
    assert ask(container, "SHOW data_directory") == [(_container._DISK,)]
    container.recopy()
    assert ask(container, "SELECT count(*) FROM t") == [(0,)]


# Who gets in


def test_nobody_gets_in_without_the_password(start: Start) -> None:
    one, other = start().server(), start().server()
    for wrong in ("another", other.password, ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(one.dsn(password=wrong))
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(one.dsn(user="somebody"))


def test_nobody_gets_in_from_elsewhere(start: Start) -> None:
    container = start()
    bound = inspect(container)["NetworkSettings"]["Ports"]
    assert bound == {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(container.port)}]}
    for address in _own_addresses():
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, container.port), timeout=10)


def _own_addresses() -> set[str]:
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    return {str(address) for address in found if not str(address).startswith("127.")}


def test_the_password_is_shown_nowhere(start: Start, files: Files, daemon: Daemon) -> None:
    container = start(files("CREATE TABLE t (x int);"))
    secret = container.server().password
    attrs = inspect(container)
    shown = [
        json.dumps(attrs),
        json.dumps(daemon.client.images.get(attrs["Image"]).attrs),
        json.dumps(daemon.client.images.get(attrs["Image"]).history()),
        str(daemon.client.api.top(container.name)),
        container.log(),
        repr(container.server()),
    ]
    assert len(secret) > 20
    assert [text for text in shown if secret in text] == []
    container._container.kill()
    until(lambda: container.has_ended, "nobody noticed")
    with pytest.raises(PostgresError) as caught:
        container.server()
    assert secret not in str(caught.value)


# What is in it before any test


def test_migrations_are_run_once(
    start: Start, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = files(
        "CREATE TABLE t (x int);", "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);"
    )
    assert ask(start(baseline), "SELECT x FROM t ORDER BY x") == [(1,), (2,)]
    ran = []
    monkeypatch.setattr(Baseline, "apply", lambda self, server: ran.append(server))
    assert ask(start(baseline), "SELECT count(*) FROM t") == [(2,)]
    assert ran == []


def test_another_content_is_another_baseline(start: Start, files: Files) -> None:
    start(files("CREATE TABLE t (x int);", "INSERT INTO t VALUES (1);"))
    changed = files("CREATE TABLE t (x int);", "INSERT INTO t VALUES (7);")
    assert ask(start(changed), "SELECT x FROM t") == [(7,)]
    fewer = files("CREATE TABLE t (x int);")
    assert ask(start(fewer), "SELECT x FROM t") == []


def test_another_setting_is_another_baseline(
    start: Start, monkeypatch: pytest.MonkeyPatch, daemon: Daemon
) -> None:
    start()
    monkeypatch.setitem(_provider.SETTINGS, "work_mem", f"{os.getpid()}kB")
    assert ask(start(), "SHOW work_mem") == [(f"{os.getpid()}kB",)]


@BOTH
def test_anew_at_the_same_address(start: Start, files: Files) -> None:
    """Whatever has become of it."""
    container = start(files("CREATE TABLE t (x int);"))
    server = container.server()
    for damage in ("DROP TABLE t", "CREATE ROLE somebody", "ALTER SYSTEM SET work_mem = '8MB'"):
        ask(container, damage)
    container.recopy()
    assert container.server() == server
    facts = (
        "SELECT to_regclass('t') IS NOT NULL, to_regrole('somebody'), current_setting('work_mem')"
    )
    assert ask(container, facts) == [(True, None, "4MB")]
    ask(container, "DROP TABLE t")
    container._container.kill()
    until(lambda: container.has_ended, "nobody noticed")
    container.recopy()
    assert container.server() == server
    assert ask(container, facts) == [(True, None, "4MB")]


def test_the_baseline_lies_beside_it(start: Start, files: Files) -> None:
    container = start(files("CREATE TABLE t (x int);"))
    ask(container, "DROP TABLE t")
    with psycopg.connect(container.maintenance().dsn(), autocommit=True) as connection:
        container.renew(connection)
    assert ask(container, "SELECT count(*) FROM t") == [(0,)]


def test_what_is_there_now_is_the_baseline(start: Start) -> None:
    container = start()
    server = container.server()
    for number in (1, 2):
        ask(container, f"CREATE TABLE t{number} (x int)")
        container.keep()
        ask(container, f"DROP TABLE t{number}")
        container.recopy()
        assert ask(container, f"SELECT count(*) FROM t{number}") == [(0,)]
    assert container.server() == server
    container._container.kill()
    until(lambda: container.has_ended, "nobody noticed")
    with pytest.raises(PostgresError, match="is gone, and the baseline was in it"):
        container.recopy()


def test_what_an_image_brings_along(
    start: Start, image: str, daemon: Daemon, tmp_path: Path
) -> None:
    """Scripts that the official image's entrypoint runs, and other settings."""
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as tar:
        for name, text in {
            "Dockerfile": f"FROM {image}\nCOPY x.sql /docker-entrypoint-initdb.d/\nUSER postgres\n",
            "x.sql": "CREATE TABLE brought (x int); ALTER SYSTEM SET work_mem = '9MB';",
        }.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    files.seek(0)
    name = f"{postgres_image.REPOSITORY}:{tmp_path.name}-{os.getpid()}"
    daemon.client.images.build(fileobj=files, custom_context=True, tag=name, rm=True)
    container = start(image=name)
    assert ask(container, "SELECT count(*), current_setting('work_mem') FROM brought") == [
        (0, "9MB")
    ]


def test_a_migration_that_fails_names_file_and_line(
    start: Start, files: Files, daemon: Daemon
) -> None:
    broken = files("CREATE TABLE t (x int);", "-- first\nSELECT 1;\nSELEKT 2;")
    before = ours(daemon)
    for _ in range(2):  # and nothing half done is kept
        with pytest.raises(PostgresError, match=r"1\.sql:3: syntax error"):
            start(broken)
    assert not [tag for tag in ours(daemon) - before if broken.key() in tag]
    assert not there(daemon, f"pytest-gotest-{os.getpid()}-")


FOUR = """
import os, sys
from pathlib import Path
import psycopg
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres._provide import choose

container = choose("container", sys.argv[1], Path(sys.argv[2]), os.environ).start(Baseline((Path(sys.argv[3]),)))
with psycopg.connect(container.server().url) as connection:
    print(connection.execute("SELECT count(*) FROM t").fetchone())
container.stop()
"""


@pytest.fixture
def environ() -> dict[str, str]:
    """Of processes that are to find the daemon."""
    return {**os.environ, "DOCKER_HOST": os.environ[postgres_image.HOST]}


def test_four_at_once_make_one_baseline(
    daemon: Daemon, image: str, tmp_path: Path, files: Files, environ: dict[str, str]
) -> None:
    baseline = files("CREATE TABLE t (x int);")
    command = [sys.executable, "-c", FOUR, image, str(tmp_path), str(baseline.files[0])]
    many = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ)
        for _ in range(4)
    ]
    said = [process.communicate()[0] for process in many]
    assert said == [b"(0,)\n"] * 4
    made = daemon.client.images.list(filters={"label": _container._WARM})
    keys = [one.labels[_container._WARM] for one in made if one.labels]
    assert len([key for key in keys if baseline.key() in key]) == 1


def test_what_nobody_used_for_long_goes(
    start: Start, files: Files, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests make images at the same time.
    monkeypatch.setattr(_container, "_WARM", f"pytest-gotest.test-{os.getpid()}")
    monkeypatch.setattr(_container, "_VERSION", time.time_ns())

    def mine() -> set[str]:
        images = daemon.client.images.list(filters={"label": _container._WARM})
        return {tag for image in images for tag in image.tags}

    begun = time.time()
    start(files("CREATE TABLE t (x int);")).stop()
    [old] = [tag for tag in mine() if "-" in tag.partition(":")[2]]
    bare = mine() - {old}
    image = daemon.client.images.get(old)
    assert _container._last_use(image.attrs) > begun - 60
    last_use = _container._last_use
    monkeypatch.setattr(
        _container,
        "_last_use",
        lambda attrs: last_use(attrs) - (_cache.OLD + 60) * (old in attrs["RepoTags"]),
    )
    start(files("CREATE TABLE other (x int);"))
    assert old not in mine()
    assert bare < mine()


def test_an_image_is_used_when_a_server_is_started(start: Start, daemon: Daemon) -> None:
    container = start()
    before = _container._last_use(daemon.client.images.get(inspect(container)["Image"]).attrs)
    time.sleep(1.1)  # it is noted in seconds
    start()
    image = daemon.client.images.get(inspect(container)["Image"])
    assert _container._last_use(image.attrs) > before


# However it ends


def test_nothing_is_left(start: Start, daemon: Daemon) -> None:
    container = start()
    # The image declares one.
    assert [one for one in inspect(container)["Mounts"] if one["Type"] == "volume"] == []
    container.stop()
    assert not there(daemon, container.name)
    container.stop()


OWNER = """
import os, sys, time
from pathlib import Path
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres._provide import choose

baseline = Baseline(tuple(Path(path) for path in sys.argv[3:]))
container = choose("container", sys.argv[1], Path(sys.argv[2]), os.environ).start(baseline)
print(container.name, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(image: str, cache: Path, environ: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """Starts processes that own a container."""
    running = []

    def one(*files: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", OWNER, image, str(cache), *files]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ))
        return running[-1]

    yield one
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_an_owner_who_is_killed_leaves_nothing(
    start: Start, owner: Callable[..., Any], daemon: Daemon
) -> None:
    start()  # so that its image is there
    process = owner()
    name = process.stdout.readline().strip()
    assert there(daemon, name)
    process.kill()
    until(lambda: not there(daemon, name), "the container is there")


def test_an_owner_who_is_killed_while_an_image_is_made(
    start: Start, owner: Callable[..., Any], daemon: Daemon, files: Files
) -> None:
    start()
    baseline = files("SELECT pg_sleep(600);")
    process = owner(str(baseline.files[0]))
    name = f"pytest-gotest-{process.pid}-"
    until(lambda: there(daemon, name, status="running"), "it does not begin")
    process.kill()
    until(lambda: not there(daemon, name), "the container is there")
    assert not [tag for tag in ours(daemon) if baseline.key() in tag]


def test_a_container_that_is_killed_says_so(start: Start, image: str) -> None:
    container = start()
    with pytest.raises(psycopg.Error):
        ask(container, "SELECT 1/0")
    container._container.kill()
    until(lambda: container.has_ended, "nobody noticed")
    with pytest.raises(PostgresError) as caught:
        container.server()
    said = str(caught.value)
    assert f"container {container.name} of {image}, port {container.port}, is gone:" in said
    assert "division by zero" in said
    assert "docker run --rm" in said


def test_a_server_that_is_killed_ends_its_container(start: Start, daemon: Daemon) -> None:
    container = start()
    container._container.exec_run(
        ["sh", "-c", "read -r pid < /pytest-gotest/memory/data/postmaster.pid; kill -9 $pid"]
    )
    until(lambda: not there(daemon, container.name), "the container is there")
    with pytest.raises(PostgresError, match="the server has ended"):
        container.server()


def test_a_server_that_does_not_start_says_why(
    start: Start, monkeypatch: pytest.MonkeyPatch, image: str, daemon: Daemon, files: Files
) -> None:
    monkeypatch.setitem(_provider.SETTINGS, "shared_buffers", "nonsense")
    with pytest.raises(PostgresError) as caught:
        start(files("SELECT 1;"))
    said = str(caught.value)
    assert 'invalid value for parameter "shared_buffers"' in said
    assert f"of {image}" in said
    assert not there(daemon, f"pytest-gotest-{os.getpid()}-")


# What others left


def leftover(daemon: Daemon, image: str, owner: dict[str, str]) -> str:
    """A container that was made and never started, as a daemon that was killed may leave it."""
    made = daemon.client.containers.create(image, "true", labels=owner)
    return str(made.id)


@pytest.fixture
def dead() -> _owner.Owner:
    process = subprocess.Popen(["sleep", "600"])
    owner = replace(_owner.ourselves(), pid=str(process.pid), began=_owner._began(str(process.pid)))
    process.kill()
    process.wait()
    return owner


def test_a_sweep_takes_what_dead_owners_left(
    daemon: Daemon, image: str, dead: _owner.Owner
) -> None:
    left = leftover(daemon, image, dead.labels(_container.LABEL))
    _container.sweep(daemon)
    assert not daemon.client.api.containers(all=True, filters={"id": left})


def test_a_sweep_takes_what_is_of_before_this_machine_was_started(
    daemon: Daemon, image: str, dead: _owner.Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = replace(dead, boot="another")
    left = leftover(daemon, image, before.labels(_container.LABEL))
    _container.sweep(daemon)
    # A clone of this machine, with its name, may have made it just now.
    assert daemon.client.api.containers(all=True, filters={"id": left})
    monkeypatch.setattr(_owner, "_booted", lambda: time.time() + 60)
    _container.sweep(daemon)
    assert not daemon.client.api.containers(all=True, filters={"id": left})


def test_a_sweep_leaves_all_others_alone(
    start: Start, daemon: Daemon, image: str, dead: _owner.Owner
) -> None:
    container = start()
    labels = {
        "the living": _owner.ourselves().labels(_container.LABEL),
        "another machine": replace(dead, host="another").labels(_container.LABEL),
        "another pid namespace": replace(dead, boot="another").labels(_container.LABEL),
        "the same number, another process": {
            **_owner.ourselves().labels(_container.LABEL),
            "pytest-gotest.began": "",
        },
        "our image by hand": {"pytest-gotest.warm": "x", "pytest-gotest.pid": ""},
        "nobody": {},
        "testcontainers": {"org.testcontainers": "true", "pid": dead.pid},
    }
    made = {who: leftover(daemon, image, given) for who, given in labels.items()}
    try:
        swept = _container.sweep(daemon)
        assert [who for who, one in made.items() if one in swept] == []
        assert ask(container, "SELECT 1") == [(1,)]
    finally:
        for one in made.values():
            daemon.client.api.remove_container(one, force=True, v=True)


def test_who_makes_a_container_of_our_image_by_hand_owns_it(
    start: Start, daemon: Daemon, files: Files
) -> None:
    container = start(files("SELECT 1;"))
    config = daemon.client.images.get(inspect(container)["Image"]).attrs["Config"]
    assert _owner.of(config["Labels"], _container.LABEL) is None
    assert {name: value for name, value in config["Labels"].items() if value} == {
        "pytest-gotest.warm": config["Labels"]["pytest-gotest.warm"]
    }
    assert not [line for line in config["Env"] if "PASSWORD" in line]


# What cannot be had


def test_an_image_that_cannot_be_had(daemon: Daemon, tmp_path: Path) -> None:
    said: list[str] = []
    containers = Containers(daemon, "localhost:1/nobody/nothing:9", tmp_path, said.append)
    with pytest.raises(PostgresError) as caught:
        containers.fetch()
    text = str(caught.value)
    assert said == ["gotest: pulling localhost:1/nobody/nothing:9, for it is not there yet"]
    assert "the image localhost:1/nobody/nothing:9 is not there and cannot be pulled:" in text
    assert "connection refused" in text
    assert "--gotest-postgres-image" in text


def test_an_image_with_no_postgres(start: Start, image: str, daemon: Daemon, files: Files) -> None:
    text = f"FROM {image}\nRUN rm /bin/docker-entrypoint.sh\n"
    name = f"{postgres_image.REPOSITORY}:none-{os.getpid()}"
    daemon.client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True)
    with pytest.raises(PostgresError, match=r"docker-entrypoint\.sh: not found"):
        start(image=name)


@pytest.mark.parametrize("host", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1"])
def test_no_daemon(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(PostgresError, match=f"no daemon answers at {host}") as caught:
        _daemon.connect()
    assert "DOCKER_HOST" in caught.value.hint
    assert os.environ["DOCKER_HOST"] == host


@pytest.mark.parametrize(
    ("host", "is_near", "is_with_us", "reached"),
    [
        ("localhost", True, False, ("127.0.0.1", "127.0.0.1")),
        ("127.0.0.1", False, False, ("127.0.0.1", "127.0.0.1")),
        ("build.example.com", False, False, ("build.example.com", "0.0.0.0")),
        # We are in a container with the socket of the daemon outside, or with a daemon of our own.
        ("172.17.0.1", True, False, ("172.17.0.1", "172.17.0.1")),
        ("172.17.0.1", True, True, ("127.0.0.1", "127.0.0.1")),
    ],
)
def test_where_a_server_is_reached(
    host: str,
    is_near: bool,
    is_with_us: bool,
    reached: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_daemon, "_is_with_us", lambda client: is_with_us)
    assert _daemon._reached(client=None, host=host, is_near=is_near) == reached  # type: ignore[arg-type]


def test_the_daemon_is_with_us(daemon: Daemon) -> None:
    """Where tests run, as far as they can tell."""
    if daemon.host == "127.0.0.1" and sys.platform == "linux":
        assert _daemon._is_with_us(daemon.client)


def test_no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PostgresError, match="docker is not installed") as caught:
        _daemon.connect()
    assert "pytest-gotest[container]" in caught.value.hint


def test_auto_takes_a_daemon_that_answers(
    daemon: Daemon, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", os.environ[postgres_image.HOST])
    assert str(choose("auto", image, tmp_path, os.environ)) == f"{image} container"
    nothing = "localhost:1/nobody/nothing:9"
    assert str(choose("auto", nothing, tmp_path, os.environ)).endswith(" embedded")


# A daemon that ends


class OwnDaemon:
    """One that a test may kill, on a bridge of its own."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self._bridge = f"gt{os.getpid()}"
        address = f"172.30.{os.getpid() % 250}.1/24"
        self._ip("link", "add", self._bridge, "type", "bridge")
        self._ip("address", "add", address, "dev", self._bridge)
        self._ip("link", "set", self._bridge, "up")
        self.start()

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    @property
    def host(self) -> str:
        return f"unix://{self.base}/sock"

    def start(self) -> None:
        command = [
            *("dockerd", f"--data-root={self.base}/data", f"--exec-root={self.base}/exec"),
            *(f"--pidfile={self.base}/pid", f"--host={self.host}", f"--bridge={self._bridge}"),
            # The tables of the machine are another daemon's.
            *("--iptables=false", "--ip6tables=false"),
        ]
        with open(self.base / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(self._answers, "no answer")
        except AssertionError as error:
            raise AssertionError((self.base / "log").read_text()[-5000:]) from error

    def _answers(self) -> bool:
        with contextlib.suppress(PostgresError), pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", self.host)
            self.daemon = _daemon.connect()
            return True
        return False

    def kill(self) -> None:
        containerd = (self.base / "exec" / "containerd" / "containerd.pid").read_text()
        self._process.kill()
        self._process.wait()
        # It ends by itself, and as long as it runs no other dockerd begins.
        until(lambda: not Path("/proc", containerd).exists(), "containerd is there")

    def remove(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._ip("link", "delete", self._bridge)
        # What the one that was killed has mounted.
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed(mounted):
            if place.startswith(f"{self.base}/"):
                subprocess.run(["umount", place], check=True)


@pytest.fixture
def own_daemon() -> Iterator[OwnDaemon]:
    missing = [name for name in ("dockerd", "ip") if shutil.which(name) is None]
    if os.geteuid() or (missing and "CI" not in os.environ):
        pytest.skip("needs root, dockerd and ip")
    # The path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="gt-", ignore_cleanup_errors=True) as base:
        own = OwnDaemon(Path(base))
        yield own
        own.remove()


# docker's client leaves sockets open that nobody answers on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_daemon_that_is_killed(own_daemon: OwnDaemon, tmp_path: Path) -> None:
    image = postgres_image.build(own_daemon.daemon.client, _binaries.embedded())
    containers = Containers(own_daemon.daemon, image, tmp_path, print)
    container = containers.start(Baseline())
    own_daemon.kill()
    until(lambda: container.has_ended, "nobody noticed")
    with pytest.raises(PostgresError, match="is gone, and so is the daemon"):
        container.server()
    with pytest.raises(PostgresError, match=f"container {container.name} of .* cannot be created"):
        container.recopy()
    with pytest.raises(PostgresError, match="the daemon does not say what it runs"):
        containers.start(Baseline())
    container.stop()
    own_daemon.start()
    again = containers.start(Baseline())
    assert ask(again, "SELECT 1") == [(1,)]
    assert not there(own_daemon.daemon, container.name)
    again.stop()
    assert own_daemon.daemon.client.volumes.list() == []
