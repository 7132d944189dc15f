"""What a host knows of a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.executables import Executable, Executables
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, Kernel, Resource
from fairlead.kernel.definition.binding import Binding
from fairlead.ports.records import ClaimedTask


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


async def test_another_may_say_what_is_called() -> None:
    """A host runs what the executables it was given name, whatever the flow's handler would do, and asks them for the
    check of its resources."""
    flow: Flow[Any] = Flow("replaced", version=1)
    checked: list[object] = []

    @flow.step
    def charge(input: str, payments: Resource[str]) -> str:
        raise AssertionError(input + payments)

    class Replaced(Executables):
        def check(self, resources: Mapping[str, object], *, queues: Iterable[str]) -> None:
            checked.extend((dict(resources), tuple(queues)))

        def of(self, task: ClaimedTask) -> Executable:
            found = super().of(task)
            return evolve(found, binding=Binding(step="charge", handler=lambda: "free", is_async=False, payloads=()))

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel, new_executables=Replaced) as host:
        run = await kernel.start(flow, "a card")

        assert await run.result(timeout=20) == {"charge": "free"}
        assert checked == [{}, ("default",)]
        assert host.held == 0
