"""What a handler's signature says: its parameters and annotations, resolved once, where it is decorated.

Nothing here knows of flows or of JSON; whatever cannot be a handler is refused with the reason and the way out.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping

from attrs import frozen

Handler: typing.TypeAlias = Callable[..., object]
Names: typing.TypeAlias = Mapping[str, object]
Scope: typing.TypeAlias = tuple[dict[str, object], Names]
"""The globals and the locals in which annotations are evaluated."""


class HandlerProblem(Exception):
    """Something that cannot be a handler, or cannot be read as one."""


class Unannotated:
    """Stands for an annotation that is not there."""


@frozen(kw_only=True)
class Parameter:
    """One parameter that must be bound."""

    name: str
    annotation: object
    """Resolved, with its extras; `Unannotated` where there is none."""
    has_default: bool = False


@frozen(kw_only=True)
class Signature:
    """What a handler asks for and gives back."""

    parameters: tuple[Parameter, ...]
    returns: object
    is_async: bool
    names: Names
    """What could be seen where the handler was defined, beside its module."""


def names_in_sight() -> Names:
    """Return the local names that can be seen where the function that asks was called."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    name = frame.f_code.co_qualname
    if name == "<module>":
        return {}
    return _locals_of(_enclosing(name) | {name}, frame.f_globals)


def name_of(handler: Handler) -> str | None:
    """Return the name by which the function was defined; partials, lambdas and callable instances have none."""
    name = getattr(handler, "__name__", None)
    return name if isinstance(name, str) and name.isidentifier() else None


def same_function(one: Handler, other: Handler) -> bool:
    """Return whether both are one function, however each is wrapped."""
    return bool(one == other) or bool(inspect.unwrap(one) == inspect.unwrap(other))


def read_handler(handler: object) -> Signature:
    """Read a handler's signature and resolve its annotations; to be called while the code around it still runs.

    Args:
        handler: whatever was decorated. Names in its annotations are looked up in the functions and classes around
            its definition, then in its module.

    Raises:
        HandlerProblem: it is no handler, or an annotation cannot be resolved.
    """
    function = _checked(handler)
    try:
        signature = inspect.signature(function)
    except NameError as error:  # Python 3.14 evaluates annotations only now.
        raise HandlerProblem(_unknown_name("an annotation", error)) from error
    except (TypeError, ValueError) as error:
        raise HandlerProblem(f"its signature cannot be read ({error}); wrap it in a function") from error
    scope = _scope(function)
    bound = _bound_by_partial(function)
    parameters = tuple(
        Parameter(
            name=name,
            annotation=_resolve(parameter.annotation, f"parameter {name!r}", scope),
            has_default=parameter.default is not parameter.empty,
        )
        for name, parameter in signature.parameters.items()
        if name not in bound and _nameable(parameter)
    )
    return Signature(
        parameters=parameters,
        returns=_resolve(signature.return_annotation, "the return value", scope),
        is_async=inspect.iscoroutinefunction(_called(function)),
        names=scope[1],
    )


def _checked(handler: object) -> Handler:
    if inspect.isclass(handler):
        raise HandlerProblem(f"{handler.__name__} is a class; decorate a function, or pass an instance's method")
    if isinstance(handler, str):
        raise HandlerProblem(f"a handler must be a function, not a str; write slug={handler!r}")
    if not callable(handler):
        raise HandlerProblem(f"a handler must be a function, not {type(handler).__name__}")
    called = _called(handler)
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        able = "AsyncIterable" if inspect.isasyncgenfunction(called) else "Iterable"
        raise HandlerProblem(
            "the handler is a generator (it contains `yield`), which runs only while somebody goes through it; put the "
            f"`yield` into an inner function, return what calling that gives, and annotate {able}[…]"
        )
    return handler


def _called(handler: Handler) -> Handler:
    """Return the function whose code runs when `handler` is called: below partials, or an instance's `__call__`."""
    while isinstance(handler, functools.partial | staticmethod):
        handler = handler.func if isinstance(handler, functools.partial) else handler.__func__
    if inspect.isroutine(handler):
        return handler
    call: Handler = type(handler).__call__
    return call


def _bound_by_partial(handler: Handler) -> frozenset[str]:
    names: set[str] = set()
    while isinstance(handler, functools.partial):
        names.update(handler.keywords)
        handler = handler.func
    return frozenset(names)


def _nameable(parameter: inspect.Parameter) -> bool:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        raise HandlerProblem(
            f"parameter '{stars}{parameter.name}' cannot be bound by name; name every parameter "
            "(a decorator without functools.wraps?)"
        )
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise HandlerProblem(f"parameter {parameter.name!r} is positional-only; parameters are passed by name")
    return True


def _scope(handler: Handler) -> Scope:
    """Return the globals of the handler's definition and the locals of the functions and classes around it."""
    definition = inspect.unwrap(_called(handler))
    definition = getattr(definition, "__func__", definition)
    module: dict[str, object] = getattr(definition, "__globals__", {})
    return module, _locals_of(_enclosing(getattr(definition, "__qualname__", "")), module)


def _locals_of(around: frozenset[str], module: dict[str, object]) -> Names:
    """Return the locals of those functions and classes of a module that are being executed, innermost first."""
    frames = _outward(sys._getframe())  # pyright: ignore[reportPrivateUsage]
    found = (each for each in frames if each.f_globals is module and each.f_code.co_qualname in around)
    return ChainMap(*(dict(each.f_locals) for each in found))


def _enclosing(qualified_name: str) -> frozenset[str]:
    """Return the qualified names of the functions and classes around a definition."""
    parts = qualified_name.split(".")[:-1]
    joined = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return frozenset(name for name in joined if not name.endswith("<locals>"))


def _outward(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _resolve(annotation: object, place: str, scope: Scope) -> object:
    if annotation is inspect.Parameter.empty:
        return Unannotated

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    scope_globals, scope_locals = scope
    try:
        hints = typing.get_type_hints(holder, scope_globals, scope_locals, include_extras=True)
    except NameError as error:
        raise HandlerProblem(_unknown_name(f"the annotation of {place}", error)) from error
    except Exception as error:
        raise HandlerProblem(
            f"the annotation of {place}, {annotation!r}, cannot be evaluated: {type(error).__name__}: {error}"
        ) from error
    return hints["it"]


def _unknown_name(what: str, error: NameError) -> str:
    return (
        f"{what} names {error.name!r}, which is unknown at run time; define it before the step, "
        "or import it outside `if TYPE_CHECKING`"
    )
