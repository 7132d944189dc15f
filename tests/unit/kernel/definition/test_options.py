"""Options: bounds, units, and which setting wins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_type_hints

import pytest

from fairlead.kernel.definition import (
    OPTIONS,
    WAITING,
    Flow,
    FlowOptions,
    MapOptions,
    Scope,
    SignalOptions,
    SleepOptions,
    StepOptions,
)
from fairlead.kernel.definition.options import table
from fairlead.kernel.errors import FlowDefinitionError
from fairlead.kernel.plan import Consequence

NAN, INF = float("nan"), float("inf")

TOLERANCES = "a count from 0 (an int), a fraction of the elements between 0 and 1 (a float), or 'all'"
TOLERANCE_ENDS = "write none as 0 and every element as 'all'"


def handler() -> None: ...


def plan_of(flow: Flow[Any]) -> Any:
    flow.seal()
    return flow.plan.steps["handler"]


@pytest.mark.parametrize(
    ("option", "value", "must_be"),
    [
        ("max_attempts", 0, "from 1 to 10000, not 0"),
        ("max_attempts", -1, "from 1 to 10000, not -1"),
        ("max_attempts", 10_001, "from 1 to 10000, not 10001"),
        ("max_attempts", True, "an int from 1 to 10000, not True"),
        ("max_attempts", 3.0, "an int from 1 to 10000, not 3.0"),
        ("max_attempts", None, "an int from 1 to 10000, not None"),
        ("base_delay", -1, "at least 0 s, not -1 s"),
        ("base_delay", timedelta(seconds=-1), "at least 0 s, not -1 s"),
        ("base_delay", NAN, "a finite number of seconds, not nan"),
        ("base_delay", INF, "a finite number of seconds, not inf"),
        ("base_delay", True, "a timedelta or a number of seconds, not True"),
        ("base_delay", "1s", "a timedelta or a number of seconds, not '1s'"),
        ("max_delay", timedelta(days=3651), "at most 3650 days, not 3.15446e+08 s"),
        ("max_delay", 10**400, f"at most 3650 days, not 1{'0' * 199}… s"),
        ("timeout", 0, "more than 0 s, not 0 s"),
        ("timeout", -0.5, "at least 0 s, not -0.5 s"),
        ("timeout", None, "a timedelta or a number of seconds, not None"),
        ("start_delay", NAN, "a finite number of seconds, not nan"),
        ("start_delay", False, "a timedelta or a number of seconds, not False"),
        ("jitter", -0.1, "from 0 to 1, not -0.1"),
        ("jitter", 1.1, "from 0 to 1, not 1.1"),
        ("jitter", NAN, "a number from 0 to 1, not nan"),
        ("jitter", True, "a number from 0 to 1, not True"),
        ("queue", "", "the name of a queue; '' must not be empty"),
        (
            "queue",
            "a b",
            "the name of a queue; 'a b' must consist of letters, digits, underscores, dots and hyphens",
        ),
        ("queue", "q" * 129, f"the name of a queue; '{'q' * 129}' has 129 characters; at most 128 are allowed"),
        ("queue", 3, "the name of a queue; 3 must be a str, not int"),
        ("non_retryable", ValueError, "a tuple of exception classes: write (ValueError,)"),
        ("non_retryable", 3, "a tuple of exception classes, not 3"),
        ("non_retryable", (int,), "a tuple of subclasses of Exception; <class 'int'> is none"),
        (
            "non_retryable",
            (KeyboardInterrupt,),
            "a tuple of subclasses of Exception; <class 'KeyboardInterrupt'> is none",
        ),
        ("max_concurrency", 0, "from 1 to 10000, not 0"),
        ("max_concurrency", True, "an int from 1 to 10000, not True"),
        ("max_concurrency", 10_001, "from 1 to 10000, not 10001"),
        ("on_unmet", "ignore", "'fail', 'skip' or 'skip_cascade', not 'ignore'"),
        ("on_exhausted", None, "'fail', 'skip' or 'skip_cascade', not None"),
        ("on_exhausted", True, "'fail', 'skip' or 'skip_cascade', not True"),
        ("tolerate_failures", -1, "from 0 to 2147483647, not -1"),
        ("tolerate_failures", 2**31, "from 0 to 2147483647, not 2147483648"),
        ("tolerate_failures", True, f"{TOLERANCES}, not True"),
        ("tolerate_failures", False, f"{TOLERANCES}, not False"),
        ("tolerate_failures", None, f"{TOLERANCES}, not None"),
        ("tolerate_failures", "some", f"{TOLERANCES}, not 'some'"),
        ("tolerate_failures", 0.0, f"{TOLERANCES}, not 0.0; {TOLERANCE_ENDS}"),
        ("tolerate_failures", 1.0, f"{TOLERANCES}, not 1.0; {TOLERANCE_ENDS}"),
        ("tolerate_failures", -0.5, f"{TOLERANCES}, not -0.5; {TOLERANCE_ENDS}"),
        ("tolerate_failures", INF, f"{TOLERANCES}, not inf; {TOLERANCE_ENDS}"),
        ("tolerate_failures", NAN, f"{TOLERANCES}, not nan"),
    ],
)
def test_an_option_out_of_bounds(option: str, value: object, must_be: str) -> None:
    """The message names the option and its bound, for steps and flows alike."""
    make: Any = Flow
    flow: Any = make("fulfil", version=1)

    with pytest.raises(FlowDefinitionError) as raised:
        flow.map(handler, over="input", **{option: value})
    assert str(raised.value) == f"flow 'fulfil', step 'handler': option {option!r} must be {must_be}"

    if Scope.FLOW in OPTIONS[option].scopes:
        with pytest.raises(FlowDefinitionError) as raised:
            make("fulfil", version=1, **{option: value})
        assert str(raised.value) == f"flow 'fulfil': option {option!r} must be {must_be}"


@pytest.mark.parametrize(
    ("option", "value", "attribute", "planned"),
    [
        ("max_attempts", 1, "max_attempts", 1),
        ("max_attempts", 10_000, "max_attempts", 10_000),
        ("base_delay", 0, "base_delay_s", 0.0),
        ("base_delay", timedelta(milliseconds=250), "base_delay_s", 0.25),
        ("max_delay", timedelta(days=3650), "max_delay_s", 3650 * 86400.0),
        ("timeout", timedelta(minutes=2), "timeout_s", 120.0),
        ("timeout", 0.001, "timeout_s", 0.001),
        ("start_delay", 5, "start_delay_s", 5.0),
        ("jitter", 0, "jitter", 0.0),
        ("jitter", 1, "jitter", 1.0),
        ("queue", "gpu.large-1", "queue", "gpu.large-1"),
        ("max_concurrency", 10_000, "max_concurrency", 10_000),
        ("on_exhausted", "skip", "on_exhausted", Consequence.SKIP),
        ("on_exhausted", Consequence.SKIP_CASCADE, "on_exhausted", Consequence.SKIP_CASCADE),
        ("tolerate_failures", 0, "tolerate_failures", 0),
        ("tolerate_failures", 2**31 - 1, "tolerate_failures", 2**31 - 1),
        ("tolerate_failures", 0.1, "tolerate_failures", 0.1),
        ("tolerate_failures", "all", "tolerate_failures", "all"),
    ],
)
def test_an_option_reaches_the_plan(option: str, value: object, attribute: str, planned: object) -> None:
    """What is written in code is what the decisions see, in seconds."""
    flow: Any = Flow("fulfil", version=1)
    flow.map(handler, over="input", **{option: value})

    assert getattr(plan_of(flow), attribute) == planned


def test_defaults() -> None:
    """What a step gets when nobody says anything."""
    flow: Flow[Any] = Flow("fulfil", version=1)
    flow.step(handler)
    plan = plan_of(flow)

    options = [*OPTIONS.values(), *WAITING.values()]
    found = {option.attribute: getattr(plan, option.attribute, None) for option in options}
    assert found == {
        "max_attempts": 3,
        "base_delay_s": 1.0,
        "max_delay_s": 3600.0,
        "jitter": 0.1,
        "timeout_s": 60.0,
        "queue": "default",
        "start_delay_s": 0.0,
        "max_concurrency": None,
        "non_retryable": None,
        "on_unmet": Consequence.SKIP,
        "on_exhausted": Consequence.FAIL,
        "tolerate_failures": 0,
        "wait_s": None,
        "on_timeout": Consequence.FAIL,
        "run_timeout_s": None,
        "retention_s": None,
    }
    assert flow.plan.run_timeout_s is None
    assert flow.steps["handler"].non_retryable == ()


def test_a_step_overrides_its_flow() -> None:
    """A step's setting wins; what it leaves out comes from the flow."""
    flow: Flow[Any] = Flow("fulfil", version=1, max_attempts=7, timeout=5, queue="slow", jitter=0.5, base_delay=2)
    flow.step(handler, max_attempts=2, queue="fast")
    plan = plan_of(flow)

    assert (plan.max_attempts, plan.queue) == (2, "fast")
    assert (plan.timeout_s, plan.jitter, plan.base_delay_s) == (5.0, 0.5, 2.0)


def test_non_retryable_classes() -> None:
    """A list of classes is kept as a tuple, for the host that meets one."""
    flow: Flow[Any] = Flow("fulfil", version=1)
    flow.step(handler, non_retryable=[ValueError, KeyError])

    assert flow.steps["handler"].non_retryable == (ValueError, KeyError)


@pytest.mark.parametrize(
    ("scope", "declared"),
    [
        (Scope.FLOW, FlowOptions),
        (Scope.STEP, StepOptions),
        (Scope.MAP, MapOptions),
        (Scope.SIGNAL, SignalOptions),
        (Scope.SLEEP, SleepOptions),
    ],
)
def test_the_table_agrees_with_what_type_checkers_see(scope: Scope, declared: type) -> None:
    """Every option that a checker accepts is in the table, and the other way round."""
    assert set(table(scope)) == set(get_type_hints(declared))
