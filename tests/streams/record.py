"""Record what each Go makes of ``tests/go/streams_source``; knows nothing of the decoders.

    python tests/streams/record.py [TOOLCHAIN...]

For Go 1.N it writes ``go1.N.jsonl``, what ``go test -json`` prints for all packages and then for
the benchmarks, and for each package that builds ``go1.N.<package>.raw``, what its test binary
prints under ``-test.v=test2json``. Paths and the processor's name are replaced.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

STREAMS = Path(__file__).parent
SOURCE = STREAMS.parent / "go" / "streams_source"
TOOLCHAINS = (
    "go1.20.14",
    "go1.21.13",
    "go1.22.12",
    "go1.23.12",
    "go1.24.10",
    "go1.25.5",
    "go1.26.8",
    "go1.27.3",
)
DO_NOT_BUILD = ("broken", "vetted")
BENCHMARKS = "benchmarks"  # apart: under -bench one broken package fails others that build


def packages() -> list[str]:
    """The directories of all packages whose tests build."""
    found = {path.parent.name for path in SOURCE.glob("*/*_test.go")}
    return sorted(found.difference(DO_NOT_BUILD))


def minor(toolchain: str) -> int:
    """27 of ``go1.27.3``."""
    return int(toolchain.split(".")[1])


def go_test_json(toolchain: str, *packages: str) -> bytes:
    """Both outputs of ``go test -json``, as one; ``packages`` are directories."""
    with tempfile.TemporaryDirectory() as outputs:
        command = ["go", "test", "-json", "-trimpath", "-count=1"]
        command += _flags(toolchain, outputs, "-", bench=BENCHMARKS in packages)
        command += [f"./{package}" for package in packages]
        return _scrubbed(_run(command, SOURCE, toolchain), outputs)


def raw(toolchain: str, package: str) -> bytes:
    """Both outputs of the test binary, as one."""
    with tempfile.TemporaryDirectory() as outputs:
        binary = Path(outputs, "binary.test")
        build = ["go", "test", "-c", "-trimpath", "-o", str(binary), "./" + package]
        printed = _run(build, SOURCE, toolchain)
        if not binary.exists():
            raise SystemExit(f"{toolchain}: {package} does not build:\n{printed.decode()}")
        command = [str(binary), "-test.v=test2json", "-test.paniconexit0", "-test.timeout=60s"]
        command += _flags(toolchain, outputs, "-test.", bench=package == BENCHMARKS)
        return _scrubbed(_run(command, SOURCE / package, toolchain), outputs)


def _flags(toolchain: str, outputs: str, dash: str, *, bench: bool) -> Iterator[str]:
    if bench:
        yield f"{dash}bench=."
        yield f"{dash}benchtime=1x"
    yield f"{dash}outputdir={outputs}"
    if minor(toolchain) >= 26:
        yield f"{dash}artifacts"


def _run(command: list[str], directory: Path, toolchain: str) -> bytes:
    environment = {**os.environ, "GOTOOLCHAIN": toolchain, "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout


def _scrubbed(stream: bytes, outputs: str) -> bytes:
    for path, name in ((outputs, b"/outputs"), (str(SOURCE), b"/source")):
        stream = stream.replace(path.encode(), name)
    return re.sub(rb"(?m)(cpu: )[^\"\n\\]+", rb"\1some processor", stream)


def main(toolchains: list[str]) -> None:
    """Record for ``toolchains``, by default all."""
    for toolchain in toolchains or TOOLCHAINS:
        stem = f"go1.{minor(toolchain)}"
        others = sorted({path.parent.name for path in SOURCE.glob("*/*.go")} - {BENCHMARKS})
        lines = go_test_json(toolchain, *others) + go_test_json(toolchain, BENCHMARKS)
        (STREAMS / f"{stem}.jsonl").write_bytes(lines)
        for package in packages():
            (STREAMS / f"{stem}.{package}.raw").write_bytes(raw(toolchain, package))
        print(toolchain)


if __name__ == "__main__":
    main(sys.argv[1:])
