"""Compile the tests of many packages once, into binaries that outlive the session; knows no pytest and runs no test."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pytest_gotest import __version__, _cache, _harness, _tally, _turns
from pytest_gotest._complaints import blame, complaints, plain_text
from pytest_gotest._errors import BuildError, GotestError
from pytest_gotest._files import named_after
from pytest_gotest._flags import Flags, list_flags, split_goflags
from pytest_gotest._manifest import LISTING, Made, Manifest, identity, module_files
from pytest_gotest._manifest import inputs as manifest_inputs
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import GoEnv, Package, Toolchain, objects
from pytest_gotest._turns import Session

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
    """By import path: what came of a build.

    ``fresh`` counts the binaries that were written now, ``asked`` the packages that go was asked about.
    """

    binaries: dict[str, Binary] = field(default_factory=dict)
    errors: dict[str, GotestError] = field(default_factory=dict)
    fresh: int = 0
    asked: int = 0
    seconds: float = 0.0
    evicted: _cache.Evicted = field(default_factory=_cache.Evicted)


def rounds(selected: Iterable[Package], everyone: Iterable[Package]) -> dict[int, list[Package]]:
    """Groups in which no two packages share the name of their binary.

    A package's group depends on all packages of the module and not on what was selected.
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


def _unnoted(category: str, name: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


@dataclass(frozen=True, slots=True)
class Teller:
    """Who builds, and who is told meanwhile: what go works on, or for whom it waits to build what; and the seconds.

    ``noted`` is entered, with a category and a name, for as long as what the timeline shows takes.
    """

    session: Session = field(default_factory=Session)
    alive: Callable[[str, float], None] = lambda what, seconds: None
    waiting: Callable[[Session | None, str, float], None] = lambda whom, what, seconds: None
    noted: Callable[[str, str], contextlib.AbstractContextManager[None]] = _unnoted


class Builder:
    """Builds with one toolchain and one set of flags. Until `close`, what it built or found is not evicted."""

    def __init__(
        self, toolchain: Toolchain, settings: Settings, teller: Teller | None = None
    ) -> None:
        self._toolchain = toolchain
        self._settings = settings
        self._teller = teller or Teller()
        self._holds: list[_cache.Hold | None] = []

    def close(self) -> None:
        for hold in filter(None, self._holds):
            hold.release()

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
        if built.fresh and self._settings.cache_limit is not None:
            built.evicted = _cache.trim(self._settings.cache_dir, self._settings.cache_limit)
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
            module = _Module(root, env, everyone, self._toolchain, self._settings, self._teller)
            self._holds.append(_cache.hold(module.place))
            self._holds.append(module.build(packages, built))
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
        teller: Teller,
    ) -> None:
        self._root = root
        self._env = env
        self._everyone = everyone
        self._toolchain = toolchain
        self._settings = settings
        self._teller = teller
        self._flags = Flags(settings, env.goflags)
        facts = (root, env, self._flags.build, str(self._flags.overlay), toolchain.steering)
        self.place = settings.cache_dir / "bin" / named_after(root, repr(facts))
        self._overlays = self._make_overlays(settings.cache_dir / "overlay")
        self._vet_apart = env.version < _VET_SEES_OVERLAY and not self._flags.has("vet")

    def build(self, packages: list[Package], built: Built) -> _cache.Hold | None:
        """Have all binaries of ``packages`` current, or their errors told.

        Returns what keeps these binaries where they are. Raises OSError for the cache's sake.
        """
        overlay = self._overlays[0]()
        facts = self._facts(overlay)
        # Binaries that are current are taken without waiting: a build changes none.
        runs = _cache.hold(self.place, _cache.RUNS)
        if not self._take_current(packages, Manifest.read(self._manifest, facts), built):
            return runs
        if runs is not None:
            runs.release()
        session = self._teller.session
        noted = self._teller.noted("wait", f"another build of {os.path.basename(self._root)}")
        with _turns.turn(self.place, session, self._waiting, noted):
            manifest = Manifest.read(self._manifest, facts)
            # Another session may just have built them, or another worker of this one have failed to.
            stale = self._take_current(packages, manifest, built)
            stale = self._take_done(stale, _turns.read_done(self.place, session.run), built)
            if stale:
                built.asked += len(stale)
                self._build(stale, overlay, manifest, built)
                if session.worker:
                    _turns.write_done(self.place, session.run, self._done(stale, built))
            return _cache.hold(self.place, _cache.RUNS)

    def _waiting(self, whom: Session | None, seconds: float) -> None:
        self._teller.waiting(whom, f"the tests of {os.path.basename(self._root)}", seconds)

    def _take_current(
        self, packages: list[Package], manifest: Manifest, built: Built
    ) -> list[Package]:
        """Note the binaries that can be run as they are, and return the packages of the others."""
        stale = []
        for package in packages:
            path = package.import_path
            binary = self._binary(package, manifest)
            if manifest.is_current(path, binary):
                built.binaries[path] = Binary(str(binary))
            else:
                built.binaries.pop(path, None)
                stale.append(package)
        return stale

    def _take_done(
        self, packages: list[Package], done: dict[str, Any], built: Built
    ) -> list[Package]:
        """The same with what another worker of this run has built, or failed to and that is not to be tried again."""
        left = []
        for package in packages:
            path = package.import_path
            error, binary, known, plain = done.get(path) or ("", "", [], "")
            if error:
                built.errors[path] = BuildError(error[0], hint=error[1])
            elif binary and tuple(known) == identity(Path(binary)):
                built.binaries[path] = Binary(binary, plain)
            else:
                left.append(package)
        return left

    def _done(self, packages: list[Package], built: Built) -> dict[str, Any]:
        """What `_take_done` takes."""
        done: dict[str, Any] = {}
        for path in [package.import_path for package in packages]:
            if (error := built.errors.get(path)) is not None:
                done[path] = ([error.message, error.hint], "", [], "")
            elif (binary := built.binaries.get(path)) is not None:
                done[path] = ("", binary.path, identity(Path(binary.path)), binary.plain)
        return done

    def _build(
        self, packages: list[Package], overlay: Path, manifest: Manifest, built: Built
    ) -> None:
        """Let go bring these binaries up to date, and write down of what they were made."""
        began = time.time_ns()
        fallen: set[str] = set()
        # One of its own for what go writes: it copies where it cannot rename, as from a /tmp that is another file
        # system (cmd/go/internal/work/shell.go, moveOrCopyFile), and takes half a binary for up to date the next
        # time. And the go of a session that was killed may still be writing.
        stage = self.place / f"{_cache.BUILD}{os.urandom(8).hex()}"
        stage.mkdir()
        try:
            with self._listing(packages, overlay) as listed:
                for number, members in rounds(packages, self._everyone).items():
                    fallen |= self._round(members, stage / str(number), manifest, built)
                if self._vet_apart:
                    self._old_vet(packages, built)
                modules = module_files([self._env.gowork, os.path.join(self._root, "go.mod")])
                ldflags = split_goflags(self._env.cgo_ldflags)
                inputs = manifest_inputs(listed(), modules, ldflags)
            for path in [package.import_path for package in packages]:
                manifest.whole.pop(path, None)
                if path in built.binaries:
                    binary = Path(built.binaries[path].path)
                    at = binary.relative_to(self.place).as_posix()
                    manifest.whole[path] = (at, identity(binary))
            made = {
                path: Made(manifest.whole[path][1], inputs[path])
                for path in manifest.whole.keys() & inputs.keys() & built.binaries.keys()
                # What was built in another form than was listed may have been so for a passing trouble.
                if path not in fallen
            }
            manifest.record(made, began)
            with contextlib.suppress(OSError):  # then go is asked again
                manifest.write(self._manifest)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        _cache.sweep(self.place, {at for at, _ in manifest.whole.values()})

    @property
    def _manifest(self) -> Path:
        return self.place / "manifest.json"

    def _binary(self, package: Package, manifest: Manifest) -> Path:
        """Where its binary is, if there is one."""
        return self.place / manifest.whole.get(package.import_path, (".none", ()))[0]

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
        arguments = [*LISTING, *list_flags(self._settings)]
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

    def _round(
        self, packages: list[Package], stage: Path, manifest: Manifest, built: Built
    ) -> set[str]:
        """Returns those that could not be built in the first form of the harness."""
        stage.mkdir()
        known: dict[str, Path] = {}
        for package in packages:
            path, binary = package.import_path, self._binary(package, manifest)
            if manifest.may_be_found(path, binary) and not self._flags.link_unseen:
                with contextlib.suppress(OSError):  # a file system without: then it is built anew
                    os.link(binary, stage / executable(path))
                    known[path] = binary
        fallen: set[str] = set()
        failed: dict[str, str] = {}
        plain: set[str] = set()
        again = packages
        for overlay in (*self._overlays, None):
            if overlay is None:
                plain = {package.import_path for package in again}
                flags = self._flags.own_overlay
            else:
                flags = [f"-overlay={overlay()}", *["-vet=off"] * self._vet_apart]
            code, said = self._go_test(again, stage, flags)
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
            binary = stage / executable(path)
            if path in failed or not binary.exists():
                built.errors[path] = BuildError(
                    failed.get(path)
                    or f"go test -c wrote no binary for {path}:\n{said.strip() or 'it said nothing'}"
                )
                continue
            if path in known and binary.samefile(known[path]):
                binary.unlink()
                binary = known[path]
            else:
                built.fresh += 1
            built.binaries[path] = Binary(
                str(binary), plain="the harness does not build here" if path in plain else ""
            )
        return fallen

    def _go_test(
        self, packages: list[Package], stage: Path, flags: Sequence[str]
    ) -> tuple[int, str]:
        arguments = ["test", "-c", "-json", "-o", f"{stage}{os.sep}", *self._flags.build, *flags]
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
                    self._teller.alive(
                        f"building {_tally.packages(packages)}",
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
