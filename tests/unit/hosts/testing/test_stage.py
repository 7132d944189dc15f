"""The thread in which a world lives, and who may take more time than a test has."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import pytest

from fairlead.hosts.testing import FlowTestOver, RealTimeLimit
from fairlead.hosts.testing.stage import Stage

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_what_it_does_comes_back() -> None:
    """Results, errors, and the caller's context variables, in one other thread."""
    stage = Stage(10)
    variable.set("set")

    def fails() -> None:
        raise LookupError("here")

    assert stage.perform(variable.get) == "set"
    assert stage.perform(threading.get_ident) == stage.perform(threading.get_ident) != threading.get_ident()
    with pytest.raises(LookupError, match="here"):
        stage.perform(fails)
    stage.close()
    assert stage.name not in {thread.name for thread in threading.enumerate()}


def test_who_debugs_may_take_their_time() -> None:
    """While a debugger has the thread, no limit strikes."""
    names: dict[str, Any] = {"__name__": "pdb", "wait": threading.Event().wait}
    exec("def stand_still():\n    return wait(1.2)", names)
    stage = Stage(0.1)

    assert stage.perform(names["stand_still"]) is False
    stage.close()


def test_a_thread_that_comes_back_is_cleared_up() -> None:
    """What hung goes on some time; its world is closed then, and the thread ends."""
    released, closed = threading.Event(), threading.Event()
    stage = Stage(0.1)
    stage.when_back = closed.set

    with pytest.raises(RealTimeLimit, match=r"thread flow-test-\w+ in Condition\.wait"):
        stage.perform(released.wait)
    with pytest.raises(FlowTestOver):
        stage.perform(released.is_set)
    stage.close()
    released.set()

    assert closed.wait(20)
