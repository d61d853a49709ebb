"""What git says that changed; knows nothing of Go or pytest."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_gotest._errors import ChangeError

_BRANCHES = ("origin/main", "origin/master", "main", "master")


@dataclass(frozen=True, slots=True)
class Change:
    """All that differs between a commit and the files as they are, untracked ones included, deleted ones as well.

    ``since`` names the commit for people. ``paths`` are absolute; one of a submodule stands for all below it.
    """

    since: str
    paths: tuple[Path, ...]

    def as_data(self, base: Path) -> dict[str, object]:
        """For another process, perhaps on a machine where ``base`` is elsewhere."""
        return {"since": self.since, "paths": [os.path.relpath(path, base) for path in self.paths]}

    @classmethod
    def from_data(cls, data: dict[str, Any], base: Path) -> Change:
        paths = (Path(os.path.normpath(base / path)) for path in data["paths"])
        return cls(data["since"], tuple(paths))


def change(directory: Path, ref: str | None) -> Change:
    """Since ``ref``, or since the branch left the default one. Raises `ChangeError`."""
    top = Path(os.fsdecode(_git(directory, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    commit, name = _commit(directory, ref) if ref else _fork(directory)
    # Renames as two names: the one that is gone matters too.
    differing = _git(
        top, "diff", "--name-only", "--no-renames", "--ignore-submodules=none", "-z", commit, "--"
    )
    untracked = _git(top, "ls-files", "--others", "--exclude-standard", "-z")
    names = dict.fromkeys([*differing.split(b"\0"), *untracked.split(b"\0")])
    paths = tuple(top / os.fsdecode(found) for found in names if found)
    return Change(f"{name} ({commit[:10]})", paths)


def _commit(directory: Path, ref: str) -> tuple[str, str]:
    try:
        found = _git(directory, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    except ChangeError:
        raise ChangeError(
            f"--gotest-changed={ref}: git knows no such commit",
            hint="name a branch, a tag or a commit; in a shallow clone fetch it first (git fetch --depth=50 "
            "origin NAME); tests are named before this option, or after another one",
        ) from None
    return found.decode().strip(), ref


def _fork(directory: Path) -> tuple[str, str]:
    """Where HEAD left the default branch."""
    try:
        remote = _git(directory, "rev-parse", "--abbrev-ref", "origin/HEAD").decode().strip()
    except ChangeError:
        remote = ""
    tried = list(dict.fromkeys(filter(None, (remote, *_BRANCHES))))
    known = False
    for branch in tried:
        try:
            _git(directory, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}")
            known = True
            base = _git(directory, "merge-base", "HEAD", branch).decode().strip()
        except ChangeError:
            continue
        return base, branch
    if known:
        raise ChangeError(
            "--gotest-changed: HEAD and the default branch have no commit in common here",
            hint="in a shallow clone fetch more (git fetch --unshallow, or fetch-depth: 0), or name a commit: "
            "--gotest-changed=REF",
        )
    raise ChangeError(
        f"--gotest-changed: there is no default branch; looked for {', '.join(tried)}",
        hint="name what to compare with: --gotest-changed=REF",
    )


def _git(directory: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise ChangeError(
            f"--gotest-changed asks git, which cannot be started: {error}", hint="install git"
        ) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise ChangeError(f"--gotest-changed asks git about {directory}, and it says: {said}")
    return done.stdout
