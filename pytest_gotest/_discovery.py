"""From a path to its module, package and parsed source, remembered between sessions; knows nothing of pytest.

Nothing is built or executed. What go and the parser said is kept in one file per module under the
cache directory and used again while names, sizes and modification times of all Go files of the
module are the same, and so are the go command and the variables that steer it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_gotest import __version__, _source
from pytest_gotest._errors import DiscoveryError
from pytest_gotest._files import write_whole
from pytest_gotest._source import SourceFile
from pytest_gotest._toolchain import Package, Toolchain

_SKIPPED = ("testdata", "vendor")


def skipped_by_go(name: str) -> bool:
    """Whether ``./...`` leaves a directory of this name out (``go help packages``)."""
    return name in _SKIPPED or name.startswith(("_", "."))


@dataclass(slots=True)
class _Module:
    """What is known of one module: stamp of its tree, packages by directory, sources by path."""

    root: str
    cache_file: Path
    stamp: str
    found: list[Package] = field(default_factory=list)  # by ./...
    packages: dict[str, Package] = field(default_factory=dict)  # those and what was named besides
    sources: dict[str, list[Any]] = field(default_factory=dict)
    changed: bool = False


class Catalog:
    """Answers for the paths of one session. ``flags`` are those build flags that choose files (-tags, -race)."""

    def __init__(self, toolchain: Toolchain, flags: Sequence[str], cache_dir: Path) -> None:
        self._toolchain = toolchain
        self._flags = tuple(flags)
        self._cache_dir = cache_dir / "collect"
        self._roots: dict[str, str | None] = {}
        self._modules: dict[str, _Module] = {}
        self._members: dict[str, frozenset[str]] = {}

    def module_root(self, directory: str) -> str | None:
        """The nearest directory above (or at) ``directory`` that holds a go.mod; None outside any module."""
        if directory not in self._roots:
            parent = os.path.dirname(directory)
            if os.path.isfile(os.path.join(directory, "go.mod")):
                self._roots[directory] = directory
            elif parent == directory:
                self._roots[directory] = None
            else:
                self._roots[directory] = self.module_root(parent)
        return self._roots[directory]

    def nested(self, directory: str) -> bool:
        """Whether ``directory`` is the root of a module inside another one that no go.work joins to it.

        ``go test ./...`` does not enter such a module either.
        """
        if not os.path.isfile(os.path.join(directory, "go.mod")):
            return False
        outer = self.module_root(os.path.dirname(directory))
        return outer is not None and directory not in self._workspace(outer)

    def _workspace(self, root: str) -> frozenset[str]:
        """Module directories of the go.work that governs ``root``; empty without one."""
        if root not in self._members:
            members: list[str] = []
            gowork = self._toolchain.environ.get("GOWORK", "")
            if gowork != "off":
                for above in (Path(root), *Path(root).parents):
                    work = Path(gowork) if gowork else above / "go.work"
                    if work.is_file():
                        said = self._toolchain.run(["work", "edit", "-json", str(work)], root)
                        if said.returncode == 0:
                            uses = json.loads(said.stdout).get("Use") or []
                            members = [
                                os.path.normpath(work.parent / use["DiskPath"]) for use in uses
                            ]
                        break
            self._members[root] = frozenset(members)
        return self._members[root]

    def package_of(self, file: Path) -> Package:
        """The package whose directory holds ``file``; its ``error`` may be set.

        Raises `DiscoveryError` outside any module and where go knows no package.
        """
        directory = str(file.parent)
        root = self.module_root(directory)
        if root is None:
            raise DiscoveryError(
                f"{file} is outside any Go module: there is no go.mod in its directory or above",
                hint="run `go mod init` where the module begins, or leave the directory out with --ignore",
            )
        module = self._module(root)
        if directory not in module.packages:
            # Outside `./...`: testdata and the like, asked for by name.
            relative = "./" + os.path.relpath(directory, root).replace(os.sep, "/")
            for package in self._toolchain.packages(root, [relative], self._flags):
                module.packages[package.directory or directory] = package
        if directory not in module.packages:
            raise DiscoveryError(
                f"go list finds no package in {directory}",
                hint="look at `go list -e ./...` there; a build constraint or a name may hide its files",
            )
        return module.packages[directory]

    def listed(self, directory: str) -> bool:
        """Whether ``./...`` of its module finds a package here, be it one that go then refuses."""
        root = self.module_root(directory)
        if root is None:
            return False
        module = self._module(root)
        if directory in module.packages:
            return True
        below = "/" + os.path.relpath(directory, root).replace(os.sep, "/")
        return any(
            package.import_path.endswith(below) for package in module.found if not package.directory
        )

    def holds_packages(self, directory: str) -> bool:
        """Whether ``./...`` finds a package at or below ``directory``."""
        root = self.module_root(directory)
        inside = directory + os.sep
        return root is not None and any(
            (package.directory + os.sep).startswith(inside) for package in self._module(root).found
        )

    def all_packages(self, roots: Iterable[str]) -> list[Package]:
        """All packages with test files of these modules."""
        return [
            package for root in sorted(roots) for package in self._module(root).packages.values()
        ]

    def source(self, file: Path) -> SourceFile:
        """The parsed test file. Raises `OSError` when it cannot be read."""
        root = self.module_root(str(file.parent)) or str(file.parent)
        module = self._module(root)
        stat = file.stat()
        stamp = [stat.st_mtime_ns, stat.st_size]
        known = module.sources.get(str(file))
        if known and known[:2] == stamp:
            return _source.from_dict(known[2])
        parsed = _source.parse(file.read_bytes())
        module.sources[str(file)] = [*stamp, _source.to_dict(parsed)]
        module.changed = True
        return parsed

    def save(self) -> None:
        """Remember for the next session. A cache that cannot be written costs time only."""
        for module in self._modules.values():
            if module.changed:
                with contextlib.suppress(OSError):
                    _write(module)
                module.changed = False  # or the session's end would write it all once more

    def _module(self, root: str) -> _Module:
        if root in self._modules:
            return self._modules[root]
        stamp = self._stamp(root)
        name = hashlib.sha256(root.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        module = _Module(root, self._cache_dir / f"{name}.json", stamp)
        remembered = _read(module.cache_file)
        module.sources = remembered.get("sources", {})
        if remembered.get("stamp") == stamp:
            module.found = [Package.from_dict(data) for data in remembered["packages"]]
        else:
            module.found = self._toolchain.packages(root, ["./..."], self._flags)
            module.changed = True
        module.packages = {
            package.directory: package for package in module.found if package.directory
        }
        self._modules[root] = module
        return module

    def _stamp(self, root: str) -> str:
        """One hash over all that `go list` depends on."""
        said = hashlib.sha256()
        # The fields of what is kept change between two releases, and the version does not.
        said.update(repr((__version__, Package.__slots__, self._flags)).encode())
        said.update(self._toolchain.fingerprint(root).encode())
        for line in _tree(root):
            said.update(line.encode("utf-8", "surrogateescape"))
        return said.hexdigest()


def _tree(root: str) -> Iterator[str]:
    """A line for each Go file of a module that `./...` may see, in a fixed order."""
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            yield f"{directory} {error.errno}\n"
            continue
        for entry in entries:
            if entry.name.endswith(".go") or entry.name == "go.mod":
                with contextlib.suppress(OSError):
                    stat = entry.stat()
                    yield f"{entry.path} {stat.st_mtime_ns} {stat.st_size} {stat.st_mode}\n"
            elif not skipped_by_go(entry.name) and entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    usable = (
        isinstance(data, dict)
        and data.get("version") == __version__
        and isinstance(data.get("packages"), list)
        and isinstance(data.get("sources"), dict)
    )
    return data if usable else {}


def _write(module: _Module) -> None:
    data = {
        "version": __version__,
        "stamp": module.stamp,
        "packages": [package.to_dict() for package in module.found],
        "sources": {path: kept for path, kept in module.sources.items() if os.path.exists(path)},
    }
    # Not json.dump, which leaves json's C encoder aside and took three times as long.
    write_whole(module.cache_file, json.dumps(data, separators=(",", ":")).encode())
