"""How many CPUs this process may use, and which share of them each of several workers gets."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """CPUs by affinity and by the limits of the control groups that this process is in, at least one.

    A limit of 1.5 CPUs counts as two, as Go's runtime has it since 1.25. ``root`` is where
    ``/proc`` and ``/sys`` are.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [math.ceil(limit) for limit in _limits(root)]
    return max(1, min([cpus, *limits]))


def share(cpus: int, workers: int, index: int) -> int:
    """Of ``cpus`` those for the worker of this index: together they have each one once, but each has one."""
    return max(1, cpus // workers + (index % workers < cpus % workers))


class Seats:
    """Who has which share of each machine. Who comes for somebody lost gets the share that is free."""

    def __init__(self) -> None:
        self._taken: dict[str, list[object]] = {}

    def take(self, machine: str, worker: object) -> int:
        """The worker's index on its machine."""
        seats = self._taken.setdefault(machine, [])
        if None not in seats:
            seats.append(None)
        index = seats.index(None)
        seats[index] = worker
        return index

    def leave(self, worker: object) -> None:
        for seats in self._taken.values():
            seats[:] = [None if one is worker else one for one in seats]


def _limits(root: Path) -> Iterator[float]:
    """CPUs that each control group at or above this process's own allows (cgroups(7))."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in groups:
        _, _, named = line.partition(":")
        controllers, colon, path = named.partition(":")
        if not colon:
            continue
        if not controllers:
            yield from _read(root / "sys/fs/cgroup", path, _second_version)
        elif "cpu" in controllers.split(","):
            for mount in ("cpu", controllers):
                yield from _read(root / "sys/fs/cgroup" / mount, path, _first_version)


def _read(mount: Path, path: str, limit: Callable[[Path], float | None]) -> Iterator[float]:
    # In a container the path may be the host's, which is not to be seen: then only the mount's own counts.
    group = mount / path.lstrip("/")
    for place in (group, *group.parents):
        found = limit(place)
        if found is not None:
            yield found
        if place == mount:
            return


def _second_version(place: Path) -> float | None:
    return _ratio(place / "cpu.max")


def _first_version(place: Path) -> float | None:
    try:
        quota = (place / "cpu.cfs_quota_us").read_text()
        period = (place / "cpu.cfs_period_us").read_text()
    except OSError:
        return None
    return _divide(quota, period)


def _ratio(path: Path) -> float | None:
    try:
        quota, period = path.read_text().split()
    except (OSError, ValueError):
        return None
    return _divide(quota, period)


def _divide(quota: str, period: str) -> float | None:
    """Of microseconds; "max" and -1 mean no limit."""
    try:
        limit = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):
        return None
    return limit if limit > 0 else None
