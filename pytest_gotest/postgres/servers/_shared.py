"""A server that others use as well: each worker has a database of its own on it, or a schema, or its turn.

Who is alive is known to the server itself: each owner of a database holds an advisory lock as long as it lives. What has
our name and an owner that is gone is removed by the next one who comes, from whatever machine.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_gotest._cache import OLD
from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client, _databases
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.baseline._baseline import Baseline
from pytest_gotest.postgres.servers._binaries import OLDEST
from pytest_gotest.postgres.servers._provider import MAINTENANCE, OURS

if TYPE_CHECKING:
    import psycopg

_OURS = "gotest_"
_LOG = f"{_OURS}log"
_TEMPLATE = f"{_OURS}t_"
_WORKER = f"{_OURS}w_"
_KEPT = "_kept"  # behind the name of a worker's database: the baseline as gotest_baseline made it
_MARK = "public.pytest_gotest_baseline"
_TURN = "pytest-gotest's turn"
_USED = f"{_databases.MARK}last used "
_ONCE = f"{_databases.MARK}of one run"
_PATIENCE = 2.0  # seconds for transactions of others
_STRANGERS = f"""SELECT format('session %s of %s (%s), %s since %s', pid, usename, application_name, state, xact_start)
  FROM pg_stat_activity WHERE datname = current_database() AND application_name <> '{OURS}'
  AND backend_type = 'client backend' AND (backend_xid IS NOT NULL OR state LIKE 'idle in transaction%%')
UNION ALL SELECT format('a transaction prepared by %s as %L, since %s', owner, gid, prepared)
  FROM pg_prepared_xacts WHERE database = current_database()"""
_LOCK = "SELECT {}(hashtextextended(%s, 0))"


@dataclass(frozen=True, slots=True)
class Worker:
    """Who wants one: unlike any other of this run, other runs, users and machines.

    ``str`` of it has at most 36 bytes, for a name has 63 and more is put behind it.
    """

    user: int  # at most ten digits
    run: str
    name: str

    def __str__(self) -> str:
        return f"{self.user}_{_short(self.run)}_{_short(self.name)}"


_NOT_FOR_US = ("does not exist", "permission denied", "pg_hba.conf")


class SharedServer:
    """The server of ``server``'s URL, where ``isolation`` is auto, database, schema or shared."""

    def __init__(self, server: Server, isolation: str, worker: Worker) -> None:
        self._worker = worker
        with self._connect(server) as connection:
            version = connection.info.server_version
            if version // 10000 < OLDEST:
                raise PostgresError(f"--gotest-postgres: {version // 10000} is older than {OLDEST}")
            self._server = replace(server, server_version=(version // 10000, version % 10000))
            row = connection.execute(
                "SELECT rolsuper, rolcreatedb OR rolsuper, has_database_privilege(current_database(), 'CREATE')"
                " FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        self.is_mighty: bool
        self.is_mighty, can_database, can_schema = row or (False, False, False)
        self.isolation = isolation
        if isolation == "auto":
            self.isolation = "database" if can_database else "schema" if can_schema else "shared"
        missing = {"database": not can_database, "schema": not can_schema}
        if missing.get(self.isolation):
            raise PostgresError(
                f"--gotest-isolation={self.isolation}: the role {server.user} may not create a {self.isolation} at {self}",
                hint="give it the right, or choose another --gotest-isolation",
            )

    @property
    def reads_log(self) -> bool:
        """Whether the reset can: pg_walinspect, of 15 and newer, is a superuser's, and knows no schemas."""
        is_new = self._server.server_version >= (15,)
        return self.is_mighty and is_new and self.isolation != "schema"

    def __str__(self) -> str:
        version = ".".join(map(str, self._server.server_version))
        return f"{version} {self._server.provider} at {self._server.host}:{self._server.port}"

    def start(self, baseline: Baseline) -> _Ours:
        """Raises `PostgresError`."""
        import psycopg

        life = self._life()
        name = f"{_WORKER}{self._worker}"
        try:
            if self.isolation == "schema":
                return OwnSchema(self._server, life, self.is_mighty, baseline, name)
            ours: OwnDatabase | Whole
            if self.isolation == "database":
                ours = OwnDatabase(self._server, life, self.is_mighty, baseline, name)
            else:
                ours = Whole(self._server, life, self.is_mighty, baseline)
            if self.reads_log:
                ours.read_log()
            return ours
        except psycopg.Error as error:
            life.close()
            raise PostgresError(
                f"{self}: {_client.first_line(error)}", hint=_client.hint(error)
            ) from error
        except BaseException:
            life.close()
            raise

    def _life(self) -> psycopg.Connection[Any]:
        """The session that says that we live: to a database that everybody may use and nobody drops, if there is one."""
        if self.isolation == "database":
            try:
                return self._connect(replace(self._server, dbname=MAINTENANCE))
            except PostgresError as error:
                # Locks are a database's own: only where nobody of this role gets in, all take the other one.
                if not any(word in error.message for word in _NOT_FOR_US):
                    raise
        return self._connect(self._server)

    def _connect(self, server: Server) -> psycopg.Connection[Any]:
        import psycopg

        try:
            return _client.connect_undisturbed(server.dsn(application_name=OURS))
        except psycopg.Error as error:
            where = f"{server.host}:{server.port}, database {server.dbname}, user {server.user}"
            raise PostgresError(
                f"--gotest-postgres: no connection to {where}: {_client.first_line(error)}",
                hint=_client.hint(error)
                or "all of it has to be in the URL: ~/.pgpass and the PG* variables mean nothing to tests",
            ) from error


class _Ours:
    """What the three have in common. ``life`` lives as long as we do."""

    has_server = False
    schema: str | None = None

    def __init__(self, given: Server, life: psycopg.Connection[Any], is_mighty: bool) -> None:
        self._given = given
        self._life = life
        self._reader = ""
        self.is_mighty = is_mighty

    def __str__(self) -> str:
        return str(self._given)

    def server(self) -> Server:
        return self._given

    def maintenance(self) -> Server:
        return replace(self._given, dbname=self._reader or self._life.info.dbname)

    def read_log(self) -> None:
        """By a database of ours, which has what it takes: nothing is put into anybody else's."""
        self._lock(_LOG)
        try:
            _databases.create(self._life, _LOG)
            _databases.equip(self._given, _LOG)
            _databases.comment(self._life, _LOG, f"{_USED}{datetime.date.today()}")
        finally:
            self._life.execute(_LOCK.format("pg_advisory_unlock"), (_LOG,))
        self._reader = _LOG

    def is_up(self) -> bool:
        return True

    def log(self) -> str:
        return ""

    def renew(self, maintenance: psycopg.Connection[Any]) -> None:
        raise NotImplementedError

    def keep(self) -> None:
        raise NotImplementedError

    def recopy(self) -> None:
        raise PostgresError(
            f"the server at {self._given.host}:{self._given.port} is not ours alone, and cannot be made anew",
            hint="with --gotest-postgres=embedded or container each worker has its own",
        )

    def stop(self) -> None:
        import psycopg

        with contextlib.suppress(psycopg.Error):
            self._remove()
        self._life.close()

    def _remove(self) -> None:
        """What is on the server because of us."""

    def _lock(self, name: str) -> None:
        """Until we unlock or die; waits."""
        self._life.execute(_LOCK.format("pg_advisory_lock"), (name,))

    @contextlib.contextmanager
    def _if_nobodys(self, name: str) -> Iterator[bool]:
        """Whether nobody has the lock; we have it meanwhile."""
        [free] = self._life.execute(_LOCK.format("pg_try_advisory_lock"), (name,)).fetchone() or [0]
        try:
            yield bool(free)
        finally:
            if free:
                self._life.execute(_LOCK.format("pg_advisory_unlock"), (name,))


class OwnDatabase(_Ours):
    """A database of the worker's own, cloned from a template that is kept on the server for the next run."""

    def __init__(
        self,
        given: Server,
        life: psycopg.Connection[Any],
        is_mighty: bool,
        baseline: Baseline,
        name: str,
    ) -> None:
        super().__init__(replace(given, dbname=name), life, is_mighty)
        self._name = name
        self._sweep()
        self._lock(name)
        self._template = self._made(_template(baseline, given.user), baseline)
        _databases.renew(life, self._template, name)
        _databases.give(life, _databases.properties(life, self._template, name))

    def _made(self, template: str, baseline: Baseline) -> str:
        """Of all who want it at once one makes it, the others wait."""
        self._lock(template)
        try:
            if not _databases.is_template(self._life, template):
                _databases.drop(self._life, template)
                _databases.create(self._life, template)
                # Whoever fails before it is filled leaves it to a sweep.
                _databases.comment(self._life, template, _ONCE)
                baseline.apply(replace(self._given, dbname=template))
                _databases.end_sessions(self._life, template)
                _databases.close(self._life, template)
            kept = f"{_USED}{datetime.date.today()}" if baseline.lasts else _ONCE
            _databases.comment(self._life, template, kept)
            if not baseline.lasts:  # as long as one of this run lives
                self._life.execute(_LOCK.format("pg_advisory_lock_shared"), (template,))
        finally:
            self._life.execute(_LOCK.format("pg_advisory_unlock"), (template,))
        return template

    def _sweep(self) -> None:
        """Of those that died, and templates that nobody has used for long. Whoever is connected to one keeps it."""
        import psycopg

        found = self._life.execute(
            "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname LIKE %s AND pg_has_role(datdba, 'USAGE')",
            (_like(_OURS),),
        ).fetchall()
        oldest = datetime.date.today() - datetime.timedelta(seconds=OLD)
        for name, said in found:
            is_old = (said or "").startswith(_USED) and said.removeprefix(_USED) < str(oldest)
            if name.startswith(_WORKER) or is_old or said == _ONCE:
                with self._if_nobodys(_owner(name)) as is_free, contextlib.suppress(psycopg.Error):
                    if is_free:
                        _databases.drop(self._life, name, force=False)

    def renew(self, maintenance: psycopg.Connection[Any]) -> None:
        _databases.renew(maintenance, self._template, self._name)

    def keep(self) -> None:
        kept = f"{self._name}{_KEPT}"
        _databases.keep(self._life, self._name, kept)
        self._template = kept

    def _remove(self) -> None:
        _databases.drop(self._life, self._name)
        self._life.execute("SELECT pg_advisory_unlock_all()")
        self._sweep()  # of this run's template, if we are the last
        if self._template.endswith(_KEPT):
            _databases.drop(self._life, self._template)


class OwnSchema(_Ours):
    """A schema of the worker's own, which every connection finds by its search_path."""

    def __init__(
        self,
        given: Server,
        life: psycopg.Connection[Any],
        is_mighty: bool,
        baseline: Baseline,
        name: str,
    ) -> None:
        options = f"{given.parameters.get('options', '')} -c search_path={name},public".strip()
        super().__init__(
            replace(given, parameters={**given.parameters, "options": options}), life, is_mighty
        )
        self.schema = name
        self._baseline = baseline
        self._is_kept = False
        self._sweep()
        self._lock(name)
        self.renew(life)

    def _sweep(self) -> None:
        import psycopg

        found = self._life.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s AND pg_has_role(nspowner, 'USAGE')",
            (_like(_WORKER),),
        ).fetchall()
        for (name,) in found:
            with self._if_nobodys(name) as is_free, contextlib.suppress(psycopg.Error):
                if is_free:
                    _databases.drop_schema(self._life, name)

    def renew(self, maintenance: psycopg.Connection[Any]) -> None:
        """The migrations are run again: a schema cannot be cloned."""
        assert self.schema is not None
        if self._is_kept:
            raise PostgresError(
                "what gotest_baseline made in a schema cannot be made again after the schema was changed",
                hint="--gotest-isolation=database can",
            )
        _databases.drop_schema(maintenance, self.schema)
        _databases.create_schema(maintenance, self.schema)
        self._baseline.apply(self._given)

    def keep(self) -> None:
        self._is_kept = True

    def _remove(self) -> None:
        assert self.schema is not None
        _databases.drop_schema(self._life, self.schema)


class Whole(_Ours):
    """The database of the URL itself, which workers use one after the other."""

    def __init__(
        self,
        given: Server,
        life: psycopg.Connection[Any],
        is_mighty: bool,
        baseline: Baseline,
    ) -> None:
        super().__init__(given, life, is_mighty)
        self._lock(_TURN)
        try:
            self._migrate(baseline)
        finally:
            self._life.execute(_LOCK.format("pg_advisory_unlock"), (_TURN,))

    def _migrate(self, baseline: Baseline) -> None:
        """Once; a table of ours tells by which baseline."""
        if baseline.is_empty:
            return
        if not baseline.lasts:
            raise PostgresError(
                "--gotest-isolation=shared: nobody can tell whether the database is what gotest_migrate_command would make now",
                hint="name what the command reads by gotest_migrate_inputs",
            )
        there = self._life.execute("SELECT to_regclass(%s)", (_MARK,)).fetchone()
        known = there and there[0] and self._life.execute(f"SELECT key FROM {_MARK}").fetchone()
        if known == (baseline.key(),):
            return
        [tables] = self._life.execute(
            "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384 AND relpersistence <> 't'"
        ).fetchone() or [0]
        if tables:
            raise PostgresError(
                f"database {self._given.dbname} holds {tables} tables, which are not those of gotest_migrations as they are now",
                hint="empty it, or leave gotest_migrations out to take it as it is",
            )
        baseline.apply(self._given)
        self._life.execute(f"CREATE TABLE {_MARK} AS SELECT %s::text AS key", (baseline.key(),))

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """No other worker is in the database. Raises `PostgresError` where somebody else is, whom we have no right to end."""
        self._lock(_TURN)
        try:
            self._wait_for_strangers()
            yield
        finally:
            self._life.execute(_LOCK.format("pg_advisory_unlock"), (_TURN,))

    def _wait_for_strangers(self) -> None:
        """What is open when a turn begins is no test's; what is open when it ends is taken for one's."""
        until = time.monotonic() + _PATIENCE
        while found := self._life.execute(_STRANGERS).fetchall():
            if time.monotonic() > until:
                who = "\n".join(one for (one,) in found)
                raise PostgresError(
                    f"database {self._given.dbname} is used by others than tests:\n{who}",
                    hint="let them commit or roll back; with --gotest-isolation=database or schema tests are in nobody's way",
                )
            time.sleep(0.05)

    def renew(self, maintenance: psycopg.Connection[Any]) -> None:
        raise PostgresError(
            f"database {self._given.dbname} is not ours alone, and cannot be made anew",
            hint="--gotest-isolation=database or schema gives each worker its own",
        )

    def keep(self) -> None:
        """It is what it is."""


def _template(baseline: Baseline, user: str) -> str:
    """What is in it belongs to the role that made it, and others may not even read it."""
    whose = hashlib.blake2b(user.encode(), digest_size=4).hexdigest()
    return f"{_TEMPLATE}{baseline.key()}_{whose}"


def _owner(name: str) -> str:
    """Who has the lock: of a copy that was kept, and of a snapshot (`Database.snapshot`), its worker's database."""
    return re.sub(rf"({_KEPT}|_snapshot_\d+)+$", "", name)


def _short(word: str) -> str:
    """A name that people chose, or can choose, in at most 12 letters."""
    if re.fullmatch(r"\w{1,12}", word, re.ASCII):
        return word
    return hashlib.blake2b(word.encode(), digest_size=6).hexdigest()


def _like(prefix: str) -> str:
    return prefix.replace("_", r"\_") + "%"
