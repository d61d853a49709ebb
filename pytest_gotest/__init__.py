"""Run the tests of any Go module as pytest tests."""

from pytest_gotest._errors import GotestError, LeakWarning, PostgresError

__all__ = ["GotestError", "LeakWarning", "PostgresError", "__version__"]
__version__ = "0.1.0"
