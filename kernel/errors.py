"""Errors that are the caller's fault, as the kernel raises them.

Each carries typed fields; its message says what was expected, what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ..ports.errors import UsageError
from .proposals import proposed
from .shown import shown

TOKEN_KEY = "token:"
"""How the key of a signal begins that was sent with a resume token; no message tells what follows."""


class FlowDefinitionError(UsageError):
    """A flow was written down wrongly. Raised while the flow is defined, never later.

    `missing` is the name that no earlier step has, where that is what is wrong.
    """

    def __init__(self, message: str, *, flow: str, step: str | None = None, missing: str | None = None) -> None:
        self.flow = flow
        self.step = step
        self.missing = missing
        place = f"flow {shown(flow)}" if step is None else f"flow {shown(flow)}, step {shown(step)}"
        super().__init__(f"{place}: {message}")


class IncompleteFlow(FlowDefinitionError):
    """A flow was to be used whose errors were noted instead of raised, so that what is wrong is not in it."""

    def __init__(self, flow: str) -> None:
        super().__init__("it cannot be used, since what is wrong in it was left out", flow=flow)


class UnsupportedType(UsageError):
    """An annotation names a type whose values JSON cannot carry."""


class PayloadError(UsageError):
    """A value is not JSON, or does not fit its type. `problems` holds every (path, what is wrong) found.

    A path is written `$.lines[2].sku`; `$` is the whole value.
    """

    def __init__(self, problems: tuple[tuple[str, str], ...], *, what: str = "value") -> None:
        self.problems = problems
        self.what = what
        listed = "; ".join(f"{path}: {problem}" for path, problem in problems)
        super().__init__(f"{what}: {listed}")


class KernelInUse(UsageError):
    """A kernel was to be changed that works already."""

    def __init__(self, what: str, advice: str) -> None:
        self.what = what
        self.advice = advice
        super().__init__(f"{what}, since the kernel is in use; {advice}")


class UnknownFlow(UsageError):
    """A flow, or a version of it, that the kernel does not have."""

    def __init__(self, flow: str, version: str | None, known: tuple[str, ...]) -> None:
        self.flow = flow
        self.version = version
        self.known = known
        wanted = f"flow {shown(flow)}" if version is None else f"version {shown(version)} of flow {shown(flow)}"
        have = f"it has {', '.join(known)}" if known else "it has no flow at all"
        super().__init__(f"this kernel has no {wanted}; {have}")


class InvalidInput(PayloadError):
    """A run's input or configuration does not fit its flow. No run was made."""


class InvalidAnnotations(PayloadError):
    """What a run was to be annotated with does not fit, or is too much for one run."""


class RunEnded(UsageError):
    """A run was to be changed that has ended. Nothing was changed."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"run {run_id} has ended, so nothing of it changes any more; a rerun begins it anew, in another generation"
        )


class IdempotencyConflict(UsageError):
    """A key was used with another payload. No run was made.

    The run that holds the key is `run_id`; None where both payloads are in one request.
    """

    def __init__(self, *, flow: str, key: str, run_id: str | None) -> None:
        self.flow = flow
        self.key = key
        self.run_id = run_id
        super().__init__(
            f"key {key!r} stands for different payloads of flow {flow!r} in one request; use a key for each payload"
            if run_id is None
            else f"flow {flow!r} was started with key {key!r} before, with another input or config, as run {run_id}; "
            "use another key, or the payload of that run"
        )


class ConnectionsUnsupported(UsageError):
    """Something was to join a transaction of the caller's, and this kernel's store has no such transactions."""

    def __init__(self) -> None:
        super().__init__(
            "connection= needs a store in which the caller has transactions of their own, as with postgres_ports(…); "
            "with these ports, leave it away"
        )


class FlowShapeConflict(UsageError):
    """The shape of a flow's version differs from the one that runs were started with. `differences` lists all."""

    def __init__(self, *, flow: str, version: str, differences: tuple[str, ...]) -> None:
        self.flow = flow
        self.version = version
        self.differences = differences
        listed = "\n".join(f"  - {difference}" for difference in differences)
        advice = (
            "wait until no run of it is in flight, or cancel them"
            if version == "dev"
            else 'give the changed flow a new version number (or, while you develop it, version="dev")'
        )
        super().__init__(f"version {version} of flow {flow!r} is registered with another shape; {advice}:\n{listed}")


class RunNotFound(UsageError):
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"there is no run {shown(run_id)}; `fairlead runs list` shows those that exist")


class InvalidSignal(PayloadError):
    """The payload of a signal does not fit its step, or its key is none. Nothing was sent."""


class NotASignal(UsageError):
    """A signal was sent to a step that takes none."""

    def __init__(self, *, flow: str, step: str, signals: tuple[str, ...]) -> None:
        self.flow = flow
        self.step = step
        self.signals = signals
        have = f"those of flow {flow!r} that do are {', '.join(signals)}" if signals else f"none of flow {flow!r} does"
        super().__init__(f"step {step!r} takes no signal; {have}")


class SignalNotAwaited(UsageError):
    """A signal came too late: its step is over, or the whole run is. Nothing was changed.

    `step` is None where the run is.
    """

    def __init__(self, *, run_id: str, step: str | None, status: str) -> None:
        self.run_id = run_id
        self.step = step
        self.status = status
        what = f"run {run_id}" if step is None else f"step {step!r} of run {run_id}"
        super().__init__(
            f"{what} is {status} and takes no signal any more; {proposed('runs', 'show', run_id)} tells why"
        )


class SignalWaiting(UsageError):
    """A signal with another key is kept for the step already, which does not wait yet. Nothing was changed."""

    def __init__(self, *, run_id: str, step: str, key: str) -> None:
        self.run_id = run_id
        self.step = step
        self.key = key
        super().__init__(
            f"step {step!r} of run {run_id} does not wait yet, and a signal with {_sent_with(key)} is kept for it "
            f"already; that one counts, and a repetition of it needs the same {'token' if _is_of_token(key) else 'key'}"
        )


class SignalConflict(UsageError):
    """The key of a signal was used with another payload for that step. Nothing was changed."""

    def __init__(self, *, run_id: str, step: str, key: str) -> None:
        self.run_id = run_id
        self.step = step
        self.key = key
        super().__init__(
            f"step {step!r} of run {run_id} was sent another payload with {_sent_with(key)} before, which counts; "
            "send the same payload to repeat it"
        )


class SignalSpent(UsageError):
    """The key of a signal, or the resume token, was used in an earlier generation of the run, and its step waits again
    or is about to. Nothing was changed.
    """

    def __init__(self, *, run_id: str, step: str, key: str) -> None:
        self.run_id = run_id
        self.step = step
        self.key = key
        super().__init__(
            f"step {step!r} of run {run_id} waits again, in a new generation; what was sent with {_sent_with(key)} was "
            "used by an earlier generation and counts no more: answer with another key, or with a new resume token"
        )


class ResumeTokenUnknown(UsageError):
    """Nobody has ever made that resume token, or its run is no longer kept."""

    def __init__(self) -> None:
        super().__init__("there is no such resume token; was it copied whole?")


class ResumeTokenExpired(UsageError):
    """A resume token was used for the first time when its time was over. Nothing was changed."""

    def __init__(self, expires_at: datetime) -> None:
        self.expires_at = expires_at
        super().__init__(f"the resume token expired at {expires_at:%Y-%m-%d %H:%M:%S} UTC; ask for a new one")


class RunNotEnded(UsageError):
    """A run was to begin anew that has not ended."""

    def __init__(self, *, run_id: str, status: str) -> None:
        self.run_id = run_id
        self.status = status
        super().__init__(
            f"run {run_id} is {status}, and only a run that has ended can begin anew; wait until it has, or cancel it"
        )


class NothingToRerun(UsageError):
    """A run was to begin anew of which nothing is left to be done.

    `step` is the one of which nothing has failed, where one was to be retried; `failed` says how many elements of maps
    have failed and were tolerated, by slug; `withdrawn` that its start was withdrawn before it began.
    """

    def __init__(
        self,
        *,
        run_id: str,
        status: str,
        step: str | None = None,
        failed: Mapping[str, int] | None = None,
        withdrawn: bool = False,
    ) -> None:
        self.withdrawn = withdrawn
        self.run_id = run_id
        self.status = status
        self.step = step
        self.failed = dict(failed or {})
        if withdrawn:
            message = "it never began, since its start was withdrawn; start the flow again instead"
        elif step is not None:
            message = f"nothing of step {step!r} has failed; to do all of it again, rerun the run from it"
        else:
            message = "every step is settled well; name the step to rerun it from"
            tolerated = ", ".join(f"{count:,} of {slug!r}" for slug, count in self.failed.items())
            message += f", or one to retry whose failed elements were tolerated: {tolerated}" if tolerated else ""
        super().__init__(f"run {run_id} is {status}, and {message}")


class RunDidNotComplete(UsageError):
    """An output was asked for that will never exist, since its run failed or was cancelled."""

    def __init__(self, *, run_id: str, status: str, reason: str | None, message: str | None) -> None:
        self.run_id = run_id
        self.status = status
        self.reason = reason
        because = "" if reason is None else f" ({reason})"
        detail = "" if message is None else f": {message}"
        super().__init__(f"run {run_id} is {status}{because}{detail}")


class WaitTimeout(UsageError):
    """What was waited for did not happen in time. The run goes on; waiting again is possible."""

    def __init__(self, *, run_id: str, waited_s: float, status: str) -> None:
        self.run_id = run_id
        self.waited_s = waited_s
        self.status = status
        super().__init__(
            f"run {run_id} is still {status} after {waited_s:g} s; is a host that serves its flow running?"
        )


class InvalidArgument(UsageError):
    """An argument of a call is of a kind or value that it cannot have."""

    def __init__(self, name: str, expected: str, found: object) -> None:
        self.name = name
        self.expected = expected
        super().__init__(f"{name} must be {expected}, not {shown(found)}")


class LimitExceeded(UsageError):
    """A request is larger than a named limit, or asks for nothing where something is needed."""

    def __init__(self, *, what: str, limit: int, found: int) -> None:
        self.what = what
        self.limit = limit
        self.found = found
        advice = "; split the request" if found > limit else ""
        super().__init__(f"{what}: 1 to {limit} at once, not {shown(found)}{advice}")


class NotAMap(UsageError):
    """The outputs of all elements were asked of a step that is no map."""

    def __init__(self, step: str) -> None:
        self.step = step
        super().__init__(f"step {step!r} is not a map and has one output; read it with run.output({step!r})")


class IsAMap(UsageError):
    """The one output of a step was asked of a map, which has one for each of its elements."""

    def __init__(self, step: str) -> None:
        self.step = step
        super().__init__(f"step {step!r} is a map and has an output per element; read them with run.outputs({step!r})")


class StatusUnknown(UsageError):
    """A handler asked `ctx.status` for a step that it is told nothing of."""

    def __init__(self, *, step: str, known: tuple[str, ...]) -> None:
        self.step = step
        self.known = known
        have = f"it knows of {', '.join(known)}" if known else "it knows of none"
        super().__init__(
            f"ctx.status({step!r}): this handler is not told how that step ended; {have}. Take its output as a "
            "parameter, or name it in requires="
        )


class OutsideHost(UsageError):
    """Something was asked of a `Context` that only a host can do, and no host made it."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"ctx.{what}: this context was not made by a host; in a test of the handler alone, make it with "
            "Context(…, services=…), an object that has this method"
        )


class ForeignFlow(UsageError):
    """A `Flow` object that is not this kernel's, though the kernel has one of the same slug and version."""

    def __init__(self, flow: str, version: str) -> None:
        self.flow = flow
        self.version = version
        super().__init__(
            f"this kernel was made with another object for flow {flow!r} (version {version}); was its module loaded "
            "twice? pass the kernel's own flow, or its slug"
        )


class OtherShape(UsageError):
    """A run was started with another shape of its flow than this kernel has, so its outputs cannot be read here."""

    def __init__(self, *, run_id: str, flow: str, version: str) -> None:
        self.run_id = run_id
        self.flow = flow
        self.version = version
        super().__init__(
            f"run {run_id} was started with another shape of flow {flow!r} (version {version}) than this kernel has; "
            "read it with the code that it was started with"
        )


class InvalidCron(UsageError):
    """A cron expression cannot be read, or never comes true."""

    def __init__(self, expression: object, problem: str) -> None:
        self.expression = expression
        self.problem = problem
        super().__init__(
            f"{shown(expression)} is no cron expression: {problem}; write five fields (minute, hour, day of month, "
            "month, day of week), six with seconds before them, or a name such as @daily"
        )


class UnknownZone(UsageError):
    """There is no time zone of that name."""

    def __init__(self, zone: object, nearest: str | None) -> None:
        self.zone = zone
        self.nearest = nearest
        hint = "" if nearest is None else f"; did you mean {nearest!r}?"
        super().__init__(f"{shown(zone)} is no time zone; expected an IANA name such as 'Europe/Berlin'{hint}")


class ScheduleNotFound(UsageError):
    """There is no schedule of that name."""

    def __init__(self, name: str, nearest: str | None = None) -> None:
        self.name = name
        self.nearest = nearest
        hint = "`fairlead schedules list` shows those that exist" if nearest is None else f"did you mean {nearest!r}?"
        super().__init__(f"there is no schedule {name!r}; {hint}")


class ScheduleTaken(UsageError):
    """The name of a schedule is that of another flow's."""

    def __init__(self, *, name: str, flow: str, wanted: str) -> None:
        self.name = name
        self.flow = flow
        super().__init__(
            f"schedule {name!r} is one of flow {flow!r}, not of {wanted!r}; give another name, or remove that one first"
        )


class DeferredNotFound(UsageError):
    """There is no deferred command of that name (any more): it was carried out, or withdrawn."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"there is no deferred command {name!r}: it was carried out or withdrawn, or never was; "
            "`fairlead deferred list` shows those that wait"
        )


def _is_of_token(key: str) -> bool:
    return key.startswith(TOKEN_KEY)


def _sent_with(key: str) -> str:
    """What a signal was sent with, as its sender knows it."""
    return "that resume token" if _is_of_token(key) else f"key {key!r}"
