"""A pytest plugin: with CI=true or POSTMETER_NOTHING_SKIPPED=1 a skipped test has failed.

A person without Chromium may skip the browser tests; the machine that says "green" may not.
"""

import os
from collections.abc import Generator
from typing import Any

import pytest


def nothing_may_be_skipped() -> bool:
    return os.environ.get("CI") == "true" or os.environ.get("POSTMETER_NOTHING_SKIPPED") == "1"


def _fail_if_skipped(report: Any) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and nothing_may_be_skipped():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped where nothing may be skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    _fail_if_skipped(report)
    return report
