"""One child process: its output, its end, and that nothing it does makes us wait or leak."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_gotest._errors import ProcessError
from pytest_gotest._outcome import Exit, Output
from pytest_gotest._process import Child

Start = Callable[..., Child]

PATIENCE = 60.0  # seconds; only ever waited for when something is broken


@pytest.fixture
def children() -> Iterator[list[Child]]:
    """Closes what a test started, also when it fails."""
    started: list[Child] = []
    yield started
    for child in started:
        child.close()


@pytest.fixture
def start(children: list[Child], tmp_path: Path) -> Start:
    def start(*argv: str, **env: str) -> Child:
        child = Child(argv, cwd=str(tmp_path), env={**os.environ, **env})
        children.append(child)
        return child

    return start


def python(text: str) -> tuple[str, str, str]:
    return sys.executable, "-c", text


def until(child: Child, text: bytes) -> bytes:
    """Read until ``text`` was said."""
    said = b""
    while text not in said:
        assert child.wait(PATIENCE), f"it said nothing more than {said!r}"
        said += child.read()
    return said


def to_the_end(child: Child, output: Output | None = None) -> tuple[str, Exit]:
    output = output if output is not None else Output()
    while True:
        found = child.wait(PATIENCE)
        assert found, f"it neither ended nor said more than {str(output)[-200:]!r}"
        if "output" in found:
            output.append(child.read().decode("utf-8", "replace"))
        if "exit" in found:
            break
    for chunk in child.drain():
        output.append(chunk.decode("utf-8", "replace"))
    return str(output), child.exit()


def ends(pidfd: int) -> bool:
    """Whether that process ends; it may take a moment."""
    try:
        return bool(select.select([pidfd], [], [], PATIENCE)[0])
    finally:
        os.close(pidfd)


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


needs_pidfd = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="no other way to see the end of a process not our own"
)


# Output and end


def test_both_streams_come_as_one_in_the_order_they_were_written(start: Start) -> None:
    words = "".join(f"echo out{i}; echo err{i} >&2; " for i in range(50))
    said, exit = to_the_end(start("sh", "-c", words + "exit 3"))
    assert said.split() == [word for i in range(50) for word in (f"out{i}", f"err{i}")]
    assert exit == Exit(3)


def test_standard_input_is_closed(start: Start) -> None:
    said, exit = to_the_end(start(*python("print(repr(input()))")))
    assert "EOFError" in said
    assert exit.code == 1


def test_the_child_leads_a_session_and_gets_directory_and_environment(
    start: Start, tmp_path: Path
) -> None:
    text = "import os; print(os.getpid(), os.getsid(0), os.getcwd(), os.environ['SAID'])"
    child = start(*python(text), SAID="a b")
    said, _ = to_the_end(child)
    assert said == f"{child.pid} {child.pid} {tmp_path} a b\n"


def test_a_signal_is_told_by_its_name(start: Start) -> None:
    _, exit = to_the_end(start("sh", "-c", "kill -SEGV $$"))
    assert str(exit) == "signal SIGSEGV"


def test_an_end_before_the_first_wait_is_seen_with_its_output(start: Start) -> None:
    child = start("echo", "early")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert to_the_end(child) == ("early\n", Exit(0))


def test_200_megabytes_of_output_take_no_memory(start: Start) -> None:
    child = start("sh", "-c", "head -c 200000000 /dev/zero; echo; echo the end")
    tracemalloc.start()
    try:
        said, exit = to_the_end(child, Output())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert exit == Exit(0)
    assert said.endswith("the end\n")
    assert "characters cut" in said
    assert peak < 8 << 20


def test_without_pidfd_the_end_is_polled_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError("no such call")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    child = start("sh", "-c", "echo said; exit 7")
    output = b""
    while "exit" not in child.wait(PATIENCE):
        output += child.read()
    output += b"".join(child.drain())
    assert (output, child.exit()) == (b"said\n", Exit(7))


# Signals


STUBBORN = """
import os, signal, time

def say(number, frame):
    os.write(1, f"ignored {number}\\n".encode())  # print may be what the signal interrupts

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, say)
print("ready", flush=True)
while True:
    time.sleep(60)
"""


def test_a_child_that_ignores_every_signal_is_killed(start: Start) -> None:
    child = start(*python(STUBBORN))
    until(child, b"ready\n")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        child.signal(number)
        assert until(child, b"\n") == f"ignored {number.value}\n".encode()
    child.kill()
    assert to_the_end(child) == ("", Exit(-9))


def test_a_signal_to_the_group_reaches_grandchildren(start: Start) -> None:
    below = "(trap 'echo below; exit' TERM; echo ready; while :; do sleep 60 & wait; done) &"
    child = start("sh", "-c", f"trap 'echo me' TERM; {below} wait; wait")
    until(child, b"ready\n")
    child.signal(signal.SIGTERM, group=True)
    said, _ = to_the_end(child)
    assert sorted(said.split()) == ["below", "me"]


def test_signals_after_the_end_do_nothing(start: Start) -> None:
    child = start("true")
    assert to_the_end(child)[1] == Exit(0)
    child.signal(signal.SIGTERM)
    child.signal(signal.SIGTERM, group=True)
    child.kill()
    child.close()
    child.close()


# Grandchildren


@needs_pidfd
def test_a_grandchild_that_holds_the_output_is_not_waited_for_and_ends(start: Start) -> None:
    child = start("sh", "-c", "sleep 1000 & echo $!; exit 0")
    grandchild = os.pidfd_open(int(until(child, b"\n")))
    said, exit = to_the_end(child)
    assert (said, exit) == ("", Exit(0, io_incomplete=True))
    assert ends(grandchild)


@needs_pidfd
def test_a_grandchild_that_left_the_group_is_not_waited_for_either(start: Start) -> None:
    text = (
        "import subprocess;"
        "print(subprocess.Popen(['sleep', '1000'], start_new_session=True).pid, flush=True)"
    )
    child = start(*python(text))
    escaped = int(until(child, b"\n"))
    try:
        assert to_the_end(child)[1] == Exit(0, io_incomplete=True)
    finally:
        os.kill(escaped, signal.SIGKILL)


def test_a_grandchild_that_writes_without_end_is_not_listened_to_for_ever(start: Start) -> None:
    child = start("sh", "-c", "yes & exit 5")
    _, exit = to_the_end(child)
    assert exit == Exit(5, io_incomplete=True)


def test_what_a_grandchild_says_shortly_after_is_heard(start: Start) -> None:
    # It speaks once its parent is dead, which it sees by the end of a pipe.
    text = (
        "import os\n"
        "read, write = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.close(write); os.read(read, 1); os.write(1, b'after'); os._exit(0)\n"
        "os._exit(0)\n"
    )
    assert to_the_end(start(*python(text))) == ("after", Exit(0))


@needs_pidfd
def test_closing_ends_the_whole_group(start: Start) -> None:
    child = start("sh", "-c", "sleep 1000 & echo $!; wait")
    grandchild = os.pidfd_open(int(until(child, b"\n")))
    child.close()
    assert ends(grandchild)


# Waiting


def test_another_thread_can_end_the_wait(start: Start) -> None:
    child = start("sleep", "1000")
    thread = threading.Thread(target=child.wake)
    thread.start()
    assert child.wait(PATIENCE) == {"wake"}
    thread.join()
    assert child.wait(0) == set()  # one wake, one return
    child.close()
    child.wake()  # too late is no error


def test_a_watched_pipe_is_reported_until_it_is_unwatched(start: Start) -> None:
    child = start("sleep", "1000")
    read, write = os.pipe()
    try:
        child.watch(read, "gate")
        os.write(write, b"x")
        assert child.wait(PATIENCE) == {"gate"}
        child.unwatch(read)
        assert child.wait(0) == set()
    finally:
        os.close(read)
        os.close(write)


def test_a_wait_of_negative_length_returns_at_once(start: Start) -> None:
    assert start("sleep", "1000").wait(-5.0) == set()


# Starting


@pytest.mark.parametrize(
    ("argv", "env"),
    [(["/no/such/binary.test"], {}), (["true"], {"BROKEN": "a\0b"})],
    ids=["no-binary", "nul-in-environment"],
)
def test_what_cannot_start_says_what_and_where_and_leaks_nothing(
    argv: list[str], env: dict[str, str], tmp_path: Path
) -> None:
    before = open_files()
    with pytest.raises(ProcessError, match=f"cannot start {argv[0]} in {tmp_path}"):
        Child(argv, cwd=str(tmp_path), env=env)
    assert open_files() == before


def test_a_closed_child_leaves_no_descriptor(tmp_path: Path) -> None:
    before = open_files()
    for argv in (["true"], ["sleep", "1000"], ["sh", "-c", "sleep 1000 &"]):
        child = Child(argv, cwd=str(tmp_path), env=os.environ)
        child.wait(0.0)
        child.close()
    assert open_files() == before
