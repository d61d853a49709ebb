"""Run the tests of any Go module as pytest tests."""

__all__ = ["__version__"]
__version__ = "0.1.0"
