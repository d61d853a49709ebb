"""Recorded logs of Go 1.20 to 1.27, reported: the verdicts, the places, and what was no test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from recorded import MINORS, STREAMS, expected
from running import TESTS, run_pytest

SAME = {"pass": "passed", "fail": "failed", "skip": "skipped", "none": "failed", "bench": "passed"}


@pytest.mark.parametrize("minor", MINORS)
def test_a_recorded_log_is_reported_test_by_test(minor: int, tmp_path: Path) -> None:
    log = STREAMS / f"go1.{minor}.jsonl"
    outcome = run_pytest(
        tmp_path, f"--gotest-replay={log}", "--gotest-subtests=all", record=tmp_path / "record"
    )
    for package, verdicts in expected(minor).items():
        for test, verdict in verdicts.items():
            node, _, sub = test.partition("/")
            node = f"example.test/streams/{package}::{node}"
            if not test or (verdict == "none" and test.startswith("Benchmark")):
                continue
            if sub:
                assert outcome.subtests[node][sub] == SAME[verdict], (node, sub)
            else:
                assert outcome.items[node].partition("+")[0] == SAME[verdict], node
    exits = outcome.texts["example.test/streams/exits::TestExits"]
    assert "process died" in exits
    assert "undefined: missing" in outcome.texts["example.test/streams/broken::(package)"]
    # Go 1.20 and 1.21 do not say that it is vet who speaks.
    words = "vet refuses" if minor >= 22 else "cannot build"
    assert words in outcome.texts["example.test/streams/vetted::(package)"]
    assert outcome.items["example.test/streams/broken::(package)"] == "error"


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_standard_input_is_a_log_too(tmp_path: Path, workers: tuple[str, ...]) -> None:
    log = (STREAMS / "go1.26.jsonl").read_bytes()
    plugins = ("xdist",) if workers else ()
    read = run_pytest(
        tmp_path, "--gotest-replay=-", *workers, record=tmp_path / "a", stdin=log, plugins=plugins
    )
    named = run_pytest(
        tmp_path, f"--gotest-replay={STREAMS / 'go1.26.jsonl'}", record=tmp_path / "b"
    )
    assert read.items == named.items
    assert len(read.items) > 50


def test_node_ids_are_those_of_a_real_run_where_the_sources_are(tmp_path: Path) -> None:
    module = tmp_path / "names"
    shutil.copytree(TESTS / "go" / "names", module)
    with (tmp_path / "log").open("wb") as log:
        subprocess.run(["go", "test", "-json", "./..."], cwd=module, stdout=log, check=False)
    real = run_pytest(module, record=tmp_path / "a")
    replayed = run_pytest(module, "--gotest-replay=../log", record=tmp_path / "b")
    assert replayed.items == real.items
    assert replayed.items


def test_no_conftest_beside_the_log_is_loaded(tmp_path: Path) -> None:
    aside, here = tmp_path / "aside", tmp_path / "here"
    aside.mkdir()
    here.mkdir()
    (aside / "conftest.py").write_text("raise SystemExit('loaded')\n")
    shutil.copy(STREAMS / "go1.26.jsonl", aside / "log")
    outcome = run_pytest(here, "--gotest-replay=../aside/log", record=tmp_path / "record")
    assert "loaded" not in outcome.output
    assert outcome.items


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no file"),
        (b"", "holds no event of go test -json"),
        (b"=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n", "holds no event of go test -json"),
    ],
)
def test_what_is_no_log_is_one_clear_error(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "log").write_bytes(content)
    outcome = run_pytest(tmp_path, "--gotest-replay=log", record=tmp_path / "record")
    assert says in outcome.output
    assert "Traceback" not in outcome.output
    assert outcome.exitstatus != 0


def test_a_log_that_breaks_off_is_said_to(tmp_path: Path) -> None:
    lines = (STREAMS / "go1.26.jsonl").read_bytes().splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if b'"run"' in line and b'TestSubtests"' in line]
    (tmp_path / "log").write_bytes(b"".join(lines[: starts[0] + 1]))
    outcome = run_pytest(tmp_path, "--gotest-replay=log", record=tmp_path / "record")
    node = next(node for node in outcome.items if node.endswith("::TestSubtests"))
    assert outcome.items[node].startswith("failed")
    assert "the log ends while it runs" in outcome.texts[node]
