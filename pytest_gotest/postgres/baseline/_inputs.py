"""Files that a baseline is made of: found by globs, and read."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from pytest_gotest._errors import PostgresError


def matching(option: str, pattern: str, root: Path) -> list[Path]:
    """Files and directories, in the order of their names. Raises `PostgresError` if there are none."""
    found = sorted(glob.glob(os.path.join(root, pattern), recursive=True))
    if not found:
        raise PostgresError(
            f"{option}: nothing matches {pattern} in {root}",
            hint="paths count from pytest's root directory, and ** is any directories",
        )
    return [Path(path) for path in found]


def files(option: str, pattern: str, root: Path) -> list[Path]:
    """Files alone. Raises `PostgresError` if there are none."""
    found = [path for path in matching(option, pattern, root) if path.is_file()]
    if not found:
        raise PostgresError(f"{option}: {pattern} matches directories alone in {root}")
    return found


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PostgresError(f"{file} cannot be read: {error.strerror}") from error


def text(file: Path) -> str:
    """Without the mark that some editors put first."""
    try:
        return content(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PostgresError(f"{file} is not UTF-8: {error}") from error
