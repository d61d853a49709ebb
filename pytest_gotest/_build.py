"""Compile the tests of many packages once, into binaries that outlive the session; knows no pytest and runs no test."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
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

from filelock import FileLock

from pytest_gotest import __version__, _harness
from pytest_gotest._errors import BuildError, GotestError
from pytest_gotest._manifest import FIELDS, Made, Manifest, identity
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

_PLAIN_FLAGS = frozenset((
    "asmflags", "buildvcs=auto", "buildvcs=false", "cover", "covermode", "gcflags", "ldflags", "mod", "modcacherw",
    "msan", "p", "race", "tags", "trimpath", "v", "vet", "x",
))  # fmt: skip

_TOOLS = ("asm", "cgo", "compile", "link", "vet")

_HEADING = re.compile(r"# (\[)?([^\s\]]+)(?: \[([^\]]+)\])?\]?$")


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


@dataclass(frozen=True, slots=True)
class Complaint:
    """What go said below one ``# import/path`` heading. ``text`` starts after the headings."""

    package: str
    text: str
    vet: bool


def complaints(said: str) -> tuple[list[Complaint], str]:
    """Split go's output by its headings; the rest, that stands under none, comes second.

    A second heading in brackets marks vet (cmd/go/internal/work/exec.go). Lines such as
    ``FAIL pkg [setup failed]`` repeat what a heading said.
    """
    found: list[tuple[str, bool, list[str]]] = []
    rest: list[str] = []
    for line in said.splitlines():
        if heading := _HEADING.match(line):
            bracketed, name, _ = heading.groups()
            if bracketed and found and not found[-1][2]:
                found[-1] = (found[-1][0], True, found[-1][2])
            else:
                found.append((name, False, []))
        elif line.startswith("FAIL\t") and line.endswith(" failed]"):
            continue
        elif found:
            found[-1][2].append(line)
        else:
            rest.append(line)
    merged: dict[tuple[str, bool], list[str]] = {}
    for name, vet, lines in found:
        merged.setdefault((name.removesuffix(".test"), vet), []).extend(lines)
    return (
        [
            Complaint(name, "\n".join(lines).strip("\n"), vet)
            for (name, vet), lines in merged.items()
        ],
        "\n".join(rest).strip(),
    )


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


class Builder:
    """Builds with one toolchain and one set of flags. ``alive`` is told the seconds while go works."""

    def __init__(
        self,
        toolchain: Toolchain,
        settings: Settings,
        alive: Callable[[str, float], None] = lambda what, seconds: None,
    ) -> None:
        self._toolchain = toolchain
        self._settings = settings
        self._alive = alive

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
        place = self._settings.cache_dir / "bin" / self._key(root, env)
        try:
            place.mkdir(parents=True, exist_ok=True)
            overlays = self._overlays(root, env, everyone, place.parent.parent / "overlay")
            lock = FileLock(place / ".lock")
            with lock:
                self._bring_up(root, env, packages, everyone, place, overlays, built)
        except OSError as error:
            raise BuildError(
                f"the cache directory {self._settings.cache_dir} cannot be used: {error}",
                hint="name one that can be written with --gotest-cache-dir, or make room there",
            ) from error

    def _bring_up(
        self,
        root: str,
        env: GoEnv,
        packages: list[Package],
        everyone: list[Package],
        place: Path,
        overlays: Sequence[Callable[[], Path]],
        built: Built,
    ) -> None:
        """Let go build what its manifest does not show to be current, and note of what that was made."""
        numbered = {
            package.import_path: (package, place / str(number) / executable(package.import_path))
            for number, members in rounds(packages, everyone).items()
            for package in members
        }
        overlay = overlays[0]()
        manifest = Manifest.read(place / "manifest.json", self._facts(root, env, overlay))
        for path, (_, binary) in list(numbered.items()):
            made = manifest.made.get(path)
            if made is None:
                continue
            if manifest.is_current(path, binary):
                built.binaries[path] = Binary(str(binary), made.plain)
                del numbered[path]
            elif made.identity != identity(binary):
                # Neither ours nor known to be whole, and go would look at no more than its first bytes.
                binary.unlink(missing_ok=True)
        stale = [package for package, _ in numbered.values()]
        if not stale:
            return
        began = time.time_ns()
        with self._listing(root, env, stale, overlay) as listed:
            for number, members in rounds(stale, everyone).items():
                self._round(root, env, members, place / str(number), overlays, built)
            if env.version < _VET_SEES_OVERLAY and not self._has_flag("vet", env):
                self._old_vet(root, stale, built)
            inputs = manifest_inputs(listed(), env.gowork)
        manifest.record(
            {
                path: Made(identity(binary), built.binaries[path].plain, inputs[path])
                for path, (_, binary) in numbered.items()
                if path in built.binaries and path in inputs
            },
            began,
        )
        with contextlib.suppress(OSError):  # then go is asked again
            manifest.write(place / "manifest.json")

    def _facts(self, root: str, env: GoEnv, overlay: Path) -> str:
        """A digest of what the binaries of one directory have in common, beside their inputs."""
        tools = Path(env.goroot, "pkg", "tool", f"{env.goos}_{env.goarch}")
        compiler = shutil.which(env.cc.partition(" ")[0], path=self._toolchain.environ.get("PATH"))
        stats = [
            identity(path) for path in (*(tools / name for name in _TOOLS), Path(compiler or "/"))
        ]
        facts = (__version__, self._toolchain.fingerprint(root), stats, str(overlay))
        return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()

    @contextlib.contextmanager
    def _listing(
        self, root: str, env: GoEnv, packages: list[Package], overlay: Path
    ) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """Beside the build, ask go what the packages are made of. Nothing, where flags name what cannot be seen."""
        if not plain_flags((*self._settings.build_args, *_harness.split_goflags(env.goflags))):
            yield list
            return
        arguments = ["list", "-e", "-deps", "-test", f"-json={FIELDS}", *list_flags(self._settings)]
        patterns = [package.pattern for package in packages]
        with tempfile.TemporaryFile() as said:
            process = self._start(
                [*arguments, f"-overlay={overlay}", *patterns], root, said, subprocess.DEVNULL
            )

            def listed() -> list[dict[str, Any]]:
                process.wait()
                said.seek(0)
                return (
                    objects(said.read().decode("utf-8", "replace"))
                    if not process.returncode
                    else []
                )

            try:
                yield listed
            finally:
                process.kill()
                process.wait()

    def _round(
        self,
        root: str,
        env: GoEnv,
        packages: list[Package],
        place: Path,
        overlays: Sequence[Callable[[], Path]],
        built: Built,
    ) -> None:
        place.mkdir(exist_ok=True)
        before = {package.import_path: _identity(place, package) for package in packages}
        old = env.version < _VET_SEES_OVERLAY and not self._has_flag("vet", env)
        failed: dict[str, str] = {}
        plain: set[str] = set()
        again = packages
        for overlay in (*overlays, None):
            if overlay is None:
                plain = {package.import_path for package in again}
                flags = self._without_harness()
            else:
                flags = [f"-overlay={overlay()}", *["-vet=off"] * old]
            code, said = self._go_test(root, again, place, flags)
            for package in again:
                failed.pop(package.import_path, None)
            failed |= self._blame(root, again, code, said) if code else {}
            # The harness does not fit this Go, or not so: the package's own tests may be sound all the same.
            again = [p for p in again if _HARNESS.search(failed.get(p.import_path, ""))]
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
                built.fresh += before[path] != _identity(place, package)

    def _go_test(
        self, root: str, packages: list[Package], place: Path, flags: Sequence[str]
    ) -> tuple[int, str]:
        own = self.flags(self._toolchain.env(root))
        arguments = ["test", "-c", "-json", "-o", f"{place}{os.sep}", *own, *flags]
        return self._run(
            [*arguments, *(package.pattern for package in packages)], root, len(packages)
        )

    def _run(self, arguments: Sequence[str], root: str, packages: int) -> tuple[int, str]:
        began = time.monotonic()
        process = self._start(arguments, root, subprocess.PIPE, subprocess.STDOUT)
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
        return process.returncode, _plain_text(said.decode("utf-8", "replace"))

    def _start(
        self, arguments: Sequence[str], root: str, stdout: int | IO[bytes], stderr: int
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._toolchain.go, *arguments],
            cwd=root,
            env=dict(self._toolchain.environ, PWD=root),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )

    def _blame(self, root: str, packages: list[Package], code: int, said: str) -> dict[str, str]:
        """Import path -> what is wrong with it. A dependency's complaint goes to all that import it."""
        found, rest = complaints(said)
        paths = {package.import_path for package in packages}
        blamed: dict[str, list[str]] = defaultdict(list)
        foreign = []
        for complaint in found:
            what = "vet refuses" if complaint.vet else "cannot build"
            base = complaint.package.removesuffix("_test")
            for path in {complaint.package, base} & paths:
                blamed[path].append(f"{what} {path}:\n{complaint.text}")
            if not {complaint.package, base} & paths:
                foreign.append(complaint)
        if foreign:
            uses = self._dependencies(root, packages)
            for complaint in foreign:
                users = [path for path in paths if complaint.package in uses.get(path, ())]
                for path in users or sorted(paths - blamed.keys()):
                    blamed[path].append(
                        f"cannot build {path}: its dependency {complaint.package} does not build:\n{complaint.text}"
                    )
        if not blamed or code < 0:
            # Of a go that was killed nobody knows what it had not come to.
            for path in paths - blamed.keys():
                blamed[path].append(f"go test -c failed (exit {code}):\n{rest or said.strip()}")
        return {path: "\n".join(texts) for path, texts in blamed.items()}

    def _dependencies(self, root: str, packages: list[Package]) -> dict[str, set[str]]:
        patterns = [package.pattern for package in packages]
        done = self._toolchain.run(
            [
                "list",
                "-e",
                "-test",
                "-json=ImportPath,ForTest,Deps",
                *list_flags(self._settings),
                *patterns,
            ],
            root,
        )
        uses: dict[str, set[str]] = defaultdict(set)
        for data in objects(done.stdout):
            owner = data.get("ForTest") or data["ImportPath"].removesuffix(".test")
            uses[owner] |= {dep.partition(" ")[0] for dep in data.get("Deps") or ()}
        return uses

    def _old_vet(self, root: str, packages: list[Package], built: Built) -> None:
        sound = [package for package in packages if package.import_path in built.binaries]
        if not sound:
            return
        checks = [f"-{name}" for name in _OLD_VET]
        patterns = [package.pattern for package in sound]
        code, said = self._run(
            ["vet", *checks, *list_flags(self._settings), *patterns], root, len(sound)
        )
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

    def _overlays(
        self, root: str, env: GoEnv, everyone: list[Package], place: Path
    ) -> list[Callable[[], Path]]:
        """What writes an overlay, the cheapest to build first: go may refuse one for reasons of its own."""
        own = _harness.user_overlay(env.goflags, self._settings.build_args)
        existing = _harness.read_overlay(Path(root, own)) if own else {}
        packages = {
            package.directory: package.name or "main"
            for package in everyone
            if package.test_files or package.xtest_files
        }
        goroot = os.path.realpath(env.goroot) + os.sep
        internal = {
            package.directory
            for package in everyone
            if not package.xtest_files and not package.name.endswith("_test")
            # What the harness imports cannot import it.
            if not os.path.realpath(package.directory).startswith(goroot)
        }
        shared = _harness.shared_place(env.goroot)
        names = [os.path.basename(path) for path in existing if os.path.dirname(path) == shared]
        with contextlib.suppress(OSError):
            names += os.listdir(shared or os.devnull)
        coverpkg = self._has_flag("coverpkg", env)
        share = _harness.may_share(shared, names, env.gomodcache, env.version, coverpkg=coverpkg)
        write = functools.partial(_harness.overlay, packages, place, existing, internal=internal)
        return [functools.partial(write, shared=form) for form in ([shared, ""] if share else [""])]

    def _without_harness(self) -> list[str]:
        given = _harness.user_overlay("", self._settings.build_args)
        return [f"-overlay={given}"] if given else []

    def flags(self, env: GoEnv) -> list[str]:
        """The user's build flags, and -ldflags=-w: ``-c`` would write DWARF that plain ``go test`` leaves out."""
        flags = _without(self._settings.build_args, ("overlay",))
        if not self._has_flag("ldflags", env):
            flags.append("-ldflags=-w")
        for number, flag in enumerate(flags):
            name, equals, value = flag.partition("=")
            # One that begins with a package pattern is for other packages than the main one, perhaps.
            if name.lstrip("-") == "ldflags" and equals and value.startswith("-"):
                flags[number] = f"{name}={value} -w" if value != "-w" else flag
        return [*_tags_and_race(self._settings), *flags]

    def _has_flag(self, name: str, env: GoEnv) -> bool:
        given = (*self._settings.build_args, *_harness.split_goflags(env.goflags))
        return any(flag.lstrip("-").partition("=")[0] == name for flag in given)

    def _key(self, root: str, env: GoEnv) -> str:
        facts = (root, env, self.flags(env))
        name = re.sub(r"[^\w.-]", "_", os.path.basename(root))[:40]
        return f"{name}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"


def plain_flags(flags: Sequence[str]) -> bool:
    """Whether these build flags decide by their words alone, or name files and tools that nobody here watches."""
    words = [flag.lstrip("-") for flag in flags if flag.startswith("-")]
    return all(word in _PLAIN_FLAGS or word.partition("=")[0] in _PLAIN_FLAGS for word in words)


def list_flags(settings: Settings) -> list[str]:
    """Flags of ``go list``, ``go vet`` and ``go build`` alike: which files belong to a package."""
    return [*_tags_and_race(settings), *_without(settings.build_args, ("overlay", "vet"))]


def _tags_and_race(settings: Settings) -> list[str]:
    flags = [f"-tags={','.join(settings.tags)}"] if settings.tags else []
    if settings.race:
        flags.append("-race")
    return flags


def test_environment(environ: Mapping[str, str], env: GoEnv, directory: str) -> dict[str, str]:
    """What cmd/go gives a test binary: its directory as PWD, and its own go first on PATH."""
    first = os.path.join(env.goroot, "bin")
    path = environ.get("PATH", "")
    return {
        **environ,
        "PWD": directory,
        "PATH": f"{first}{os.pathsep}{path}" if path else first,
    }


def _without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """``arguments`` without the flags of these names, each given as -name=value or as two words."""
    kept, skip = [], False
    for argument in arguments:
        name, equals, _ = argument.lstrip("-").partition("=")
        if skip:
            skip = False
        elif argument.startswith("-") and name in names:
            skip = not equals
        else:
            kept.append(argument)
    return kept


def _plain_text(said: str) -> str:
    """Go 1.24 and later wrap build output in JSON, earlier ones do not; both may come in one stream."""
    lines = []
    for line in said.splitlines(keepends=True):
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict):
                if event.get("Action") in ("build-output", "output"):
                    lines.append(str(event.get("Output", "")))
                continue
        lines.append(line)
    return "".join(lines)


def _identity(place: Path, package: Package) -> bytes | None:
    """What differs between two binaries: go's build id stands near their begin.

    Not the time: an up-to-date one is touched (cmd/go/internal/work/exec.go, BuildInstallFunc).
    """
    try:
        with open(place / executable(package.import_path), "rb") as file:
            return file.read(32 << 10)
    except OSError:
        return None
