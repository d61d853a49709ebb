"""What pytest reports for each row of the case table: the modules under tests/go, run for real."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import gone, need_c_compiler, run_pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES = sorted(path.parent for path in Path(__file__).with_name("go").glob("*/expect.toml"))


def _go_version() -> tuple[int, int]:
    said = subprocess.run(
        ["go", "env", "GOVERSION"], capture_output=True, text=True, check=True
    ).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    assert found, said
    return int(found[1]), int(found[2])


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """One copy of each case, so that what is built for one way serves the next."""
    return functools.cache(
        lambda case: shutil.copytree(case, tmp_path_factory.mktemp("case") / case.name)
    )


@pytest.mark.parametrize("isolate", ["auto", "gate", "gotest"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_pytest_reports_what_the_case_expects(
    case: Path, isolate: str, copied: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The same ahead of pytest and test by test at the gate, unless the case is about one of the two."""
    expect: dict[str, Any] = tomllib.loads((case / "expect.toml").read_text(encoding="utf-8"))
    run = expect.get("run", {})
    if isolate != "auto" and run.get("slow"):
        pytest.skip("moves many megabytes: once is enough")
    if isolate != "auto" and run.get("together"):
        pytest.skip("its tests wait for each other, and at the gate each is alone")
    if isolate == "gotest" and (why := run.get("not_by_go")):
        pytest.skip(why)
    if run.get("cgo"):
        need_c_compiler()
    mode = {
        "auto": [],
        "gate": ["--gotest-isolate=gate"],
        "gotest": ["--gotest-engine=gotest", "--gotest-timeout=20"],
    }[isolate]
    environ = {"CASE_PIDS": str(tmp_path / "pids")}
    needed = re.fullmatch(r">=1\.(\d+)", run.get("go", ""))
    if needed and _go_version() < (1, int(needed[1])):
        environ["GOTOOLCHAIN"] = f"go1.{needed[1]}.0"
    record = tmp_path / "record"
    outcome = run_pytest(
        copied(case),
        "-p",
        "no:cacheprovider",
        "--gotest-subtests=all",
        *mode,
        *run.get("args", ()),
        record=record,
        env=environ,
        timeout=300,
    )

    shown = f"\n{outcome.output[-20000:]}"
    expected = expect.get("outcomes", {})
    seen = outcome.items
    if run.get("partial"):
        seen = {node: said for node, said in seen.items() if node in expected}
    assert seen == expected, shown
    for node, subtests in expect.get("subtests", {}).items():
        assert outcome.subtests.get(node, {}) == subtests, f"{node}{shown}"
    for node, texts in expect.get("contains", {}).items():
        for text in texts:
            if isolate == "gotest" and text.startswith("process died"):
                text = "process died"  # go test -json does not tell how
            # A report shows "file.go:12: words" as a place and, below the source, the words.
            place = re.fullmatch(r"(\S+\.go:\d+): (.+)", text)
            for part in place.groups() if place else (text,):
                assert part in outcome.texts[node], f"{node} lacks {part!r}:\n{outcome.texts[node]}"
    session = expect.get("session", {})
    for text in session.get("contains", ()):
        assert text in outcome.output, shown
    bad = any("failed" in o or "error" in o for o in expected.values())
    assert outcome.exitstatus == session.get("exitstatus", int(bad)), shown
    if expect.get("processes", {}).get("gone"):
        for pid in (tmp_path / "pids").read_text().split():
            assert gone(int(pid)), pid


def test_there_is_a_case_for_every_row() -> None:
    assert len(CASES) > 20
