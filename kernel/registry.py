"""The flows of one kernel: found by slug and version before they are registered, by flow id afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from ..ports.clock import Clock
from ..ports.persistence import Persistence
from ..ports.records import FlowRow, NewFlow
from .definition import Flow, Shape, differences
from .definition.flow import DEV
from .errors import FlowDefinitionError, FlowShapeConflict, ForeignFlow, UnknownFlow
from .failures import text_of
from .plan import Plan


@frozen
class RegisteredFlow:
    """A flow of this kernel and the id that stands for its shape in the store."""

    flow_id: int
    flow: Flow[Any]
    plan: Plan


class Registry:
    """Seals the flows it is given and registers their shapes."""

    def __init__(self, flows: Iterable[Flow[Any]]) -> None:
        self._flows: dict[tuple[str, str], Flow[Any]] = {}
        for flow in flows:
            flow.seal()
            earlier = self._flows.setdefault((flow.slug, flow.version), flow)
            if earlier is not flow:
                raise FlowDefinitionError(
                    f"two different flows have version {flow.version}; was a module loaded twice?", flow=flow.slug
                )
        self._by_id: dict[int, RegisteredFlow] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._plans: dict[int, Plan] = {}

    @property
    def flows(self) -> tuple[Flow[Any], ...]:
        """All flows, in the order in which they were given."""
        return tuple(self._flows.values())

    @property
    def registered(self) -> bool:
        """Whether every flow has its id."""
        return len(self._ids) == len(self._flows)

    @property
    def by_id(self) -> Mapping[int, RegisteredFlow]:
        """The registered flows by flow id."""
        return self._by_id

    @property
    def plans(self) -> Mapping[int, Plan]:
        """The plans of the registered flows by flow id."""
        return self._plans

    async def register(self, persistence: Persistence, clock: Clock) -> None:
        """Put every shape into the store, or find it there.

        Raises:
            FlowShapeConflict: the store has another shape under a flow's slug and version.
        """
        for name, flow in self._flows.items():
            if name in self._ids:
                continue
            row = await _register(flow, persistence, clock)
            self._by_id[row.flow_id] = RegisteredFlow(row.flow_id, flow, flow.plan)
            self._plans[row.flow_id] = flow.plan
            self._ids[name] = row.flow_id

    def find(self, flow: Flow[Any] | str, version: int | str | None = None) -> Flow[Any]:
        """A flow of this kernel: itself, or the one of that slug and version (by default the newest).

        Raises:
            UnknownFlow: there is none.
            ForeignFlow: the kernel has another object of that slug and version.
        """
        if isinstance(flow, Flow):
            mine = self._flows.get((flow.slug, flow.version))
            if mine is flow:
                return flow
            if mine is not None:
                raise ForeignFlow(flow.slug, flow.version)
            raise UnknownFlow(flow.slug, flow.version, self.known)
        candidates = [each for each in self._flows.values() if each.slug == flow]
        if version is not None:
            candidates = [each for each in candidates if each.version == text_of(version)]
        if not candidates:
            raise UnknownFlow(flow, None if version is None else text_of(version), self.known)
        return newest(candidates)

    def registered_flow(self, flow: Flow[Any]) -> RegisteredFlow:
        """What registration made of one of this kernel's flows."""
        return self._by_id[self._ids[flow.slug, flow.version]]

    @property
    def known(self) -> tuple[str, ...]:
        """The flows and their versions, in words."""
        return tuple(f"{slug} (version {version})" for slug, version in self._flows)


def newest(flows: Iterable[Flow[Any]]) -> Flow[Any]:
    """The newest of some versions of a flow, at least one; `dev` is what a developer works on, hence the newest."""
    return max(flows, key=lambda flow: rank(flow.version))


def rank(version: str) -> float:
    """What versions are compared by."""
    return math.inf if version == DEV else int(version)


async def _register(flow: Flow[Any], persistence: Persistence, clock: Clock) -> FlowRow:
    new = NewFlow(
        slug=flow.slug,
        version=flow.version,
        fingerprint=flow.shape.fingerprint,
        shape=flow.shape.document,
        registered_at=clock.now(),
    )
    row = await persistence.register_flow(new, replace=flow.version == DEV)
    found = Shape(row.shape)
    if row.fingerprint != new.fingerprint:
        raise FlowShapeConflict(flow=flow.slug, version=flow.version, differences=differences(found, flow.shape))
    if flow.shape.order and not found.order:  # registered before the order was kept
        return await persistence.register_flow(new, replace=True)
    return row
