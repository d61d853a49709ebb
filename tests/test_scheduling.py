"""The scheduler for xdist, with workers that are simulated: no process is started here.

They behave as xdist's own (xdist/remote.py, xdist/dsession.py): one runs a test once it holds the next or was
told to shut down, and whoever crashes is replaced. What real ones do is in acceptance/test_scheduler.py.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import Any

import pytest

from pytest_gotest._scheduling import Told, UnitScheduling
from pytest_gotest._units import Costs


class Spec:
    def __init__(self, **given: Any) -> None:
        self.popen = not given
        self.via = self.ssh = self.vagrant_ssh = self.socket = None
        self.__dict__.update(given)


class Gateway:
    def __init__(self, name: str, spec: Spec) -> None:
        self.id = name
        self.spec = spec


class Node:
    """A worker: ``queue`` is what it was sent and has not run."""

    def __init__(self, name: str, spec: Spec | None = None) -> None:
        self.gateway = Gateway(name, spec or Spec())
        self.queue: deque[int] = deque()
        self.sent: list[list[int]] = []
        self.shutting_down = False
        self.broken = False

    def send_runtest_some(self, indices: list[int]) -> None:
        if self.broken:
            raise OSError("cannot send (already closed?)")
        assert not self.shutting_down
        assert indices
        self.sent.append(indices)
        self.queue.extend(indices)

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def may_run(self) -> bool:
        return len(self.queue) > 1 or (bool(self.queue) and self.shutting_down)


class Hooks:
    def __init__(self) -> None:
        self.reports: list[Any] = []

    def pytest_collectreport(self, report: Any) -> None:
        self.reports.append(report)


class Config:
    def __init__(self) -> None:
        self.hook = Hooks()


class Session:
    """xdist's controller: the events of workers, in any order that ``draw`` likes."""

    def __init__(
        self, ids: list[str], workers: int, *, seed: int = 0, crash: float = 0.0, **options: Any
    ) -> None:
        self.ids = ids
        self.draw = random.Random(seed)
        self.crash = crash
        self.said: list[str] = []
        self.config = Config()
        specs = options.pop("specs", [None] * workers)
        costs = options.pop("costs", Costs())
        self.scheduler = UnitScheduling(
            self.config,  # type: ignore[arg-type]
            costs,
            workers,
            say=self.said.append,
            **options,
        )
        self.nodes = [Node(f"gw{number}", spec) for number, spec in enumerate(specs)]
        self.made = workers
        self.ran: Counter[int] = Counter()
        self.crashed: list[str] = []
        self.shutting = False

    def start(self) -> None:
        for node in self.nodes:
            self.scheduler.add_node(node)
        for node in self.nodes:
            self._collected(node)

    def _collected(self, node: Node) -> None:
        self.scheduler.add_node_collection(node, self.ids)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()
        self._after()

    def _after(self) -> None:
        if self.scheduler.tests_finished:
            self.shutting = True
            for node in self.nodes:
                node.shutdown()

    def lose(self, node: Node) -> None:
        """It dies while it runs the first test that it holds."""
        self.nodes.remove(node)
        crashed = self.scheduler.remove_node(node)
        if crashed is not None:
            self.crashed.append(crashed)
            assert self.ids[node.queue[0]] == crashed
        self.shutting = False
        other = Node(f"gw{self.made}", node.gateway.spec)
        self.made += 1
        self.nodes.append(other)
        self.scheduler.add_node(other)
        self._collected(other)

    def step(self) -> bool:
        """One test is over somewhere. False when no worker can go on."""
        for node in [node for node in self.nodes if node.shutting_down and not node.queue]:
            if node in self.scheduler.nodes:
                assert self.scheduler.remove_node(node) is None
            self.nodes.remove(node)
        able = [node for node in self.nodes if node.may_run]
        if not able:
            return False
        node = self.draw.choice(able)
        if self.draw.random() < self.crash:
            self.lose(node)
        else:
            index = node.queue.popleft()
            self.ran[index] += 1
            self.scheduler.mark_test_complete(node, index, 0.0)
            self._after()
        return True

    def run(self) -> None:
        self.start()
        while self.step():
            pass


def ids_of(packages: int, tests: int) -> list[str]:
    return [
        f"p{number}/x_test.go::Test{test}" for number in range(packages) for test in range(tests)
    ]


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize(("packages", "tests"), [(1, 1), (1, 2), (1, 50), (7, 1), (5, 9), (40, 3)])
def test_every_test_runs_once(packages: int, tests: int, workers: int) -> None:
    session = Session(ids_of(packages, tests), workers)
    session.run()
    assert session.ran == Counter(range(packages * tests))
    assert not session.nodes  # each was told to end, and did
    assert not session.scheduler.has_pending


def test_nothing_collected() -> None:
    session = Session([], 2)
    session.run()
    assert session.scheduler.tests_finished
    assert not session.ran


def test_more_workers_than_tests() -> None:
    session = Session(ids_of(1, 3), 8)
    session.start()
    assert all(node.shutting_down for node in session.nodes if not node.queue)
    while session.step():
        pass
    assert session.ran == Counter(range(3))


def test_each_worker_gets_one_unit_before_any_gets_a_second() -> None:
    session = Session(ids_of(4, 1), 3)
    session.start()
    assert all(node.queue for node in session.nodes)


def test_no_test_is_handed_out_before_all_have_collected() -> None:
    session = Session(ids_of(3, 3), 2)
    first, second = session.nodes
    session.scheduler.add_node(first)
    session.scheduler.add_node(second)
    session.scheduler.add_node_collection(first, session.ids)
    assert not session.scheduler.collection_is_completed
    assert not session.scheduler.tests_finished
    assert not first.sent


def test_a_unit_is_sent_at_once() -> None:
    session = Session(ids_of(3, 5), 1)
    session.run()
    assert not session.nodes


def test_the_longest_goes_first() -> None:
    ids = ids_of(6, 2)
    costs = Costs({name: 9.0 if name.startswith("p4") else 0.5 for name in ids})
    session = Session(ids, 2, costs=costs)
    session.start()
    assert session.nodes[0].sent[0] == [8]
    assert session.nodes[1].sent[0] == [9]


def test_a_worker_that_holds_long_tests_is_not_given_more_early() -> None:
    ids = ids_of(8, 2)
    session = Session(ids, 2, costs=Costs(dict.fromkeys(ids, 1.0)))
    session.start()
    node = session.nodes[0]
    assert len(node.sent) == 1
    index = node.queue.popleft()
    session.scheduler.mark_test_complete(node, index)
    assert len(node.sent) == 2  # it is about to run the last it holds, and waits for a next one


def test_of_short_tests_it_holds_some_time_ahead() -> None:
    ids = ids_of(200, 2)
    session = Session(ids, 2, costs=Costs(dict.fromkeys(ids, 0.001)))
    session.start()
    held = len(session.nodes[0].queue)
    assert 2 < held < len(ids) / 4


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("seed", range(70))
def test_crashes_lose_nothing_but_the_test_that_crashed(seed: int, workers: int) -> None:
    draw = random.Random(seed)
    ids = ids_of(draw.randrange(1, 20), draw.randrange(1, 12))
    costs = Costs({name: draw.lognormvariate(-3, 2) for name in ids})
    session = Session(ids, workers, seed=seed, crash=0.15, costs=costs)
    session.run()
    assert not session.scheduler.has_pending
    done = Counter(ids[index] for index in session.ran.elements())
    assert done + Counter(session.crashed) == Counter(ids)


def test_who_crashes_twice_is_blamed_twice_and_the_rest_runs() -> None:
    session = Session(ids_of(1, 6), 1)
    session.start()
    for _ in range(2):
        session.lose(session.nodes[0])
    while session.step():
        pass
    assert session.crashed == session.ids[:2]
    assert session.ran == Counter(range(2, 6))


def test_what_a_lost_worker_held_is_told() -> None:
    session = Session(ids_of(1, 6), 1)
    session.start()
    session.lose(session.nodes[0])
    assert session.said == ["gotest: 5 tests without a verdict from gw0 wait for another worker"]


def test_a_lost_connection_to_another_host_blames_nobody_the_first_time() -> None:
    session = Session(ids_of(1, 3), 1, specs=[Spec(ssh="far")])
    session.start()
    session.lose(session.nodes[0])
    assert session.crashed == []
    assert "x_test.go::Test0 among them" in session.said[0]
    session.lose(session.nodes[0])
    assert session.crashed == session.ids[:1]
    while session.step():
        pass
    assert session.ran == Counter([1, 2])


@pytest.mark.parametrize("spec", [Spec(), Spec(ssh="far")])
@pytest.mark.parametrize(("told", "crashed"), [(Told.VERDICT, 1), (Told.ALL, 0)])
def test_who_is_lost_after_a_verdict_runs_nothing_twice(
    spec: Spec, told: Told, crashed: int
) -> None:
    ids = ids_of(1, 3)
    session = Session(
        ids,
        1,
        specs=[spec],
        told=lambda node, item: told if item == ids[0] else Told.NOTHING,
    )
    session.start()
    session.lose(session.nodes[0])
    assert session.crashed == ids[:crashed]  # it was lost in the tear-down, or after it
    assert "2 tests" in session.said[0]
    while session.step():
        pass
    assert session.ran == Counter([1, 2])


def test_where_no_worker_comes_after_it_the_lost_one_s_test_is_blamed() -> None:
    session = Session(ids_of(1, 3), 1, specs=[Spec(ssh="far")], restarts=0)
    session.start()
    assert session.scheduler.remove_node(session.nodes[0]) == session.ids[0]


def test_packages_are_not_cut_where_all_of_one_is_one_process() -> None:
    ids = ids_of(1, 50)
    costs = Costs(dict.fromkeys(ids, 1.0), {"p0": 0.01})
    cut, whole = (Session(ids, 2, costs=costs, cut=cut) for cut in (True, False))
    cut.start()
    whole.start()
    assert len(cut.nodes[0].sent[0]) == 25
    assert len(whole.nodes[0].sent[0]) == 50


@pytest.mark.parametrize("most", [-1, 0])
def test_a_senseless_maxschedchunk_is_one(most: int) -> None:
    session = Session(ids_of(2, 2), 2, most=most)
    session.run()
    assert session.ran == Counter(range(4))


def test_a_worker_that_cannot_be_reached_any_more_is_given_nothing() -> None:
    session = Session(ids_of(6, 2), 2, costs=Costs(dict.fromkeys(ids_of(6, 2), 1.0)))
    session.start()
    lost = session.nodes[1]
    lost.broken = True
    session.scheduler.mark_test_complete(lost, lost.queue.popleft())
    held = list(lost.queue)
    while any(node.may_run for node in session.nodes if node is not lost):
        node = session.nodes[0]
        session.ran[index := node.queue.popleft()] += 1
        session.scheduler.mark_test_complete(node, index)
    session.lose(lost)
    while session.step():
        pass
    assert session.crashed == [session.ids[held[0]]]
    assert sum(session.ran.values()) == 12 - 2


def test_a_plugin_can_have_the_crashed_test_run_again() -> None:
    session = Session(ids_of(2, 2), 1)
    session.start()
    node = session.nodes[0]
    session.nodes.remove(node)
    crashed = session.scheduler.remove_node(node)
    assert crashed is not None
    session.scheduler.mark_test_pending(crashed)
    other = Node("gw1")
    session.nodes.append(other)
    session.scheduler.add_node(other)
    session.scheduler.add_node_collection(other, session.ids)
    session.scheduler.schedule()
    while session.step():
        pass
    assert session.ran == Counter(range(4))


def test_workers_that_collect_other_tests_end_the_session() -> None:
    session = Session(ids_of(2, 2), 2)
    first, second = session.nodes
    for node in session.nodes:
        session.scheduler.add_node(node)
    session.scheduler.add_node_collection(first, session.ids)
    session.scheduler.add_node_collection(second, session.ids[:-1])
    session.scheduler.schedule()
    assert session.scheduler.tests_finished
    (report,) = session.config.hook.reports
    assert "gw1 collected other tests than gw0" in report.longrepr
    assert f"Only on gw0:\n  {session.ids[-1]}\n" in report.longrepr
    assert not first.sent


def test_a_replacement_that_collects_other_tests_is_sent_home() -> None:
    session = Session(ids_of(2, 2), 1)
    session.start()
    other = Node("gw9")
    session.scheduler.add_node(other)
    session.scheduler.add_node_collection(other, ["something.py::test"])
    session.scheduler.schedule()
    assert other.shutting_down
    assert not other.sent
    assert len(session.config.hook.reports) == 1


def test_maxschedchunk_bounds_what_is_sent_at_once() -> None:
    session = Session(ids_of(3, 7), 2, most=2)
    session.run()
    assert session.ran == Counter(range(21))
