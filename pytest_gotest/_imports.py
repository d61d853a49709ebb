"""What a project's Python modules import and may do, by their sources; imports nothing.

A source is one of three things for a change that is not in itself: it may start programs, and then anything may be a part
of what they do; or it may read files; or neither. In doubt more.
"""

from __future__ import annotations

import ast
import enum
import functools
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names of modules, functions, attributes or fixtures.
_PROGRAMS = _names(
    "subprocess pexpect plumbum sh invoke pty runpy multiprocessing ctypes Popen popen system posix_spawn posix_spawnp "
    "startfile create_subprocess_exec create_subprocess_shell subprocess_exec subprocess_shell run_process open_process "
    "xprocess mirakuru pytester DockerImage DockerCompose build exec eval __import__ import_module exec_module load_module "
    "SourceFileLoader importorskip reload execl execle execlp execlpe execv execve execvp execvpe "
    "spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe"
)
_FILES = _names(
    "os io pathlib glob shutil fileinput zipfile tarfile sqlite3 importlib pkgutil configparser ElementTree minidom docker "
    "testcontainers open Path read_text read_bytes fileConfig load_cert_chain SimpleHTTPRequestHandler __file__ "
    "rootpath rootdir invocation_params"
)
# What of os is about no file.
_NO_FILE = _names("environ getenv getpid getppid urandom kill cpu_count name")
# What a module may call while it is imported without doing anything to others, and decorate with.
_INERT = _names(
    "Path resolve joinpath absolute dirname abspath realpath join get getenv getLogger compile TypeVar NewType "
    "namedtuple frozenset set dict list tuple str int timedelta datetime date Decimal fixture mark parametrize "
    "usefixtures contextmanager asynccontextmanager staticmethod classmethod property cache lru_cache wraps dataclass "
    "hookimpl overload abstractmethod override final"
)
# Hooks of pytest that many have, and what they may do there without doing anything to a test.
_TELL = _names("addinivalue_line addoption addini getgroup")


_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?::[A-Za-z_]\w*)?|[A-Za-z_]\w*:[A-Za-z_]\w*")


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
    """A module and all of the project that it imports.

    ``absent`` are modules that were not loaded, as dotted names; ``outside`` files that are neither of the project nor installed.
    """

    files: frozenset[Path]
    absent: frozenset[str]
    reach: Reach
    acts: bool
    outside: frozenset[Path] = frozenset()

    def holds(self, path: Path) -> bool:
        """Whether a file is one of them, or looks like one that would be loaded later."""
        if path in self.files or any(path in file.parents for file in self.files):
            return True  # the latter of a submodule
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
    used = {word for name in names for word in name.split(".")} - {"os"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.arg):
            used.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.update(_named(node.value))
            if node.value == "go" or node.value.startswith("go "):
                used.add("subprocess")
    if _uses_no_file_of_os(tree):
        used.discard("os")
    elif "os" in {name.partition(".")[0] for name in names}:
        used.add("os")
    reach = Reach.FILES if used & _FILES else Reach.NOTHING
    reach = Reach.PROGRAMS if used & _PROGRAMS else reach
    acts = "getfixturevalue" in used or not all(map(_is_inert, tree.body))
    return Source(frozenset(names), reach, acts)


def _named(text: str) -> Iterator[str]:
    """Modules that a text may name: app.main, app.main.URL, app.main:app."""
    if _DOTTED.fullmatch(text):
        words = re.split("[.:]", text)
        yield from (".".join(words[: number + 1]) for number in range(len(words)))


def _uses_no_file_of_os(tree: ast.Module) -> bool:
    """Whether ``import os`` is for its variables and the like alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "os":
            return False
    owners = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "os"]
    safe = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in _NO_FILE
    ]
    return len(owners) == len(safe)


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
    """Whether a statement of a module does nothing but make names, and none of them is a hook that acts on tests."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = (*node.args.defaults, *filter(None, node.args.kw_defaults))
        if not all(map(_is_inert_decorator, node.decorator_list)) or not all(
            map(_calls_inert, given)
        ):
            return False
        return not node.name.startswith("pytest_") or all(map(_only_tells, node.body))
    if isinstance(node, ast.ImportFrom):
        names = [alias.asname or alias.name for alias in node.names]
        return not any(name == "*" or name.startswith("pytest_") for name in names)
    if isinstance(node, ast.Import | ast.Pass):
        return True
    if isinstance(node, ast.ClassDef):
        plain = all(map(_calls_inert, node.bases)) and not node.keywords
        return (
            plain
            and all(map(_is_inert_decorator, node.decorator_list))
            and all(map(_is_inert, node.body))
        )
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
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        # sys.path is looked at whenever something is imported.
        called = ast.unparse(node.value.func)
        return called in ("sys.path.insert", "sys.path.append") and all(
            map(_calls_inert, node.value.args)
        )
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_inert_decorator(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    words = set(ast.unparse(called).split("."))
    return bool(words & _INERT) and _calls_inert(node)


def _only_tells(node: ast.stmt) -> bool:
    """Of a hook: that it says something to pytest."""
    value = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    if isinstance(node, ast.Pass) or isinstance(value, ast.Constant):
        return True
    return isinstance(value, ast.Call) and all(
        getattr(call.func, "attr", "") in _TELL
        for call in ast.walk(value)
        if isinstance(call, ast.Call)
    )


def _calls_inert(expression: ast.expr) -> bool:
    for node in ast.walk(expression):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name not in _INERT and "mark" not in ast.unparse(node.func).split("."):
                return False
    return True


def closure(file: str, package: str, top: Path) -> Closure:
    """Of a module that was loaded from ``file`` as a part of ``package``, as far as it is of the project in ``top``."""
    seen: dict[str, Source] = {}
    absent: set[str] = set()
    outside: set[Path] = set()
    waiting = [(file, package), *_parents(file, package)] if is_own(file, top) else []
    while waiting:
        place, name = waiting.pop()
        if place in seen:
            continue
        if not is_own(place, top):
            if not is_installed(place):
                outside.add(_real(place))
            continue
        seen[place] = _source(place, name)
        for imported in seen[place].imports:
            module = sys.modules.get(imported)
            if origin := getattr(module, "__file__", None):
                waiting.append((origin, getattr(module, "__package__", None) or ""))
            elif module is None:
                absent.add(imported)
                waiting += _on_path(imported, top)
    return Closure(
        frozenset(map(_real, seen)),
        frozenset(absent),
        max((source.reach for source in seen.values()), default=Reach.NOTHING),
        any(source.acts for source in seen.values()),
        frozenset(outside),
    )


def _parents(file: str, package: str) -> Iterator[tuple[str, str]]:
    """The packages that a module is in run before it."""
    directory = Path(file).parent
    while (directory / "__init__.py").is_file():
        yield str(directory / "__init__.py"), package
        directory, package = directory.parent, package.rpartition(".")[0]


def _on_path(name: str, top: Path) -> list[tuple[str, str]]:
    """Where a module of the project that is not loaded yet would come from, and its package."""
    found = []
    words = name.split(".")
    for entry in dict.fromkeys(sys.path):
        place = Path(entry or ".", *words)
        if not is_own(str(place), top):
            continue
        if (place / "__init__.py").is_file():
            found.append((str(place / "__init__.py"), name))
        elif place.with_suffix(".py").is_file():
            found.append((f"{place}.py", name.rpartition(".")[0]))
    return found


def union(closures: Iterable[Closure]) -> Closure:
    closures = list(closures)
    return Closure(
        frozenset().union(*(one.files for one in closures)),
        frozenset().union(*(one.absent for one in closures)),
        max((one.reach for one in closures), default=Reach.NOTHING),
        any(one.acts for one in closures),
        frozenset().union(*(one.outside for one in closures)),
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
    return real.is_relative_to(top) and not is_installed(file)


@functools.cache
def is_installed(file: str) -> bool:
    """Whether a module is of Python itself or was installed."""
    real = _real(file)
    places = ("stdlib", "platstdlib", "purelib", "platlib")
    return not {"site-packages", "dist-packages"}.isdisjoint(real.parts) or any(
        real.is_relative_to(os.path.realpath(sysconfig.get_path(place))) for place in places
    )


def _real(file: str) -> Path:
    return Path(os.path.realpath(file))
