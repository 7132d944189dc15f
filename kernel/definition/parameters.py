"""Binds a handler's parameters by name: to the input, earlier steps, the item, config, context and resources."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from ..context import Context
from ..errors import FlowDefinitionError, UnsupportedType
from ..hints import nearest
from ..plan import INPUT
from ..schema import ANY, Schema
from ..schema_types import type_name
from ..suspend import is_suspend
from .binding import CONFIG, CTX, INDEX, ITEM, STATE, Binding, PayloadParameter
from .config import config_problem
from .handler import Handler, Names, Parameter, Signature, Unannotated
from .resource import ResourceMark
from .site import Site
from .step import Step
from .streams import stream_of, taken

_UNTYPED: tuple[object, ...] = (Unannotated, typing.Any, object)
_MAP_ONLY = (ITEM, INDEX)


def bind(
    handler: Handler, signature: Signature, site: Site, *, is_map: bool = False, checked: Step[Any] | None = None
) -> Binding:
    """Decide for each parameter of a handler what it receives.

    Args:
        handler: the function.
        signature: its own.
        site: where it is written.
        is_map: whether it is called for each element of an array.
        checked: the step whose check it is, if it is one.

    Raises:
        FlowDefinitionError: a parameter names nothing that is known there, or its annotation cannot be what it must.
    """
    payloads: list[PayloadParameter] = []
    contexts: list[str] = []
    resources: dict[str, type] = {}
    index = False
    for parameter in signature.parameters:
        mark = _marked(parameter, site)
        if mark is not None:
            resources[parameter.name] = _resource_class(parameter, mark, site)
        elif _is_context(parameter, site):
            contexts.append(parameter.name)
        elif parameter.name == INDEX and is_map:
            index = _checked_index(parameter, site)
        else:
            source = _source(parameter, site, is_map=is_map, checked=checked)
            payloads.append(_payload(parameter, source, signature, site))
    return Binding(
        step=site.step or "",
        check=site.check,
        handler=handler,
        is_async=signature.is_async,
        payloads=tuple(payloads),
        contexts=tuple(contexts),
        index=index,
        resources=resources,
    )


def _payload(parameter: Parameter, source: str, signature: Signature, site: Site) -> PayloadParameter:
    stream = stream_of(parameter.annotation)
    annotation = parameter.annotation if stream is None else stream.array
    schema = schema_of(annotation, f"parameter {parameter.name!r}", site, signature.names)
    streamed = stream is not None and taken(stream, parameter.name, source, site, is_async=signature.is_async)
    return PayloadParameter(
        name=parameter.name,
        source=source,
        schema=schema,
        written=schema.name if stream is None else type_name(parameter.annotation),
        has_default=parameter.has_default,
        streamed=schema.element() if streamed else None,
    )


def schema_of(annotation: object, place: str, site: Site, names: Names) -> Schema:
    """Return the schema of an annotation; an absent one admits everything.

    Args:
        annotation: resolved, or `Unannotated`.
        place: what is annotated, for the message.
        site: where that is.
        names: what can be seen there beside the module.

    Raises:
        FlowDefinitionError: JSON cannot carry the type.
    """
    if annotation is Unannotated:
        return ANY
    if any(is_suspend(part) for part in (annotation, *parts(annotation))):
        raise site.error(
            f"{place}: Suspend[…] is what a step returns, not a value that is carried; write what stands in it"
        )
    try:
        return Schema.of(annotation, names)
    except UnsupportedType as error:
        raise site.error(f"{place}: {error}") from error


def _source(parameter: Parameter, site: Site, *, is_map: bool, checked: Step[Any] | None) -> str:
    name = parameter.name
    if name == CONFIG:
        problem = config_problem(parameter.annotation)
        if problem is not None:
            raise site.error(f"parameter 'config' {problem}")
        return CONFIG
    if name == site.input_name:
        return INPUT
    if name in (site.earlier if checked is None else checked.dependencies):
        return name
    if (name == ITEM and is_map) or (name == STATE and checked is not None):
        return name
    raise _unbound_in_check(name, site, checked) if checked is not None else _unbound(name, site, is_map=is_map)


def _unbound_in_check(name: str, site: Site, checked: Step[Any]) -> FlowDefinitionError:
    where = f"parameter {name!r}"
    if name == checked.slug:
        return site.error(f"{where} names the step that it checks, which has no output yet; what it keeps is `state`")
    if name in site.earlier:
        return site.error(
            f"{where} names a step on which {checked.slug!r} does not depend, so that it may not be there yet; "
            f"let {checked.slug!r} ask for it, or come after=[{name}]"
        )
    return _unbound(name, site, is_map=False, known=(STATE, *checked.dependencies))


def _unbound(name: str, site: Site, *, is_map: bool, known: Sequence[str] | None = None) -> FlowDefinitionError:
    where = f"parameter {name!r}"
    if name == STATE:
        return site.error(f"{where} is what a suspended step keeps for its check: use @flow.check(…), or rename it")
    if name in _MAP_ONLY:
        return site.error(f"{where} belongs to maps: use @flow.map(over=…), or rename it")
    if name == "self":
        return site.error(f"{where} is never filled; decorate a function, or pass a bound method (service.charge)")
    if name == site.step:
        return site.error(f"{where} names the step itself; a step may only refer to earlier ones")
    if name == INPUT:
        return site.error(f"{where}: the input of this flow is called {site.input_name!r}")
    able = [site.input_name, *(site.earlier if known is None else known), CONFIG, CTX, *(_MAP_ONLY if is_map else ())]
    return site.error(
        f"{where} names neither an earlier step nor anything else that a {'step' if known is None else 'check'} can "
        f"ask for; {nearest(name, able)} (what the app provides is marked Resource[…])",
        missing=name,
    )


def _marked(parameter: Parameter, site: Site) -> object | None:
    """Return what `Resource[…]` holds where that is the parameter's annotation."""
    annotation = parameter.annotation
    if _is_mark(annotation):
        _refuse_known(parameter.name, "a Resource", site)
        held: object = typing.get_args(annotation)[0]
        return held
    if any(_is_mark(part) for part in parts(annotation)):
        where = f"parameter {parameter.name!r}"
        if is_union(annotation):
            raise site.error(
                f"{where}: a resource is always there, so Resource[…] cannot be one side of a union; "
                "write Resource[T] alone"
            )
        raise site.error(f"{where}: Resource[…] must be the whole annotation, not a part of it")
    return None


def _resource_class(parameter: Parameter, mark: object, site: Site) -> type:
    if mark in _UNTYPED:
        return object
    held = typing.get_origin(mark) or mark
    if isinstance(held, type) and held is not types.UnionType:
        # `isinstance` refuses a Protocol that is not decorated with `runtime_checkable`.
        unchecked = getattr(held, "_is_protocol", False) and not getattr(held, "_is_runtime_protocol", False)
        return object if unchecked else held
    raise site.error(
        f"parameter {parameter.name!r}: Resource[…] must hold one class, so that the host can check what it is given, "
        f"not {type_name(mark)}"
    )


def _is_context(parameter: Parameter, site: Site) -> bool:
    annotation = parameter.annotation
    if parameter.name == CTX and annotation in _UNTYPED:
        return True
    alternatives = parts(annotation) if is_union(annotation) else iter((annotation,))
    if any(each is Context for each in alternatives):
        if parameter.name != CTX:
            _refuse_known(parameter.name, "the Context", site)
        return True
    if parameter.name == CTX:
        raise site.error(
            f"parameter 'ctx' receives the Context; annotate it so, or rename it (now: {type_name(annotation)})"
        )
    return False


def _refuse_known(name: str, meaning: str, site: Site) -> None:
    """Refuse a parameter whose annotation says one thing and whose name another."""
    if name in (CONFIG, CTX, ITEM, INDEX, STATE, site.input_name) or name in site.earlier:
        other = "an earlier step" if name in site.earlier else "something that a step can ask for"
        raise site.error(f"parameter {name!r} is annotated as {meaning} but names {other}; rename it")


def _checked_index(parameter: Parameter, site: Site) -> bool:
    if parameter.annotation is not int and parameter.annotation not in _UNTYPED:
        raise site.error(
            f"parameter 'index' receives the element's index, an int, not {type_name(parameter.annotation)}"
        )
    return True


def _is_mark(annotation: object) -> bool:
    if typing.get_origin(annotation) is not typing.Annotated:
        return False
    return any(isinstance(extra, ResourceMark) for extra in typing.get_args(annotation)[1:])


def is_union(annotation: object) -> bool:
    """Whether an annotation is a union, however it is written."""
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def parts(annotation: object) -> Iterator[object]:
    """Yield everything an annotation is composed of, at any depth."""
    for part in typing.get_args(annotation):
        yield part
        yield from parts(part)
