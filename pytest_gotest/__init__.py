"""Run the tests of any Go module as pytest tests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_gotest._errors import GotestError, LeakWarning, PostgresError

__all__ = ["GotestError", "LeakWarning", "PostgresError", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Nothing is loaded before it is asked for: every session of pytest comes by here."""
    if name in __all__:
        from pytest_gotest import _errors

        return getattr(_errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
