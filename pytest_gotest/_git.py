"""What git says that changed; knows nothing of Go or pytest."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_gotest._errors import ChangeError

_BRANCHES = ("origin/main", "origin/master", "main", "master")


@dataclass(frozen=True, slots=True)
class Change:
    """All that differs between a commit and the files as they are, untracked ones included, deleted ones as well.

    ``since`` names the commit for people. ``paths`` are absolute, with no link but in their last parts; one of a
    submodule stands for all below it. A link to what differs, differs as well. ``ignored`` are files and
    directories of which git does not tell whether they differ. All of it is below ``top``.
    """

    since: str
    top: Path
    paths: tuple[Path, ...]
    ignored: tuple[Path, ...] = ()

    def as_data(self, base: Path) -> dict[str, object]:
        """For another process, perhaps on a machine where ``base`` is elsewhere. Names are bytes."""
        base = _real(base)

        def below(*paths: Path) -> list[bytes]:
            return [os.fsencode(os.path.relpath(path, base)) for path in paths]

        return {
            "since": self.since,
            "top": below(self.top),
            "paths": below(*self.paths),
            "ignored": below(*self.ignored),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any], base: Path) -> Change:
        base = _real(base)
        top, paths, ignored = (
            tuple(Path(os.path.normpath(base / os.fsdecode(name))) for name in data[kind])
            for kind in ("top", "paths", "ignored")
        )
        return cls(data["since"], top[0], paths, ignored)


def change(directory: Path, ref: str | None) -> Change:
    """Since ``ref``, or since the branch left the default one. Raises `ChangeError`."""
    top = _real(Path(os.fsdecode(_git(directory, "rev-parse", "--show-toplevel").rstrip(b"\n"))))
    commit, name = _commit(directory, ref) if ref else _fork(directory)
    # Renames as two names: the one that is gone matters too.
    differing = _git(
        top, "diff", "--name-only", "--no-renames", "--ignore-submodules=none", "-z", commit, "--"
    )
    others = ("ls-files", "--others", "--exclude-standard", "-z")
    untracked = _names(_git(top, *others))
    names = dict.fromkeys([*_names(differing), *untracked])
    links, submodules = _special(top, untracked)
    ignored = []
    for place in (top, *(top / name for name in submodules if (top / name / ".git").exists())):
        ignored += [
            place / name for name in _names(_git(place, *others, "--ignored", "--directory"))
        ]
    # What a link leads to outside is as unknown, and so is what git was told not to look at.
    ignored += [link for link, target in links.items() if not target.is_relative_to(top)]
    ignored += [top / name for name in _unwatched(top) if (top / name).exists()]
    since = f"{name} ({commit[:10]})"
    if not ref and commit == _git(top, "rev-parse", "HEAD").decode().strip():
        since += ", which HEAD is: only what is not committed"
    return Change(
        since,
        top,
        tuple(_with_links((top / found for found in names), links)),
        tuple(_with_links(ignored, links)),
    )


def _names(said: bytes) -> list[str]:
    return [os.fsdecode(name) for name in said.split(b"\0") if name]


def _special(top: Path, untracked: Iterable[str]) -> tuple[dict[Path, Path], list[str]]:
    """Symbolic links that git keeps or would keep, and what each leads to; and submodules (gitformat-index(5))."""
    tracked = [
        entry.partition("\t")[::2] for entry in _names(_git(top, "ls-files", "--stage", "-z"))
    ]
    names = [name for facts, name in tracked if facts.startswith("120000 ")]
    links = [top / name for name in (*names, *untracked) if os.path.islink(top / name)]
    submodules = [name for facts, name in tracked if facts.startswith("160000 ")]
    return {link: _real(link) for link in links}, submodules


def _unwatched(top: Path) -> list[str]:
    """Files marked assume-unchanged or skip-worktree: git does not compare them (git-ls-files(1), -v)."""
    entries = (entry.partition(" ")[::2] for entry in _names(_git(top, "ls-files", "-v", "-z")))
    return [name for tag, name in entries if tag.islower() or tag == "S"]


def _with_links(paths: Iterable[Path], links: Mapping[Path, Path]) -> list[Path]:
    """These, and each by all names that it has through ``links``."""
    by_target: dict[Path, list[Path]] = {}
    for link, target in links.items():
        by_target.setdefault(target, []).append(link)
    found = dict.fromkeys(paths)
    waiting = list(found) if links else []
    while waiting:
        path = waiting.pop()
        real = _real(path.parent) / path.name
        names = [
            link / real.relative_to(place)
            for place in (real, *real.parents)
            for link in by_target.get(place, ())
        ]
        if path.is_dir():  # a submodule, or one that git ignores
            names += [link for link, target in links.items() if target.is_relative_to(real)]
        for name in names:
            if name not in found:
                found[name] = None
                waiting.append(name)
    return list(found)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # unlike Path.resolve, of a circle of links too


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
    try:
        _git(directory, "rev-parse", "--verify", "--quiet", "HEAD")
    except ChangeError:
        raise ChangeError(
            "--gotest-changed: nothing is committed yet", hint="commit, or leave the option out"
        ) from None
    for branch in tried:
        place = f"refs/remotes/{branch}" if "/" in branch else f"refs/heads/{branch}"
        try:
            _git(directory, "rev-parse", "--verify", "--quiet", f"{place}^{{commit}}")
            known = True
            base = _git(directory, "merge-base", "HEAD", place).decode().strip()
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


_PLACES = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_INDEX_FILE")


def environment() -> dict[str, str]:
    """For git commands that are to find the repository by the directory they run in.

    git tells its hooks where its directory is, and takes the current directory for the top of the files then
    (git(1), GIT_DIR). Who names both means it.
    """
    given = dict(os.environ)
    if "GIT_WORK_TREE" not in given:
        for name in (*_PLACES, "GIT_PREFIX"):
            given.pop(name, None)
    # git takes them from the directory that it is started in, the user from that of pytest.
    here = (name for name in (*_PLACES, "GIT_WORK_TREE") if name in given)
    return {**given, **{name: os.path.abspath(given[name]) for name in here}}


def _git(directory: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=directory,
            env=environment(),
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
