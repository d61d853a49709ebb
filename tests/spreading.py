"""A project of small Go packages with Python tests beside them, whose tests note that they ran."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from pathlib import Path

from running import Outcome, run_pytest

PACKAGES = 6
TESTS = 4

GO = """
package p{number}

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

func note(t *testing.T) {{
	file, err := os.OpenFile(os.Getenv("RAN"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {{
		t.Fatal(err)
	}}
	defer file.Close()
	fmt.Fprintf(file, "p{number} %s %d %d\\n", t.Name(), os.Getpid(), runtime.GOMAXPROCS(0))
}}
"""


class Project:
    """Files below ``root``; each run of a Go test adds a line to ``log``."""

    def __init__(self, base: Path) -> None:
        self.root = base / "project"
        self.base = base
        self.log = base / "ran"
        self.write("go.mod", "module example.com/spread\n\ngo 1.22\n")
        for number in range(PACKAGES):
            body = GO.format(number=number)
            for test in range(TESTS):
                body += f"\nfunc TestT{test}(t *testing.T) {{ note(t) }}\n"
            self.write(f"p{number}/p_test.go", body)
        self.write("test_python.py", "def test_one():\n    pass\n\ndef test_two():\n    pass\n")
        self.go_ids = {
            f"p{number}/p_test.go::TestT{test}"
            for number in range(PACKAGES)
            for test in range(TESTS)
        }
        self.ids = {*self.go_ids, "test_python.py::test_one", "test_python.py::test_two"}

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def run(self, *args: str, **env: str) -> Outcome:
        self.log.unlink(missing_ok=True)
        cache = f"--gotest-cache-dir={self.base / 'cache'}"
        return run_pytest(
            self.root,
            cache,
            *args,
            record=self.base / "record",
            env={"RAN": str(self.log), **env},
            plugins=["xdist"],
        )

    @property
    def durations(self) -> Path:
        """What is kept of how long tests took."""
        (path,) = (self.base / "cache" / "durations").glob("project-????????????????.json")
        return path

    @property
    def starts(self) -> dict[str, float]:
        found: dict[str, float] = json.loads(self.durations.with_suffix(".starts.json").read_text())
        return found

    @property
    def ran(self) -> list[tuple[str, int, int]]:
        """(node id, pid, GOMAXPROCS) of each run of a Go test."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        words = [line.split() for line in lines]
        return [(f"{p}/p_test.go::{name}", int(pid), int(cpus)) for p, name, pid, cpus in words]

    @property
    def runs(self) -> Counter[str]:
        return Counter(name for name, _, _ in self.ran)
