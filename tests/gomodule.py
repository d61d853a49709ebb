"""A Go module made for one test, and built as the plugin builds."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_gotest._build import Builder, Built
from pytest_gotest._settings import Settings
from pytest_gotest._toolchain import Toolchain, find_go


class Module:
    """A Go module in a directory of its own, built into a cache beside it."""

    def __init__(self, base: Path) -> None:
        self.root = base / "module"
        self.cache = base / "cache"
        self.root.mkdir()
        self.toolchain = Toolchain(find_go(), dict(os.environ))
        self.write("go.mod", "module example.com/m\n\ngo 1.22\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_file(self, name: str, body: str = "", package: str = "") -> None:
        package = package or name.split("/")[0]
        self.write(
            name,
            f'package {package}\n\nimport "testing"\n\nfunc TestA(t *testing.T) {{\n\t{body}\n}}\n',
        )

    def build(self, **settings: object) -> Built:
        chosen = Settings(cache_dir=self.cache, **settings)  # type: ignore[arg-type]
        found = self.toolchain.packages(str(self.root), ["./..."], [])
        builder = Builder(self.toolchain, chosen)
        try:
            return builder.build(found, found)
        finally:
            builder.close()
