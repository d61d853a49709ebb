"""The processes of one package, one after the other, until each of its tests has a verdict.

A lane is a thread. Groups of tests are put into it, results come out. With the harness one process
takes group after group; without, each group is a process of its own. Whoever dies, the tests that
had not begun run in a fresh process. Knows no pytest.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gotest._launch import Launch
from pytest_gotest._listed import ListedRun
from pytest_gotest._outcome import ERROR, Result
from pytest_gotest._plan import Group, Test
from pytest_gotest._run import Run
from pytest_gotest._steered import HarnessRefused, SteeredRun

if TYPE_CHECKING:
    from pytest_gotest._recorder import ProcessRecord, Recorder

_FRUITLESS = 3  # processes in a row that may end without a verdict


class Lane(threading.Thread):
    """Runs groups for one package and hands each result to ``deliver``.

    ``before`` is called before each of its processes, ``echo`` gets output as it comes, ``recorder``
    when which process and test ran. A closed lane ends when its groups are done.
    """

    def __init__(
        self,
        launch: Launch,
        deliver: Callable[[Test, Result], None],
        *,
        echo: Callable[[str], None] | None = None,
        plain: Callable[[str], Launch] | None = None,
        ended: Callable[[], None] | None = None,
        prepared: bool = False,
        before: Callable[[], None] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__(name=f"gotest {launch.package}", daemon=True)
        self.launch = launch
        self.processes = 0
        self.problems: list[str] = []  # of the package, beside what its tests say
        self.restarted = 0  # tests that ran again because a neighbour ended their process
        self.start_seconds: float | None = None  # of its first process, to the first gate
        self._began = 0.0
        self.standing = threading.Event()  # set at the first gate, and whenever waiting is in vain
        self.prepared = prepared  # its groups are known: they run as soon as a gate is reached
        if not launch.harness and not prepared:
            self.standing.set()  # its first process waits for its first group
        self._deliver = deliver
        self._echo = echo
        self._plain = plain
        self._ended = ended
        self._before = before
        self._recorder = recorder
        self._seen: ProcessRecord | None = None
        self._changed = threading.Condition()
        self._waiting: deque[Group] = deque()
        self._known: set[str] = set()
        self._open = True
        self._fallen = False  # its process has ended, and no other has begun
        self._ahead = False  # the next one is to begin though nothing waits for it
        self._stopped = False
        self._process: Run | None = None
        self._fate: Result | None = None

    # From other threads

    def put(self, group: Group) -> None:
        with self._changed:
            fate = self._fate
            if fate is None:
                self._known |= {test.name for test in group.tests}
                self._waiting.append(group)
                self._notify()
        if fate is not None:
            for test in group.tests:
                self._deliver(test, fate)

    def stand(self) -> None:
        """See to it that a process stands at a gate, or comes to stand there: `standing` tells."""
        with self._changed:
            if self._fallen and self._open and self.launch.harness and self._fate is None:
                self._fallen, self._ahead = False, True
                self.standing.clear()
                self._changed.notify_all()

    def close(self) -> None:
        """No more groups will come."""
        with self._changed:
            self._open = False
            self._notify()

    def stop(self) -> None:
        """End the process now; tests without a verdict stay without."""
        with self._changed:
            self._stopped, self._open = True, False
            self._waiting.clear()
            self._notify()

    def _notify(self) -> None:
        self._changed.notify_all()
        if self._process is not None:
            self._process.wake()

    # In its own thread

    def run(self) -> None:
        fruitless = 0
        process: Run | None = None
        try:
            while self._wanted():
                if self._before is not None:
                    self._before()
                self._began = time.monotonic()
                if self._recorder is not None:
                    self._seen = self._recorder.process(self.launch.package)
                process = SteeredRun(self) if self.launch.harness else ListedRun(self)
                self.processes += 1
                try:
                    with self._changed:
                        self._process = process
                    if self._seen is not None:
                        self._seen.pid = process.child.pid
                    process.run()
                except HarnessRefused as refused:
                    self._fall_back(str(refused), process.unfinished())
                    continue
                finally:
                    with self._changed:
                        # Nobody may wake what is closed: its descriptors get new owners.
                        self._process = None
                        if not self._ahead:
                            self.standing.set()
                    process.close()
                    if self._seen is not None:
                        self._seen.ended(process.exit)
                fruitless = 0 if process.delivered else fruitless + 1
                if fruitless >= _FRUITLESS:
                    raise RuntimeError(
                        f"{fruitless} processes of the package ended without a verdict"
                    )
        except Exception as error:
            # A defect or a full disk must not leave an item waiting for ever.
            with self._changed:
                left = list(self._waiting)
                self._waiting.clear()
                fate = self._fate = Result(ERROR, problem=f"{error}")
            for group in [*(process.unfinished() if process else ()), *left]:
                for test in group.tests:
                    self._deliver(test, fate)
        finally:
            self.standing.set()
            if self._ended is not None:
                self._ended()

    @property
    def fate(self) -> Result | None:
        """What every test of the package gets, when no process reaches its tests."""
        return self._fate

    def _wanted(self) -> bool:
        """Whether another process is needed; waits while nobody knows."""
        with self._changed:
            if not self.processes and self.launch.harness and self._open:
                return True  # TestMain's set-up comes before the first order
            while not self._waiting and self._open and not self._ahead:
                self._changed.wait()
            ahead, self._ahead = self._ahead and self._open, False
            self._fallen = False
            return (bool(self._waiting) or ahead) and not self._stopped

    def _fall_back(self, why: str, unfinished: Iterable[Group]) -> None:
        if self._plain is None:
            raise RuntimeError(why)
        self.launch = self._plain(why)
        with self._changed:
            groups = [*unfinished, *self._waiting]
            self._waiting = deque(
                replace(group, tests=(test,)) for group in groups for test in group.tests
            )
        self.standing.set()

    def condemn(self, fate: Result) -> None:
        """No process of this package gets to its tests: all that comes has the same result."""
        with self._changed:
            self._fate = fate

    def take(self, fits: Callable[[Group], bool]) -> Group | None:
        with self._changed:
            for group in self._waiting:
                if fits(group):
                    self._waiting.remove(group)
                    return group
        return None

    def next(self, fits: Callable[[Group], bool]) -> tuple[Group | None, bool]:
        """A group that fits, and else whether one may still come; in one step, for `put` comes from elsewhere."""
        with self._changed:
            return self.take(fits), self._open and not self._waiting

    def put_back(self, groups: Iterable[Group]) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(list(groups)))

    @property
    def may_get_more(self) -> bool:
        return self._open

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def known(self) -> set[str]:
        return self._known

    def deliver(self, test: Test, result: Result) -> None:
        if self._seen is not None:
            self._seen.test(test, result)
        self._deliver(test, result)

    def falls(self) -> None:
        """The process has ended; what it has not delivered yet is about to come."""
        with self._changed:
            self._fallen = True

    def stands(self) -> None:
        """The process stands at a gate."""
        if self.start_seconds is None:
            self.start_seconds = time.monotonic() - self._began
        self.standing.set()
        if self._seen is not None:
            self._seen.stands()

    def echo(self, text: str) -> None:
        if self._echo is not None:
            self._echo(text)
