"""The pytest plugin: the fixture `flow_test`. Nothing of Fairlead is imported before a test asks for it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import FlowTest

REAL_LIMIT = "flow_test_real_limit"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let projects say how long one call of `flow_test` may take."""
    parser.addini(REAL_LIMIT, "real seconds that one call of the fixture flow_test may take (default: 30)", default="")


@pytest.fixture
def flow_test(pytestconfig: pytest.Config) -> Generator[FlowTest]:
    """Runs flows in memory and in virtual time: `run = flow_test.run(flow, input, stub={…})`."""
    from .testing import FlowTest
    from .testing.flow_test import REAL_LIMIT as USUAL

    configured = str(pytestconfig.getini(REAL_LIMIT))
    with FlowTest(real_limit=float(configured) if configured else USUAL) as world:
        yield world


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what became of the runs of a test that fails."""
    report = yield
    world = getattr(item, "funcargs", {}).get("flow_test")
    if world is not None and report.when == "call" and report.failed:
        from ..ports.errors import UsageError

        with suppress(UsageError):  # where a handler hangs, nobody can look
            report.sections.append(("flow_test", world.report()))
    return report
