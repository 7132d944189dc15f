"""The hosts that machines run: real ones, which know nothing of where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from attrs import frozen

from ...kernel import Kernel
from ...ports.errors import AdapterError
from ...ports.transport import Delivery
from ..executables import NewExecutables
from ..node import NodeHost
from ..options import queues_of
from ..serverless import ServerlessHost
from ..threads import NewThreads
from .setting import Setting

CALL_JOBS_MAX = 20
"""Attempts in one call of a serverless host."""

BATCH_MAX = 10
"""Messages that a serverless host is called with at a time."""


@frozen(kw_only=True)
class Hosting:
    """How one process runs a host."""

    kernel: Kernel
    worker: str
    setting: Setting
    resources: Mapping[str, object]
    new_threads: NewThreads
    new_executables: NewExecutables

    async def run_node(self, stopping: asyncio.Event) -> None:
        """A host with loops of its own, which stops in good order."""
        setting = self.setting
        host = NodeHost(
            self.kernel,
            concurrency=setting.concurrency,
            worker=self.worker,
            resources=self.resources,
            lease_duration=setting.lease,
            poll_interval=setting.poll_interval_s,
            heartbeats="loop",
            new_threads=self.new_threads,
            new_executables=self.new_executables,
        )
        async with host:
            await stopping.wait()

    async def run_serverless(self, stopping: asyncio.Event) -> None:
        """Functions that are called again and again: for messages, for whatever waits, for maintenance."""
        setting = self.setting
        host = ServerlessHost(
            self.kernel,
            concurrency=setting.concurrency,
            worker=self.worker,
            resources=self.resources,
            lease_duration=setting.lease,
            heartbeats="loop",
            new_threads=self.new_threads,
            new_executables=self.new_executables,
        )
        async with host, asyncio.TaskGroup() as calls:
            calls.create_task(self._maintain(host, stopping))
            calls.create_task(self._receive(host, stopping))

    async def _maintain(self, host: ServerlessHost, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await host.run_maintenance_tick()
            await _pause(stopping, self.setting.maintenance_s)

    async def _receive(self, host: ServerlessHost, stopping: asyncio.Event) -> None:
        transport = self.kernel.ports.transport
        while not stopping.is_set():
            try:
                if not transport.delivers:
                    await host.process_available_jobs(CALL_JOBS_MAX)
                    await _pause(stopping, self.setting.poll_interval_s)
                    continue
                deliveries = await transport.dequeue(
                    queues=queues_of(self.kernel), limit=BATCH_MAX, wait_s=self.setting.poll_interval_s
                )
                await asyncio.gather(*[self._handle(host, delivery) for delivery in deliveries])
            except AdapterError:  # nothing was received
                await _pause(stopping, self.setting.poll_interval_s)

    async def _handle(self, host: ServerlessHost, delivery: Delivery) -> None:
        with suppress(AdapterError):  # the call has failed, and the message comes again
            if (await host.handle_job(delivery.job)).acknowledged:
                await self.kernel.ports.transport.complete([delivery])


async def _pause(stopping: asyncio.Event, duration_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(duration_s):
            await stopping.wait()
