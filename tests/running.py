"""Runs pytest on a Go module as a user does, in a process of its own, and tells what it reported."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent


@dataclass
class Outcome:
    """All that one run said. ``items``: node id -> passed, failed, skipped, error, passed+error, xfailed, xpassed."""

    exitstatus: int
    output: str
    items: dict[str, str] = field(default_factory=dict)
    subtests: dict[str, dict[str, str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for what comes soon; long enough for a busy machine."""
    late = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < late, what
        time.sleep(0.01)


def need_c_compiler() -> None:
    """Skip what cannot be had on a machine without one; CI installs one, and there it is needed."""
    if shutil.which("cc") is None and "CI" not in os.environ:
        pytest.skip("needs a C compiler, and there is none on PATH")


def need_git() -> None:
    """The same for git."""
    if shutil.which("git") is None and "CI" not in os.environ:
        pytest.skip("needs git, and there is none on PATH")


def run_pytest(
    directory: Path,
    *args: str,
    record: Path,
    env: dict[str, str] | None = None,
    timeout: float = 240,  # to end what hangs, on a busy machine too
    plugins: Sequence[str] = (),
    stdin: bytes = b"",
    go: bool = True,
) -> Outcome:
    """``pytest --gotest ARGS`` in ``directory``, with no plugin but ours and those named; without ``go`` as ini says."""
    record.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "gotest", "-p", "recorder"]
    command += [word for name in plugins for word in ("-p", name)]
    command += [*(["--gotest"] if go else []), *args]
    environ = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    environ |= {**(env or {}), "GOTEST_RECORD": str(record)}
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(TESTS), environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command,
        cwd=directory,
        env=environ,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
    )
    outcome = Outcome(done.returncode, done.stdout.decode("utf-8", "replace"))
    for line in record.read_text(encoding="utf-8").splitlines() if record.exists() else ():
        _add(outcome, json.loads(line))
    return outcome


def start_pytest(
    directory: Path | None, *args: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """``pytest --gotest ARGS`` with xdist, in a group of processes of its own, to be interrupted.

    What it prints is buffered, as wherever output is not a terminal.
    """
    env = dict(os.environ if env is None else env)
    env.pop("PYTHONUNBUFFERED", None)
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "gotest", "-p", "xdist", "--gotest", *args],
        cwd=directory,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Where the tests run in the background of a shell, it is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _add(outcome: Outcome, report: dict[str, Any]) -> None:
    node, when, result = report["id"], report["when"], report["outcome"]
    outcome.reports.append(report)
    outcome.texts[node] = outcome.texts.get(node, "") + "\n".join(
        [report["text"], *report.get("sections", ())]
    )
    if report["subtest"] is not None:
        outcome.subtests.setdefault(node, {})[report["subtest"]] = result
        return
    if when == "collect":
        outcome.items[node] = "error"
    elif when == "call":
        if report["xfail"]:
            result = "xfailed" if result == "skipped" else "xpassed"
        outcome.items[node] = result
        outcome.durations[node] = report["duration"]
    elif result == "failed":
        before = outcome.items.get(node)
        outcome.items[node] = f"{before}+error" if before else "error"
    elif result == "skipped" and when == "setup":
        outcome.items[node] = "xfailed" if report["xfail"] else "skipped"


def gone(pid: int) -> bool:
    """No such process, or a dead one for which nobody has waited yet (an init may reap nobody)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"
