"""The options of flows, steps and maps: their types, bounds and defaults, in one table."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from attrs import frozen

from ..durations import Duration, in_seconds
from ..hints import nearest
from ..plan import Consequence, Tolerance
from .option_values import (
    CONSEQUENCES,
    DURATION,
    MAX_ATTEMPTS_MAX,
    MAX_CONCURRENCY_MAX,
    POSITIVE_DURATION,
    TOLERANCES,
    attempts,
    concurrency,
    consequence,
    exceptions,
    fraction,
    positive_duration,
    queue,
    tolerance,
)

ConsequenceName: TypeAlias = Literal["fail", "skip", "skip_cascade"]
"""How a `Consequence` is written down."""


class HandlerOptions(TypedDict, total=False):
    """Options of whatever has a handler; those of a flow hold for all its steps, each of which may override them."""

    max_attempts: int
    base_delay: Duration
    max_delay: Duration
    jitter: float
    timeout: Duration
    queue: str


class FlowOptions(HandlerOptions, total=False):
    """Options of a flow."""

    run_timeout: Duration
    retention: Duration


class StepOptions(HandlerOptions, total=False):
    """Options of one step."""

    start_delay: Duration
    non_retryable: Sequence[type[Exception]]
    on_unmet: ConsequenceName
    on_exhausted: ConsequenceName


class MapOptions(StepOptions, total=False):
    """Options of one map."""

    max_concurrency: int
    tolerate_failures: Tolerance


class SleepOptions(TypedDict, total=False):
    """Options of one sleep."""

    on_unmet: ConsequenceName


class SignalOptions(SleepOptions, total=False):
    """Options of one signal."""

    timeout: Duration
    on_timeout: ConsequenceName


class Scope(enum.Enum):
    """Where options are written down."""

    FLOW = "flow"
    STEP = "step"
    MAP = "map"
    SIGNAL = "signal"
    SLEEP = "sleep"


@frozen(kw_only=True)
class Policy:
    """The options of one step after its flow's and the defaults have filled the gaps. Durations are seconds."""

    max_attempts: int
    base_delay_s: float
    max_delay_s: float
    jitter: float
    timeout_s: float
    queue: str
    start_delay_s: float
    non_retryable: tuple[type[Exception], ...]
    on_unmet: Consequence
    on_exhausted: Consequence
    max_concurrency: int | None
    tolerate_failures: Tolerance
    wait_s: float | None = None
    """How long a signal is waited for, or how long a sleep lasts."""
    on_timeout: Consequence = Consequence.FAIL


@frozen(kw_only=True)
class Option:
    """One option: what it means, what it may be and what it is when nobody says."""

    meaning: str
    bounds: str
    default: object
    scopes: frozenset[Scope]
    parse: Callable[[object], object]
    """Returns the value as `Policy` holds it; raises ValueError with a message that completes "must be …"."""
    attribute: str
    """The field of `Policy`; of a flow's own option, where nothing else has it, the field of `Plan`."""


class OptionProblem(Exception):
    """Options that are unknown, out of place or out of bounds; the message names each."""


def table(scope: Scope) -> Mapping[str, Option]:
    """Return the options that can be written down there, by name."""
    return {name: option for known in (OPTIONS, WAITING) for name, option in known.items() if scope in option.scopes}


def parse_options(given: Mapping[str, object], scope: Scope, other_names: Iterable[str] = ()) -> dict[str, Any]:
    """Check options against the table.

    Args:
        given: values by option name, as written in code.
        scope: where they are written.
        other_names: further arguments accepted there, which a misspelt name may have meant.

    Returns:
        Values by field of `Policy` or `Plan`.

    Raises:
        OptionProblem: some are unknown, do not belong there or are out of bounds; all of them are told.
    """
    parsed: dict[str, Any] = {}
    problems: list[str] = []
    known = table(scope)
    for name, value in given.items():
        option = known.get(name)
        if option is None:
            problems.append(_misplaced(name, scope) or _unknown(name, scope, other_names))
        else:
            try:
                parsed[option.attribute] = option.parse(value)
            except ValueError as problem:
                problems.append(f"option {name!r} must be {problem}")
    if problems:
        raise OptionProblem("; ".join(problems))
    return parsed


def resolve(flow: Mapping[str, Any], step: Mapping[str, Any]) -> Policy:
    """Merge parsed options: a step's setting wins over its flow's, which wins over the default."""
    own = (option for option in OPTIONS.values() if option.scopes != _FLOWS)
    defaults: dict[str, Any] = {option.attribute: option.default for option in own}
    of_steps = {name: value for name, value in flow.items() if name in defaults}
    return Policy(**{**defaults, **of_steps, **step})


def _unknown(name: str, scope: Scope, other_names: Iterable[str]) -> str:
    return f"unknown option {name!r}; {nearest(name, [*table(scope), *other_names])}"


def _misplaced(name: str, scope: Scope) -> str | None:
    """What is wrong with an option that is one elsewhere; None if there is no such option."""
    option = OPTIONS.get(name) or WAITING.get(name)
    if option is None:
        return None
    if option.scopes == _FLOWS:
        return f"option {name!r} belongs to the flow: pass it to Flow(…)"
    if option.scopes == _SIGNALS:
        return f"option {name!r} belongs to signals: pass it to flow.signal(…)"
    if scope in _WAITING:
        return f"option {name!r} belongs to steps that have a handler, and a {scope.value} has none"
    if option.scopes == _MAPS:
        return f"option {name!r} belongs to maps: use @flow.map(over=…, {name}=…), or leave it out"
    return f"option {name!r} belongs to single steps, not to a {scope.value}: pass it to @flow.step or @flow.map"


_FLOWS = frozenset({Scope.FLOW})
_STEPS = frozenset({Scope.STEP, Scope.MAP})
_MAPS = frozenset({Scope.MAP})
_SIGNALS = frozenset({Scope.SIGNAL})
_WAITING = frozenset({Scope.SIGNAL, Scope.SLEEP})
_EVERYWHERE = _FLOWS | _STEPS

OPTIONS: Mapping[str, Option] = {
    "max_attempts": Option(
        meaning="How often a task is tried before it fails.",
        bounds=f"1 to {MAX_ATTEMPTS_MAX}",
        default=3,
        scopes=_EVERYWHERE,
        parse=attempts,
        attribute="max_attempts",
    ),
    "base_delay": Option(
        meaning="The delay before the second attempt; it doubles with each further one.",
        bounds=DURATION,
        default=1.0,
        scopes=_EVERYWHERE,
        parse=in_seconds,
        attribute="base_delay_s",
    ),
    "max_delay": Option(
        meaning="The longest computed delay between two attempts.",
        bounds=DURATION,
        default=3600.0,
        scopes=_EVERYWHERE,
        parse=in_seconds,
        attribute="max_delay_s",
    ),
    "jitter": Option(
        meaning="The fraction of a delay that varies from task to task, so that retries do not come all at once.",
        bounds="0 to 1",
        default=0.1,
        scopes=_EVERYWHERE,
        parse=fraction,
        attribute="jitter",
    ),
    "timeout": Option(
        meaning="How long one attempt may take.",
        bounds=POSITIVE_DURATION,
        default=60.0,
        scopes=_EVERYWHERE,
        parse=positive_duration,
        attribute="timeout_s",
    ),
    "queue": Option(
        meaning="The queue whose hosts run the tasks.",
        bounds="1 to 128 letters, digits, underscores, dots and hyphens",
        default="default",
        scopes=_EVERYWHERE,
        parse=queue,
        attribute="queue",
    ),
    "run_timeout": Option(
        meaning="How long a run may take in all, from when a host claims it on; then it fails. By default there is no "
        "limit.",
        bounds=POSITIVE_DURATION,
        default=None,
        scopes=_FLOWS,
        parse=positive_duration,
        attribute="run_timeout_s",
    ),
    "retention": Option(
        meaning="How long a run is kept after its end; then hosts that have its flow remove it with everything of its "
        "own. Of several versions the newest that a host has decides. By default it is kept until somebody prunes.",
        bounds=POSITIVE_DURATION,
        default=None,
        scopes=_FLOWS,
        parse=positive_duration,
        attribute="retention_s",
    ),
    "start_delay": Option(
        meaning="How long a step that is ready waits before its first attempt.",
        bounds=DURATION,
        default=0.0,
        scopes=_STEPS,
        parse=in_seconds,
        attribute="start_delay_s",
    ),
    "non_retryable": Option(
        meaning="Exceptions (with their subclasses) after which no further attempt is made.",
        bounds="a tuple of subclasses of Exception",
        default=(),
        scopes=_STEPS,
        parse=exceptions,
        attribute="non_retryable",
    ),
    "on_unmet": Option(
        meaning="What follows where the step's own `when` or `unless` is unmet; "
        "`skip_cascade` skips all steps behind it too.",
        bounds=CONSEQUENCES,
        default=Consequence.SKIP,
        scopes=_STEPS | _WAITING,
        parse=consequence,
        attribute="on_unmet",
    ),
    "on_exhausted": Option(
        meaning="What follows where the last attempt has failed, or more elements of a map than it tolerates.",
        bounds=CONSEQUENCES,
        default=Consequence.FAIL,
        scopes=_STEPS,
        parse=consequence,
        attribute="on_exhausted",
    ),
    "max_concurrency": Option(
        meaning="How many tasks of the map are unfinished at a time, across all hosts.",
        bounds=f"1 to {MAX_CONCURRENCY_MAX}",
        default=None,
        scopes=_MAPS,
        parse=concurrency,
        attribute="max_concurrency",
    ),
    "tolerate_failures": Option(
        meaning="How many elements of the map may fail; each of them leaves `None` in its place.",
        bounds=TOLERANCES,
        default=0,
        scopes=_MAPS,
        parse=tolerance,
        attribute="tolerate_failures",
    ),
}
"""Every option by the name under which it is written down, in the order of the docs."""

WAITING: Mapping[str, Option] = {
    "timeout": Option(
        meaning="How long the signal is waited for, from the moment when the step is ready.",
        bounds=POSITIVE_DURATION,
        default=None,
        scopes=_SIGNALS,
        parse=positive_duration,
        attribute="wait_s",
    ),
    "on_timeout": Option(
        meaning="What follows where the signal does not come in time.",
        bounds=CONSEQUENCES,
        default=Consequence.FAIL,
        scopes=_SIGNALS,
        parse=consequence,
        attribute="on_timeout",
    ),
}
"""The options of signals that mean something else elsewhere, or nothing."""
