"""Servers in containers: an image with the baseline in it made once, and containers of it that end with their owner."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pytest_gotest._cache import OLD
from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client, _databases
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers import _owner
from pytest_gotest.postgres.servers._daemon import Attached, Daemon, told
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
    import docker.models.containers
    import psycopg
    from docker.models.images import Image

LABEL = "pytest-gotest."
_WARM = LABEL + "warm"
_RUN_ID = LABEL + "run"  # for people
_REPOSITORY = "pytest-gotest"
_PATIENCE = 120  # seconds for a start, on a machine that is busy
_REACHED = 30  # seconds in which a server that runs can be reached
_GOING = 30  # seconds in which the daemon removes a container
_PORT = "5432/tcp"
_ONCE = "run-"  # in the name of what is of use to one session only
_SESSION = 3600  # seconds for which that is kept: who needs it later makes it again
_VERSION = 1  # of what is made here; part of the key

# Outside any volume that an image declares: what is in a volume is in no image made of the container.
_KEPT, _MEMORY, _DISK = "/pytest-gotest/kept", "/pytest-gotest/memory", "/tmp/pytest-gotest"
_SCRIPT = Path(__file__).with_name("_lifeline.sh").read_text()


@dataclass(frozen=True, slots=True)
class _Use:
    """What a container is for: who runs which command, where the data are, what is added to postgresql.conf."""

    user: str
    command: tuple[str, ...]
    data: str
    settings: str = ""
    environment: dict[str, str] = field(default_factory=dict)


_RUN = _Use(SUPERUSER, ("postgres",), f"{_MEMORY}/data")
_EDIT = _Use(SUPERUSER, ("postgres",), _KEPT)


class Containers:
    """Makes servers of ``image``. ``say`` tells the user what takes long."""

    def __init__(
        self, daemon: Daemon, image: str, cache_dir: Path, say: Callable[[str], None]
    ) -> None:
        self._daemon = daemon
        self._name = image
        self._lock = cache_dir / "postgres" / "container.lock"
        self._say = say

    def __str__(self) -> str:
        return f"{self._name} container"

    def start(self, baseline: Baseline) -> Container:
        """One that answers, with ``baseline`` in it. Raises `PostgresError`."""
        sweep(self._daemon)
        return Container(self._daemon, self._warm(baseline), self._name, _RUN)

    def _warm(self, baseline: Baseline) -> str:
        """An image with a data directory that is shut down, and the baseline in it; made if there is none of these facts yet."""
        image = self._image()
        facts = (_VERSION, _SCRIPT, image.id, sorted(SETTINGS.items()))
        bare = hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
        made = self._kept(bare, lambda: self._filled(self._name, _initial(image), _databases.equip))
        if baseline.is_empty:
            return made
        tag = f"{bare}-{'' if baseline.lasts else _ONCE}{baseline.key()}"
        return self._kept(tag, lambda: self._filled(made, _EDIT, baseline.apply))

    def fetch(self) -> None:
        """Have the image, and say so if that takes long. Raises `PostgresError`."""
        self._image()

    def _image(self) -> Image:
        """As it is on the daemon's machine; fetched if it is not."""
        import docker

        images = self._daemon.client.images
        with (
            told(f"container: the image {self._name}"),
            contextlib.suppress(docker.errors.ImageNotFound),
        ):
            return images.get(self._name)
        with (
            self._alone(),
            told(
                f"container: the image {self._name} is not there and cannot be pulled",
                f"`docker pull {self._name}` where there is a network, name another image by --gotest-postgres-image,"
                " or take another server by --gotest-postgres",
            ),
        ):
            with contextlib.suppress(docker.errors.ImageNotFound):
                return images.get(self._name)  # by who had the turn before us
            self._say(f"gotest: pulling {self._name}, for it is not there yet")
            images.pull(self._name)
            return images.get(self._name)

    def _kept(
        self, tag: str, make: Callable[[], contextlib.AbstractContextManager[Container]]
    ) -> str:
        """Have the image ``tag`` of ours, of the container that ``make`` gives: of all who want it at once one makes it."""
        name = f"{_REPOSITORY}:{tag}"
        if self._is_there(name):
            return name
        with self._alone():
            if self._is_there(name):
                return name
            with make() as container:
                container.commit(tag)
            self._forget()
        return name

    def _is_there(self, name: str) -> bool:
        """The daemon notes when an image was tagged last: that is when it was used last."""
        import docker

        repository, _, tag = name.partition(":")
        with told(f"container: the image {name}"), contextlib.suppress(docker.errors.ImageNotFound):
            return self._daemon.client.images.get(name).tag(repository, tag)
        return False

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock):
            yield

    @contextlib.contextmanager
    def _filled(self, image: str, use: _Use, fill: Callable[[Server], None]) -> Iterator[Container]:
        """One that has shut down, with what ``fill`` does as the template."""
        container = Container(self._daemon, image, self._name, use)
        try:
            fill(container.server())
            container.shut_down()
            yield container
        finally:
            container.stop()

    def _forget(self) -> None:
        """Let go of those of our images that nobody has used for long: each change of a migration makes another one."""
        import docker

        with told("container: the daemon does not say what images it has"):
            client = self._daemon.client
            for found in client.api.images(filters={"label": _WARM}):
                # In use, or somebody else removed it.
                with contextlib.suppress(docker.errors.APIError):
                    image = client.images.get(found["Id"])
                    age = time.time() - _last_use(image.attrs)
                    if age > (_SESSION if _ONCE in str(image.labels[_WARM]) else OLD):
                        for name in image.tags or [str(image.id)]:
                            client.images.remove(name)


class Container:
    """A server that runs in a container of ``image``, until `stop` or the end of this process.

    ``source`` is what the user calls the image.
    """

    has_server = is_mighty = True
    schema = None

    def __init__(self, daemon: Daemon, image: str, source: str, use: _Use) -> None:
        self._daemon = daemon
        self._source = source
        self._password = secrets.token_urlsafe(18)
        self._verifier = _verifier(self._password)
        self.name = f"{_REPOSITORY}-{os.getpid()}-{secrets.token_hex(3)}"
        self.port = 0
        self.version: tuple[int, ...] = ()
        self._image = image
        self._use = use
        self._has_kept = False
        self._create()

    def _create(self) -> None:
        """With the port that it has, if it has one. Raises `PostgresError`."""
        with told(f"container {self.name} of {self._source} cannot be created"):
            given = self._given(self._use)
            self._container = self._daemon.client.containers.create(self._image, **given)
        self._attached: Attached | None = None
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _given(self, use: _Use) -> dict[str, Any]:
        return {
            "name": self.name,
            "user": use.user,
            "entrypoint": ["/bin/sh", "-c", _SCRIPT, _REPOSITORY],
            "command": [use.settings, *use.command],
            "environment": {**use.environment, "PGDATA": use.data, "KEPT": _KEPT, "DISK": _DISK},
            "labels": {**_owner.ourselves().labels(LABEL), _RUN_ID: _run_id()},
            "ports": {_PORT: (self._daemon.bind, self.port or None)},
            "tmpfs": self._in_memory(),
            "shm_size": "1g",  # a limit; docker's own is too little for parallel queries
            # An end of standard input when its first listener, which we are, goes away.
            "stdin_open": True,
            "auto_remove": True,
            "healthcheck": {"test": ["NONE"]},
            # Nothing of the user's: a proxy with a password would be in the image.
            "use_config_proxy": False,
        }

    def _in_memory(self) -> dict[str, str]:
        # Where an image declares volumes: a daemon that is killed forgets to remove those that it makes.
        volumes = self._daemon.client.images.get(self._image).attrs["Config"].get("Volumes") or ()
        given = dict.fromkeys(volumes, "")
        # A mount point stays in the image that is made of a container, and its mode is the next one's.
        return given if self._use.data == _KEPT else {**given, _MEMORY: "mode=1777"}

    def _start(self) -> None:
        client = self._daemon.client
        with told(f"container {self.name} of {self._source} cannot be started"):
            self._attached = Attached(client, self._id)
            self._container.start()
            self._container.reload()
        bound = self._container.ports.get(_PORT)
        if not bound:
            raise self._failed("ended at once")
        self.port = int(bound[0]["HostPort"])
        self._begin()

    @property
    def _id(self) -> str:
        return str(self._container.id)

    def _begin(self) -> None:
        self._tell(f"begin {self._verifier}", "begun", "did not start")
        self.version = self._ask_version()

    def _ask_version(self) -> tuple[int, ...]:
        """It answers, so we are let in. What forwards the port may come later than the server."""
        import psycopg

        address = self._address((), MAINTENANCE).dsn(connect_timeout=str(_REACHED))
        late = time.monotonic() + _REACHED
        while True:
            try:
                with _client.connect(address) as connection:
                    return divmod(connection.info.server_version, 10000)
            except psycopg.Error as error:
                if self.has_ended or time.monotonic() > late or "password" in str(error):
                    raise self._failed(f"did not let us in ({error})") from error
                time.sleep(0.02)

    def _tell(self, what: str, answer: str, otherwise: str) -> None:
        assert self._attached is not None
        with contextlib.suppress(OSError):  # it has ended
            self._attached.say(what)
        if not self._attached.heard(f"pytest-gotest: {answer}", _PATIENCE):
            raise self._failed(otherwise)

    @property
    def has_ended(self) -> bool:
        return self._attached is None or self._attached.has_ended

    def __str__(self) -> str:
        return f"{self._address(self.version, DBNAME)} (container {self.name} of {self._source})"

    def server(self) -> Server:
        """How its database is reached by TCP. Raises `PostgresError` once the container has ended."""
        if self.has_ended:
            raise self._failed(
                "is gone" if self._daemon.answers() else "is gone, and so is the daemon"
            )
        return self._address(self.version, DBNAME)

    def maintenance(self) -> Server:
        return replace(self.server(), dbname=MAINTENANCE)

    def _address(self, version: tuple[int, ...], dbname: str) -> Server:
        return Server(
            host=self._daemon.host,
            port=self.port,
            user=SUPERUSER,
            password=self._password,
            dbname=dbname,
            server_version=version,
            provider="container",
        )

    def is_up(self) -> bool:
        return not self.has_ended

    def renew(self, maintenance: psycopg.Connection[Any]) -> None:
        _databases.renew(maintenance, TEMPLATE, DBNAME)

    def log(self) -> str:
        """What it printed lately."""
        return "" if self._attached is None else self._attached.log()

    def recopy(self) -> None:
        """From what its image has, in the same container if that lives; by the same port and password."""
        if not self.has_ended:
            self._begin()
        elif self._has_kept:
            raise self._failed("is gone, and the baseline was in it")
        else:
            self.stop()
            self._create()

    def keep(self) -> None:
        self.shut_down()
        self._tell("keep", "kept", "did not keep its data")
        self._has_kept = True
        self._begin()

    def shut_down(self) -> None:
        """With the baseline in the template, so that an image can be made of it; the container stays until `stop`."""
        with _client.connect(self.maintenance().dsn()) as connection:
            _databases.keep(connection, DBNAME, TEMPLATE)
        self._tell("end", "ended", "did not shut down")

    def commit(self, tag: str) -> None:
        """Make an image of it as it is."""
        # Whoever makes a container of that by hand is not its owner.
        nobody = {name: "" for name in (*_owner.ourselves().labels(LABEL), _RUN_ID)}
        changes = [f'LABEL {name}="{value}"' for name, value in {**nobody, _WARM: tag}.items()]
        with told(f"container {self.name}: no image can be made of it"):
            self._container.commit(_REPOSITORY, tag, changes=changes, pause=False)

    def stop(self) -> None:
        """Nothing of it is left."""
        _remove(self._container)
        attached, self._attached = self._attached, None
        if attached is not None:
            attached.close()

    def _failed(self, what: str) -> PostgresError:
        said = last(self.log()) or "(it printed nothing)"
        port = f", port {self.port}" if self.port else ""
        return PostgresError(
            f"container {self.name} of {self._source}{port}, {what}:\n{said}",
            hint=f"whether the image works by itself shows `docker run --rm -e POSTGRES_PASSWORD=x {self._source}`",
        )


def sweep(daemon: Daemon) -> list[str]:
    """Remove what owners left that are dead, and tell which; those end by themselves unless the daemon was killed."""
    gone = []
    with told("container: the daemon does not say what it runs"):
        for container in daemon.client.containers.list(
            all=True, filters={"label": LABEL + "pid"}, ignore_removed=True
        ):
            owner = _owner.of(container.labels, LABEL)
            if owner is None:
                continue
            runs = container.status == "running"
            if owner.is_dead() or (not runs and owner.is_of_before(_seconds(container.attrs))):
                _remove(container)
                gone.append(str(container.id))
    return gone


def _remove(container: docker.models.containers.Container) -> None:
    """With its anonymous volumes. It may be gone, or going; without a daemon the next sweep comes upon it."""
    import docker
    import requests

    with contextlib.suppress(docker.errors.APIError, requests.RequestException):
        try:
            container.remove(v=True, force=True)
        except docker.errors.APIError as error:
            if error.status_code == 409:  # it goes by itself
                container.wait(condition="removed", timeout=_GOING)


def _initial(image: Image) -> _Use:
    """The image's own way to make its data, which may be more than initdb."""
    variables = dict(line.partition("=")[::2] for line in image.attrs["Config"].get("Env") or ())
    major = int(variables.get("PG_MAJOR") or 0)
    settings = {"listen_addresses": "*", **SETTINGS}
    return _Use(
        user="0",
        command=("docker-entrypoint.sh", "postgres", "-c", "listen_addresses=*", "-c", "fsync=off"),
        data=_KEPT,
        settings="\n".join(f"{name} = '{value}'" for name, value in settings.items()),
        environment={
            "POSTGRES_USER": SUPERUSER,
            "POSTGRES_DB": DBNAME,
            "POSTGRES_INITDB_ARGS": " ".join(initdb_arguments((major,))),
        },
    )


def _run_id() -> str:
    """The same in all workers of xdist."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())


def _last_use(attrs: dict[str, Any]) -> float:
    times = [attrs.get("Created"), (attrs.get("Metadata") or {}).get("LastTagTime")]
    return max(_moment(text) for text in times if text)


def _seconds(attrs: dict[str, Any]) -> float:
    return _moment(attrs["Created"])


def _moment(text: str) -> float:
    """Of the daemon's time, which has nanoseconds."""
    return datetime.fromisoformat(text[:19] + "+00:00").timestamp()


def _verifier(password: str) -> str:
    """What a server keeps of a password (SCRAM-SHA-256, RFC 5803), so that it need not be told."""
    salt, rounds = secrets.token_bytes(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(part).decode() for part in (salt, client, server)]
    return f"SCRAM-SHA-256${rounds}:{text[0]}${text[1]}:{text[2]}"
