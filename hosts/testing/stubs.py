"""Stubs: what is called in the place of handlers and checks, made fit to be called as those are.

A flow is never touched, so it keeps its fingerprint: a stub is a `Binding` that the host finds where it looks for the
handler's. What is wrong with a stub is said before the run begins, as far as that can be known then.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, cast

from attrs import field, frozen

from ...kernel import Flow, PayloadError, Step, Suspend
from ...kernel.definition.binding import CTX, INDEX, Binding
from ...kernel.definition.handler import same_function
from ...kernel.hints import nearest
from ...kernel.plan import StepKind
from ...ports.records import TaskPhase
from .errors import InvalidStub, UnknownStub, blames_the_test

__tracebackhide__ = blames_the_test

Place: TypeAlias = tuple[str, TaskPhase]
"""A step by its slug, and whether its handler or its check is meant."""

Stubs: TypeAlias = Mapping[Any, object]
"""Stubs by step or check: the function, its name, or the `Step`. Each is what the handler returns, an exception that
it raises, a function that is called instead, or `in_turn(…)`."""


@frozen(kw_only=True)
class Stub(Binding):
    """What is called in the place of a handler or a check."""

    welcome: Mapping[str, type] = field(factory=dict[str, type])
    """Resources that it is handed where they are there: it takes whatever it gets, and asks for none of them."""


@frozen
class InTurn:
    """One stub for each attempt; the last one for all that follow."""

    stubs: tuple[object, ...]


def in_turn(*stubs: object) -> InTurn:
    """Let each attempt at a task meet another stub: `in_turn(ConnectionError("down"), Payment("paid"))`.

    Args:
        stubs: at least one; the last one is for all further attempts too.
    """
    return InTurn(stubs)


def stub_bindings(flow: Flow[Any], stubs: Stubs) -> dict[Place, tuple[Stub, ...]]:
    """What is called where, one binding for each attempt.

    Raises:
        UnknownStub: no step and no check has such a name.
        FlowDefinitionError: a function is several steps of the flow.
        InvalidStub: one cannot stand in for its handler.
    """
    made: dict[Place, tuple[Stub, ...]] = {}
    for name, stub in stubs.items():
        step, replaced, phase = _replaced(flow, name)
        if isinstance(stub, InTurn) and not stub.stubs:
            raise InvalidStub(flow=flow.slug, step=step.slug, problem="in_turn(…) needs at least one stub")
        turns = stub.stubs if isinstance(stub, InTurn) else (stub,)
        made[step.slug, phase] = tuple(_Stubbing(flow, step, replaced).stub(each) for each in turns)
    return made


def _replaced(flow: Flow[Any], name: object) -> tuple[Step[Any], Binding, TaskPhase]:
    """The step that a stub is for, and the binding that it takes the place of."""
    for step, check in _checks(flow):
        if name == check.check or (callable(name) and same_function(check.handler, name)):
            return step, check, TaskPhase.CHECK
    known = [*flow.steps, *(check.check or "" for _, check in _checks(flow))]
    if isinstance(name, str) and name not in flow.steps:
        raise UnknownStub(flow=flow.slug, name=name, known=known)
    if not isinstance(name, str) and not any(_is_of(step, name) for step in flow.steps.values()):
        shown: str = getattr(name, "__name__", None) or getattr(name, "slug", None) or repr(name)
        raise UnknownStub(flow=flow.slug, name=shown, known=known, elsewhere=True)
    step = flow.step_named(name, "stub")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    if step.binding is None:
        problem = (
            f"it is a signal, so no handler is called; answer it with signals={{{step.slug!r}: …}} or "
            f"run.signal({step.slug!r}, …)"
            if step.kind is StepKind.SIGNAL
            else "it is a sleep, so no handler is called; virtual time passes by itself"
        )
        raise InvalidStub(flow=flow.slug, step=step.slug, problem=problem)
    return step, step.binding, TaskPhase.RUN


def _is_of(step: Step[Any], name: object) -> bool:
    return name is step or (step.binding is not None and callable(name) and same_function(step.binding.handler, name))


def _checks(flow: Flow[Any]) -> Iterator[tuple[Step[Any], Binding]]:
    return ((step, step.check.binding) for step in flow.steps.values() if step.check is not None)


@frozen
class _Stubbing:
    """Makes stubs for one handler or check."""

    flow: Flow[Any]
    step: Step[Any]
    replaced: Binding

    def stub(self, stub: object) -> Stub:
        """How a stub is called."""
        if isinstance(stub, BaseException) or (inspect.isclass(stub) and issubclass(stub, BaseException)):
            return self._called(_raising(stub))
        if inspect.isclass(stub):
            raise self._problem(f"it is the class {stub.__name__}; pass an instance, an exception or a function")
        if callable(stub):
            return self._calling(stub)
        self._check(stub)
        return self._called(_returning(stub))

    def _called(self, handler: Callable[..., object]) -> Stub:
        """A stub that takes nothing, so nothing is read for it."""
        return Stub(
            step=self.step.slug, check=self.replaced.check, handler=handler, is_async=True, payloads=(), resources={}
        )

    def _calling(self, function: Callable[..., object]) -> Stub:
        """A function that is handed those of the handler's arguments that it names, or all of them."""
        replaced = self.replaced
        wanted, takes_all = self._wanted(function)
        is_async = replaced.is_async or inspect.iscoroutinefunction(inspect.unwrap(function)) or _awaits(function)
        return Stub(
            step=self.step.slug,
            check=replaced.check,
            handler=_awaiting(function) if is_async else function,
            is_async=is_async,
            payloads=tuple(each for each in replaced.payloads if each.name in wanted),
            contexts=tuple(name for name in dict.fromkeys((*replaced.contexts, CTX)) if name in wanted),
            index=INDEX in wanted,
            resources={name: kind for name, kind in replaced.resources.items() if name in wanted},
            welcome={name: kind for name, kind in replaced.resources.items() if takes_all and name not in wanted},
        )

    def _wanted(self, function: Callable[..., object]) -> tuple[frozenset[str], bool]:
        """The names that a function asks for, and whether it takes whatever else there is."""
        replaced = self.replaced
        own = [each.name for each in replaced.payloads] + [*replaced.contexts]
        own += [INDEX] if replaced.index else []
        able = [*own, *replaced.resources, CTX] + ([INDEX] if self.step.kind is StepKind.MAP else [])
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return frozenset(own), True
        wanted: set[str] = set()
        for each in parameters:
            if each.kind is each.VAR_KEYWORD:
                wanted.update(own)
            elif each.name in able and each.kind is not each.POSITIONAL_ONLY:
                wanted.add(each.name)
            elif each.default is each.empty and each.kind is not each.VAR_POSITIONAL:
                raise self._problem(
                    f"the function asks for {each.name!r}, which is no parameter of the handler; "
                    f"{nearest(each.name, able)}"
                )
        return frozenset(wanted), any(each.kind is each.VAR_KEYWORD for each in parameters)

    def _check(self, value: object) -> None:
        """See that a value is one that the step could have."""
        misfit = misfit_of(self.step, value)
        if misfit is None:
            return
        hint = ""
        if isinstance(value, list | tuple):
            hint = "; for another stub at each attempt, write in_turn(…)"
        if self.step.kind is StepKind.MAP:
            hint += "; the stub of a map gives the output of one element, a function of `item` or `index` one for each"
        raise self._problem(misfit + hint)

    def _problem(self, problem: str) -> InvalidStub:
        return InvalidStub(flow=self.flow.slug, step=self.step.slug, problem=problem)


def misfit_of(step: Step[Any], value: object) -> str | None:
    """Why a value cannot be what a handler of a step returns; None where it can."""
    if isinstance(value, Suspend) and not step.suspends:
        return f"it suspends, which step {step.slug!r} cannot"
    try:
        if isinstance(value, Suspend):
            step.encode_state(cast("Suspend[object]", value).state)
        else:
            step.encode_output(value)
    except PayloadError as error:
        return str(error)
    return None


def _returning(value: object) -> Callable[..., object]:
    async def stub() -> object:
        return value

    return stub


def _raising(error: BaseException | type[BaseException]) -> Callable[..., object]:
    async def stub() -> object:
        raise error if inspect.isclass(error) else error.with_traceback(None)

    return stub


def _awaits(function: object) -> bool:
    return inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _awaiting(function: Callable[..., object]) -> Callable[..., object]:
    async def stub(**arguments: object) -> object:
        value = function(**arguments)
        return await value if inspect.isawaitable(value) else value

    return stub
