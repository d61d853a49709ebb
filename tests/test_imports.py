"""What the source of a Python module tells of it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from pytest_gotest._imports import Closure, Reach, closure, is_own, read, union


def of(text: str, package: str = "") -> set[str]:
    return set(read(textwrap.dedent(text).encode(), package).imports)


def test_imports_wherever_they_stand() -> None:
    text = """
        import a.b, c
        from d import e
        def late():
            from . import f
            from ..g import h
        if True:
            import i as j
    """
    assert of(text, "top.sub") == {
        "a", "a.b", "c", "d", "d.e", "top", "top.sub", "top.sub.f", "top.g", "top.g.h", "i",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import pytest\n\n@pytest.fixture\ndef x():\n    return 1\n", Reach.NOTHING),
        ("def x(tmp_path):\n    return tmp_path / 'a'\n", Reach.NOTHING),
        ("def x():\n    return open('a').read()\n", Reach.FILES),
        ("def x(tmp_path):\n    return tmp_path.read_text()\n", Reach.FILES),
        ("import pathlib\n", Reach.FILES),
        ("import os\n\ndef x():\n    return os.environ.get('DB')\n", Reach.NOTHING),
        ("import os\n\ndef x():\n    return os.listdir('.')\n", Reach.FILES),
        ("from os import environ\n", Reach.FILES),
        ("import configparser\n", Reach.FILES),
        ("def x(run):\n    run('go run ./cmd/server')\n", Reach.PROGRAMS),
        ("def x(spec, m):\n    spec.loader.exec_module(m)\n", Reach.PROGRAMS),
        ("from testcontainers.postgres import PostgresContainer\n", Reach.FILES),
        ("from testcontainers.core.image import DockerImage\n", Reach.PROGRAMS),
        ("import subprocess\n", Reach.PROGRAMS),
        ("def x():\n    import subprocess as s\n", Reach.PROGRAMS),
        ("import os\n\ndef x():\n    os.execvp('go', ['go'])\n", Reach.PROGRAMS),
        ("async def x():\n    await asyncio.create_subprocess_exec('go')\n", Reach.PROGRAMS),
        ("def x(pytester):\n    pass\n", Reach.PROGRAMS),
        ("def x(:\n", Reach.PROGRAMS),
        ("\0", Reach.PROGRAMS),
    ],
)
def test_what_it_may_get_at(text: str, expected: Reach) -> None:
    assert read(text.encode(), "").reach is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ('"""Says something."""\nimport os\nfrom a import b\nX = 1\nY: int = 2\nZ: int\n', False),
        ("HERE = Path(__file__).resolve()\nLOG = logging.getLogger(__name__)\n", False),
        ("pytestmark = pytest.mark.slow\n", False),
        ("try:\n    import a\nexcept ImportError:\n    a = None\n", False),
        ("if TYPE_CHECKING:\n    import a\n", False),
        ("class A:\n    x = 1\n    def f(self): ...\n", False),
        ("def pytest_configure(config):\n    config.addinivalue_line('markers', 'x')\n", False),
        ("import sys\nsys.path.insert(0, 'lib')\n", False),
        ("ROOT = os.path.dirname(os.path.abspath(__file__))\n", False),
        ("@pytest.fixture(scope='session')\ndef x():\n    start()\n", False),
        ("@helpers.setup\ndef x():\n    pass\n", True),
        ("def x(y=start()):\n    pass\n", True),
        ("class A(base()):\n    pass\n", True),
        ("sys.path.insert(0, start())\n", True),
        ("def pytest_configure(config):\n    start()\n", True),
        ("def fixture():\n    os.environ['TZ'] = 'UTC'\n", False),
        ("os.environ['TZ'] = 'UTC'\n", True),
        ("os.environ.update(TZ='UTC')\n", True),
        ("X = start()\n", True),
        ("if True:\n    start()\n", True),
        ("class A:\n    start()\n", True),
        ("for x in y:\n    pass\n", True),
        ("def pytest_runtest_setup(item):\n    start()\n", True),
        ("from hooks import pytest_runtest_setup\n", True),
        ("from hooks import setup as pytest_runtest_setup\n", True),
        ("from hooks import *\n", True),
        ("def x(request):\n    return request.getfixturevalue('y')\n", True),
        ("def x(:\n", True),
    ],
)
def test_whether_it_acts_unasked(text: str, expected: bool) -> None:
    assert read(text.encode(), "").acts is expected


def test_a_module_with_all_that_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "zz_top.py": "import zz_sub.inner\nimport json\n\ndef late():\n    import zz_late.one\n",
        "zz_sub/__init__.py": "",
        "zz_sub/inner.py": "from . import leaf\nstart = print()\n",
        "zz_sub/leaf.py": "import subprocess\n",
        "zz_late/__init__.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("zz_top", "zz_sub", "zz_sub.inner", "zz_sub.leaf"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    __import__("zz_top")
    found = closure(str(tmp_path / "zz_top.py"), "", tmp_path.resolve())
    assert {path.name for path in found.files} == {
        "zz_top.py",
        "__init__.py",
        "inner.py",
        "leaf.py",
    }
    assert found.reach is Reach.PROGRAMS
    assert found.acts
    assert found.holds(tmp_path / "zz_sub" / "leaf.py")
    # Not loaded yet: where it would come from, or by its name.
    assert found.holds(tmp_path / "zz_late" / "__init__.py")
    assert found.holds(tmp_path / "zz_late" / "one.py")
    assert found.holds(tmp_path / "anywhere" / "zz_late" / "one.py")
    assert not found.holds(tmp_path / "zz_late" / "two.py")
    assert not found.holds(tmp_path / "other.py")
    assert found.holds(tmp_path / "zz_sub")  # a submodule
    for name in ("zz_top", "zz_sub", "zz_sub.inner", "zz_sub.leaf"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_nothing_together() -> None:
    assert union([]) == Closure(frozenset(), frozenset(), Reach.NOTHING, False)


def test_texts_that_name_modules() -> None:
    assert of("run('app.main:app')\nsay('a sentence. Or two')\n") == {
        "app",
        "app.main",
        "app.main.app",
    }


def test_what_is_the_projects_own(tmp_path: Path) -> None:
    top = tmp_path.resolve()
    assert is_own(str(tmp_path / "a" / "conftest.py"), top)
    assert not is_own(pytest.__file__, top)
    assert not is_own(str(tmp_path / ".venv/lib/python3.12/site-packages/x.py"), top)
    (tmp_path / "linked.py").symlink_to(pytest.__file__)
    assert not is_own(str(tmp_path / "linked.py"), top)
