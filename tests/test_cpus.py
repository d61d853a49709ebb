"""How many CPUs there are by the system's files, laid out here as the kernel lays them out, and who gets which."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_gotest import _cpus


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 64: what is found less is by the limits."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 64),
        # The tightest of a group and those above it.
        (
            {
                "proc/self/cgroup": "0::/job/step\n",
                "sys/fs/cgroup/job/step/cpu.max": "max 100000\n",
                "sys/fs/cgroup/job/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/cpu.max": "800000 100000\n",
            },
            3,
        ),
        # In a container whose own group is mounted as the root, the path is the host's.
        (
            {
                "proc/self/cgroup": "0::/docker/0123\n",
                "sys/fs/cgroup/cpu.max": "200000 100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/job\n0::/\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "500000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            5,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "600000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            6,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense"}, 64),
        ({"proc/self/cgroup": "nonsense\n"}, 64),
    ],
)
def test_available(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert _cpus.available(lay(tmp_path, files)) == expected


def test_fewer_by_affinity_than_by_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5}, raising=False)
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}
    assert _cpus.available(lay(tmp_path, files)) == 2


@pytest.mark.parametrize(
    ("cpus", "workers", "expected"),
    [
        (8, 1, [8]),
        (8, 2, [4, 4]),
        (8, 3, [3, 3, 2]),
        (2, 2, [1, 1]),
        (2, 4, [1, 1, 1, 1]),
        (1, 1, [1]),
    ],
)
def test_share(cpus: int, workers: int, expected: list[int]) -> None:
    assert [_cpus.share(cpus, workers, index) for index in range(workers)] == expected


def test_who_comes_for_a_lost_worker_has_its_seat() -> None:
    seats = _cpus.Seats()
    workers = [object() for _ in range(3)]
    assert [seats.take("here", worker) for worker in workers] == [0, 1, 2]
    assert seats.take("there", object()) == 0
    seats.leave(workers[1])
    seats.leave(object())
    assert seats.take("here", object()) == 1
    assert seats.take("here", object()) == 3


def test_a_real_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child in a control group of one CPU, of the kernel's first or second version."""
    monkeypatch.undo()
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU less than one CPU is none")
    name = f"gotest-{os.getpid()}"
    places = {
        Path("/sys/fs/cgroup/cpu") / name: ("cpu.cfs_quota_us", "100000"),
        Path("/sys/fs/cgroup") / name: ("cpu.max", "100000 100000"),
    }
    for place, (file, limit) in places.items():
        try:
            place.mkdir()
        except OSError:
            continue
        try:
            try:
                (place / file).write_text(limit)
            except OSError:
                continue
            code = "from pytest_gotest import _cpus; print(_cpus.available())"
            join = f'echo $$ > {place}/cgroup.procs && exec {sys.executable} -c "{code}"'
            done = subprocess.run(["sh", "-c", join], capture_output=True, text=True, check=True)
            assert done.stdout == "1\n"
            return
        finally:
            place.rmdir()
    pytest.skip("no control group can be made here: that takes root and a writable /sys/fs/cgroup")
