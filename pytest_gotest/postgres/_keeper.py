"""Keeps the database of this process at its baseline, and counts what that took."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres import _client, _secrets
from pytest_gotest.postgres._restores import Counts
from pytest_gotest.postgres._server import Server
from pytest_gotest.postgres.reset import _reset
from pytest_gotest.postgres.reset._recorded import Restored
from pytest_gotest.postgres.reset._reset import Reset
from pytest_gotest.postgres.servers._provider import Instance, last
from pytest_gotest.postgres.servers._shared import Whole

_RENEWED = {"clone": "a new database", "recopy": "a new server"}


class Keeper:
    """What ``instance`` holds now is the baseline; ``way`` is auto, truncate, transaction, template or none."""

    def __init__(self, instance: Instance, way: str) -> None:
        self.instance = instance
        self.way = way
        self.counts = Counts()
        self.note: Callable[[Restored, float], None] | None = None  # gets when it began, too
        self._lock = threading.RLock()  # the process of a package is started in a thread of its own
        # A rolled back transaction leaves sequences moved, and others connect without one.
        turn = instance.turn() if isinstance(instance, Whole) else contextlib.nullcontext()
        with turn, self._told():
            self._reset = _reset.of("auto" if way == "transaction" else way, instance)
        # Has the processes of all packages end but of this one.
        self.retire: Callable[[str], None] = lambda but: None
        self._last = ""
        self._starting = ""  # a package whose process has not come to its first gate yet
        self._package = ""  # whose state is the baseline now, beside the one that is everybody's
        self._above: Reset | None = None  # and the way back to that, if it is another one
        self._is_fresh = False  # whether none of its tests has begun
        self._users: set[str] = set()  # a test of Go has its package around it
        self._turn = contextlib.ExitStack()

    @property
    def server(self) -> Server:
        return self.instance.server()

    def begin(self, user: str, package: str = "") -> None:
        """At the baseline for ``user``, a test's node id; what is not yet as it was is the last one's.

        With ``package`` it is a Go test's, and what that one's TestMain wrote is part of the baseline. Waits for its turn
        where workers share the database. Raises `PostgresError`.
        """
        with self._lock, self._entering(user):
            is_fresh, self._is_fresh = self._is_fresh and self._package == package, False
            if is_fresh:  # since it was put back only TestMain has run
                return
            self._make_way(package)
            if self._restore(self._last).kind in _RENEWED and package:
                raise PostgresError(
                    f"the database had to be made anew after the process of {package} had begun, which has lost its connections",
                    hint="something that an earlier test has started still changes the schema: end it with its test",
                )

    def start(self, package: str) -> None:
        """A process of ``package`` is about to begin, with the baseline that is everybody's. Raises `PostgresError`."""
        with self._lock, self._entering(package):
            self._make_way(package)
            self._come_down()
            self._restore(self._last, but=package)
            self._starting = package

    def settle(self, package: str) -> None:
        """Its process stands at a gate: what has been written since it began is TestMain's, and stays until it ends.

        Raises `PostgresError`.
        """
        with self._lock:
            if self._starting == package:
                self._starting = ""
                with self._told():
                    self._above = self._reset.above()
                self._package, self._is_fresh = package, True

    def _make_way(self, package: str) -> None:
        """What another package's TestMain wrote goes, and so its process has to end."""
        if self._above is not None and self._package != package:
            self.retire(package)
            self._come_down()

    def _come_down(self) -> None:
        above, self._above, self._package = self._above, None, ""
        if above is not None:
            above.close()

    @contextlib.contextmanager
    def _entering(self, user: str) -> Iterator[None]:
        if not self._users and isinstance(self.instance, Whole):
            self._turn.enter_context(self.instance.turn())
        self._users.add(user)
        try:
            yield
        except BaseException:
            self._leave(user)
            raise
        self._last = user

    def end(self, user: str) -> Restored:
        """Back to the baseline; what it took is that of whoever began last. Raises `PostgresError`."""
        with self._lock:
            try:
                restored = self._restore(self._last)
            finally:
                self._leave(user)
            self.counts.tests += 1
            self.counts.touched += restored.wrote
            return restored

    def restore(self) -> None:
        """In the middle of whoever began last. Raises `PostgresError`."""
        with self._lock:
            self._restore(self._last)

    def leave(self, package: str) -> None:
        """Its processes have ended. Raises `PostgresError`."""
        with self._lock:
            if package in self._users:
                try:
                    if self._package == package:
                        self._come_down()
                    self._restore(package)
                finally:
                    self._leave(package)

    def _leave(self, user: str) -> None:
        self._users.discard(user)
        if not self._users:
            self._turn.close()

    def _restore(self, user: str, *, but: str = "") -> Restored:
        """``but`` is a package whose process has nothing to lose."""
        begun, since = time.perf_counter(), time.time()
        with self._told():
            way = self._above or self._reset
            restored = self._without_passwords(way.restore())
        if self.note is not None:
            self.note(restored, since)
        self.counts.has_written |= restored.wrote
        if restored.kind != "none":
            self.counts.seconds.setdefault(restored.kind, []).append(time.perf_counter() - begun)
        if restored.kind in _RENEWED and self.way != "template":
            self.counts.renewed.append(f"{user}: {_RENEWED[restored.kind]}, for {restored.why}")
        self.counts.left += (f"{user} {leak}" for leak in restored.leaks)
        if restored.kind in _RENEWED:
            # Processes have lost their connections, and what their TestMain wrote.
            self.retire(but)
            if self._above is not None:
                self._come_down()
                with self._told():
                    self._reset.restore()
        return restored

    def _without_passwords(self, restored: Restored) -> Restored:
        """A query that was left open may hold one."""
        if not (restored.leaks or restored.why):
            return restored
        why, *leaks = _secrets.masked([restored.why, *restored.leaks], {self.server.password})
        return replace(restored, why=why, leaks=tuple(leaks))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            said = last(self.instance.log())
            raise PostgresError(
                f"{self.instance}: {_client.first_line(error)}" + (f"\n{said}" if said else ""),
                hint=_client.hint(error),
            ) from error

    def close(self) -> None:
        with self._lock:
            self._turn.close()
            self._come_down()
            self._reset.close()
