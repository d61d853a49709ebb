"""A pytest plugin (-p recorder) that writes every report to the file named by $GOTEST_RECORD, a JSON object a line."""

from __future__ import annotations

import json
import os

import pytest
from _pytest.subtests import SubtestReport


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    _write(
        id=report.nodeid,
        when=report.when,
        outcome=report.outcome,
        subtest=report.context.msg if isinstance(report, SubtestReport) else None,
        text=report.longreprtext if not isinstance(report.longrepr, tuple) else report.longrepr[2],
        sections=[text for _, text in report.sections],
        duration=report.duration,
        xfail=hasattr(report, "wasxfail"),
        properties=report.user_properties,
        worker=getattr(report, "worker_id", None),
    )


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _write(
            id=report.nodeid,
            when="collect",
            outcome="failed",
            subtest=None,
            text=report.longreprtext,
        )


def _write(**fields: object) -> None:
    with open(os.environ["GOTEST_RECORD"], "a", encoding="utf-8") as file:
        file.write(json.dumps(fields) + "\n")
