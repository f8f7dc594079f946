"""`--package-times`: how long the tests of each package took, so that a slow one is seen early."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--package-times", action="store_true", help="print each package's seconds")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print a line for each package, the slowest first; workers' seconds are added up."""
    if not config.getoption("--package-times"):
        return
    seconds: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                package = package_of(report.nodeid)
                seconds[package] += report.duration
                tests[package] += report.when == "call"
    terminalreporter.section("seconds by package")
    for package, spent in seconds.most_common():
        terminalreporter.write_line(f"{spent:8.1f} {tests[package]:6,} tests  {package}")
    terminalreporter.write_line(f"{seconds.total():8.1f} {tests.total():6,} tests  in all")


def package_of(nodeid: str) -> str:
    """The package that a test is of: "files" for `tests/files/download/test_going_on.py::test_`."""
    folders = PurePath(nodeid.partition("::")[0]).parts[1:-1]
    return folders[0] if folders else "dlcli"
