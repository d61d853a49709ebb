"""How many CPUs there are by the system's files, laid out here as the kernel lays them out, and who gets which."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_gotest import _cpus

REAL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
OWN = "PYTEST_XDIST_AUTO_NUM_WORKERS"


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


@pytest.fixture
def one_cpu() -> Iterator[Path]:
    """A control group of one CPU, of the kernel's first or second version."""
    if len(REAL) < 2:
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
            yield place
            return
        finally:
            place.rmdir()
    pytest.skip("no control group can be made here: that takes root and a writable /sys/fs/cgroup")


def run_in(
    group: Path, *command: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> str:
    """What the command prints, run by Python in this control group."""
    join = f"echo $$ > {group}/cgroup.procs && exec {sys.executable} {shlex.join(command)}"
    done = subprocess.run(["sh", "-c", join], stdout=subprocess.PIPE, text=True, cwd=cwd, env=env)
    return done.stdout


def test_a_real_limit(one_cpu: Path) -> None:
    code = "from pytest_gotest import _cpus; print(_cpus.available())"
    assert run_in(one_cpu, "-c", code) == "1\n"


# How many workers -n auto is


PYTHON_TESTS = "def test_one(): pass\ndef test_two(): pass\n"
AUTO = ("-m", "pytest", "-p", "xdist", "-p", "gotest", "-n", "auto", "-v", ".")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of Python tests, for a pytest with no plugin but those named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv(OWN, raising=False)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_x.py").write_text(PYTHON_TESTS)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "env", "expected"),
    [
        (["--gotest"], {}, 1),
        (["--gotest", "--numprocesses=logical"], {}, 1),
        (["--gotest"], {OWN: "3"}, 3),
        ([], {}, len(REAL)),  # no Go tests are asked for: xdist's own
    ],
)
def test_auto_is_no_more_workers_than_cpus_by_a_real_limit(
    one_cpu: Path, alone: Path, options: list[str], env: dict[str, str], expected: int
) -> None:
    said = run_in(one_cpu, *AUTO, *options, cwd=alone, env={**os.environ, **env})
    assert "2 passed" in said, said
    assert f"created: {expected}/{expected} worker" in said, said


def test_auto_is_what_a_conftest_says(
    alone: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (alone / "conftest.py").write_text("def pytest_xdist_auto_num_workers(config): return 3\n")
    monkeypatch.setattr(_cpus, "available", lambda: 1)
    monkeypatch.chdir(alone)
    config = pytester.parseconfig(str(alone), "-p", "xdist", "-p", "gotest", "--gotest", "-nauto")
    assert config.hook.pytest_xdist_auto_num_workers(config=config) == 3


@pytest.mark.parametrize("plugins", [("xdist", "gotest"), ("gotest", "xdist")])
def test_auto_is_bounded_in_whatever_order_plugins_are_loaded(
    alone: Path,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    plugins: tuple[str, str],
) -> None:
    monkeypatch.setattr(_cpus, "available", lambda: 1)
    monkeypatch.chdir(alone)
    named = [word for name in plugins for word in ("-p", name)]
    config = pytester.parseconfig(str(alone), *named, "--gotest", "-nauto")
    assert config.hook.pytest_xdist_auto_num_workers(config=config) == 1
