"""MODULE:NAME where flows are wanted: a kernel's, or one flow itself. No database is needed for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...kernel import Flow, Kernel
from ...kernel.errors import UnknownFlow
from ...kernel.registry import newest
from ...ports.errors import UsageError
from .loading import build_kernel, find_target, is_flow, takes_ports


class FlowNotNamed(UsageError):
    """One flow is wanted, and there are several."""

    def __init__(self, target: str, known: Sequence[str]) -> None:
        self.target = target
        self.known = tuple(known)
        named = "no flow" if not known else f"{len(known)} flows, {', '.join(known)}"
        super().__init__(f"{target!r} has {named}; name the one you mean")


def flows_at(target: str) -> tuple[Flow[Any], ...]:
    """The sealed flows of what a MODULE:NAME names: a kernel, a function that makes one, or a flow.

    Raises:
        UsageError: it is not there, not usable, or a flow in it is wrong.
    """
    return kernel_flows(target, find_target(target))


def kernel_flows(target: str, found: object) -> tuple[Flow[Any], ...]:
    """The sealed flows of what was found under a name; see `flows_at`."""
    if is_flow(found):
        found.seal()
        return (found,)
    if isinstance(found, Kernel):
        return found.flows
    from ...adapters.memory import memory_ports

    return build_kernel(target, found, memory_ports() if takes_ports(target, found) else None).flows


def one_flow(target: str, slug: str | None, version: str | None) -> Flow[Any]:
    """The flow of that slug, or the only one; in its newest version, or the one named.

    Raises:
        FlowNotNamed: no slug is given, and there are several.
        UnknownFlow: there is no such flow.
    """
    flows = flows_at(target)
    slugs = list(dict.fromkeys(flow.slug for flow in flows))
    if slug is None:
        if len(slugs) != 1:
            raise FlowNotNamed(target, slugs)
        slug = slugs[0]
    found = [flow for flow in flows if flow.slug == slug and version in (None, flow.version)]
    if not found:
        raise UnknownFlow(slug, version, tuple(f"{flow.slug} (version {flow.version})" for flow in flows))
    return newest(found)
