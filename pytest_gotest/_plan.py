"""What is to run, in which groups, and whether it may run ahead of pytest; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_gotest._source import Kind


@dataclass(frozen=True, slots=True)
class Test:
    """One Go test as it can be asked for.

    ``external``: declared by the external test package (pkg_test) while the package itself has a
    test of the same name. ``select`` is one subtest of it, as Go writes its name. ``timeout`` is
    in seconds.
    """

    package: str
    name: str
    kind: Kind = Kind.TEST
    external: bool = False
    select: str = ""
    timeout: float = 600.0

    __test__ = False


@dataclass(slots=True)
class Group:
    """Tests that run together, with variables of their own. Alone in its group a test has nobody beside it."""

    tests: tuple[Test, ...]
    env: Mapping[str, str | None] = field(default_factory=dict)
    times: int = 1
    again: bool = False  # TestMain runs the tests once more: only what differs is news
    watched: bool = False  # whether it waits for a test that is not in it


@dataclass(frozen=True, slots=True)
class Planned:
    """A collected test and what decides how it can run.

    ``acts``: which fixture or timer must act before or after it, if any. ``alone``: a process of its own.
    ``grouped``: it asks to run beside the others that do (``//pytest:parallel``). ``parallel``: it
    calls t.Parallel. ``joins``: it does, and can run in a group though it did not ask for that.
    ``doubtful``: its item may be skipped, so nothing may run ahead of it.
    """

    test: Test
    acts: str = ""
    alone: bool = False
    grouped: bool = False
    parallel: bool = False
    joins: bool = False
    doubtful: bool = False


@dataclass(slots=True)
class Plan:
    """How the tests of one package run, and why, for ``-v``."""

    free: bool
    why: str
    groups: list[tuple[Test, ...]] = field(default_factory=list)


def plan_package(tests: Sequence[Planned], isolate: str, *, ahead: bool) -> Plan:
    """``ahead``: the session allows tests to run before their items ask. Pure."""
    acting = next((planned for planned in tests if planned.acts), None)
    if isolate == "test":
        return Plan(False, "a process for each test, as asked for")
    if isolate == "gate":
        return Plan(False, "gated, as asked for")
    if isolate == "auto" and acting is not None:
        return Plan(False, f"gated: {acting.acts} acts around {acting.test.name}")
    if isolate == "auto" and not ahead:
        return Plan(False, "gated: this session runs nothing ahead")
    runnable = [p for p in tests if not p.alone and not p.doubtful and not p.test.select]
    names = [p.test.name for p in runnable]
    twice = len(set(names)) < len(names)
    if (isolate == "package" or any(p.parallel for p in runnable)) and not twice:
        together = tuple(p.test for p in runnable if p.test.kind is Kind.TEST)
        others = [(p.test,) for p in runnable if p.test.kind is not Kind.TEST]
        return Plan(
            True, "free: t.Parallel keeps its meaning", [*([together] if together else []), *others]
        )
    return Plan(True, "free: nothing acts between its tests", [(p.test,) for p in runnable])
