"""Watching handlers: which is called when, on which host, and how it ends. Flows stay as they are."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from attrs import evolve, fields, frozen

from ...kernel import Context, Kernel
from ...kernel.definition.binding import Binding
from ...ports.records import ClaimedTask, TaskPhase
from ..executables import Executable, Executables
from .ledger import RETURNED, Execution, Ledger, called
from .striking import Caller, Strikes

CONTEXT, CLAIMED = "fairlead context", "fairlead claim"
"""The arguments by which a watched handler gets its context and its claim; no parameter has such a name."""


@frozen
class Watch:
    """Who watches the handlers of one process.

    Args:
        host: the process.
        ledger: where it is written down.
        strikes: may kill the process when a handler has ended.
    """

    host: Caller
    ledger: Ledger
    strikes: Strikes

    def begin(self, context: Context, claimed: ClaimedTask) -> Execution:
        """A handler is called."""
        execution = Execution(
            context.idempotency_key,
            context.step,
            context.attempt,
            claimed.token,
            claimed.phase,
            self.host.name,
            began_s=self.strikes.timeline.time(),
        )
        self.ledger.note_call(execution)
        self.strikes.timeline.note(
            self.host.name, f"{_name(context)}, attempt {context.attempt}: the {called(claimed.phase)} is called"
        )
        return execution

    def end(self, execution: Execution, context: Context, how: str) -> None:
        """A handler has ended."""
        execution.ended_s = self.strikes.timeline.time()
        execution.how = how
        what = f"the {called(execution.phase)} {how}"
        self.strikes.timeline.note(self.host.name, f"{_name(context)}, attempt {context.attempt}: {what}")
        self.strikes.kill_after_handler(self.host)


def _name(context: Context) -> str:
    return context.step if context.index is None else f"{context.step}[{context.index}]"


@frozen(kw_only=True)
class _WatchedBinding(Binding):
    """A binding whose handler is handed its context, whether or not it takes one, and the claim that it is for."""

    claimed: ClaimedTask | None = None

    def arguments(self, values: Any, context: Context, resources: Mapping[str, object] = {}) -> dict[str, object]:
        """The arguments of the handler, the context and the claim."""
        return {**Binding.arguments(self, values, context, resources), CONTEXT: context, CLAIMED: self.claimed}


class WatchedExecutables(Executables):
    """What a host calls, watched."""

    def __init__(self, watch: Watch, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._watch = watch

    def of(self, task: ClaimedTask) -> Executable:
        """What is called for a claimed task, which it knows of."""
        made = super().of(task)
        assert isinstance(made.binding, _WatchedBinding), "as they are made here"
        return evolve(made, binding=evolve(made.binding, claimed=task))

    def _make(self, flow_id: int, slug: str, phase: TaskPhase) -> Executable:
        made = super()._make(flow_id, slug, phase)
        return evolve(made, binding=_watched(made.binding, self._watch))


def _watched(binding: Binding, watch: Watch) -> Binding:
    options = {each.name: getattr(binding, each.name) for each in fields(Binding)}
    wrap = _async_handler if binding.is_async else _plain_handler
    return _WatchedBinding(**{**options, "handler": wrap(binding.handler, watch)})


def _async_handler(handler: Any, watch: Watch) -> Any:
    @functools.wraps(handler)
    async def watched(**arguments: Any) -> Any:
        context: Context = arguments.pop(CONTEXT)
        execution = watch.begin(context, arguments.pop(CLAIMED))
        try:
            value = await handler(**arguments)
            watch.strikes.pause_after_handler(watch.host)
        except BaseException as error:
            watch.end(execution, context, f"raised {type(error).__name__}")
            raise
        watch.end(execution, context, RETURNED)
        return value

    return watched


def _plain_handler(handler: Any, watch: Watch) -> Any:
    @functools.wraps(handler)
    def watched(**arguments: Any) -> Any:
        context: Context = arguments.pop(CONTEXT)
        execution = watch.begin(context, arguments.pop(CLAIMED))
        try:
            value = handler(**arguments)
        except BaseException as error:
            watch.end(execution, context, f"raised {type(error).__name__}")
            raise
        watch.end(execution, context, RETURNED)
        return value

    return watched
