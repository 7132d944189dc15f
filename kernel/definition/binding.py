"""How one handler is called: which parameter receives what, prepared for the moment it runs.

This is on the hot path of every host, so everything is looked up once, when the step is defined.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Protocol

from attrs import field, frozen

from ..codec import SIZE_UNLIMITED
from ..context import Context
from ..schema import Schema
from .handler import Handler

ITEM = "item"
"""The source of a map task's element, and the parameter that receives it."""
INDEX = "index"
"""The parameter that receives the element's index."""
STATE = "state"
"""The source of what a suspended step keeps for its check, and the parameter that receives it."""
CONFIG = "config"
"""The source of a step's settings, and the parameter that receives them."""
CTX = "ctx"
"""The parameter that receives the `Context`, whatever its annotation."""

_NO_RESOURCES: Mapping[str, object] = {}


@frozen(kw_only=True)
class PayloadParameter:
    """A parameter that is decoded from JSON."""

    name: str
    source: str
    """`plan.INPUT`, the slug of an earlier step, `ITEM`, `STATE` or `CONFIG`."""
    schema: Schema
    """What the handler's annotation says, `ANY` where it says nothing."""
    written: str
    """The annotation as a reader would write it: `Iterable[Line]` where `schema` is a list."""
    has_default: bool = False
    """Whether the handler has a value of its own for it, which is taken where its source was skipped."""
    streamed: Schema | None = None
    """The type of one element, where the handler is handed an array's elements one by one instead of a list."""


class Streamed(Protocol):
    """An array whose elements are read as they are asked for."""

    def of(self, element: Schema, what: str) -> object:
        """Return the typed elements: for an async handler an `AsyncIterable`, for a plain function an `Iterable`.

        Args:
            element: the type of one.
            what: how an error calls the array.
        """
        ...


@frozen(kw_only=True)
class Binding:
    """A handler and everything that has to be known to call it."""

    step: str
    check: str | None = None
    """The check's name, where the handler is the check of the step."""
    handler: Handler
    is_async: bool
    """Whether calling the handler gives a coroutine; a plain function runs in a thread."""
    payloads: tuple[PayloadParameter, ...]
    """Parameters that are decoded from JSON, the item, the state and the config among them."""
    contexts: tuple[str, ...] = ()
    """Parameters that receive the `Context`."""
    index: bool = False
    """Whether the parameter `index` is asked for."""
    resources: Mapping[str, type] = field(factory=dict[str, type])
    """The class that each resource must be an instance of, by parameter; `object` where any will do."""

    @property
    def whose(self) -> str:
        """How errors call it: the step, or its check."""
        return f"step {self.step!r}" if self.check is None else f"step {self.step!r}, check {self.check!r}"

    @cached_property
    def sources(self) -> frozenset[str]:
        """What `arguments` reads: a host loads this and nothing else."""
        return frozenset(payload.source for payload in self.payloads)

    @cached_property
    def streams(self) -> frozenset[str]:
        """Those of the sources whose elements the handler is handed one by one."""
        return frozenset(payload.source for payload in self.payloads if payload.streamed is not None)

    @cached_property
    def _decoded(self) -> tuple[tuple[str, str, Schema, str, PayloadParameter], ...]:
        """Name, source, schema, what an error calls the value, and the parameter."""
        return tuple(
            (each.name, each.source, each.schema, f"{self.whose}, parameter {each.name!r}", each)
            for each in self.payloads
        )

    def arguments(
        self,
        values: Mapping[str, bytes | Streamed | None],
        context: Context,
        resources: Mapping[str, object] = _NO_RESOURCES,
    ) -> dict[str, object]:
        """Return what the handler is called with, by parameter.

        Args:
            values: canonical JSON for each of `sources`. A map that is a dependency is one array of its outputs; the
                element of a map task stands under `ITEM`, what a check is given under `STATE`, the step's settings
                under `CONFIG`. None is the value of a step that was skipped: its parameter keeps its default, or
                becomes None. An array may be `Streamed` where its source is one of `streams`.
            context: of this attempt; its `index` is the element's.
            resources: at least those of `resources`, by name.

        Raises:
            PayloadError: a value does not fit its parameter, which the message names.
        """
        arguments: dict[str, object] = {}
        for name, source, schema, what, parameter in self._decoded:
            data = values[source]
            if isinstance(data, bytes):
                arguments[name] = schema.decode(data, size_bytes_max=SIZE_UNLIMITED, what=what)
            elif data is not None:
                assert parameter.streamed is not None, "only what is asked for as a stream comes as one"
                arguments[name] = data.of(parameter.streamed, what)
            elif not parameter.has_default:
                arguments[name] = None
        for name in self.contexts:
            arguments[name] = context
        if self.index:
            arguments[INDEX] = context.index
        for name in self.resources:
            arguments[name] = resources[name]
        return arguments

    def payload(self, source: str) -> PayloadParameter | None:
        """Return the parameter that reads `source`, or None."""
        return next((payload for payload in self.payloads if payload.source == source), None)
