"""--gotest-changed on real modules in real repositories: what runs, why, and never too little."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest
from running import Outcome, need_c_compiler, need_git, run_pytest
from selling import WITH_DRIVER

MODULE = {
    "go.mod": "module example.com/shop\n\ngo 1.22\n",
    "store/store.go": """
        package store

        import _ "embed"

        //go:embed sql/query.sql
        var Query string
    """,
    "store/sql/query.sql": "select 1",
    "store/store_test.go": """
        package store

        import "testing"

        func TestStore(t *testing.T) {}
    """,
    "api/api.go": """
        package api

        import "example.com/shop/store"

        func Query() string { return store.Query }
    """,
    "api/api_test.go": """
        package api_test

        import (
            "testing"

            "example.com/shop/api"
            "example.com/shop/fake"
        )

        func TestApi(t *testing.T) { _, _ = api.Query(), fake.Now }
    """,
    "fake/fake.go": "package fake\n\nvar Now = 1\n",
    "tool/tool_test.go": """
        package tool

        import "testing"

        //pytest:usefixtures clock
        func TestTool(t *testing.T) {}
    """,
    "tool/testdata/golden.txt": "old",
    "conftest.py": "from helpers.clocks import clock\n",
    "helpers/__init__.py": "",
    "helpers/clocks.py": """
        import pytest
        from helpers.zones import ZONE

        @pytest.fixture
        def clock():
            return ZONE
    """,
    "helpers/zones.py": "ZONE = 'UTC'\n",
    "test_python.py": "def test_python():\n    pass\n",
}
API, STORE, TOOL = "api/api_test.go::TestApi", "store/store_test.go::TestStore", "tool/tool_test.go::TestTool"  # fmt: skip
PYTHON = "test_python.py::test_python"


class Repository:
    """The module in a directory of a repository, one commit ahead of nothing."""

    def __init__(self, base: Path, files: dict[str, str]) -> None:
        need_git()
        self.base = base
        self.environ: dict[str, str] = {}
        self.top = base / "repository"
        self.root = self.top / "shop"
        for name, text in files.items():
            self.write(name, text)
        (self.top / "README.md").write_text("of the repository\n")
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "somebody")
        self.git("config", "user.email", "somebody@example.com")
        self.commit()

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.top, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "more")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))

    def run(self, *arguments: str, plugins: tuple[str, ...] = ()) -> Outcome:
        return run_pytest(
            self.root,
            *("-p", "no:cacheprovider"),
            *arguments,
            record=self.base / "record",
            plugins=plugins,
            env={"PYTHONDONTWRITEBYTECODE": "1", **self.environ},
        )

    def ran(self, *arguments: str) -> set[str]:
        """Ids of the Go tests that --gotest-changed leaves."""
        outcome = self.run("--gotest-changed", *arguments)
        assert outcome.exitstatus == 0, outcome.output
        assert outcome.items.pop(PYTHON) == "passed"  # Python's tests are not what this is about
        return set(outcome.items)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path, MODULE)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("store/store.go", MODULE["store/store.go"] + "\n\tvar more = 1\n", {STORE, API}),
        ("store/store_test.go", MODULE["store/store_test.go"] + "\n", {STORE}),
        ("store/sql/query.sql", "select 2", {STORE, API}),
        ("fake/fake.go", "package fake\n\nvar Now = 2\n", {API}),
        ("tool/testdata/golden.txt", "new", {TOOL}),
        ("go.mod", "module example.com/shop\n\ngo 1.22.0\n", {STORE, API, TOOL}),
        ("go.sum", "", {STORE, API, TOOL}),
        ("conftest.py", "from helpers.clocks import clock\n\n", {STORE, API, TOOL}),
        ("store/conftest.py", "", {STORE}),
        ("api/conftest.py", "", {API}),
        ("helpers/clocks.py", MODULE["helpers/clocks.py"] + "\n", {TOOL}),
        ("helpers/zones.py", "ZONE = 'Asia/Kathmandu'\n", {TOOL}),
        ("pytest.ini", "[pytest]\n", {STORE, API, TOOL}),
        ("test_python.py", "def test_python():\n    assert True\n", set()),
        ("tool/tool.go", "package tool\n", {TOOL}),
        ("../README.md", "changed", set()),
        ("Makefile", "all:\n", {STORE, API, TOOL}),
    ],
)
def test_what_a_change_reaches(
    repository: Repository, name: str, text: str, expected: set[str]
) -> None:
    repository.write(name, text)
    assert repository.ran() == expected


LOOKS = """
    package golden

    import (
        "path/filepath"
        "runtime"
    )

    func Root() string { _, file, _, _ := runtime.Caller(0); return filepath.Dir(file) }
"""
USES_GOLDEN = """
    package tool

    import (
        "testing"

        "example.com/shop/golden"
    )

    func TestTool(t *testing.T) { _ = golden.Root() }
"""
PLAIN_TOOL = 'package tool\n\nimport "testing"\n\nfunc TestTool(t *testing.T) {}\n'
ROOT = "root_test.go::TestRoot"


@pytest.mark.parametrize(
    ("more", "changed", "expected"),
    [
        pytest.param(
            {"golden/golden.go": LOOKS, "tool/tool_test.go": USES_GOLDEN},
            "fake/fake_other.go",
            {API, TOOL},
            id="a helper looks beyond its directory for its users",
        ),
        pytest.param({}, "tool/snippets/x.go", {TOOL}, id="Go sources as data"),
        pytest.param({}, "include/shop.h", {STORE, API, TOOL}, id="headers for cgo"),
        pytest.param(
            {"root_test.go": 'package shop\n\nimport "testing"\n\nfunc TestRoot(t *testing.T) {}\n'},
            "configs/x.yaml",
            {STORE, API, TOOL, ROOT},
            id="beside a package at the root",
        ),
        pytest.param(
            {"root_test.go": 'package shop\n\nimport "testing"\n\nfunc TestRoot(t *testing.T) {}\n'},
            "store/store_test.go",
            {STORE, ROOT},
            id="below a package",
        ),
        pytest.param(
            {
                "conftest.py": """
                    from helpers.clocks import clock
                    from helpers.zones import ZONE

                    def pytest_runtest_setup(item):
                        assert ZONE
                """
            },
            "helpers/zones.py",
            {STORE, API, TOOL},
            id="imported for a hook",
        ),
        pytest.param(
            {
                "conftest.py": """
                    import pytest
                    from helpers.clocks import clock

                    @pytest.fixture(autouse=True)
                    def dynamic(request):
                        request.getfixturevalue("clock")
                """
            },
            "helpers/zones.py",
            {STORE, API, TOOL},
            id="getfixturevalue",
        ),
        pytest.param(
            {
                "helpers/clocks.py": """
                    import pytest

                    @pytest.fixture
                    def clock():
                        from helpers import late
                        return late.ZONE
                """,
                "helpers/late.py": "ZONE = 'UTC'\n",
            },
            "helpers/late.py",
            {TOOL},
            id="imported in a fixture's body",
        ),
        pytest.param(
            {
                "helpers/clocks.py": """
                    import pytest

                    @pytest.fixture
                    def clock():
                        from helpers import late
                        return late.ZONE
                """,
                "helpers/late.py": "from helpers.later import ZONE\n",
                "helpers/later.py": "ZONE = 'UTC'\n",
            },
            "helpers/later.py",
            {TOOL},
            id="imported by what is imported in a fixture's body",
        ),
        pytest.param(
            {
                "helpers/clocks.py": """
                    import pytest

                    @pytest.fixture
                    def clock():
                        return pytest.importorskip("seed").ZONE
                """,
                "seed.py": "ZONE = 'UTC'\n",
            },
            "seed.py",
            {TOOL},
            id="imported by name",
        ),
        pytest.param(
            {"helpers/__init__.py": "import os\nos.environ['ZONE'] = 'UTC'\n"},
            "helpers/__init__.py",
            {STORE, API, TOOL},
            id="a package that acts as it is imported",
        ),
        pytest.param(
            {
                "conftest.py": "pytest_plugins = ['fx.db']\nfrom helpers.clocks import clock\n",
                "fx/__init__.py": "",
                "fx/db.py": """
                    import subprocess

                    import pytest

                    @pytest.fixture
                    def db():
                        subprocess.run(["go", "run", "./cmd/db"], check=True)
                """,
            },
            "web/app.go",
            set(),
            id="a plugin of whose fixtures nobody makes use",
        ),
        pytest.param(
            {"conftest.py": """
                from helpers.clocks import clock

                def pytest_configure(config):
                    config.addinivalue_line("markers", "slow: takes long")
            """},
            "helpers/zones.py",
            {TOOL},
            id="a hook that only tells a marker",
        ),
        pytest.param(
            {
                "pytest.ini": "[pytest]\n",
                "pyproject.toml": "[tool.ruff]\n",
                "tool/tool_test.go": PLAIN_TOOL,
            },
            "../pyproject.toml",
            set(),
            id="settings of other tools",
        ),
        pytest.param(
            {"pytest.ini": "[pytest]\ngotest_arg = ../deploy/x.md\n", "deploy/x.md": "1"},
            "deploy/x.md",
            {STORE, API, TOOL},
            id="named by an argument",
        ),
        pytest.param(
            {"pytest.ini": "[pytest]\ngotest_changed_ignore = /web/\n"},
            "web/app.yaml",
            set(),
            id="nobody's by its place",
        ),
        pytest.param(
            {"pytest.ini": "[pytest]\ngotest_changed_ignore = /web/\n"},
            "deploy/web/app.yaml",
            {STORE, API, TOOL},
            id="not that of another place",
        ),
        pytest.param(
            {
                "helpers/clocks.py": """
                    import pytest
                    from pathlib import Path

                    @pytest.fixture
                    def clock():
                        return Path(__file__).parent.parent.parent.joinpath("deploy/zone.sql").read_text()
                """,
                "../deploy/zone.sql": "select 1",
            },
            "../deploy/zone.sql",
            {TOOL},
            id="a fixture reads what is outside the module",
        ),
        pytest.param(
            {
                "helpers/clocks.py": """
                    import subprocess

                    import pytest

                    @pytest.fixture
                    def clock():
                        subprocess.run(["go", "run", "./cmd/clock"], check=True)
                """,
                "cmd/clock/main.go": "package main\n\nfunc main() {}\n",
            },
            "cmd/clock/main.go",
            {TOOL},
            id="a fixture runs a program of the module",
        ),
        pytest.param(
            {".gitignore": "fake/\n", "tool/tool_test.go": PLAIN_TOOL},
            "test_other.py",
            {API},
            id="git ignores a package",
        ),
        pytest.param({".gitignore": "zones.py\n"}, "test_other.py", {TOOL}, id="git ignores a module"),
        pytest.param(
            {"pytest.ini": "[pytest]\ngotest_changed_ignore =\n    deploy/\n    *.lock\n"},
            "deploy/some/compose.yaml",
            set(),
            id="taken for nobody's",
        ),
        pytest.param(
            {"pytest.ini": "[pytest]\ngotest_changed_ignore = *.golden\n"},
            "tool/testdata/x.golden",
            {TOOL},
            id="a test's own data all the same",
        ),
        pytest.param({}, "docs/page.md", set(), id="documentation"),
    ],
)  # fmt: skip
def test_in_doubt_more(
    tmp_path: Path, more: dict[str, str], changed: str, expected: set[str]
) -> None:
    repository = Repository(tmp_path, {**MODULE, **more})
    path = repository.root / changed
    now = path.read_text() if path.exists() else ""
    language = {".go": "\n// changed\n", ".py": "\n# changed\n"}.get(path.suffix, "\n")
    if not now and path.suffix == ".go":
        now = f"package {path.parent.name}\n"
    repository.write(changed, now + language)
    assert repository.ran() == expected


def test_a_migration(tmp_path: Path) -> None:
    """For the tests that have the database, even where it lies in a package's directory."""
    ini = "[pytest]\ngotest_postgres_env = A={url}\ngotest_migrations = db/*.sql\n"
    db = 'package db\n\nimport "testing"\n\nfunc TestDb(t *testing.T) {}\n'
    repository = Repository(
        tmp_path, {**MODULE, "pytest.ini": ini, "db/1.sql": "SELECT 1;\n", "db/db_test.go": db}
    )
    repository.write("db/1.sql", "SELECT 2;\n")
    assert repository.ran() == {STORE, API, TOOL, "db/db_test.go::TestDb"}
    repository.git("checkout", "-q", ".")
    repository.write("store/1.sql", "SELECT 2;\n")
    assert repository.ran() == {STORE, API}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [("gotest_migrate_inputs = tool/db\n", {TOOL}), ("", {STORE, API, TOOL})],
    ids=["named", "unknown"],
)
def test_what_a_migrating_command_reads(tmp_path: Path, inputs: str, expected: set[str]) -> None:
    ini = f"[pytest]\ngotest_postgres_env = A={{url}}\ngotest_migrate_command = true\n{inputs}"
    repository = Repository(tmp_path, {**MODULE, "pytest.ini": ini, "tool/db/1": "a"})
    repository.write("tool/db/1", "b")
    assert repository.ran() == {STORE, API, TOOL}
    repository.git("checkout", "-q", ".")
    repository.write("tool/else", "new")
    assert repository.ran() == expected


def test_names_that_are_no_text(tmp_path: Path) -> None:
    repository = Repository(tmp_path, MODULE)
    odd = os.fsdecode(b"caf\xe9.txt")
    (repository.root / "tool" / odd).write_text("new")
    outcome = repository.run("--gotest-changed", "-v", "-n2", plugins=("xdist",))
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == {TOOL, PYTHON}
    assert "tool/caf\\xe9.txt: in its directory" in outcome.output


def test_what_was_downloaded_into_the_repository_is_nobodys_own(tmp_path: Path) -> None:
    """A module cache in the checkout, as CI jobs have it, ignored by git."""
    files = {
        **MODULE,
        **WITH_DRIVER,
        ".gitignore": ".go/\n",
        "tool/tool.go": 'package tool\n\nimport _ "github.com/lib/pq"\n',
    }
    repository = Repository(tmp_path, files)
    repository.environ = {"GOMODCACHE": str(repository.root / ".go"), "GOFLAGS": "-modcacherw"}
    assert repository.ran() == set()
    repository.write("tool/tool.go", files["tool/tool.go"] + "\n")
    assert repository.ran() == {TOOL}


def test_data_behind_a_link(tmp_path: Path) -> None:
    repository = Repository(tmp_path, MODULE)
    repository.write("store/testdata/x", "old")
    link = repository.root / "api" / "testdata"
    link.symlink_to("../tool/testdata")
    generated = repository.root / "fake" / "more.go"
    repository.write("generated/more.go.txt", "package fake\n")
    generated.symlink_to("../generated/more.go.txt")
    repository.commit()
    repository.write("tool/testdata/golden.txt", "new")
    assert repository.ran("--gotest-changed=HEAD") == {TOOL, API}


def test_no_test_is_left_and_that_is_no_error(tmp_path: Path) -> None:
    files = {name: text for name, text in MODULE.items() if name != "test_python.py"}
    repository = Repository(tmp_path, files)
    for arguments in ((), ("-n2",)):
        outcome = repository.run("--gotest-changed", *arguments, plugins=("xdist",))
        assert outcome.exitstatus == 0, outcome.output
        assert outcome.items == {}
        assert "gotest: 0 of 3 packages changed since main (" in outcome.output
    # What other options leave out is still one.
    assert repository.run("--gotest-changed", "-k", "nowhere").exitstatus == 5


def test_nothing_changed_and_nothing_is_built(repository: Repository) -> None:
    outcome = repository.run("--gotest-changed")
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == {PYTHON}
    assert "gotest: 0 of 3 packages changed since main (" in outcome.output
    assert "3 deselected" in outcome.output
    assert "built" not in outcome.output


def test_a_deleted_and_a_renamed_file(repository: Repository) -> None:
    (repository.root / "tool/testdata/golden.txt").unlink()
    assert repository.ran() == {TOOL}
    repository.commit()
    repository.git("mv", "shop/store/store_test.go", "shop/store/other_test.go")
    assert repository.ran("--gotest-changed=HEAD") == {"store/other_test.go::TestStore"}


def test_since_the_branch_began_or_since_a_commit(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    repository.write("tool/testdata/golden.txt", "new")
    repository.commit()
    repository.write("store/store_test.go", MODULE["store/store_test.go"] + "\n")
    repository.commit()
    assert repository.ran() == {TOOL, STORE}
    assert repository.ran("--gotest-changed=HEAD~1") == {STORE}


def test_verbose_says_why(repository: Repository) -> None:
    repository.write("store/sql/query.sql", "select 2")
    outcome = repository.run("--gotest-changed", "-v")
    lines = [line for line in outcome.output.splitlines() if ".sql" in line]
    assert lines == [
        "gotest: example.com/shop/api: store/sql/query.sql: embedded in example.com/shop/store",
        "gotest: example.com/shop/store: store/sql/query.sql: embedded",
    ]
    assert "gotest: 2 of 3 packages changed since main (" in outcome.output


def test_all_workers_choose_alike_and_it_is_said_once(repository: Repository) -> None:
    repository.write("fake/fake.go", "package fake\n\nvar Now = 2\n")
    outcome = repository.run("--gotest-changed", "-v", "-n2", plugins=("xdist",))
    assert outcome.exitstatus == 0, outcome.output
    assert set(outcome.items) == {API, PYTHON}
    assert outcome.output.count("gotest: 1 of 3 packages changed since main (") == 1
    why = "gotest: example.com/shop/api: fake/fake.go: it imports fake"
    assert outcome.output.count(why) == 1, outcome.output


def test_with_ids_and_keywords(repository: Repository) -> None:
    repository.write("store/store.go", MODULE["store/store.go"] + "\n\tvar more = 1\n")
    outcome = repository.run(STORE, TOOL, "--gotest-changed")
    assert set(outcome.items) == {STORE}, outcome.output
    outcome = repository.run("--gotest-changed", "-k", "TestApi")
    assert set(outcome.items) == {API}, outcome.output


def test_a_changed_package_that_does_not_build_is_told(repository: Repository) -> None:
    repository.write("fake/fake.go", "package fake\n\nvar Now = unknown\n")
    outcome = repository.run("--gotest-changed")
    assert outcome.items[API] == "error"
    assert STORE not in outcome.items


def test_a_local_module_that_replaces_another(tmp_path: Path) -> None:
    files = {
        **MODULE,
        "go.mod": "module example.com/shop\n\ngo 1.22\n\nrequire example.com/lib v0.0.0\n\n"
        "replace example.com/lib => ../lib\n",
        "../lib/go.mod": "module example.com/lib\n\ngo 1.22\n",
        "../lib/lib.go": "package lib\n\nvar X = 1\n",
        "tool/tool.go": 'package tool\n\nimport _ "example.com/lib"\n',
    }
    repository = Repository(tmp_path, files)
    repository.write("../lib/lib.go", "package lib\n\nvar X = 2\n")
    assert repository.ran() == {TOOL}


@pytest.mark.parametrize(
    ("argument", "said"),
    [("--gotest-changed=nowhere", "git knows no such commit"), ("--gotest-changed", "git says")],
)
def test_errors(tmp_path: Path, argument: str, said: str) -> None:
    if "nowhere" in argument:
        root = Repository(tmp_path, MODULE).root
    else:
        need_git()
        root = tmp_path
        (root / "go.mod").write_text(MODULE["go.mod"])
    outcome = run_pytest(root, argument, record=tmp_path / "record")
    assert outcome.exitstatus == 4, outcome.output
    assert said.replace("git says", "and it says: ") in outcome.output
    assert "Traceback" not in outcome.output


def test_never_less_than_what_depends_on_it(tmp_path: Path) -> None:
    """Random changes in a module of packages that import each other; go itself says who depends on whom."""
    draw = random.Random(5)
    number = 12
    files = {
        "go.mod": "module example.com/m\n\ngo 1.22\n",
        "test_python.py": MODULE["test_python.py"],
    }
    for package in range(number):
        below = draw.sample(range(package), min(package, draw.randrange(3)))
        imports = "".join(f'import _ "example.com/m/p{other}"\n' for other in below)
        tested = "".join(
            f'import _ "example.com/m/p{other}"\n'
            for other in draw.sample(range(package), min(package, draw.randrange(2)))
            if other not in below
        )
        files[f"p{package}/p.go"] = f"package p{package}\n\n{imports}"
        files[f"p{package}/p_test.go"] = (
            f'package p{package}\n\nimport "testing"\n{tested}\nfunc TestA(t *testing.T) {{}}\n'
        )
    repository = Repository(tmp_path, files)
    listed = subprocess.run(
        ["go", "list", "-test", "-deps", "-json=ImportPath,Deps", "./..."],
        cwd=repository.root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    uses: dict[str, set[str]] = {}
    decoder = json.JSONDecoder()
    while listed.strip():
        data, end = decoder.raw_decode(listed.lstrip())
        listed = listed.lstrip()[end:]
        if data["ImportPath"].endswith(".test"):
            name = data["ImportPath"].removesuffix(".test")
            uses[name] = {dep.partition(" ")[0] for dep in data["Deps"]} | {name}
    assert len(uses) == number
    for _ in range(6):
        picked = draw.sample(range(number), draw.randrange(1, 3))
        for package in picked:
            path = f"p{package}/p.go"
            repository.write(path, (repository.root / path).read_text() + "\n// changed\n")
        changed = {f"example.com/m/p{package}" for package in picked}
        expected = {
            f"{name.removeprefix('example.com/m/')}/p_test.go::TestA"
            for name, parts in uses.items()
            if parts & changed
        }
        assert repository.ran() == expected
        repository.git("checkout", "-q", ".")


VENDORED = {
    **MODULE,
    "go.mod": "module example.com/shop\n\ngo 1.22\n\nrequire example.com/lib v1.0.0\n",
    "vendor/modules.txt": "# example.com/lib v1.0.0\n## explicit; go 1.22\nexample.com/lib\n",
    "vendor/example.com/lib/lib.go": "package lib\n\nvar X = 1\n",
    "fake/fake.go": """
        package fake

        import "example.com/lib"

        var Now = lib.X
    """,
}


def test_vendored_code(tmp_path: Path) -> None:
    repository = Repository(tmp_path, VENDORED)
    repository.write("vendor/example.com/lib/lib.go", "package lib\n\nvar X = 2\n")
    assert repository.ran() >= {API}
    assert repository.ran() < {API, STORE, TOOL}


def test_a_conftest_above_a_package_behind_a_link(tmp_path: Path) -> None:
    """pytest loads that of where the link is, if the link is asked for; by itself it does not follow one."""
    repository = Repository(tmp_path, MODULE)
    linked = repository.top / "elsewhere" / "tool"
    linked.parent.mkdir()
    (repository.root / "tool").rename(linked)
    (repository.root / "tool").symlink_to("../elsewhere/tool")
    repository.commit()
    repository.write(
        "helpers/clocks.py", MODULE["helpers/clocks.py"].replace("return ZONE", "return str(ZONE)")
    )
    outcome = repository.run("tool", "--gotest-changed")
    assert set(outcome.items) == {TOOL}, outcome.output


def test_a_library_that_pkg_config_names(tmp_path: Path) -> None:
    """Its flags come from a file that go does not list, so all is in doubt."""
    need_c_compiler()
    if shutil.which("pkg-config") is None:
        pytest.skip("no pkg-config on PATH")
    files = {
        **MODULE,
        "libs/answer.pc": "Name: answer\\nDescription: x\\nVersion: 1\\nCflags: -DANSWER=42\\n",
        "tool/tool.go": """
            package tool

            // #cgo pkg-config: answer
            import "C"

            const Answer = C.ANSWER
        """,
    }
    repository = Repository(
        tmp_path, {name: text.replace("\\n", "\n") for name, text in files.items()}
    )
    repository.environ["PKG_CONFIG_PATH"] = str(repository.root / "libs")
    repository.write(
        "libs/answer.pc", files["libs/answer.pc"].replace("\\n", "\n").replace("42", "43")
    )
    assert TOOL in repository.ran()
