"""Go subtests as pytest's native subtests; the only user of pytest's subtest internals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.outcomes import Skipped
from _pytest.subtests import SubtestContext, SubtestReport, failed_subtests_key

from pytest_gotest import _compat
from pytest_gotest._outcome import FAIL, SKIP, Subtest


class SubtestFailed(Exception):
    """Carries a failed subtest to ``repr_failure`` of its item."""

    def __init__(self, subtest: Subtest) -> None:
        super().__init__(subtest.name)
        self.subtest = subtest


class SubtestSkipped(Skipped):
    """Carries a skipped subtest to the hook that amends its report."""

    def __init__(self, subtest: Subtest) -> None:
        super().__init__(subtest.name)
        self.subtest = subtest


def chosen(subtests: Iterable[Subtest], mode: str, verbose: bool) -> list[Subtest]:
    """Those that are reported, failed ones first: VS Code keeps the first report of an id."""
    if mode == "none":
        return []
    listed = list(subtests)
    if mode == "failed":
        listed = [sub for sub in listed if sub.verdict == FAIL]
    elif mode == "auto" and not verbose:
        listed = [sub for sub in listed if sub.verdict in (FAIL, SKIP)]
    return sorted(listed, key=lambda sub: sub.verdict != FAIL)


def is_subtest(report: pytest.TestReport) -> bool:
    return isinstance(report, SubtestReport)


def report(item: pytest.Item, subtests: Iterable[Subtest], *, forgiven: bool = False) -> None:
    """Report each subtest through pytest's own hooks, before the test itself is reported.

    Durations are 0, since JUnit adds them to the test's own; Go's stand in ``user_properties``.
    ``forgiven``: the test did not fail. A subtest that fails fails its test (testing.go, Fail), so
    failures are then of runs that the test made itself (testing.RunTests): expected ones.
    """
    subtests = list(subtests)
    if not subtests:
        return
    capture: Any = item.config.pluginmanager.get_plugin("capturemanager")
    suspended = capture.global_and_fixture_disabled() if capture is not None else None
    if suspended is not None:
        suspended.__enter__()
    try:
        for sub in subtests:
            _report_one(item, sub, forgiven)
    finally:
        if suspended is not None:
            suspended.__exit__(None, None, None)


def _report_one(item: pytest.Item, sub: Subtest, forgiven: bool) -> None:
    def outcome() -> None:
        if sub.verdict == FAIL:
            raise SubtestFailed(sub)
        if sub.verdict == SKIP:
            raise SubtestSkipped(sub)

    call = pytest.CallInfo.from_call(outcome, when="call")
    call.duration = 0.0
    made = item.ihook.pytest_runtest_makereport(item=item, call=call)
    report = SubtestReport._new(
        made, SubtestContext(msg=sub.name, kwargs={}), captured_output=None, captured_logs=None
    )
    report.duration = 0.0
    report.user_properties = [("go_elapsed", sub.seconds), *sub.attrs]
    if sub.verdict != FAIL and hasattr(report, "wasxfail"):
        # Only the test itself is expected to fail.
        del report.wasxfail
        report.outcome = "skipped" if sub.verdict == SKIP else "passed"
    if report.failed and forgiven:
        report.outcome = "skipped"
        report.wasxfail = "of a run that the test made itself, and passed"
    if report.failed:
        item.config.stash[failed_subtests_key][_compat.report_key(item)] += 1
    item.ihook.pytest_runtest_logreport(report=report)
