"""The pytest plugin: its fixture is there in any project that has Fairlead, whatever its event loops are like."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

PLAIN = """
import time
from fairlead.kernel import Flow

greet = Flow("greet", version=1, input=str, input_name="name", base_delay=3600)

@greet.step
async def hello(name: str) -> str:
    return f"hello {name}"

@greet.step
def shout(hello: str) -> str:
    return hello.upper()

def test_a_flow(flow_test):
    run = flow_test.run(greet, "Ada")
    assert run.result == {"shout": "HELLO ADA"}

def test_a_stub(flow_test):
    assert flow_test.runs() == []
    run = flow_test.run(greet, "Ada", stub={hello: OSError})
    assert run.status == "failed"
"""

ASYNC = (
    PLAIN
    + """
import asyncio
import pytest

@pytest.mark.asyncio
async def test_in_a_loop(flow_test):
    assert flow_test.run(greet, "Ada").result == {"shout": "HELLO ADA"}
    await asyncio.sleep(0)
    assert flow_test.run(greet, "Bob", stub={hello: "hi"}).result == {"shout": "HI"}
"""
)


FUNCTION = ("-o", "asyncio_default_fixture_loop_scope=function")
"""Without it pytest-asyncio warns."""


@pytest.mark.parametrize(
    ("options", "source", "passed"),
    [
        (("-p", "no:asyncio"), PLAIN, 2),
        (("-o", "asyncio_mode=strict", *FUNCTION), ASYNC, 3),
        (("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=session"), ASYNC, 3),
        (("-n", "2", "-o", "asyncio_mode=auto", *FUNCTION), ASYNC, 3),
    ],
    ids=["without pytest-asyncio", "strict", "auto", "pytest-xdist"],
)
def test_the_fixture_works_everywhere(
    pytester: pytest.Pytester, options: tuple[str, ...], source: str, passed: int
) -> None:
    """In plain and async tests, with warnings as errors: nothing of a project has to be configured."""
    pytester.makepyfile(source)

    found = pytester.runpytest_subprocess("-W", "error", "-p", "no:cacheprovider", *options)

    found.assert_outcomes(passed=passed)


def test_a_failing_test_shows_what_became_of_the_run(pytester: pytest.Pytester) -> None:
    """The run shows itself, and no frame of the kit stands between an error and the line of the test."""
    pytester.makepyfile(
        PLAIN
        + """
def test_wrong(flow_test):
    run = flow_test.run(greet, "Ada", stub={shout: OSError("no voice")})
    assert run.status == "completed"

def test_not_once(flow_test):
    flow_test.run(greet, "Ada", stub={shout: OSError("no voice")}).assert_ran_once(shout)

def test_misfit(flow_test):
    flow_test.run(greet, "Ada", stub={shout: 3})
"""
    )

    found = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-k", "wrong or once or misfit")

    found.assert_outcomes(failed=3)
    found.stdout.fnmatch_lines(
        [
            "*flow_test*",
            "run * of greet, generation 1: failed (handler_failed): OSError: no voice",
            "  step hello: completed",
            "  step shout: failed (handler_failed): OSError: no voice",
            "    generation 1, element 0, attempt 1: handler_failed, OSError: no voice",
        ]
    )
    found.stdout.fnmatch_lines(["*AssertionError: <step shout: failed*did not run exactly once:*"])
    found.stdout.fnmatch_lines(["*InvalidStub: stub of step 'shout' of flow 'greet'*"])
    found.stdout.no_fnmatch_line("*hosts/testing/*")


def test_what_is_left_behind_and_what_hangs_is_told(pytester: pytest.Pytester) -> None:
    """As a warning of the test, and as an error after the time that the project allows."""
    pytester.makeini("[pytest]\nflow_test_real_limit = 1\nasyncio_mode = strict\n")
    pytester.makepyfile(
        """
import asyncio, threading
from fairlead.kernel import Flow

leaving = Flow("leaving", version=1)
kept = []

@leaving.step
async def leave(input: object) -> None:
    kept.append(asyncio.create_task(asyncio.Event().wait(), name="straggler"))

hanging = Flow("hanging", version=1)

@hanging.step
def hang(input: object) -> None:
    threading.Event().wait()

def test_leaves(flow_test):
    assert flow_test.run(leaving, None).status == "completed"

def test_hangs(flow_test):
    flow_test.run(hanging, None)
"""
    )

    found = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    found.assert_outcomes(passed=1, failed=1, warnings=1)
    found.stdout.fnmatch_lines(["*RealTimeLimit: it took more than 1 real seconds*"])
    found.stdout.fnmatch_lines(["*LeftBehind: handlers began what goes on after them and their test:*"])


def test_the_plugin_costs_nothing_before_it_is_used() -> None:
    """A project that has Fairlead and does not test with it pays for no import."""
    program = (
        "import sys, fairlead.hosts.pytest_plugin\n"
        "print([name for name in sys.modules if name.startswith('fairlead.') and name.count('.') == 1])\n"
        "print('attrs' in sys.modules, 'msgspec' in sys.modules)"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert found.splitlines() == ["['fairlead.hosts']", "False False"]
