"""What go says while it builds, and which package it concerns; pure."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

_HEADING = re.compile(r"# (\[)?([^\s\]]+)(?: \[([^\]]+)\])?\]?$")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What go said below one ``# import/path`` heading. ``text`` starts after the headings."""

    package: str
    text: str
    vet: bool


def complaints(said: str) -> tuple[list[Complaint], str]:
    """Split go's output by its headings; the rest, that stands under none, comes second.

    A second heading in brackets marks vet (cmd/go/internal/work/exec.go). Lines such as
    ``FAIL pkg [setup failed]`` repeat what a heading said.
    """
    found: list[tuple[str, bool, list[str]]] = []
    rest: list[str] = []
    for line in said.splitlines():
        if heading := _HEADING.match(line):
            bracketed, name, _ = heading.groups()
            if bracketed and found and not found[-1][2]:
                found[-1] = (found[-1][0], True, found[-1][2])
            else:
                found.append((name, False, []))
        elif line.startswith("FAIL\t") and line.endswith(" failed]"):
            continue
        elif found:
            found[-1][2].append(line)
        else:
            rest.append(line)
    merged: dict[tuple[str, bool], list[str]] = {}
    for name, vet, lines in found:
        merged.setdefault((name.removesuffix(".test"), vet), []).extend(lines)
    return (
        [
            Complaint(name, "\n".join(lines).strip("\n"), vet)
            for (name, vet), lines in merged.items()
        ],
        "\n".join(rest).strip(),
    )


def blame(
    code: int,
    said: str,
    paths: Collection[str],
    dependencies: Callable[[], Mapping[str, Collection[str]]],
) -> dict[str, str]:
    """Import path -> what is wrong with it, of a `go test -c` of ``paths`` that failed.

    A dependency's complaint goes to all that import it: ``dependencies`` tells of what each
    package is made, and is only asked then.
    """
    found, rest = complaints(said)
    blamed: dict[str, list[str]] = defaultdict(list)
    foreign = []
    for complaint in found:
        what = "vet refuses" if complaint.vet else "cannot build"
        concerned = {complaint.package, complaint.package.removesuffix("_test")} & set(paths)
        for path in concerned:
            blamed[path].append(f"{what} {path}:\n{complaint.text}")
        if not concerned:
            foreign.append(complaint)
    uses = dependencies() if foreign else {}
    for complaint in foreign:
        users = [path for path in paths if complaint.package in uses.get(path, ())]
        for path in users or sorted(set(paths) - blamed.keys()):
            blamed[path].append(
                f"cannot build {path}: its dependency {complaint.package} does not build:\n{complaint.text}"
            )
    if not blamed or code < 0:
        # Of a go that was killed nobody knows what it had not come to.
        for path in set(paths) - blamed.keys():
            blamed[path].append(f"go test -c failed (exit {code}):\n{rest or said.strip()}")
    return {path: "\n".join(texts) for path, texts in blamed.items()}


def plain_text(said: str) -> str:
    """Go 1.24 and later wrap build output in JSON, earlier ones do not; both may come in one stream."""
    lines = []
    for line in said.splitlines(keepends=True):
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict):
                if event.get("Action") in ("build-output", "output"):
                    lines.append(str(event.get("Output", "")))
                continue
        lines.append(line)
    return "".join(lines)
