"""What can be simulated: the arguments of `simulate`, looked at before anything is played."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Any, cast

from attrs import define, field

from ...kernel import Flow, RunStatus, Step
from ...kernel.hints import nearest
from ...kernel.shown import shown
from ...ports.errors import FairleadError
from ...ports.statuses import TERMINAL_RUN
from .effects import NOBODY, State, state_of
from .faults import Faults
from .judging import Invariant
from .outcome import Outcome


class SimulationUnfit(FairleadError):
    """What is to be simulated does not even end without faults, or not as expected, or not always alike; or it cannot
    be played."""


def checked_flow(flow: object) -> None:
    """Refuse what is no flow and makes none.

    Raises:
        SimulationUnfit: it is so.
    """
    if not callable(flow) and not isinstance(flow, Flow):
        raise SimulationUnfit(f"expected a Flow, or a function that makes one, found {flow!r}")


def checked_seeds(seeds: object) -> tuple[int, ...]:
    """Which seeds are played.

    Raises:
        SimulationUnfit: it is no count and no collection of whole numbers, or there is none.
    """
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        seeds = range(seeds)
    if isinstance(seeds, bool | str | bytes) or not isinstance(seeds, Iterable):
        raise _wrong("seeds", "how many, or which: an int or several", seeds)
    found: list[Any] = list(seeds)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise _wrong("seeds", "whole numbers", seed)
    if not found:
        raise SimulationUnfit("there is no seed to play: pass how many, at least 1, or which")
    return tuple(found)


def checked_faults(faults: object) -> Faults:
    """What may strike.

    Raises:
        SimulationUnfit: it is something else.
    """
    if faults is None:
        return Faults()
    if not isinstance(faults, Faults):
        raise _wrong("faults", "Faults(…), or Faults.none()", faults)
    return faults


def checked_end(expects: object) -> RunStatus:
    """How a run is to end without faults.

    Raises:
        SimulationUnfit: it is no status in which runs end.
    """
    if not isinstance(expects, str) or expects not in TERMINAL_RUN:
        raise _wrong("expects", "RunStatus.COMPLETED, .FAILED or .CANCELLED", expects)
    return RunStatus(expects)


def checked_signals(signals: object) -> Mapping[str, object]:
    """What clients send, by the name of the step.

    Raises:
        SimulationUnfit: it is not that.
    """
    found = _mapping("signals", "payloads by signal step", signals)
    for step in found:
        if not isinstance(step, str | Step):
            raise _wrong("signals", "signal steps, or their names, as keys", step)
    return {step if isinstance(step, str) else step.slug: payload for step, payload in found.items()}


def checked_snapshots(snapshots: object) -> Mapping[str, Callable[[Any], object]]:
    """What is compared in the place of resources.

    Raises:
        SimulationUnfit: it is no mapping of functions.
    """
    found = _mapping("snapshots", "functions by the name of a resource", snapshots)
    for name, snapshot in found.items():
        if not callable(snapshot):
            raise _wrong("snapshots", f"a function of the resource for {name!r}", snapshot)
    return found


def checked_invariants(invariants: object) -> Sequence[Invariant]:
    """What users say must hold.

    Raises:
        SimulationUnfit: they are not several functions, or async ones.
    """
    if callable(invariants) or not isinstance(invariants, Iterable):
        raise _wrong("invariants", "several functions, [one] if there is one", invariants)
    found: list[Any] = list(invariants)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for invariant in found:
        if not callable(invariant):
            raise _wrong("invariants", "functions of an Outcome", invariant)
        if iscoroutinefunction(invariant):
            raise _async(invariant)
    return [_answering(each) for each in found]


def _answering(invariant: Invariant) -> Invariant:
    """One that must answer itself, and not promise to."""

    @wraps(invariant)
    def answering(outcome: Outcome) -> object:
        verdict: Any = invariant(outcome)
        if isawaitable(verdict):
            if iscoroutine(verdict):
                verdict.close()
            raise _async(invariant)
        return cast("object", verdict)

    return answering


def _async(invariant: Invariant) -> SimulationUnfit:
    name = getattr(invariant, "__name__", repr(invariant))
    return SimulationUnfit(
        f"invariant {name} is async, and nobody would await it: pass a plain function; the run has ended when it is "
        "called, and nothing is left to wait for"
    )


def checked_resources(resources: object) -> None:
    """Refuse what does not make resources.

    Raises:
        SimulationUnfit: it is no function.
    """
    if resources is not None and not callable(resources):
        raise SimulationUnfit(
            f"resources= takes a function that makes them anew for each course, found a {type(resources).__name__}: "
            "pass lambda: {…}"
        )


@define
class Supply:
    """Makes the resources of each course, and sees that nothing of an earlier course is in them."""

    make: Callable[[], Mapping[str, object]] | None
    _made: dict[str, tuple[object, State]] = field(factory=dict[str, tuple[object, State]], init=False)
    """By name, what was made for the last course, and what it held then."""

    def course(self) -> Mapping[str, object] | None:
        """The resources of the next course.

        Raises:
            SimulationUnfit: they are no mapping, or one was there before and is not what it was.
        """
        if self.make is None:
            return None
        made: Any = self.make()
        if not isinstance(made, Mapping):
            if iscoroutine(made):
                made.close()
            raise SimulationUnfit(
                f"resources= must return them by name, found a {type(made).__name__}: what has to be opened is "
                "opened by the function itself"
            )
        resources = cast("Mapping[str, object]", made)
        for name, resource in resources.items():
            self._made[name] = resource, self._as_new(name, resource)
        return resources

    def _as_new(self, name: str, resource: object) -> State:
        """What a resource holds, which an earlier course has not touched."""
        state = state_of({name: resource}, NOBODY)
        before, usual = self._made.get(name, (None, state))
        changed = [place for place, text in state.values.items() if usual.values.get(place) != text]
        if before is resource and changed:
            place = changed[0]
            raise SimulationUnfit(
                f"resources= returned the same object for {name!r} twice, and it holds what an earlier course has done "
                f"to it: {place} was {usual.values.get(place, 'not there')}, and is {state.values[place]}. Make it "
                "anew each time, in the function"
            )
        return state


def require_known(snapshots: Mapping[str, object], resources: Mapping[str, object]) -> None:
    """See that each snapshot is of a resource that there is.

    Raises:
        SimulationUnfit: it is of none.
    """
    for name in snapshots:
        if name not in resources:
            raise SimulationUnfit(f"snapshots= names {name!r}, and no resource; {nearest(name, resources)}")


def _mapping(option: str, expected: str, value: object) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(option, f"a mapping, {expected}", value)
    return value  # pyright: ignore[reportUnknownVariableType]


def _wrong(option: str, expected: str, found: object) -> SimulationUnfit:
    return SimulationUnfit(f"{option}= takes {expected}; found {shown(found)}")
