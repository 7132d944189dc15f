"""Testing flows: in memory, in virtual time, on a real host, without any configuration of event loops.

`FlowTest` is the world of one test, and with pytest the fixture `flow_test`. It runs flows to their end, stubs their
steps, sends signals, lets time pass, and shows what became of every step, task and attempt.

How it works. The world lives on a `VirtualLoop`, in a thread of its own (`stage`), while the test waits: so async tests
use it as plain ones do. A `NodeHost` runs the flows as anywhere else. What it calls for a task it asks of
`ArrangedExecutables`, which answer with the flow's handler or with the stub that the test has put in its place; flows
are never touched, and keep their fingerprints. When nothing more can go on at a time, the time passes: from timer to
timer while handlers are at work, and at once to what is due next when only waiting is left (`world`).

What goes wrong is told. A stub that does not fit its step, a run that nothing will ever wake, and a handler that hangs
each have an error that says what to do; tasks and threads that handlers leave behind are warned of at the end.
"""

from __future__ import annotations

from ..virtual import Deadlock
from .errors import (
    Blocking,
    FlowTestInUse,
    FlowTestOver,
    FlowTestProblem,
    InvalidStub,
    LeftBehind,
    NoOutput,
    NotAFlow,
    NotEndedInTime,
    RealTimeLimit,
    RunNeedsResources,
    UnknownStub,
    WaitsForEver,
)
from .flow_test import FlowTest
from .run import RunView
from .stubs import InTurn, Stubs, in_turn
from .views import AttemptView, StepView, TaskView

__all__ = [
    "AttemptView",
    "Blocking",
    "Deadlock",
    "FlowTest",
    "FlowTestInUse",
    "FlowTestOver",
    "FlowTestProblem",
    "InTurn",
    "InvalidStub",
    "LeftBehind",
    "NoOutput",
    "NotAFlow",
    "NotEndedInTime",
    "RealTimeLimit",
    "RunNeedsResources",
    "RunView",
    "StepView",
    "Stubs",
    "TaskView",
    "UnknownStub",
    "WaitsForEver",
    "in_turn",
]
