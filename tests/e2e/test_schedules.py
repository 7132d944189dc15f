"""Five workers and a schedule that ticks every second: no tick twice, none missing, whoever is killed meanwhile.

A short while here; `make schedules` does it for two minutes, and kills a worker every twenty seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

import pytest

from fairlead.adapters.postgres import postgres_ports
from fairlead.kernel import Flow, Kernel, RunStatus
from fairlead.kernel.cron import Cron
from fairlead.kernel.dispatch.firing import FIRE_CLAIM
from fairlead.ports.reading import RunFilter, RunRecord
from tests.support.commands import Commands

SECONDS = float(os.environ.get("FAIRLEAD_SCHEDULE_SECONDS", "8"))
"""How long the schedule ticks."""

KILL_EVERY_S = 20.0
WORKERS = 5
TIMEOUT_S = 60.0

APP = """
from fairlead.kernel import Flow, Kernel, Ports

beat = Flow("beat", version=1)

@beat.step
def work(input: int) -> int:
    return input

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[beat], ports=ports)
"""


@pytest.fixture
async def kernel(migrated_url: str) -> AsyncGenerator[Kernel]:
    """The test's own kernel, which looks; the store is sound in the end."""
    flow = Flow("beat", version=1)

    @flow.step
    def work(input: int) -> int:
        return input

    async with Kernel(flows=[flow], ports=postgres_ports(migrated_url, pool_size=2)) as kernel:
        yield kernel
        broken = await kernel.ports.persistence.check_invariants()
        assert not {name: rows for name, rows in broken.items() if rows}


def begin(fairlead: Commands) -> subprocess.Popen[str]:
    """A worker process."""
    return fairlead.begin("worker", "app:kernel", "--concurrency", "4", "--log-level", "error")


async def ticked(kernel: Kernel) -> list[RunRecord]:
    """The runs that ticks have started."""
    found: list[RunRecord] = []
    page = await kernel.runs(RunFilter(flow="beat"), limit=1_000)
    while page.runs:
        found += page.runs
        if page.next is None:
            break
        page = await kernel.runs(RunFilter(flow="beat"), limit=1_000, after=page.next)
    return found


def tick_of(run: RunRecord) -> datetime:
    """When a run's tick was."""
    assert run.key is not None
    return datetime.fromisoformat(run.key.rpartition("/")[2])


@pytest.mark.fault(70)
async def test_no_tick_twice_and_none_missing(kernel: Kernel, fairlead: Commands, migrated_url: str) -> None:
    """By the keys of the runs that there are, each of which completes."""
    (fairlead.folder / "app.py").write_text(APP)
    fairlead.environment["DATABASE_URL"] = migrated_url
    schedule = await kernel.schedule("beat", cron="* * * * * *", input=1)
    workers = [begin(fairlead) for _ in range(WORKERS)]
    kills = 0
    for _ in range(int(SECONDS // KILL_EVERY_S)):
        await asyncio.sleep(KILL_EVERY_S)
        victim = workers.pop(0)
        victim.send_signal(signal.SIGKILL)
        kills += 1
        workers.append(begin(fairlead))
    await asyncio.sleep(SECONDS % KILL_EVERY_S)
    until = kernel.ports.clock.now()
    async with asyncio.timeout(TIMEOUT_S + FIRE_CLAIM.total_seconds()):
        while ((await schedule.read()).last_tick or schedule.record.created_at) < until:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await schedule.pause()
        while any(run.status is not RunStatus.COMPLETED for run in await ticked(kernel)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    runs = await ticked(kernel)

    last = max(map(tick_of, runs))
    every = list(Cron("* * * * * *").between(schedule.record.created_at, last))
    assert last >= until - timedelta(seconds=1)
    assert Counter(map(tick_of, runs)) == Counter(every)
    assert (await schedule.read()).left_out is None
    late_s = sorted((run.created_at - tick_of(run)).total_seconds() for run in runs)
    print(
        f"{len(runs)} ticks, {WORKERS} workers, {kills} killed: each once; late by "
        f"{late_s[len(late_s) // 2] * 1e3:.0f} ms (median), {late_s[-1]:.2f} s (most)"
    )
