"""What one pytest session knows of Go: settings, catalog, build and runner; the glue below the hooks."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import random
import re
import types
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gotest import _compat, _cpus, _nodes, _settings, _source, _summary, _units
from pytest_gotest._build import Binary, Builder, Built, Teller
from pytest_gotest._discovery import Catalog
from pytest_gotest._errors import BuildError, GotestError
from pytest_gotest._flags import list_flags
from pytest_gotest._launch import Launch, binary_launch, gotest_launch
from pytest_gotest._nodes import GoItem
from pytest_gotest._outcome import WAITS, Result, worse
from pytest_gotest._plan import Planned, Test
from pytest_gotest._replay import Log
from pytest_gotest._runner import Runner
from pytest_gotest._settings import Settings
from pytest_gotest._source import Kind, SourceFile, TestFunction
from pytest_gotest._summary import Summary
from pytest_gotest._tally import Tally, packages
from pytest_gotest._toolchain import Package, Toolchain, find_go
from pytest_gotest._turns import Session

if TYPE_CHECKING:
    from pytest_gotest._git import Change
    from pytest_gotest._recorder import Recorder
    from pytest_gotest._selection import Selected
    from pytest_gotest.postgres._keeper import Keeper
    from pytest_gotest.postgres._server import Server

_PLACE = re.compile(r"\.go:\d+")
_LONG = 5.0  # seconds after which a build or a test says that it is alive
_WAITED = 2.0  # seconds after which a session says for whom it waits
_FIXTURES = "pytest_gotest.plugin"
TOLD = (
    "gotest"  # the key of what xdist's controller tells its workers, and they tell it at their end
)


class GoSession:
    """One for each process of a session: the controller's, and one in each xdist worker."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self._toolchain: Toolchain | None = None
        self._catalog: Catalog | None = None
        self._modules: dict[Path, types.ModuleType] = {}
        self._bracketed: dict[Path, dict[str, list[str]]] | None = None
        self._declared: dict[str, dict[str, set[str]]] = {}
        self._packages: dict[str, Package] = {}
        self._homes: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._builder: Builder | None = None
        self.built: Built | None = None
        self.runner: Runner | None = None
        self.recorder: Recorder | None = None  # with --gotest-timeline
        self.keeper: Keeper | None = None  # of the database, once a Go test uses it
        self.replayed: Log | None = None
        self.change: Change | None = None
        self._selected: Selected | None = None
        self.ran = 0
        self._due: dict[str, float] = {}  # when to say again that something still runs
        self.told: Mapping[str, Any] = getattr(config, "workerinput", {}).get(TOLD, {})
        # One for the controller and all workers. Not xdist's, which a user may set and use again.
        self.run_id: str = self.told.get("run") or os.urandom(8).hex()
        self.echo: Callable[[str], None] | None = None
        if config.getoption("capture", "fd") == "no":
            self.echo = _print

    @property
    def _uses_postgres(self) -> bool:
        return bool(self.settings.postgres_env) and self.settings.postgres != "off"

    @property
    def fixtures(self) -> tuple[str, ...]:
        """Those that every Go test uses besides its own."""
        if not self._uses_postgres:
            return ()
        return ("gotest_postgres", "gotest_db" if self._resets_each else "_gotest_keeper")

    @property
    def _resets_each(self) -> bool:
        """Where nothing acts between two tests a process begins with the baseline, and no more."""
        return self.settings.isolate != "package" and self.settings.reset != "none"

    @property
    def resets(self) -> str:
        """When, for the header."""
        if self.settings.reset == "none":
            return ""
        return " around every Go test" if self._resets_each else " before every Go process"

    def process_env(self, env: Mapping[str, str], server: Server | None) -> Mapping[str, str]:
        """What a package's process gets from the fixtures: ``env`` is the project's own word and counts more."""
        if server is None:
            return env
        return {name: server.fill(text) for name, text in self.settings.postgres_env} | {**env}

    # Collection

    @property
    def toolchain(self) -> Toolchain:
        if self._toolchain is None:
            self._toolchain = Toolchain(find_go(), dict(os.environ), self.settings.cache_dir)
        return self._toolchain

    @property
    def catalog(self) -> Catalog:
        if self._catalog is None:
            self._catalog = Catalog(
                self.toolchain, list_flags(self.settings), self.settings.cache_dir
            )
        return self._catalog

    def module_of(self, path: Path) -> types.ModuleType:
        """One synthetic module for each package: plugins group tests by it."""
        if path.parent not in self._modules:
            module = types.ModuleType(path.parent.name or "gotest", f"Go tests in {path.parent}")
            module.__file__ = str(path)
            self._modules[path.parent] = module
        return self._modules[path.parent]

    def bracketed(self, path: Path) -> Mapping[str, Sequence[str]]:
        if self._bracketed is None:
            self._bracketed = _nodes.bracketed_ids(self.config)
        return self._bracketed.get(path, {})

    def wants_benchmark(self, name: str) -> bool:
        return self.settings.bench is not None and re.search(self.settings.bench, name) is not None

    def keyword_hints(self, path: Path, name: str) -> set[str]:
        """Names of subtests that -k may mean, as far as the source tells."""
        if not self.config.getoption("keyword", ""):
            return set()
        try:
            return {hint.name for hint in _source.subtests(path.read_bytes(), name)}
        except OSError:
            return set()

    def _sources(self, package: Package, files: Iterable[str]) -> Iterator[SourceFile]:
        """These files of a package, parsed. One that cannot be read says so where it is collected."""
        for name in files:
            try:
                source = self.catalog.source(Path(package.directory, name))
            except OSError:
                continue
            yield source

    def is_second(self, package: Package, file: str, function: TestFunction) -> bool:
        """Whether the external test package declares a test that the package itself has too."""
        if file not in package.xtest_files or not package.test_files:
            return False
        if package.import_path not in self._declared:
            names: dict[str, set[str]] = defaultdict(set)
            for source in self._sources(package, package.test_files):
                for declared in source.functions:
                    names[declared.kind.value].add(declared.name)
            self._declared[package.import_path] = names
        return function.name in self._declared[package.import_path][function.kind.value]

    def find_change(self) -> None:
        """What --gotest-changed is about; an xdist worker is told. Raises `ChangeError`."""
        from pytest_gotest import _git

        root = self.config.rootpath
        if known := self.told.get("change"):
            self.change = _git.Change.from_data(known, root)
        else:
            self.change = _git.change(root, self.settings.changed or None)

    def select_changed(self, items: list[pytest.Item]) -> None:
        """Leave out the Go tests that the change cannot reach."""
        if self.change is None:
            return
        from pytest_gotest._selection import select

        self._selected = select(items, self.change, self.toolchain, self.settings, self.config)
        items[:] = self._selected.kept
        if self._selected.dropped:
            self.config.hook.pytest_deselected(items=self._selected.dropped)

    def told_of_change(self) -> list[str]:
        if self._selected is None:
            return []
        reasons = self._selected.reasons if self.config.get_verbosity() > 0 else []
        return [self._selected.summary, *reasons]

    def arrange(self, items: list[pytest.Item]) -> None:
        """Shuffle if asked for; then fuzz targets after the other tests of their package, as Go has them."""
        by_package: dict[str, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            if isinstance(item, GoItem):
                by_package[item.test.package].append(index)
        for package, places in by_package.items():
            members: list[Any] = [items[index] for index in places]
            if self.settings.shuffle is not None:
                random.Random(f"{self.settings.shuffle} {package}").shuffle(members)
            members.sort(key=lambda item: item.test.kind is Kind.FUZZ)
            for index, item in zip(places, members, strict=True):
                items[index] = item

    # Build and run

    def build(self, session: pytest.Session) -> None:
        """Compile what the collected tests need, and plan how they run."""
        items = session.items
        chosen = [item for item in items if isinstance(item, GoItem)]
        if not self.in_worker:
            for item in {item.test.package: item for item in chosen}.values():
                item.last = True
        if not chosen or self.replayed is not None:
            return
        for item in chosen:
            if limit := _compat.timeout(item):
                item.test = replace(item.test, timeout=min(limit, item.test.timeout))
        self._packages = {item.test.package: item.package_ for item in chosen}
        self._homes = {item.test.package: _units.home(item.nodeid) for item in chosen}
        selected = list(self._packages.values())
        if self.settings.engine == "binary":
            everyone = self.catalog.all_packages({package.root for package in selected})
            me = Session(self.run_id, _compat.worker_id(self.config))
            teller = Teller(me, self._alive, functools.partial(self._waiting, me), self._noted)
            self._builder = Builder(self.toolchain, self.settings, teller)
            with self._noted("build", packages(len(selected))):
                self.built = self._builder.build(selected, everyone)
        else:
            self.built = Built()
        listens = self.in_worker and _compat.on_work(session, self._handed(items))
        self.runner = self._make_runner(ahead=listens or not self.in_worker)
        sound = [item for item in chosen if item.test.package not in self.built.errors]
        self.runner.plan(self._planned(item) for item in sound)
        if not self.in_worker:
            self.runner.expect(item.test for item in sound)

    def _handed(self, items: Sequence[pytest.Item]) -> Callable[[Sequence[int]], None]:
        """What takes note that this worker was handed these of its items."""

        def handed(indices: Sequence[int]) -> None:
            chosen = (items[index] for index in indices)
            assert self.runner is not None
            self.runner.expect(item.test for item in chosen if isinstance(item, GoItem))

        return handed

    @property
    def in_worker(self) -> bool:
        return hasattr(self.config, "workerinput")

    @property
    def controls_workers(self) -> bool:
        """Whether xdist has others run the tests; with --tx alone this process does."""
        option = self.config.option
        return not self.in_worker and bool(getattr(option, "tx", None)) and option.dist != "no"

    def _make_runner(self, *, ahead: bool) -> Runner:
        option, isolate = self.config.option, self.settings.isolate
        ahead = (
            ahead
            and not self._may_be_robbed
            and self.echo is None
            and not getattr(option, "maxfail", 0)
            and not getattr(option, "usepdb", False)
            and not getattr(option, "setuponly", False)
            and not self._timed()
        )
        return Runner(
            self._launch,
            isolate="gate" if self._may_be_robbed and isolate != "test" else isolate,
            count=self.settings.count,
            anew=self._uses_postgres and self._resets_each,
            # Workers are what runs beside each other, and GOMAXPROCS is one's whole share.
            jobs=1 if self.told.get("workers", 1) > 1 else self._share,
            ahead=ahead,
            before=self._reset_database if self._uses_postgres else None,
            bundle=self.settings.engine == "gotest",
            echo=self.echo,
            recorder=self.recorder,
        )

    def keep(self, keeper: Keeper) -> None:
        """The database that Go tests use from now on."""
        assert self.runner is not None
        keeper.retire = self.runner.retire
        self.keeper = keeper

    def _reset_database(self, package: str) -> None:
        """Each process begins with the baseline: what its TestMain finds."""
        if self.keeper is not None:
            self.keeper.start(package)

    @functools.cached_property
    def _share(self) -> int:
        """CPUs for this session, or for an xdist worker of those that its machine has."""
        return _cpus.share(
            _cpus.available(), self.told.get("workers", 1), self.told.get("index", 0)
        )

    @property
    def _may_be_robbed(self) -> bool:
        """Whether tests may be taken back from this worker: then none of them may have run before it is asked for."""
        return self.told.get("dist") == "worksteal"

    def _timed(self) -> bool:
        """Whether pytest-timeout times every item: then an item's time must be its own test's."""
        return _compat.timeout(self.config) is not None

    def _planned(self, item: GoItem) -> Planned:
        marks = {mark.name for mark in item.iter_markers()}
        names = self._around(item)
        acts = "a time limit" if "timeout" in marks else self._acting(item, names)
        doubtful = bool(marks & {"skip", "skipif", "xfail"})
        return Planned(
            test=item.test,
            acts=acts,
            alone=item.directives.isolate,
            grouped=item.directives.parallel and not self._may_be_robbed,
            parallel=item.function_.parallel,
            joins=item.function_.parallel
            and not self._may_be_robbed
            and not doubtful
            and acts in ("", "gotest_db")
            and {*names} <= {"gotest_postgres", "gotest_db"},
            doubtful=doubtful,
        )

    def _acting(self, item: GoItem, names: Sequence[str]) -> str:
        """A fixture that acts around ``item``, one of ``names`` and not asked for by another one; empty where none does."""
        if names:
            return "gotest_db" if "gotest_db" in names else names[0]
        return "" if _compat.fixture_is_own(item, "gotest_env", _FIXTURES) else "gotest_env"

    def _around(self, item: GoItem) -> list[str]:
        """The fixtures that ``item`` asks for, but those that act around no single test."""
        asked = _compat.fixture_info(item).initialnames
        return [name for name in asked if name not in ("gotest_env", "request")]

    def _launch(self, test: Test, environ: Mapping[str, str], plain: str) -> Launch:
        package, parallel = self._packages[test.package], 0
        if self.told.get("workers", 1) > 1 and "GOMAXPROCS" not in environ:
            environ = {"GOMAXPROCS": str(self._share), **environ}
            # As many as without workers, for tests may wait for each other: they share what CPUs there are.
            parallel = _cpus.available()
        if self.settings.engine == "gotest":
            return gotest_launch(package, self.toolchain, self.settings, environ, parallel=parallel)
        assert self.built is not None
        binary = self.built.binaries[test.package]
        if plain:
            binary = self.built.binaries[test.package] = Binary(binary.path, plain)
        return binary_launch(
            package,
            binary,
            self.settings,
            self.toolchain.env(package.root),
            environ,
            select=test,
            hold=self._main_may_repeat(package),
            parallel=parallel,
        )

    def _main_may_repeat(self, package: Package) -> bool:
        for source in self._sources(package, (*package.test_files, *package.xtest_files)):
            if (main := source.test_main) is not None:
                return main.loops or main.runs > 1
        return False

    def prepare(self, item: GoItem, env: Mapping[str, str]) -> None:
        """Before the function-scoped fixtures of ``item``: its binary is built, its TestMain has begun the tests."""
        assert self.built is not None
        assert self.runner is not None
        error = self.built.errors.get(item.test.package)
        if error is not None:
            raise self._once(item, error)
        result = self.runner.prepare(item.test, env)
        if result is not None:
            raise _nodes.GoFailed(result)
        if self.keeper is not None and self.runner.stands(item.test):
            self.keeper.settle(item.test.package)

    def _once(self, item: GoItem, error: GotestError) -> GotestError:
        """A package's build error is told in full once; its other items point there."""
        first = self._told.setdefault(item.test.package, item.nodeid)
        if first == item.nodeid:
            return error
        headline, _, text = error.message.partition("\n")
        place = next(
            (line.strip() for line in text.splitlines() if _PLACE.search(line)), text.strip()
        )
        return BuildError(f"{headline}\n{place}\nall of it at {first}")

    def run(self, item: GoItem) -> Result:
        self.ran += 1
        if self.replayed is not None:
            return self.replayed.result(item.test.package, item.test.name)
        assert self.runner is not None

        def alive(seconds: float) -> None:
            self._alive(f"{item.nodeid} is running", seconds)

        test_env: Any = item.funcargs.get("gotest_test_env", {})
        result = self.runner.result_for(item.test, item.env, test_env, alive)
        if result.verdict == WAITS:
            self._join(item, result.problem)
            result = self._again(item, test_env, alive)
        if not self._resets_each or self.keeper is None or self.runner.is_grouped(item.test):
            return result
        for _ in range(self.settings.count - 1):
            result = worse(result, self._again(item, test_env, alive))
        return result

    def _again(self, item: GoItem, test_env: Any, alive: Callable[[float], None]) -> Result:
        """From the state before, as if for the first time."""
        assert self.runner is not None
        if self.keeper is not None and self._resets_each:
            self.keeper.restore()
        self.runner.forget(item.test)
        self.prepare(item, item.env)
        return self.runner.result_for(item.test, item.env, test_env, alive)

    def _join(self, item: GoItem, place: str) -> None:
        """A test that waits for another one runs beside the parallel tests of its package."""
        assert self.runner is not None
        names = ", ".join(test.name for test in self.runner.join(item.test))
        _compat.write_line(
            self.config,
            f"gotest: {item.nodeid} waits at {place} for what another test has to do: "
            f"it runs beside {names}, with nothing put back between them. "
            "With //pytest:parallel above them nobody has to find that out.",
            light=False,
        )

    def over(self, item: GoItem) -> None:
        """An item is torn down. After a package's last one, what went wrong beside its tests is told."""
        if self.runner is not None:
            self.runner.release(item.test)
        if not item.last:
            return
        problems: list[str] = []
        if self.replayed is not None and self.ran:
            problems = self.replayed.take_problems(item.test.package)
        elif self.runner is not None:
            problems = self.runner.finish(item.test.package)
            if self.keeper is not None:
                self.keeper.leave(item.test.package)
        if problems:
            raise BuildError(f"{item.test.package}: " + "\n".join(problems))

    def _noted(self, category: str, name: str) -> contextlib.AbstractContextManager[None]:
        """For the timeline, if one is asked for."""
        if self.recorder is None:
            return contextlib.nullcontext()
        return self.recorder.span(category, name)

    @property
    def tally(self) -> Tally | None:
        """What the build of this process came to, if there was one."""
        built = self.built
        if built is None:
            return None
        return Tally(
            current=len(built.binaries) - built.fresh,
            fresh=built.fresh,
            failed=len(built.errors),
            asked=built.asked,
            seconds=built.seconds,
            evicted=built.evicted.directories,
            freed=built.evicted.size,
            by=_compat.worker_id(self.config),
        )

    def _waiting(self, me: Session, whom: Session | None, what: str, seconds: float) -> None:
        if speaks(me, whom):
            who = whom.told_to(me) if whom is not None else "another session"
            # A worker of this run says by itself that it is alive.
            grows = 2.0 if whom is None or whom.run != me.run else math.inf
            self._alive(f"waiting for {who}, which builds {what}", seconds, _WAITED, grows)

    def _alive(self, what: str, seconds: float, first: float = _LONG, grows: float = 2.0) -> None:
        """Say after ``first`` seconds that something still runs, and then ever more seldom."""
        due = self._due.get(what, first)
        if seconds >= due:
            self._due[what] = grows * due
            _compat.write_line(self.config, f"gotest: {what} ({seconds:.0f} s)", light=True)

    def summary(self) -> Summary:
        """Of this process alone."""
        # Without workers it was said when it was known.
        changed = self.told_of_change() if self.in_worker else []
        built = [asdict(self.tally)] if self.tally is not None else []
        left_out = len(self._selected.dropped) if self._selected else 0
        if self.runner is None:
            return Summary(changed=changed, left_out=left_out, built=built)
        binaries = self.built.binaries.items() if self.built else ()
        plain = [(package, binary.plain) for package, binary in binaries if binary.plain]
        starts = self.runner.starts().items()
        return Summary(
            ran=self.ran,
            changed=changed,
            left_out=left_out,
            built=built,
            processes=self.runner.processes,
            restarted=self.runner.restarted,
            unsteered=_summary.by_reason(plain),
            leftover=self.runner.unreported(),
            starts={self._homes[package]: seconds for package, seconds in starts},
        )

    def close(self) -> None:
        if self._catalog is not None:
            self._catalog.save()
        if self.runner is not None:
            self.runner.close()
        if self.keeper is not None:
            for package in self._packages:
                with contextlib.suppress(GotestError):  # nobody comes after them
                    self.keeper.leave(package)
        if self._builder is not None:
            self._builder.close()


def speaks(me: Session, whom: Session | None) -> bool:
    """Whether, of all workers that wait for ``whom``, it is this one that says so. Outside xdist everyone does."""
    first = "gw0" if whom is None or whom.run != me.run or whom.worker != "gw0" else "gw1"
    return me.worker in ("", first)


def _print(text: str) -> None:
    print(text, end="", flush=True)


def start(config: pytest.Config) -> GoSession:
    return GoSession(config, _settings.read(config))
