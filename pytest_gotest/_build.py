"""Compile the tests of many packages once, into binaries that outlive the session; knows no pytest and runs no test."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pytest_gotest import __version__, _harness
from pytest_gotest._complaints import blame, complaints, plain_text
from pytest_gotest._errors import BuildError, GotestError
from pytest_gotest._flags import Flags, list_flags
from pytest_gotest._manifest import FIELDS, Made, Manifest, identity, module_files
from pytest_gotest._manifest import inputs as manifest_inputs
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import GoEnv, Package, Toolchain, objects

# What `go test` runs of vet (cmd/go/internal/test/test.go, defaultVetFlags) up to Go 1.23, whose vet cannot see an overlay.
_OLD_VET = ("atomic", "bool", "buildtags", "directive", "errorsas", "ifaceassert", "nilfunc", "printf", "stringintconv")  # fmt: skip
_VET_SEES_OVERLAY = (1, 24)

# Our file by the name it is built under, or by the one it is kept under; our package, for no other has that path;
# or what they link to is gone.
_HARNESS = re.compile(
    r"zz_gotest_harness|\bharness-[0-9a-f]{16}\.go|: its dependency go does not build"
    r"|\bmain\.(?:tests|fuzzTargets|examples)\b"
)

_TOOLS = ("asm", "cgo", "compile", "cover", "link", "vet")


@dataclass(frozen=True, slots=True)
class Binary:
    """A test binary; ``plain`` says why it takes no orders, and is empty where it does."""

    path: str
    plain: str = ""


@dataclass(slots=True)
class Built:
    """By import path: what came of a build. ``fresh`` counts the binaries that were written now."""

    binaries: dict[str, Binary] = field(default_factory=dict)
    errors: dict[str, GotestError] = field(default_factory=dict)
    fresh: int = 0
    seconds: float = 0.0


def rounds(selected: Iterable[Package], everyone: Iterable[Package]) -> dict[int, list[Package]]:
    """Groups in which no two packages share the name of their binary.

    A package's group depends on all packages of the module and not on what was selected, so that a
    binary has one place for good.
    """
    taken: dict[str, list[str]] = defaultdict(list)
    for package in everyone:
        taken[executable(package.import_path)].append(package.import_path)
    found: dict[int, list[Package]] = defaultdict(list)
    for package in selected:
        same = sorted(set(taken[executable(package.import_path)]) | {package.import_path})
        found[same.index(package.import_path)].append(package)
    return dict(sorted(found.items()))


def executable(import_path: str) -> str:
    """The file name that ``go test -c -o DIR/`` gives (cmd/go/internal/load/pkg.go, DefaultExecName)."""
    *above, last = import_path.split("/")
    if above and re.fullmatch(r"v(?:[2-9]|[1-9][0-9]+)", last):
        last = above[-1]
    return f"{last}.test"


Waiting = Callable[[str], contextlib.AbstractContextManager[None]]


def _unnoted(root: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


class Builder:
    """Builds with one toolchain and one set of flags.

    ``alive`` is told the seconds while go works; ``waiting``, a module's directory, is entered while
    another builder has the module.
    """

    def __init__(
        self,
        toolchain: Toolchain,
        settings: Settings,
        alive: Callable[[str, float], None] = lambda what, seconds: None,
        waiting: Waiting = _unnoted,
    ) -> None:
        self._toolchain = toolchain
        self._settings = settings
        self._alive = alive
        self._waiting = waiting

    def build(self, selected: Sequence[Package], everyone: Sequence[Package]) -> Built:
        """Build ``selected``; ``everyone`` is all packages with tests of the same modules."""
        began = time.monotonic()
        built = Built()
        by_root: dict[str, list[Package]] = defaultdict(list)
        for package in selected:
            if package.error:
                built.errors[package.import_path] = BuildError(
                    f"{package.import_path} cannot be loaded:\n{package.error}"
                )
            else:
                by_root[package.root].append(package)
        for root, packages in by_root.items():
            try:
                self._module(root, packages, [p for p in everyone if p.root == root], built)
            except GotestError as error:
                for package in packages:
                    built.errors.setdefault(package.import_path, error)
        built.seconds = time.monotonic() - began
        return built

    def _module(
        self, root: str, packages: list[Package], everyone: list[Package], built: Built
    ) -> None:
        env = self._toolchain.env(root)
        if self._settings.race and not env.cgo:
            raise BuildError(
                "--gotest-race needs cgo, and CGO_ENABLED is 0 here",
                hint="install a C compiler and set CGO_ENABLED=1, or leave --gotest-race out",
            )
        try:
            module = _Module(
                root, env, everyone, self._toolchain, self._settings, self._alive, self._waiting
            )
            module.build(packages, built)
        except OSError as error:
            raise BuildError(
                f"the cache directory {self._settings.cache_dir} cannot be used: {error}",
                hint="name one that can be written with --gotest-cache-dir, or make room there",
            ) from error


class _Module:
    """The test binaries of one module, built with the same flags, and the directory that holds them."""

    def __init__(
        self,
        root: str,
        env: GoEnv,
        everyone: list[Package],
        toolchain: Toolchain,
        settings: Settings,
        alive: Callable[[str, float], None],
        waiting: Waiting,
    ) -> None:
        self._root = root
        self._env = env
        self._everyone = everyone
        self._toolchain = toolchain
        self._settings = settings
        self._alive = alive
        self._waiting = waiting
        self._flags = Flags(settings, env.goflags)
        facts = (root, env, self._flags.build, str(self._flags.overlay), toolchain.steering)
        name = re.sub(r"[^\w.-]", "_", os.path.basename(root))[:40]
        digest = hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._place = settings.cache_dir / "bin" / f"{name}-{digest}"
        self._overlays = self._make_overlays(settings.cache_dir / "overlay")
        self._vet_apart = env.version < _VET_SEES_OVERLAY and not self._flags.has("vet")

    def build(self, packages: list[Package], built: Built) -> None:
        """Have all binaries of ``packages`` current, or their errors told. Raises OSError for the cache's sake."""
        overlay = self._overlays[0]()
        facts = self._facts(overlay)
        # Binaries that are current are taken without the lock: none is ever written in place.
        stale = self._take_current(packages, Manifest.read(self._manifest, facts), built)
        if not stale:
            return
        from filelock import FileLock  # a large import, and most sessions build nothing

        self._place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._place / ".lock")
        with contextlib.ExitStack() as held:
            with self._waiting(self._root):
                held.enter_context(lock)
            manifest = Manifest.read(self._manifest, facts)
            stale = self._take_current(
                stale, manifest, built
            )  # another session may just have built
            if stale:
                self._build(stale, overlay, manifest, built)

    def _take_current(
        self, packages: list[Package], manifest: Manifest, built: Built
    ) -> list[Package]:
        """Note the binaries that can be run as they are, and return the packages of the others."""
        stale = []
        for package, binary in self._binaries(packages):
            path = package.import_path
            if manifest.is_current(path, binary):
                built.binaries[path] = Binary(str(binary))
            else:
                stale.append(package)
        return stale

    def _build(
        self, packages: list[Package], overlay: Path, manifest: Manifest, built: Built
    ) -> None:
        """Let go bring these binaries up to date, and write down of what they were made."""
        for package, binary in self._binaries(packages):
            if manifest.is_doubtful(package.import_path, binary):
                binary.unlink(missing_ok=True)
        began = time.time_ns()
        fallen: set[str] = set()
        with self._listing(packages, overlay) as listed:
            for number, members in rounds(packages, self._everyone).items():
                fallen |= self._round(members, self._place / str(number), built)
            if self._vet_apart:
                self._old_vet(packages, built)
            modules = module_files([self._env.gowork, os.path.join(self._root, "go.mod")])
            inputs = manifest_inputs(listed(), modules)
        made = {
            path: Made(identity(binary), inputs[path])
            for package, binary in self._binaries(packages)
            if (path := package.import_path) in built.binaries and path in inputs
        }
        # What was built in another form than was listed may have been so for a passing trouble.
        manifest.record({path: one for path, one in made.items() if path not in fallen}, began)
        with contextlib.suppress(OSError):  # then go is asked again
            manifest.write(self._manifest)

    @property
    def _manifest(self) -> Path:
        return self._place / "manifest.json"

    def _binaries(self, packages: list[Package]) -> list[tuple[Package, Path]]:
        return [
            (package, self._place / str(number) / executable(package.import_path))
            for number, members in rounds(packages, self._everyone).items()
            for package in members
        ]

    def _facts(self, overlay: Path) -> str:
        """A digest of what the binaries of one directory have in common, beside their inputs."""
        env = self._env
        path = self._toolchain.environ.get("PATH")
        # Each word: it may be "ccache gcc".
        compilers = [shutil.which(word, path=path) for word in f"{env.cc} {env.cxx}".split()]
        programs = [*(os.path.join(env.tooldir, name) for name in _TOOLS), *compilers]
        seen = [identity(Path(program)) for program in programs if program]
        facts = (__version__, self._toolchain.fingerprint(self._root), seen, str(overlay))
        return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()

    @contextlib.contextmanager
    def _listing(
        self, packages: list[Package], overlay: Path
    ) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """Beside the build, ask go what the packages are made of. Nothing, where flags name what cannot be seen."""
        if not self._flags.are_plain:
            yield list
            return
        import tempfile  # brings much along, and most sessions build nothing

        arguments = ["list", "-e", "-deps", "-test", f"-json={FIELDS}", *list_flags(self._settings)]
        patterns = [package.pattern for package in packages]
        with tempfile.TemporaryFile() as said:
            process = self._start(
                [*arguments, f"-overlay={overlay}", *patterns], said, subprocess.DEVNULL
            )

            def listed() -> list[dict[str, Any]]:
                failed = process.wait()
                said.seek(0)
                return [] if failed else objects(said.read().decode("utf-8", "replace"))

            try:
                yield listed
            finally:
                process.kill()
                process.wait()

    def _round(self, packages: list[Package], place: Path, built: Built) -> set[str]:
        """Returns those that could not be built in the first form of the harness."""
        place.mkdir(exist_ok=True)
        fallen: set[str] = set()
        before = {package.import_path: _build_id(place, package) for package in packages}
        failed: dict[str, str] = {}
        plain: set[str] = set()
        again = packages
        for overlay in (*self._overlays, None):
            if overlay is None:
                plain = {package.import_path for package in again}
                flags = self._flags.own_overlay
            else:
                flags = [f"-overlay={overlay()}", *["-vet=off"] * self._vet_apart]
            code, said = self._go_test(again, place, flags)
            for package in again:
                failed.pop(package.import_path, None)
            if code:
                paths = {package.import_path for package in again}
                failed |= blame(code, said, paths, functools.partial(self._dependencies, again))
            # The harness does not fit this Go, or not so: the package's own tests may be sound all the same.
            again = [p for p in again if _HARNESS.search(failed.get(p.import_path, ""))]
            fallen |= {package.import_path for package in again}
            if not again:
                break
        for package in packages:
            path = package.import_path
            binary = place / executable(path)
            if path in failed:
                built.errors[path] = BuildError(failed[path])
                # go leaves the binary of an earlier build behind, which must never run in its place.
                with contextlib.suppress(OSError):
                    binary.unlink()
            elif not binary.exists():
                built.errors[path] = BuildError(
                    f"go test -c wrote no binary for {path}:\n{said.strip() or 'it said nothing'}"
                )
            else:
                built.binaries[path] = Binary(
                    str(binary), plain="the harness does not build here" if path in plain else ""
                )
                built.fresh += before[path] != _build_id(place, package)
        return fallen

    def _go_test(
        self, packages: list[Package], place: Path, flags: Sequence[str]
    ) -> tuple[int, str]:
        arguments = ["test", "-c", "-json", "-o", f"{place}{os.sep}", *self._flags.build, *flags]
        return self._run([*arguments, *(package.pattern for package in packages)], len(packages))

    def _run(self, arguments: Sequence[str], packages: int) -> tuple[int, str]:
        began = time.monotonic()
        process = self._start(arguments, subprocess.PIPE, subprocess.STDOUT)
        try:
            while True:
                try:
                    said, _ = process.communicate(timeout=1.0)
                    break
                except subprocess.TimeoutExpired:
                    self._alive(
                        f"building {packages} package{'s' if packages != 1 else ''}",
                        time.monotonic() - began,
                    )
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process.returncode, plain_text(said.decode("utf-8", "replace"))

    def _start(
        self, arguments: Sequence[str], stdout: int | IO[bytes], stderr: int
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._toolchain.go, *arguments],
            cwd=self._root,
            env=dict(self._toolchain.environ, PWD=self._root),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )

    def _dependencies(self, packages: list[Package]) -> dict[str, set[str]]:
        patterns = [package.pattern for package in packages]
        fields = "-json=ImportPath,ForTest,Deps"
        done = self._toolchain.run(
            ["list", "-e", "-test", fields, *list_flags(self._settings), *patterns], self._root
        )
        uses: dict[str, set[str]] = defaultdict(set)
        for data in objects(done.stdout):
            owner = data.get("ForTest") or data["ImportPath"].removesuffix(".test")
            uses[owner] |= {dep.partition(" ")[0] for dep in data.get("Deps") or ()}
        return uses

    def _old_vet(self, packages: list[Package], built: Built) -> None:
        sound = [package for package in packages if package.import_path in built.binaries]
        if not sound:
            return
        checks = [f"-{name}" for name in _OLD_VET]
        patterns = [package.pattern for package in sound]
        code, said = self._run(["vet", *checks, *list_flags(self._settings), *patterns], len(sound))
        if not code:
            return
        paths = {package.import_path for package in sound}
        for complaint in complaints(said)[0]:
            if complaint.package in paths:
                del built.binaries[complaint.package]
                paths.remove(complaint.package)
                built.errors[complaint.package] = BuildError(
                    f"vet refuses {complaint.package}:\n{complaint.text}"
                )

    def _make_overlays(self, place: Path) -> list[Callable[[], Path]]:
        """What writes an overlay, the cheapest to build first: go may refuse one for reasons of its own."""
        env, own = self._env, self._flags.overlay
        existing = _harness.read_overlay(Path(self._root, own)) if own else {}
        packages = {
            package.directory: package.name or "main"
            for package in self._everyone
            if package.test_files or package.xtest_files
        }
        goroot = os.path.realpath(env.goroot) + os.sep
        internal = {
            package.directory
            for package in self._everyone
            if not package.xtest_files and not package.name.endswith("_test")
            # What the harness imports cannot import it.
            if not os.path.realpath(package.directory).startswith(goroot)
        }
        shared = _harness.shared_place(env.goroot)
        names = [os.path.basename(path) for path in existing if os.path.dirname(path) == shared]
        with contextlib.suppress(OSError):
            names += os.listdir(shared or os.devnull)
        coverpkg = self._flags.has("coverpkg")
        share = _harness.may_share(shared, names, env.gomodcache, env.version, coverpkg=coverpkg)
        write = functools.partial(_harness.overlay, packages, place, existing, internal=internal)
        return [functools.partial(write, shared=form) for form in ([shared, ""] if share else [""])]


def test_environment(environ: Mapping[str, str], env: GoEnv, directory: str) -> dict[str, str]:
    """What cmd/go gives a test binary: its directory as PWD, and its own go first on PATH."""
    first = os.path.join(env.goroot, "bin")
    path = environ.get("PATH", "")
    return {
        **environ,
        "PWD": directory,
        "PATH": f"{first}{os.pathsep}{path}" if path else first,
    }


def _build_id(place: Path, package: Package) -> bytes | None:
    """What differs between two binaries: go's build id stands near their begin.

    Not the time: an up-to-date one is touched (cmd/go/internal/work/exec.go, BuildInstallFunc).
    """
    try:
        with open(place / executable(package.import_path), "rb") as file:
            return file.read(32 << 10)
    except OSError:
        return None
