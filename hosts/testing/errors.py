"""What can go wrong between a test and `FlowTest`: each says what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...kernel.hints import nearest
from ...ports.errors import UsageError
from ...ports.statuses import TERMINAL_STEP, StepStatus
from ..errors import ResourceProblem


class FlowTestProblem(UsageError):
    """A test asks for what cannot be, or a flow does not do what the test waits for."""


class NotAFlow(FlowTestProblem):
    """A flow was expected, and something else was found."""

    def __init__(self, found: object) -> None:
        self.found = found
        name = getattr(found, "__name__", None) or getattr(found, "slug", None)
        what = repr(found) if name is None else f"{name!r}, a {type(found).__name__}"
        super().__init__(f"expected a Flow, found {what}; a step runs in a run of its flow, or is called as a function")


class UnknownStub(FlowTestProblem):
    """A stub is for what is no step and no check of the flow.

    Args:
        flow: its slug.
        name: what the stub is for.
        known: what the flow has.
        elsewhere: whether it is a function or a `Step`, and so perhaps one of another flow.
    """

    def __init__(self, *, flow: str, name: str, known: Iterable[str], elsewhere: bool = False) -> None:
        self.flow = flow
        self.name = name
        perhaps = ", which may be one of another flow" if elsewhere else ""
        super().__init__(f"stub: flow {flow!r} has no step or check {name!r}{perhaps}; {nearest(name, known)}")


class InvalidStub(FlowTestProblem):
    """A stub cannot stand in the place of its handler, or gives what its step does not."""

    def __init__(self, *, flow: str, step: str, problem: str) -> None:
        self.flow = flow
        self.step = step
        self.problem = problem
        super().__init__(f"stub of step {step!r} of flow {flow!r}: {problem}")


class RunNeedsResources(ResourceProblem):
    """Handlers of a run ask for resources that the test does not give. `problems` holds a line for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems, what="the run lacks resources; pass them in resources={…}, or stub the steps")


class WaitsForEver(FlowTestProblem):
    """A run was to go on to its end, and nothing will happen any more that would bring it there."""

    def __init__(self, *, flow: str, run_id: str, causes: tuple[str, ...]) -> None:
        self.flow = flow
        self.run_id = run_id
        self.causes = causes
        super().__init__(f"the run of flow {flow!r} waits, and no time will end that:{_listed(causes)}")


class NotEndedInTime(FlowTestProblem):
    """A run has not ended within the virtual time that the test allows."""

    def __init__(self, *, flow: str, run_id: str, waited_s: float, causes: tuple[str, ...]) -> None:
        self.flow = flow
        self.run_id = run_id
        self.waited_s = waited_s
        self.causes = causes
        after = f" after {waited_s:g} virtual s" if waited_s else ""
        super().__init__(
            f"the run of flow {flow!r} has not ended{after}; run.wait() lets it go on to its end:{_listed(causes)}"
        )


class NoOutput(FlowTestProblem):
    """A step has no output, since it was skipped, failed, or is not over."""

    def __init__(self, *, step: str, status: StepStatus, reason: str | None, run: str) -> None:
        self.step = step
        self.status = status
        self.reason = reason
        why = f" ({reason})" if reason else ""
        remedy = (
            f"has no output; run.step({step!r}) shows what became of it"
            if status in TERMINAL_STEP
            else "has no output yet; run.wait() lets the run go on to its end"
        )
        super().__init__(f"step {step!r} is {status}{why} and {remedy}. It is {run}")


class RealTimeLimit(FlowTestProblem):
    """A call took more real time than a test may: a handler hangs, or something goes on and on.

    `where` says what each thread of the test's world was doing.
    """

    def __init__(self, *, limit_s: float, where: tuple[str, ...]) -> None:
        self.limit_s = limit_s
        self.where = where
        super().__init__(
            f"it took more than {limit_s:g} real seconds. Virtual time costs none, so a handler blocks, or something "
            "goes on without end; what may really take so long needs another real_limit. It was at:"
            f"{_listed(where)}"
        )


class FlowTestInUse(FlowTestProblem):
    """A call was made while another was under way."""

    def __init__(self) -> None:
        super().__init__(
            "a call of this FlowTest is under way. A handler or stub cannot drive the world it runs in: give it "
            "flow_test.kernel as a resource and await that; and two threads need a FlowTest each"
        )


class FlowTestOver(FlowTestProblem):
    """A call was made before the world of a test was opened, or after it was closed."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}; use it inside `with FlowTest() as flow_test:`, or the fixture in its own test")


def blames_the_test(raised: Any) -> bool:
    """Whether an error is the fault of whoever wrote the test: pytest leaves our frames out of its traceback then."""
    return bool(raised.errisinstance(UsageError))


class LeftBehind(UserWarning):
    """Something that handlers began goes on after the test, such as a task that nobody awaits."""


class Blocking(UserWarning):
    """A handler takes real time: it sleeps, computes or waits for something outside, and virtual time stands still."""


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"\n  - {line}" for line in lines)
