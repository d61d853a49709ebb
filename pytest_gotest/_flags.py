"""Which build flags go gets, of the user's and of our own; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_gotest._settings import Settings

# What decides by its words alone: no file that it names, and no tool, has a part in a binary.
_PLAIN = frozenset((
    "asmflags", "buildvcs=auto", "buildvcs=false", "cover", "covermode", "gcflags", "ldflags", "mod", "modcacherw",
    "msan", "p", "race", "tags", "trimpath", "v", "vet", "x",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags in force in one module: of the options, and in ``goflags``, which is the GOFLAGS that go itself reads."""

    settings: Settings
    goflags: str = ""

    @property
    def build(self) -> list[str]:
        """The user's, and -ldflags=-w: ``go test -c`` would write DWARF that plain ``go test`` leaves out."""
        flags = _without(self.settings.build_args, ("overlay",))
        if not self.has("ldflags"):
            flags.append("-ldflags=-w")
        for number, flag in enumerate(flags):
            name, equals, value = flag.partition("=")
            # One that begins with a package pattern is for other packages than the main one, perhaps.
            if name.lstrip("-") == "ldflags" and equals and value.startswith("-"):
                flags[number] = f"{name}={value} -w" if value != "-w" else flag
        return [*_tags_and_race(self.settings), *flags]

    @property
    def own_overlay(self) -> list[str]:
        """The user's own overlay, as a flag; one in GOFLAGS go knows already."""
        given = user_overlay("", self.settings.build_args)
        return [f"-overlay={given}"] if given else []

    @property
    def overlay(self) -> Path | None:
        """The overlay the user names, by an option or in GOFLAGS, relative to where go is run."""
        return user_overlay(self.goflags, self.settings.build_args)

    def has(self, name: str) -> bool:
        return any(flag.lstrip("-").partition("=")[0] == name for flag in self._given)

    @property
    def are_plain(self) -> bool:
        """Whether they decide by their words alone, or name files and tools that nobody here watches."""
        words = [flag.lstrip("-") for flag in self._given if flag.startswith("-")]
        return all(
            (word in _PLAIN or word.partition("=")[0] in _PLAIN) and "-extld" not in word
            for word in words
        )

    @property
    def link_unseen(self) -> bool:
        """Whether the linker's flags may name a library or a program. Of a changed one go takes no note."""
        return any("-extld" in flag for flag in self._given)

    @property
    def _given(self) -> tuple[str, ...]:
        return (*self.settings.build_args, *split_goflags(self.goflags))


def list_flags(settings: Settings) -> list[str]:
    """Flags of ``go list``, ``go vet`` and ``go build`` alike: which files belong to a package."""
    return [*_tags_and_race(settings), *_without(settings.build_args, ("overlay", "vet"))]


def _tags_and_race(settings: Settings) -> list[str]:
    flags = [f"-tags={','.join(settings.tags)}"] if settings.tags else []
    if settings.race:
        flags.append("-race")
    return flags


def _without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """``arguments`` without the flags of these names, each given as -name=value or as two words."""
    kept, skip = [], False
    for argument in arguments:
        name, equals, _ = argument.lstrip("-").partition("=")
        if skip:
            skip = False
        elif argument.startswith("-") and name in names:
            skip = not equals
        else:
            kept.append(argument)
    return kept


def split_goflags(goflags: str) -> list[str]:
    """The flags in ``GOFLAGS``, by Go's rules (cmd/internal/quoted): one may be quoted as a whole."""
    return [a or b or c for a, b, c in re.findall(r"'([^']*)'|\"([^\"]*)\"|(\S+)", goflags)]


def user_overlay(goflags: str, build_args: Sequence[str]) -> Path | None:
    """The overlay the user's own flags name: the last of ``build_args``, else of ``GOFLAGS``.

    The path is as given, relative to where ``go`` is run.
    """
    found = None
    for arguments, spaced in ((split_goflags(goflags), False), (list(build_args), True)):
        for i, argument in enumerate(arguments):
            if argument in ("-args", "--args"):
                break
            flag, equals, value = argument.partition("=")
            if flag not in ("-overlay", "--overlay"):
                continue
            if equals:
                found = value
            elif spaced and i + 1 < len(arguments):
                found = arguments[i + 1]
    return Path(found) if found else None
