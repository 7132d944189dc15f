"""A host that falls silent in the midst of a transaction, as one without power does, or one that is stopped.

Its server hears nothing of that, and would keep its locks for as long as TCP believes in the connection: two hours.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from fairlead.adapters.postgres import postgres_ports
from fairlead.kernel import Flow, Kernel
from fairlead.ports import Ports
from fairlead.ports.errors import AdapterError, Contention
from fairlead.ports.records import LoadRequest
from tests.chaos.proxy import proxied

DEADLINE_S = 1.0
TIMEOUT_S = 30.0

flow = Flow("single", version=1, input=int)


@flow.step
async def work(input: int) -> int:
    """Never executed here."""
    return input


async def hold(ports: Ports, run_id: str, held: asyncio.Event) -> None:
    """Lock a run and never end the transaction."""
    async with ports.persistence.transaction() as transaction:
        await transaction.load(LoadRequest(runs=(run_id,), steps=(), tasks=(), wait=True))
        held.set()
        await asyncio.Event().wait()


async def test_the_locks_of_a_silent_host_are_given_up(migrated_url: str) -> None:
    """The run that it holds is cancelled by somebody else, no later than the silent one would give up waiting."""
    async with (
        proxied(migrated_url) as (url, proxy),
        Kernel(flows=[flow], ports=postgres_ports(migrated_url, lock_wait_s=0.2)) as kernel,
    ):
        run = await kernel.start(flow, 1)
        silent, held = postgres_ports(url, deadline_s=DEADLINE_S), asyncio.Event()
        holding = asyncio.create_task(hold(silent, run.id, held))
        await asyncio.wait_for(held.wait(), TIMEOUT_S)
        proxy.drop()
        with pytest.raises(Contention):
            await kernel.cancel(run.id)

        async with asyncio.timeout(TIMEOUT_S):
            cancelled = None
            while cancelled is None:
                with suppress(Contention):
                    cancelled = await kernel.cancel(run.id)

        assert cancelled.took_effect
        holding.cancel()
        with suppress(asyncio.CancelledError, AdapterError):
            await holding
        await silent.aclose()
