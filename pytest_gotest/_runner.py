"""Which tests run in which process and when; hands out results in any order. Knows no pytest.

What pytest is to ask for next is announced in *batches*, one for each package: all of a session, or what
an xdist worker was handed. A batch is *gated* (each group starts when its item asks for it) where
something must act between two tests, and *free* where nothing does: then its process runs ahead of
pytest, beside other packages.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_gotest._lane import Lane
from pytest_gotest._launch import Launch
from pytest_gotest._outcome import ERROR, Result
from pytest_gotest._plan import Group, Plan, Planned, Test, plan_package

if TYPE_CHECKING:
    from pytest_gotest._recorder import Recorder

# What pytest itself changes around every test.
_PYTESTS_OWN = frozenset({"PYTEST_CURRENT_TEST"})


def _environment() -> dict[Any, Any]:
    """The variables as the system has them, undecoded: for a comparison before every gated test.

    os.environ decodes a variable each time it is read, which for 80 of them took 0.15 ms. Where
    somebody has put another mapping in its place, that one's names and values serve as well.
    """
    return dict(getattr(os.environ, "_data", os.environ))


def _decoded(variables: Mapping[Any, Any]) -> dict[str, str]:
    named = {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()}
    return {name: value for name, value in named.items() if name not in _PYTESTS_OWN}


@dataclass(slots=True, eq=False)
class _Batch:
    """Tests of one package that pytest asks for one after the other, and how they run.

    ``acts``: something acts around one of them, so none begins before the first is asked for.
    """

    package: str
    members: list[Planned]
    plan: Plan
    acts: bool
    runs_free: set[Test]
    lane: Lane | None = None  # of a free one that has begun


class Runner:
    """Runs what a session collected.

    ``launch(test, environ, plain)`` says how to start the processes for a test, ``plain`` being why
    they take no orders, if so; ``count`` is how often a test runs, one that is asked for alone but once if it has to be asked for
    ``anew`` each time; ``jobs`` is how many packages may run at once ahead of pytest;
    ``before`` is told of each process by its package, in another thread; ``bundle``: one process
    takes all tests of a free package, which is how `go test` is used; ``echo`` gets output as it comes; ``recorder`` what ran when.
    """

    def __init__(
        self,
        launch: Callable[[Test, Mapping[str, str], str], Launch],
        *,
        isolate: str = "auto",
        count: int = 1,
        anew: bool = False,
        jobs: int = 1,
        ahead: bool = True,
        bundle: bool = False,
        before: Callable[[str], None] | None = None,
        echo: Callable[[str], None] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._launch = launch
        self._before = before
        self._isolate = isolate
        self._count = count
        self._anew = anew
        self._jobs = jobs
        self._ahead = ahead
        self._bundle = bundle
        self._echo = echo
        self._recorder = recorder
        self.plans: dict[str, Plan] = {}
        self._planned: dict[Test, Planned] = {}
        self._batches: dict[Test, _Batch] = {}  # the last that was announced with it
        self._arrived = threading.Condition(threading.RLock())
        self._results: dict[Test, Result] = {}
        self._submitted: set[Test] = set()  # in a lane's hands, or through them
        self._asked: set[Test] = set()
        self._lane_of: dict[Test, Lane] = {}  # between prepare and the result
        self._queue: deque[_Batch] = deque()  # free ones that have not begun
        self._busy = 0  # free lanes that run
        self._gated: dict[tuple[str, tuple[tuple[str, str], ...]], Lane] = {}
        self._lanes: list[Lane] = []
        self._alive: dict[str, list[Lane]] = {}  # of each package those that may live, see _living
        self._environ: dict[Any, Any] = {}  # when the plan was made: what runs ahead gets it
        self._began: dict[Lane, tuple[Mapping[Any, Any], Mapping[str, str]]] = {}
        self._told: dict[Lane, int] = defaultdict(int)
        self._closed = False

    def plan(self, tests: Iterable[Planned]) -> None:
        """Once, with all tests that the session may ask for."""
        self._environ = _environment()
        self._planned = {planned.test: planned for planned in tests}

    def expect(self, tests: Iterable[Test]) -> None:
        """These are asked for next, in this order, and nobody else runs them. From any thread."""
        by_package: dict[str, list[Planned]] = defaultdict(list)
        for test in tests:
            if test in self._planned:
                by_package[test.package].append(self._planned[test])
        with self._arrived:
            for package, members in by_package.items():
                plan = plan_package(members, self._isolate, ahead=self._ahead)
                if plan.free and self._bundle and plan.groups:
                    plan.groups = [tuple(test for group in plan.groups for test in group)]
                acts = any(planned.acts for planned in members)
                free = {test for group in plan.groups for test in group} if plan.free else set()
                batch = _Batch(package, members, plan, acts, free)
                self.plans.setdefault(package, plan)
                self._batches.update((planned.test, batch) for planned in members)
                if free and not acts:
                    self._queue.append(batch)

    @property
    def processes(self) -> int:
        return sum(lane.processes for lane in self._lanes)

    @property
    def restarted(self) -> int:
        """Tests that ran again because another one ended their process."""
        return sum(lane.restarted for lane in self._lanes)

    def starts(self) -> dict[str, float]:
        """Seconds, by package, from the start of a process to its first gate: the longest of each."""
        found: dict[str, float] = {}
        for lane in self._lanes:
            if lane.start_seconds is not None:
                package = lane.launch.package
                found[package] = max(lane.start_seconds, found.get(package, 0.0))
        return found

    def prepare(self, test: Test, env: Mapping[str, str]) -> Result | None:
        """Start the process that will run ``test`` and wait until its TestMain lets tests run.

        Returns the result if it is known already that the test cannot run.
        """
        lane = self._lane_of[test] = self._lane_for(test, env)
        lane.stand()
        while not lane.standing.wait(1.0) and lane.is_alive():
            pass
        with self._arrived:
            known = self._results.get(test) or lane.fate
        return known if known is not None and known.verdict == ERROR else None

    def result_for(
        self,
        test: Test,
        env: Mapping[str, str],
        test_env: Mapping[str, str | None],
        alive: Callable[[float], None] = lambda seconds: None,
    ) -> Result:
        """Run ``test`` if it has not run ahead, and wait for its verdict.

        ``alive`` is called about every second while it is awaited, with the seconds so far. A
        test that is asked for a second time runs once more, alone in a fresh process.
        """
        lane = self._lane_of.pop(test, None) or self._lane_for(test, env)
        again = test in self._asked
        if again:
            with self._arrived:
                self._results.pop(test, None)
        if again or test not in self._submitted:
            group = self._group_for(test, lane, test_env)
            self._submitted.update(group.tests)
            lane.put(group)
            if self._is_own(test):
                lane.close()
        self._asked.add(test)
        try:
            return self._await(test, lane, alive)
        except BaseException:
            # Ctrl-C, or pytest-timeout: nobody waits for this test any more.
            lane.stop()
            raise

    def _await(self, test: Test, lane: Lane, alive: Callable[[float], None]) -> Result:
        waited = 0.0
        with self._arrived:
            while test not in self._results:
                if not lane.is_alive():
                    if lane.fate is not None:
                        return lane.fate
                    problem = "the test got no verdict: its process ended, and nobody said why"
                    return Result(ERROR, problem=problem, evidence="\n".join(lane.problems))
                if not self._arrived.wait(1.0):
                    waited += 1.0
                    alive(waited)
            return self._results.pop(test)

    def release(self, test: Test) -> None:
        """Its item is over. A process that was started for this test alone has nothing more to do."""
        lane = self._lane_of.pop(test, None)
        if lane is not None and self._is_own(test):
            lane.close()

    def forget(self, test: Test) -> None:
        """It is asked for again as if for the first time."""
        with self._arrived:
            self._asked.discard(test)
            self._submitted.discard(test)
            self._results.pop(test, None)

    def join(self, test: Test) -> list[Test]:
        """From now on those that wait for ``test``, or it for them, run beside it; tells which may.

        They are the parallel tests of its package that have not been asked for. If there are none nothing changes.
        """
        with self._arrived:
            beside = [*self._may_join(test)][::-1]
            members = self._batches[test].members if beside else []
            for at, planned in enumerate(members):
                if planned.test in (test, *beside):
                    members[at] = self._planned[planned.test] = replace(planned, grouped=True)
        return beside

    def _may_join(self, test: Test) -> Iterator[Test]:
        planned = self._planned.get(test)
        if planned is None or not planned.joins:
            return iter(())
        return self._beside(test, lambda other: other.joins)

    def _beside(self, test: Test, may: Callable[[Planned], bool]) -> Iterator[Test]:
        """The others of its batch that ``may`` run in a group with it, the last ones first: none of them has been asked for.

        So who wants one looks at one, as long as there are any.
        """
        batch = self._batches.get(test)
        for other in reversed(batch.members if batch is not None else ()):
            if other.test != test and may(other) and not self._is_own(other.test):
                yield other.test

    def is_grouped(self, test: Test) -> bool:
        """Whether it runs beside others, as it asked to or because it waits for them."""
        planned = self._planned.get(test)
        return planned is not None and planned.grouped

    def stands(self, test: Test) -> bool:
        """Whether the process that was prepared for ``test`` stands at a gate until the test is asked for."""
        lane = self._lane_of.get(test)
        return lane is not None and lane.launch.harness and not lane.prepared

    def retire(self, but: str) -> None:
        """Let the processes of all packages end but of this one; for their next tests others begin."""
        with self._arrived:
            packages = [*self._alive]
        for package in packages:
            if package != but:
                self._make_way(package)

    def finish(self, package: str) -> list[str]:
        """After the last test of a package: let its processes end, and tell what went wrong beside the tests."""
        problems: list[str] = []
        for lane in self._lanes:
            if lane.launch.package == package:
                lane.close()
                lane.join()
                problems += self._news(lane)
                self._began.pop(lane, None)
        return problems

    def unreported(self) -> list[str]:
        """Problems of packages whose last test never came."""
        return [
            f"{lane.launch.package}: {news}" for lane in self._lanes for news in self._news(lane)
        ]

    def _news(self, lane: Lane) -> list[str]:
        news = lane.problems[self._told[lane] :]
        self._told[lane] += len(news)
        return news

    def close(self) -> None:
        """End every process now."""
        with self._arrived:
            self._closed = True
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.join(10)

    # Lanes

    def _is_own(self, test: Test) -> bool:
        planned = self._planned.get(test)
        return (
            self._isolate == "test"
            or test in self._asked
            or bool(test.select)
            or planned is None
            or planned.alone
        )

    def _lane_for(self, test: Test, env: Mapping[str, str]) -> Lane:
        if self._is_own(test):
            self._make_way(test.package)
            return self._start(test, env)
        batch = self._batches.get(test)
        if batch is None or test not in batch.runs_free:
            return self._gated_lane(test, env)
        if batch.lane is None:
            self._make_way(test.package)
        with self._arrived:
            lane = batch.lane or self._begin_free(batch, env)
            self._fill()
        return lane

    def _make_way(self, package: str) -> None:
        """Let the package's processes end first: as with go test, never two of one package at once."""
        for lane in self._living(package):
            lane.close()
            lane.join()

    def _living(self, package: str) -> list[Lane]:
        with self._arrived:
            living = [lane for lane in self._alive.get(package, ()) if lane.is_alive()]
            self._alive[package] = living
            return living.copy()

    def _gated_lane(self, test: Test, env: Mapping[str, str]) -> Lane:
        key = (test.package, tuple(sorted(env.items())))
        lane = self._gated.get(key)
        if lane is None or not lane.may_get_more or not lane.is_alive():
            self._make_way(test.package)
            lane = self._gated[key] = self._start(test, env)
        return lane

    def _start(
        self,
        test: Test,
        env: Mapping[str, str],
        groups: Sequence[Group] = (),
        *,
        free: bool = False,
    ) -> Lane:
        around = self._environ if free and not env else _environment()
        environ = {**_decoded(around), **env}

        def launch(plain: str) -> Launch:
            made = self._launch(test, environ, plain)
            # Who waits for one verdict before asking for the next test cannot wait for the process's end.
            return made if free else replace(made, hold=False)

        lane = Lane(
            launch(""),
            self._deliver,
            echo=self._echo,
            plain=launch,
            ended=self._free_ended if free else None,
            prepared=bool(groups),
            before=self._before and functools.partial(self._before, test.package),
            recorder=self._recorder,
        )
        self._began[lane] = (around, env)
        for group in groups:
            lane.put(group)
        if groups:
            lane.close()
        lane.start()
        with self._arrived:
            self._lanes.append(lane)
            self._alive.setdefault(test.package, []).append(lane)
        return lane

    def _begin_free(self, batch: _Batch, env: Mapping[str, str]) -> Lane:
        with contextlib.suppress(ValueError):
            self._queue.remove(batch)
        groups = [Group(tests, times=self._count) for tests in batch.plan.groups]
        batch.lane = self._start(groups[0].tests[0], env, groups, free=True)
        self._busy += 1
        for group in groups:
            self._submitted.update(group.tests)
        return batch.lane

    def _fill(self) -> None:
        """Run as many packages ahead as there are jobs."""
        while self._ahead and not self._closed and self._busy < self._jobs:
            batch = next((one for one in self._queue if not self._living(one.package)), None)
            if batch is None:
                return
            self._begin_free(batch, {})

    def _free_ended(self) -> None:
        with self._arrived:
            self._busy -= 1
            # What cannot begin here begins, or says why, when its first item asks for it.
            with contextlib.suppress(Exception):
                self._fill()

    def _group_for(self, test: Test, lane: Lane, test_env: Mapping[str, str | None]) -> Group:
        """Variables that fixtures changed since the process began reach the test as well."""
        around, own = self._began[lane]
        changed = {os.fsdecode(name) for name, _ in around.items() ^ _environment().items()}
        env: dict[str, str | None] = {
            name: os.environ.get(name) for name in changed - own.keys() - _PYTESTS_OWN
        }
        env |= test_env
        tests: tuple[Test, ...] = (test,)
        if self.is_grouped(test) and not self._is_own(test):
            beside = [*self._beside(test, lambda other: other.grouped and not other.doubtful)]
            tests = tuple(dict.fromkeys((test, *beside[::-1])))
        alone = len(tests) == 1
        return Group(
            tests,
            env,
            1 if self._anew and alone else self._count,
            watched=alone and not self._is_own(test) and any(self._may_join(test)),
        )

    def _deliver(self, test: Test, result: Result) -> None:
        with self._arrived:
            self._results.setdefault(test, result)
            self._arrived.notify_all()
