"""--gotest-changed: the Go tests of a session that a change can reach, through Go or through Python."""

from __future__ import annotations

import ast
import functools
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_gotest import _changed, _compat
from pytest_gotest._changed import Reached
from pytest_gotest._flags import list_flags
from pytest_gotest._git import Change
from pytest_gotest._manifest import LISTING, module_files
from pytest_gotest._manifest import inputs as manifest_inputs
from pytest_gotest._nodes import GoItem
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import Package, Toolchain, objects

_SETTINGS = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg")  # fmt: skip


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
    by_go = _changed.reached(
        packages,
        _inputs(packages.values(), toolchain, settings) if change.paths else {},
        change.paths,
        functools.cache(lambda name: _looks_outside(packages[name])),
    )
    python = _Python(config, change.paths)
    why: dict[str, Reached] = {}
    for item in items:
        reason = None
        if isinstance(item, GoItem):
            reason = by_go.get(item.test.package) or python.reaches(item)
            if reason is None:
                selected.dropped.append(item)
                continue
            why.setdefault(item.test.package, reason)
        selected.kept.append(item)
    number = f"{len(why)} of {len(packages)} packages"
    selected.summary = f"gotest: {number} changed since {change.since}"
    base = config.invocation_params.dir
    selected.reasons = [
        f"gotest: {name}: {os.path.relpath(reason.path, base)}: {reason.how}"
        for name, reason in sorted(why.items())
    ]
    return selected


def _inputs(
    packages: Iterable[Package], toolchain: Toolchain, settings: Settings
) -> dict[str, frozenset[str]]:
    """What go says that the test binaries are made of; nothing of packages that it cannot load whole."""
    by_root: dict[str, list[Package]] = {}
    for package in packages:
        if not package.error:
            by_root.setdefault(package.root, []).append(package)
    found: dict[str, frozenset[str]] = {}
    for root, members in by_root.items():
        patterns = [package.pattern for package in members]
        done = toolchain.run([*LISTING, *list_flags(settings), *patterns], root)
        if not done.returncode:
            modules = module_files([toolchain.env(root).gowork, os.path.join(root, "go.mod")])
            found |= manifest_inputs(objects(done.stdout), modules)
    return found


def _looks_outside(package: Package) -> bool:
    try:
        names = [name for name in os.listdir(package.directory) if name.endswith(".go")]
        return any(
            _changed.looks_outside(Path(package.directory, name).read_bytes()) for name in names
        )
    except OSError:
        return True


class _Python:
    """What of a change Go tests can see through pytest: its settings, conftest files and fixtures."""

    def __init__(self, config: pytest.Config, changed: Sequence[Path]) -> None:
        real = {Path(os.path.realpath(path)): path for path in changed}
        self._everything: Reached | None = None
        settings = {config.rootpath / name for name in _SETTINGS} | {config.inipath}
        plugins = {
            Path(os.path.realpath(file))
            for plugin in config.pluginmanager.get_plugins()
            if (file := getattr(plugin, "__file__", None)) and Path(file).name != "conftest.py"
        }
        for path, shown in real.items():
            if shown in settings or path in settings:
                self._everything = Reached(shown, "settings of pytest")
            elif path in plugins:
                self._everything = Reached(shown, "a plugin of pytest")
        self._conftests = {
            path.parent: shown for path, shown in real.items() if path.name == "conftest.py"
        }
        self._changed = {path: shown for path, shown in real.items() if path.suffix == ".py"}
        self._below: dict[Path, Reached | None] = {}
        self._imports: dict[str, frozenset[Path]] = {}

    def reaches(self, item: GoItem) -> Reached | None:
        if self._everything is not None:
            return self._everything
        if not self._changed:
            return None
        directory = Path(os.path.realpath(item.path.parent))
        if directory not in self._below:
            above = (place for place in (directory, *directory.parents) if place in self._conftests)
            place = next(above, None)
            self._below[directory] = (
                None if place is None else Reached(self._conftests[place], "fixtures and hooks")
            )
        if found := self._below[directory]:
            return found
        for file, package in _compat.fixture_files(item):
            for path in self._files(file, package):
                if path in self._changed:
                    return Reached(self._changed[path], "a fixture's module, or imported by it")
        return None

    def _files(self, first: str, package: str) -> frozenset[Path]:
        """This file of a module, and those of all that it imports, and so on; without what is installed."""
        if first not in self._imports:
            seen: set[str] = set()
            waiting = [(first, package)]
            while waiting:
                file, package = waiting.pop()
                if file in seen or _is_installed(file):
                    continue
                seen.add(file)
                for name in _imported(file, package):
                    module = sys.modules.get(name)
                    if origin := getattr(module, "__file__", None):
                        waiting.append((origin, getattr(module, "__package__", None) or ""))
            self._imports[first] = frozenset(Path(os.path.realpath(file)) for file in seen)
        return self._imports[first]


def _is_installed(file: str) -> bool:
    places = ("stdlib", "platstdlib", "purelib", "platlib")
    return "site-packages" in Path(file).parts or any(
        Path(file).is_relative_to(sysconfig.get_path(place)) for place in places
    )


def _imported(file: str, package: str) -> Iterator[str]:
    """Names of modules that a file imports, as far as its import statements say, and their parents'."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            origin = ".".join(
                [*(above if node.level else ()), *([node.module] if node.module else ())]
            )
            names = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            words = name.split(".")
            yield from (".".join(words[: number + 1]) for number in range(len(words)))
