"""--gotest-changed: the Go tests of a session that a change can reach, through Go or through Python."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_gotest import _changed, _compat, _imports
from pytest_gotest._changed import Reached
from pytest_gotest._flags import list_flags, user_overlay
from pytest_gotest._git import Change
from pytest_gotest._imports import Closure, Reach
from pytest_gotest._manifest import LISTING, SOURCES, module_files
from pytest_gotest._manifest import inputs as manifest_inputs
from pytest_gotest._nodes import GoItem
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import Package, Toolchain, objects

_SETTINGS = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg")  # fmt: skip
# Nobody's tests depend on these, documentation and settings of other tools, unless they lie where tests look.
_HARMLESS = (
    "*.md", "*.rst", "*.adoc", "LICENSE*", ".github", ".gitignore", ".editorconfig", ".golangci.*",
)  # fmt: skip


@dataclass(slots=True)
class Selected:
    """Items to run and items to leave out, in pytest's order, and what to say of it."""

    kept: list[pytest.Item] = field(default_factory=list)
    dropped: list[pytest.Item] = field(default_factory=list)
    summary: str = ""
    reasons: list[str] = field(default_factory=list)


def select(
    items: Iterable[pytest.Item],
    change: Change,
    toolchain: Toolchain,
    settings: Settings,
    config: pytest.Config,
) -> Selected:
    """Go items that ``change`` can reach, and all others."""
    selected = Selected()
    items = list(items)
    packages = {item.test.package: item.package_ for item in items if isinstance(item, GoItem)}
    foreign = _foreign(packages.values(), toolchain)
    inputs = _inputs(packages.values(), toolchain, settings)
    inputs = {name: _without(made_of, foreign) for name, made_of in inputs.items()}
    harmless = _matcher([*_HARMLESS, *settings.changed_ignore], config.rootpath)
    by_go = _changed.reached(
        packages,
        inputs,
        change.paths,
        unknown=[*change.ignored, *_elsewhere(inputs, change.top)],
        beyond=_Beyond(),
        harmless=harmless,
    )
    python = _Python(config, change, harmless, settings)
    named = _named(packages.values(), change.paths, settings)
    why: dict[str, Reached] = {}
    for item in items:
        reason = None
        if isinstance(item, GoItem):
            package = item.test.package
            reason = by_go.get(package) or named.get(package) or python.reaches(item)
            if reason is None:
                selected.dropped.append(item)
                continue
            why.setdefault(package, reason)
        selected.kept.append(item)
    number = f"{len(why)} of {len(packages)} packages"
    selected.summary = f"gotest: {number} changed since {change.since}"
    base = os.path.realpath(config.invocation_params.dir)
    selected.reasons = [
        f"gotest: {name}: {_shown(os.path.relpath(reason.path, base))}: {reason.how}"
        for name, reason in sorted(why.items())
    ]
    return selected


def _inputs(
    packages: Iterable[Package], toolchain: Toolchain, settings: Settings
) -> dict[str, frozenset[str]]:
    """What go says that the test binaries are made of; nothing of packages that it cannot load whole.

    Nor of those that an overlay may make of other files.
    """
    by_root: dict[str, list[Package]] = {}
    for package in packages:
        if not package.error:
            by_root.setdefault(package.root, []).append(package)
    found: dict[str, frozenset[str]] = {}
    for root, members in by_root.items():
        if user_overlay(toolchain.env(root).goflags, settings.build_args):
            continue
        patterns = [package.pattern for package in members]
        done = toolchain.run([*LISTING, *list_flags(settings), *patterns], root)
        if not done.returncode:
            modules = module_files([toolchain.env(root).gowork, os.path.join(root, "go.mod")])
            found |= manifest_inputs(objects(done.stdout), modules)
    return found


def _foreign(packages: Iterable[Package], toolchain: Toolchain) -> list[Path]:
    """Where what never changes lies: Go itself, and what was downloaded."""
    envs = [toolchain.env(root) for root in {package.root for package in packages}]
    places = {place for env in envs for place in (env.goroot, env.gomodcache) if place}
    return [Path(os.path.realpath(place)) for place in sorted(places)]


def _without(inputs: Iterable[str], foreign: Collection[Path]) -> frozenset[str]:
    """Less what is in ``foreign`` places. What of the module cache is used, go.mod and go.sum say."""
    return frozenset(
        one for one in inputs if one.partition(" ")[0] == "file" or not _is_in(one, foreign)
    )


def _is_in(one: str, places: Collection[Path]) -> bool:
    directory = Path(os.path.realpath(one.partition(" ")[2].partition("\0")[0]))
    return not {directory, *directory.parents}.isdisjoint(places)


def _elsewhere(inputs: Mapping[str, Iterable[str]], top: Path) -> list[Path]:
    """Directories of sources that are not in the repository: in another one, or in none."""
    places = {
        one.removeprefix("dir ")
        for made_of in inputs.values()
        for one in made_of
        if one.startswith("dir ")
    }
    real = [Path(os.path.realpath(place)) for place in sorted(places)]
    return [path for path in real if not path.is_relative_to(top)]


def _named(
    packages: Iterable[Package], changed: Collection[Path], settings: Settings
) -> dict[str, Reached]:
    """Packages whose tests are given the path of a file that changed, by --gotest-arg. Paths count from the package."""
    found: dict[str, Reached] = {}
    words = [arg.partition("=")[2] or arg for arg in settings.args]
    for package in packages if words else ():
        for word in words:
            place = Path(os.path.realpath(os.path.join(package.directory, word)))
            for path in changed:
                if path == place or place in path.parents:
                    found.setdefault(package.import_path, Reached(path, "named by --gotest-arg"))
    return found


def _shown(path: str) -> str:
    """A name may be no text, and reasons are printed, and sent by workers."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class _Beyond:
    """Which source in a directory of the project looks beyond it. What is vendored is nobody's own."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, bool], str] = {}

    def __call__(self, directory: Path, tests: bool) -> str:
        if (directory, tests) not in self._known:
            self._known[directory, tests] = self._look(directory, tests)
        return self._known[directory, tests]

    def _look(self, directory: Path, tests: bool) -> str:
        if "vendor" in directory.parts and not tests:
            return ""
        try:
            for name in sorted(os.listdir(directory)):
                # C may include what lies elsewhere.
                read = name.endswith(SOURCES) and (tests or not name.endswith("_test.go"))
                if read and _changed.looks_beyond((directory / name).read_bytes()):
                    return f"{directory.name}/{name}"
        except OSError as error:
            return str(error.filename or directory)
        return ""


def _matcher(patterns: Iterable[str], root: Path) -> Callable[[Path], bool]:
    """Much like .gitignore: a pattern without a slash is of any name in a path, one with a slash counts from ``root``.

    What is below a directory that matches is meant as well. ``**`` is any directories, ``*`` no slash.
    """
    root = Path(os.path.realpath(root))
    given = [
        pattern.strip("/").split("/") if "/" in pattern else ["**", pattern] for pattern in patterns
    ]

    def matches(path: Path) -> bool:
        parts = os.path.relpath(path, root).split(os.sep)
        return any(_fits(parts, pattern) for pattern in given)

    return matches


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_fits(parts[number:], pattern[1:]) for number in range(len(parts)))
    return (
        bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
    )


class _Python:
    """What of a change Go tests can see through pytest: its settings, plugins, conftest files and fixtures."""

    def __init__(
        self,
        config: pytest.Config,
        change: Change,
        harmless: Callable[[Path], bool],
        given: Settings,
    ) -> None:
        self._changed, self._ignored = dict.fromkeys(change.paths), change.ignored
        self._top = change.top
        modules = config.getini("python_files")
        # What a program or a reader may be after; Python's tests are run by pytest alone.
        self._loose = [
            path
            for path in self._changed
            if (_changed.is_code(path) or not harmless(path))
            and not any(fnmatch.fnmatch(path.name, pattern) for pattern in modules)
        ]
        # The one that there is, and those that would be taken before it (pytest's "Configuration file formats").
        last = (
            _SETTINGS.index(config.inipath.name)
            if config.inipath and config.inipath.name in _SETTINGS
            else len(_SETTINGS)
        )
        settings = {
            Path(os.path.realpath(config.rootpath / name)) for name in _SETTINGS[: last + 1]
        }
        settings |= {Path(os.path.realpath(config.inipath))} if config.inipath else set()
        made_of = (*given.migrations, *given.migrate_inputs, *given.seed)
        is_named = _matcher([f"/{pattern}" for pattern in made_of], config.rootpath)
        read = [path for path in self._changed if is_named(path)]
        if given.migrate_command and not given.migrate_inputs:
            read += self._loose  # nobody says what it reads
        self._baseline = next(iter(read), None)
        self._everything: Reached | None = None
        for path in self._changed:
            if path in settings:
                self._everything = Reached(path, "settings of pytest")
        self._conftests: dict[Path, Closure] = {}
        for plugin in config.pluginmanager.get_plugins():
            file = getattr(plugin, "__file__", None)
            if not file or not _imports.is_own(file, change.top):
                continue
            module = self._closure(file, getattr(plugin, "__package__", None) or "")
            if os.path.basename(file) == "conftest.py":
                self._conftests[Path(os.path.realpath(file)).parent] = module
            elif module.acts and (hit := self._hit(module)):
                self._everything = Reached(hit.path, f"a plugin of pytest: {hit.how}")
        self._below: dict[Path, Reached | None] = {}
        self._closures: dict[frozenset[tuple[str, str]], Reached | None] = {}

    def reaches(self, item: GoItem) -> Reached | None:
        if self._everything is not None:
            return self._everything
        if self._baseline is not None and "gotest_postgres" in item.fixturenames:
            return Reached(self._baseline, "the database's baseline is made of it")
        # By both names, if it is behind a link: pytest takes the conftest files above the one it was asked for.
        for directory in {item.path.parent, Path(os.path.realpath(item.path.parent))}:
            if directory not in self._below:
                self._below[directory] = self._above(directory)
            if found := self._below[directory]:
                return found
        files = frozenset(_compat.fixture_files(item))
        if files not in self._closures:
            module = _imports.union(self._closure(*one) for one in sorted(files))
            hit = self._hit(module)
            self._closures[files] = hit and Reached(hit.path, f"fixtures: {hit.how}")
        return self._closures[files]

    def _above(self, directory: Path) -> Reached | None:
        """Of the conftest files: one that came or went, and all that runs unasked."""
        for place in map(Path, map(os.path.realpath, (directory, *directory.parents))):
            if place / "conftest.py" in self._changed:
                return Reached(place / "conftest.py", "fixtures and hooks")
            module = self._conftests.get(place)
            if module is not None and module.acts and (hit := self._hit(module)):
                return Reached(hit.path, f"{place.name}/conftest.py: {hit.how}")
        return None

    def _closure(self, file: str, package: str) -> Closure:
        return _imports.closure(file, package, self._top)

    def _hit(self, module: Closure) -> Reached | None:
        """What of the change is a part of a module, or may be used by it."""
        if found := self._held(module):
            return found
        for path in self._loose if module.reach else ():
            if module.reach is Reach.PROGRAMS:
                return Reached(path, "programs are started there, which may use it")
            if not _changed.is_code(path):
                return Reached(path, "files are read there, and it may be one")
        return None

    def _held(self, module: Closure) -> Reached | None:
        for path in self._changed:
            if module.holds(path):
                return Reached(path, "it is imported there")
        for path in self._ignored:
            if any(file.is_relative_to(path) for file in module.files):
                return Reached(path, "it is imported there, and git does not keep it")
        for path in sorted(module.outside):
            return Reached(path, "it is imported there, and in no repository of ours")
        return None
