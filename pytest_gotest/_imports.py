"""What a project's Python modules import and may do, by their sources; imports nothing.

A source is one of three things for a change that is not in itself: it may start programs, and then anything may be a part
of what they do; or it may read files; or neither. In doubt more.
"""

from __future__ import annotations

import ast
import enum
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names of modules, functions, attributes or fixtures.
_PROGRAMS = _names(
    "subprocess pexpect plumbum sh invoke pty runpy multiprocessing ctypes Popen popen system posix_spawn startfile "
    "create_subprocess_exec create_subprocess_shell pytester DockerImage DockerCompose build exec eval __import__ "
    "import_module execl execle execlp execlpe execv execve execvp execvpe "
    "spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe"
)
_FILES = _names(
    "os io pathlib glob shutil fileinput zipfile tarfile sqlite3 importlib pkgutil docker testcontainers open Path "
    "read_text read_bytes __file__ rootpath rootdir invocation_params"
)
# What a module may call while it is imported without doing anything to others.
_INERT = _names(
    "Path resolve joinpath absolute getLogger compile TypeVar NewType namedtuple frozenset set dict list tuple "
    "timedelta datetime date Decimal"
)


class Reach(enum.IntEnum):
    """What a module's code may get at besides what it imports."""

    NOTHING = 0
    FILES = 1
    PROGRAMS = 2


@dataclass(frozen=True, slots=True)
class Source:
    """One module. ``acts`` if importing it, or pytest on finding its hooks, does something unasked.

    ``imports`` are the names of modules in its import statements, wherever they stand, and their parents'; of
    ``from a import b`` both a and a.b.
    """

    imports: frozenset[str] = frozenset()
    reach: Reach = Reach.PROGRAMS
    acts: bool = True


@dataclass(frozen=True, slots=True)
class Closure:
    """A module and all of the project that it imports. ``absent`` are modules that were not loaded: dotted names."""

    files: frozenset[Path]
    absent: frozenset[str]
    reach: Reach
    acts: bool

    def holds(self, path: Path) -> bool:
        """Whether a file is one of them, or looks like one that would be loaded later."""
        if path in self.files:
            return True
        parts = path.with_suffix("").parts
        parts = parts[:-1] if parts[-1:] == ("__init__",) else parts
        names = (".".join(parts[-number:]) for number in range(1, len(parts)))
        return path.suffix == ".py" and not self.absent.isdisjoint(names)


def read(source: bytes, package: str) -> Source:
    """Of the module's text; one that does not parse may do anything."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return Source()
    names = set(_imported(tree, package))
    used = {word for name in names for word in name.split(".")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.arg):
            used.add(node.arg)
    reach = Reach.FILES if used & _FILES else Reach.NOTHING
    reach = Reach.PROGRAMS if used & _PROGRAMS else reach
    acts = "getfixturevalue" in used or not all(map(_is_inert, tree.body))
    return Source(frozenset(names), reach, acts)


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
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


def _is_inert(node: ast.stmt) -> bool:
    """Whether a statement of a module does nothing but make names, and none of them is a hook of pytest."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return not node.name.startswith("pytest_")
    if isinstance(node, ast.ImportFrom):
        names = [alias.asname or alias.name for alias in node.names]
        return not any(name == "*" or name.startswith("pytest_") for name in names)
    if isinstance(node, ast.Import | ast.Pass):
        return True
    if isinstance(node, ast.ClassDef):
        return all(map(_is_inert, node.body))
    if isinstance(node, ast.If):
        return all(map(_is_inert, (*node.body, *node.orelse))) and _calls_inert(node.test)
    if isinstance(node, ast.Try):
        handled = [statement for handler in node.handlers for statement in handler.body]
        return all(map(_is_inert, (*node.body, *handled, *node.orelse, *node.finalbody)))
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not all(isinstance(target, ast.Name) for target in targets):
            return False
        return node.value is None or _calls_inert(node.value)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _calls_inert(expression: ast.expr) -> bool:
    for node in ast.walk(expression):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name not in _INERT:
                return False
    return True


def closure(file: str, package: str, top: Path) -> Closure:
    """Of a module that was loaded from ``file`` as a part of ``package``, as far as it is of the project in ``top``."""
    seen: dict[str, Source] = {}
    absent: set[str] = set()
    waiting = [(file, package)]
    while waiting:
        place, name = waiting.pop()
        if place in seen or not is_own(place, top):
            continue
        seen[place] = _source(place, name)
        for imported in seen[place].imports:
            module = sys.modules.get(imported)
            if module is None:
                absent.add(imported)
            elif origin := getattr(module, "__file__", None):
                waiting.append((origin, getattr(module, "__package__", None) or ""))
    return Closure(
        frozenset(map(_real, seen)),
        frozenset(absent),
        max((source.reach for source in seen.values()), default=Reach.NOTHING),
        any(source.acts for source in seen.values()),
    )


def union(closures: Iterable[Closure]) -> Closure:
    closures = list(closures)
    return Closure(
        frozenset().union(*(one.files for one in closures)),
        frozenset().union(*(one.absent for one in closures)),
        max((one.reach for one in closures), default=Reach.NOTHING),
        any(one.acts for one in closures),
    )


@functools.cache
def _source(file: str, package: str) -> Source:
    try:
        return read(Path(file).read_bytes(), package)
    except OSError:
        return Source()


@functools.cache
def is_own(file: str, top: Path) -> bool:
    """Whether a module is of the project in ``top``, and was not installed there."""
    real = _real(file)
    return real.is_relative_to(top) and "site-packages" not in real.parts


def _real(file: str) -> Path:
    return Path(os.path.realpath(file))
