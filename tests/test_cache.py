"""The cache directory: nothing in use goes, the rest goes in the order of its last use, and locks die with their owners."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_gotest import _cache
from pytest_gotest._cache import RUNS, USED, Evicted, hold, sweep, trim
from pytest_gotest._files import keep

# Holds a directory, says so, and goes on until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from pytest_gotest._cache import hold
kept = hold(Path(sys.argv[1]), *sys.argv[2:])
print("held", flush=True)
time.sleep(600)
"""


class Holders:
    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, place: Path, *mark: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(place), *mark], stdout=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process


@pytest.fixture
def holders() -> Iterator[Holders]:
    found = Holders()
    yield found
    for process in found.processes:
        process.kill()
        process.communicate()


def fill(cache: Path, name: str, size: int, age: float) -> Path:
    """A directory of binaries that was last used ``age`` seconds ago."""
    place = cache / "bin" / name
    (place / "build-1" / "0").mkdir(parents=True)
    (place / "build-1" / "0" / "a.test").write_bytes(b"x" * size)
    (place / USED).touch()
    os.utime(place / USED, (time.time() - age, time.time() - age))
    return place


def test_the_longest_unused_goes_first_and_no_more_than_needed(tmp_path: Path) -> None:
    old, older, new = (fill(tmp_path, n, 1000, age) for n, age in (("o", 50), ("p", 90), ("n", 1)))
    assert trim(tmp_path, 3000) == Evicted(0, 0)
    assert trim(tmp_path, 2999) == Evicted(1, 1000)
    assert (old.exists(), older.exists(), new.exists()) == (True, False, True)
    assert trim(tmp_path, 0) == Evicted(2, 2000)
    assert list((tmp_path / "bin").iterdir()) == []


def test_what_is_small_counts_too(tmp_path: Path) -> None:
    place = fill(tmp_path, "m", 10, 5)
    (tmp_path / "overlay").mkdir()
    (tmp_path / "overlay" / "harness.go").write_bytes(b"x" * 90)
    assert trim(tmp_path, 100) == Evicted()
    assert trim(tmp_path, 99) == Evicted(1, 10)
    assert not place.exists()


def test_use_makes_young(tmp_path: Path) -> None:
    first, second = fill(tmp_path, "a", 10, 90), fill(tmp_path, "b", 10, 50)
    held = hold(first)
    assert held is not None
    held.release()
    assert trim(tmp_path, 10) == Evicted(1, 10)
    assert first.exists()
    assert not second.exists()


def test_nothing_in_use_goes_until_its_session_does_even_by_sigkill(
    tmp_path: Path, holders: Holders
) -> None:
    place = fill(tmp_path, "m", 10, 90)
    one, two = holders.start(place), holders.start(place)
    assert trim(tmp_path, 0) == Evicted()
    for holder in (one, two):
        assert place.exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        trimmed = trim(tmp_path, 0)
    assert trimmed == Evicted(1, 10)
    assert not place.exists()


def test_ones_own_is_not_evicted(tmp_path: Path) -> None:
    place = fill(tmp_path, "m", 10, 90)
    held = hold(place)
    assert trim(tmp_path, 0) == Evicted()
    assert held is not None
    del held  # who forgets to release it does not keep it for ever
    assert trim(tmp_path, 0) == Evicted(1, 10)


def test_who_comes_while_a_directory_is_evicted_finds_a_new_one(tmp_path: Path) -> None:
    """Between the evictor's lock and its renaming, the one who comes waits; then all is gone."""
    place = fill(tmp_path, "m", 10, 90)
    fd = os.open(place / USED, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    code = HOLDER.replace(
        'print("held"', "print(sorted(p.name for p in Path(sys.argv[1]).iterdir())"
    )
    comer = subprocess.Popen(
        [sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE, text=True
    )
    try:
        while f"-> FLOCK  ADVISORY  READ {comer.pid}" not in _locks():  # it waits
            assert comer.poll() is None
            time.sleep(0.01)
        place.rename(tmp_path / "bin" / ".evicted-x")
        os.close(fd)
        assert comer.stdout is not None
        assert comer.stdout.readline() == "['.used']\n"
        assert trim(tmp_path, 0) == Evicted()  # the new one is its
        assert place.exists()
        assert not (tmp_path / "bin" / ".evicted-x").exists()  # what a killed evictor left
    finally:
        comer.kill()
        comer.communicate()


def _locks() -> str:
    try:
        return Path("/proc/locks").read_text()
    except FileNotFoundError:
        pytest.skip("who waits for a lock only /proc/locks tells, and there is none here")


def test_who_comes_while_it_is_evicted_and_made_again_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the race below seldom meets: the directory goes before its mark is opened, and comes again at once."""
    place = tmp_path / "bin" / "m"
    opened = _cache._open
    turns = iter([True])

    def late(mark: Path) -> int:
        if not next(turns, False):
            return opened(mark)
        shutil.rmtree(place)
        try:
            return opened(mark)
        finally:
            place.mkdir()

    monkeypatch.setattr(_cache, "_open", late)
    held = hold(place)
    assert held is not None
    assert trim(tmp_path, 0) == Evicted()
    held.release()


def test_a_mark_that_leads_nowhere_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / USED).symlink_to(tmp_path / "gone" / "mark")
    assert hold(tmp_path / "m") is None


def test_many_come_and_many_evict_at_once(tmp_path: Path) -> None:
    """Whoever has a directory keeps it: real processes race."""
    code = """
import sys
from pathlib import Path
from pytest_gotest._cache import hold, trim
cache = Path(sys.argv[1])
place = cache / "bin" / "m"
for turn in range(150):
    held = hold(place)
    assert held is not None
    (place / f"{sys.argv[2]}").write_text("here")
    trim(cache, 0)
    assert (place / f"{sys.argv[2]}").read_text() == "here"
    held.release()
    trim(cache, 0)
"""
    racers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], stderr=subprocess.PIPE)
        for name in ("a", "b", "c")
    ]
    said = [racer.communicate()[1] for racer in racers]
    assert said == [b""] * 3


def test_old_small_files_go_and_used_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("collect", "env", "overlay"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.json").write_text("{}")
    trim(tmp_path, 1 << 40)
    assert len(list(tmp_path.rglob("*.json"))) == 3
    # A time of change cannot be set to what one likes, so it is the limit that is moved.
    monkeypatch.setattr(_cache, "OLD", -60.0)
    trim(tmp_path, 1 << 40)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_file_is_kept_by_its_use_once_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "harness.go"
    path.write_text("")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    before = path.stat()
    keep(path)
    assert path.stat().st_ctime_ns == before.st_ctime_ns
    monkeypatch.setattr("pytest_gotest._files.now", lambda: time.time() + 90_000)
    time.sleep(0.02)  # file systems have coarse clocks
    keep(path)
    after = path.stat()
    assert after.st_ctime_ns > before.st_ctime_ns
    assert after.st_mtime_ns == before.st_mtime_ns
    keep(tmp_path / "gone")


def builds(place: Path) -> list[str]:
    return sorted(p.relative_to(place).as_posix() for p in place.rglob("*.test"))


def test_of_builds_only_what_counts_stays(tmp_path: Path) -> None:
    for name in ("build-1/0/a.test", "build-1/1/a.test", "build-2/0/a.test", "build-2/0/b.test"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    sweep(tmp_path, {"build-2/0/b.test"})
    assert builds(tmp_path) == ["build-2/0/b.test"]
    assert not (tmp_path / "build-1").exists()


def test_while_somebody_runs_binaries_all_stay(tmp_path: Path, holders: Holders) -> None:
    (tmp_path / "build-1" / "0").mkdir(parents=True)
    (tmp_path / "build-1" / "0" / "a.test").touch()
    runner = holders.start(tmp_path, RUNS)
    sweep(tmp_path, set())
    assert builds(tmp_path) == ["build-1/0/a.test"]
    runner.kill()
    runner.wait()
    sweep(tmp_path, set())
    assert builds(tmp_path) == []


def test_a_cache_that_can_only_be_read_has_what_it_has(tmp_path: Path) -> None:
    """As one that is mounted so: nothing is made, nothing is refused."""
    place = tmp_path / "cache" / "bin" / "m"
    place.mkdir(parents=True)
    if os.getuid() == 0:
        mount = tmp_path / "cache"
        if os.system(f"mount -t tmpfs tmpfs {mount}") != 0:
            pytest.skip("root may write anywhere, and no file system can be mounted here")
        try:
            place.mkdir(parents=True)
            assert os.system(f"mount -o remount,ro {mount}") == 0
            assert hold(place) is None
            with pytest.raises(OSError, match="Read-only"):
                hold(place.parent / "n")
            assert os.system(f"mount -o remount,rw {mount}") == 0
            (place / USED).touch()
            assert os.system(f"mount -o remount,ro {mount}") == 0
            held = hold(place)
            assert held is not None
            held.release()
            assert trim(mount, 0) == Evicted()
        finally:
            assert os.system(f"umount {mount}") == 0
        return
    place.chmod(0o500)
    assert hold(place) is None


def test_without_locks_nothing_is_evicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file system without locks is at hand: the module is told that there are none, as on Windows."""
    place = fill(tmp_path, "m", 10, 90)
    (place / "build-2" / "0").mkdir(parents=True)
    monkeypatch.setattr(_cache, "fcntl", None)
    held = hold(place)
    assert held is not None
    held.release()
    assert trim(tmp_path, 0) == Evicted()
    sweep(place, set())
    assert (place / "build-2").exists()  # somebody may be writing it
    os.utime(place / "build-2", (0, 0))
    sweep(place, {"build-1/0/a.test"})
    assert not (place / "build-2").exists()
    assert builds(place) == ["build-1/0/a.test"]
