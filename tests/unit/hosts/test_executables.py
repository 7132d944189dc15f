"""What a host knows of a step."""

from __future__ import annotations

from typing import Any

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.executables import Executables
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, Kernel


async def test_a_handler_is_told_of_all_that_has_certainly_run() -> None:
    """Though it takes none of it: what the complement of a branch proves, and what is never skipped; nothing is read
    for that."""
    flow: Flow[Any] = Flow("told", version=1)

    @flow.step(when={"input": {"open": True}})
    def gate(input: object) -> object:
        return input

    @flow.step
    def plain(input: object) -> object:
        return input

    opened = flow.branch(unless={"gate": {"open": True}}).otherwise()

    @opened.step(after=[plain])
    def tell(ctx: Context) -> list[str]:
        return [ctx.status("gate"), ctx.status("plain")]

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel):
        run = await kernel.start(flow, {"open": True})

        assert await run.result(timeout=20) == {"tell": ["completed", "completed"]}

        flow_id = (await kernel.ports.persistence.read_flow("told", "1")).flow_id  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
        assert Executables(kernel).find(flow_id, "tell").outputs == ()
