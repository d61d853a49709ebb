"""How the tests of a session are cut into units of work, and how long that will take."""

from __future__ import annotations

import random

import pytest

from pytest_gotest._units import (
    Costs,
    Unit,
    estimate,
    home,
    longest_first,
    makespan,
    plan_units,
    regroup,
)

OVERHEAD = 0.001  # what pytest takes for each test, whatever it is


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("store/sql/query_test.go::TestGet", "store/sql"),
        ("store/sql/query_test.go::TestGet[a/b::c]", "store/sql"),
        ("main_test.go::TestMain2", "."),
        ("tests/test_api.py::TestApi::test_get[x]", "tests/test_api.py"),
        ("README.md::README.md", "README.md"),
    ],
)
def test_home(nodeid: str, expected: str) -> None:
    assert home(nodeid) == expected


def go(package: str, number: int) -> list[str]:
    return [f"{package}/x_test.go::Test{index}" for index in range(number)]


def covered(units: list[Unit]) -> list[int]:
    return sorted(index for unit in units for index in unit.indices)


def test_what_is_not_known_costs_what_its_neighbours_do() -> None:
    ids = [*go("a", 3), *go("b", 1)]
    costs = Costs({ids[0]: 2.0, ids[1]: 4.0, "elsewhere.py::test": 0.5})
    # The median of two is the larger one: rather too long than too short.
    assert estimate(ids, costs) == pytest.approx([2.001, 4.001, 4.001, 2.001])


def test_where_nothing_is_known_all_cost_the_same() -> None:
    assert len(set(estimate([*go("a", 3), "test_x.py::test"], Costs()))) == 1


def test_recorded_rubbish_is_no_negative_cost() -> None:
    assert estimate(["a/x_test.go::TestA"], Costs({"a/x_test.go::TestA": -5.0})) == [OVERHEAD]


def test_units_are_packages_longest_first() -> None:
    ids = [*go("a", 3), *go("b", 3), *go("c", 3)]
    costs = Costs({name: 1.0 if name.startswith("b") else 0.3 for name in ids})
    units = plan_units(ids, costs, 1)
    assert [unit.home for unit in units] == ["b", "a", "c"]
    assert units[0].indices == (3, 4, 5)
    assert units[0].seconds == pytest.approx(3 + 3 * OVERHEAD)


def test_one_large_package_is_cut_for_two_workers() -> None:
    ids = go("a", 100)
    units = plan_units(ids, Costs(dict.fromkeys(ids, 0.1), {"a": 0.05}), 2)
    assert len(units) >= 2
    assert covered(units) == list(range(100))
    assert all(list(unit.indices) == sorted(unit.indices) for unit in units)
    assert makespan([unit.cost for unit in units], 2) < 5.3


def test_a_package_whose_start_is_dear_stays_whole() -> None:
    ids = go("a", 100)
    units = plan_units(ids, Costs(dict.fromkeys(ids, 0.01), {"a": 5.0}), 8)
    assert [unit.indices for unit in units] == [tuple(range(100))]


def test_a_package_of_which_nothing_is_known_is_not_cut_for_little() -> None:
    assert len(plan_units([*go("a", 4), *go("b", 4)], Costs(), 2)) == 2
    assert len(plan_units(go("a", 1000), Costs(), 2)) == 2


def test_nothing_is_cut_where_that_gains_nothing() -> None:
    ids = [name for package in "abcdefgh" for name in go(package, 10)]
    units = plan_units(ids, Costs(dict.fromkeys(ids, 0.1), dict.fromkeys("abcdefgh", 0.01)), 4)
    assert len(units) == 8


def test_files_of_one_package_are_one_home_wherever_they_stand() -> None:
    ids = ["p/a_test.go::TestA", "q/b_test.go::TestB", "p/z_test.go::TestZ"]
    units = plan_units(ids, Costs(), 1)
    assert sorted(unit.indices for unit in units) == [(0, 2), (1,)]


def test_python_tests_sorted_by_a_wide_fixture_keep_that_order() -> None:
    ids = ["t.py::a[pg15]", "u.py::b[pg15]", "t.py::a[pg16]", "u.py::b[pg16]"]
    assert len(plan_units(ids, Costs(), 1)) == 4


def test_no_unit_is_longer_than_the_user_allows() -> None:
    units = plan_units(go("a", 10), Costs(), 1, most=3)
    assert sorted(len(unit.indices) for unit in units) == [1, 3, 3, 3]
    assert covered(units) == list(range(10))


def test_equal_units_stay_in_order() -> None:
    units = [Unit("b", (4,), 1.0), Unit("a", (1,), 1.0), Unit("c", (9,), 2.0)]
    assert [unit.home for unit in longest_first(units)] == ["c", "a", "b"]


def test_what_a_lost_worker_held_keeps_its_order() -> None:
    ids = [*go("a", 3), *(f"b.py::test_{index}" for index in range(2))]
    units = regroup(ids, [4, 1, 2], Costs(dict.fromkeys(ids, 1.0), {"a": 0.5}))
    assert [(unit.home, unit.indices) for unit in units] == [("b.py", (4,)), ("a", (1, 2))]
    assert units[1].cost == pytest.approx(2.5 + 2 * OVERHEAD)


@pytest.mark.parametrize("number", [0, 1])
def test_next_to_nothing(number: int) -> None:
    assert covered(plan_units(go("a", number), Costs(), 4)) == list(range(number))


@pytest.mark.parametrize("seed", range(30))
def test_every_test_is_in_one_unit(seed: int) -> None:
    draw = random.Random(seed)
    ids = [
        name
        for package in range(draw.randrange(1, 40))
        for name in go(f"p{package}", draw.randrange(1, 60))
    ]
    if draw.random() < 0.5:
        draw.shuffle(ids)
    tests = {name: draw.lognormvariate(-4, 2) for name in ids if draw.random() < 0.8}
    starts = {home(name): draw.expovariate(20) for name in ids if draw.random() < 0.8}
    workers = draw.choice([1, 2, 8, 32])
    units = plan_units(ids, Costs(tests, starts), workers)
    assert covered(units) == list(range(len(ids)))
    seconds = estimate(ids, Costs(tests, starts))
    for unit in units:
        assert {home(ids[index]) for index in unit.indices} == {unit.home}
        assert list(unit.indices) == sorted(unit.indices)
        assert unit.seconds == pytest.approx(sum(seconds[index] for index in unit.indices))
    costs = [unit.cost for unit in units]
    assert costs == sorted(costs, reverse=True)
