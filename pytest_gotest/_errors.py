"""The errors of pytest-gotest; knows nothing of pytest or of Go's tools.

GotestError
├── ToolchainError   no usable go command, or one that cannot serve the module
├── DiscoveryError   a module or package that cannot be listed
├── SourceError      a Go test file that cannot be read as one
├── DirectiveError   a `//pytest:` comment that says something unknown
├── BuildError       a package whose tests do not build or do not pass vet
├── ProcessError     a test binary that could not be started or steered
├── FixtureError     a fixture that Go tests need and that is not what it has to be
├── ChangeError      what changed cannot be told, for --gotest-changed
├── RemoteError      another machine that does not have what this one has
├── PostgresError    a PostgreSQL server that cannot be had, or not as it was asked for
└── ReplayError      a recorded log that cannot be reported

Every message says what was asked, what was found and what to do. All are
picklable, since xdist carries them from worker to controller.
"""

from __future__ import annotations


class GotestError(Exception):
    """Base of all errors raised by pytest_gotest.

    ``hint`` says what to do and is shown on a line of its own.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


def _rebuild(cls: type[GotestError], args: tuple[str], state: dict[str, object]) -> GotestError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ToolchainError(GotestError):
    """There is no usable go command, or it cannot serve the module."""


class DiscoveryError(GotestError):
    """A module or package cannot be listed."""


class SourceError(GotestError):
    """A Go test file cannot be read as one."""

    def __init__(self, message: str, *, path: str, line: int, hint: str = "") -> None:
        super().__init__(f"{path}:{line}: {message}", hint=hint)
        self.path = path
        self.line = line


class DirectiveError(SourceError):
    """A ``//pytest:`` comment says something unknown or malformed."""


class BuildError(GotestError):
    """A package's tests do not build, or vet refuses them."""


class ProcessError(GotestError):
    """A test binary could not be started or steered."""


class FixtureError(GotestError):
    """A fixture that Go tests need is not what it has to be."""


class ChangeError(GotestError):
    """git cannot tell what changed."""


class RemoteError(GotestError):
    """Another machine that is to run tests does not have what this one has."""


class PostgresError(GotestError):
    """A PostgreSQL server cannot be had, or not as it was asked for."""


class LeakWarning(UserWarning):
    """A test has left something open in the database, which had to be ended for the next one."""


class ReplayError(GotestError):
    """A recorded log cannot be reported."""
