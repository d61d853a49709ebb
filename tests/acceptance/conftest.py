"""A Go module that all acceptance tests share, so that it is built once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from shopping import Shop

from pytest_gotest import _hooks  # noqa: F401 - kept from one run in this process to the next

HERE = Path(__file__).parent
collect_ignore = ["shop"]


@pytest.fixture(scope="session")
def shop_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("acceptance") / "shop"
    shutil.copytree(HERE / "shop", directory)
    (directory / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    slow: takes long.\n    owner: whom to ask.\n"
    )
    return directory


@pytest.fixture(scope="session")
def go_databases_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the modules of `selling`: one data directory serves them all."""
    return tmp_path_factory.getbasetemp() / "go-databases-cache"


@pytest.fixture
def shop(
    shop_directory: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.chdir(shop_directory)
    shop = Shop(shop_directory, pytester)
    yield shop
    shop.clean()
