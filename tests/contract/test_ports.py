"""The complete set of an adapter's ports, as a kernel gets it."""

from __future__ import annotations

from uuid import UUID

from fairlead.ports import Ports
from tests.support.records import new_run
from tests.support.scenes import register


async def test_new_ids_are_increasing_uuids(ports: Ports) -> None:
    """In canonical text, each one fresh, in the order in which they were made."""
    ids = [ports.new_id() for _ in range(2000)]

    assert ids == sorted(set(ids))
    assert all(str(UUID(identity)) == identity for identity in ids)


async def test_the_ports_work_together(ports: Ports) -> None:
    """A run under a fresh id, at the clock's time, with its input and a blob beside it."""
    flow = await register(ports.persistence)
    now = ports.clock.now()

    (started,) = await ports.persistence.insert_runs([new_run(flow, created_at=now)])
    await ports.blobs.put(f"runs/{started.id}", b"blob")
    await ports.transport.enqueue([])

    record = await ports.persistence.read_run(started.id)
    assert record is not None
    assert record.created_at == now
    assert await ports.blobs.get(f"runs/{started.id}") == b"blob"


async def test_the_ports_can_be_closed_twice_and_used_again(ports: Ports) -> None:
    """Opening is implicit: what comes after a closing opens what it needs."""
    await ports.aclose()
    await ports.aclose()

    flow = await register(ports.persistence)

    assert flow.slug == "orders"
