"""One campaign from its beginning to its verdict: set up, do harm, heal, drain, check."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from attrs import field, frozen

from fairlead.adapters.postgres import postgres_ports
from fairlead.kernel import Kernel, RunRecord, RunStatus
from fairlead.kernel.cron import Cron
from tests.chaos.application import ROWS, Application
from tests.chaos.checks import violations
from tests.chaos.client import Client
from tests.chaos.conductor import STOP_TIMEOUT_S, Conductor, Pace
from tests.chaos.facts import Facts, Ticks, executions_of, published_of, read_rows
from tests.chaos.flows import FLOWS, LEAVES
from tests.chaos.jobs import Job, Made
from tests.chaos.ledger import Ledger, LedgerReader
from tests.chaos.proxy import Proxy, ProxyFault, proxied
from tests.chaos.report import Report
from tests.chaos.server import Server, opened
from tests.chaos.waiting import beat
from tests.chaos.worker import INLINE_BYTES_MAX, WorkerSettings, worker_kernel
from tests.chaos.workers import Workers

CRON = "*/2 * * * * *"
TELL_S = 5.0
LOOK_S = 0.5

IMPOSSIBLE = re.compile(r"CorruptionError|was never retrieved|internal_error|Fatal Python error")
"""What no worker's log may say, whatever is done to it."""


@frozen(kw_only=True)
class Settings:
    """How a campaign is."""

    seed: int
    seconds: float
    """How long harm is done."""
    folder: Path
    """For ledger and logs; empty."""
    workers: int = 6
    live_runs: int = 60
    lease_s: float = 2.0
    patience_s: float = 300.0
    """How long the end may take after all is healed: a bound, and no measure."""
    pace: Pace = field(factory=Pace)
    tell: Callable[[str], None] = print


async def run(settings: Settings) -> Report:
    """Carry out a campaign."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(opened())
        worker_url, worker_proxy = await stack.enter_async_context(proxied(server.url))
        client_url, client_proxy = await stack.enter_async_context(proxied(server.url))
        workers = Workers([server.url, worker_url], settings.folder, settings.lease_s, settings.seed)
        stack.callback(workers.kill_all)
        kernel = await stack.enter_async_context(_kernel(client_url, pool_size=8))
        sound = await stack.enter_async_context(_kernel(server.url, pool_size=4))
        await server.execute(ROWS)
        client = Client(
            kernel,
            Application(kernel, client_url, set()),
            sound,
            LedgerReader(workers.ledger),
            random.Random(f"{settings.seed}/client"),
            settings.live_runs,
        )
        conductor = Conductor(
            workers, settings.workers, server, [worker_proxy, client_proxy], settings.seed, settings.pace
        )
        await _make_sink_known(server, settings)
        schedule = await sound.schedule(beat, cron=CRON, input=Job(value=1), catch_up="all")
        alive = asyncio.create_task(conductor.keep_alive())
        working = asyncio.create_task(client.work())
        telling = asyncio.create_task(_tell(settings, conductor, client, [worker_proxy, client_proxy]))
        try:
            began = time.monotonic()
            async with conductor.harming():
                await _harm(settings, conductor, [alive, working])
            conductor.heal()
            healed = time.monotonic()
            harmed_s = healed - began
            await schedule.pause()
            await client.end()
            stuck = await _drain(settings, sound, client, [alive, working])
            drained_s = time.monotonic() - healed
            ticks = await _ticks(sound, schedule.name, schedule.record.created_at)
            broken = await _diagnose(sound)
        finally:
            for task in (alive, working, telling):
                task.cancel()
            await asyncio.gather(alive, working, telling, return_exceptions=True)
        await workers.end(STOP_TIMEOUT_S)
        for name, rows in (await sound.ports.persistence.check_invariants()).items():
            if rows:
                broken[f"{name} (afterwards)"] = rows
        facts = await _facts(server, sound, workers, ticks, broken)
    return Report(
        seed=settings.seed,
        seconds=settings.seconds,
        harmed_s=harmed_s,
        drained_s=drained_s,
        done=conductor.done,
        lost=Counter(worker_proxy.lost) + Counter(client_proxy.lost),
        asked=client.asked,
        workers=workers.started,
        slowest_stop_s=workers.slowest_stop_s,
        unanswered=len(client.told.unanswered),
        facts=facts,
        violations=[*stuck, *(f"client: {each}" for each in client.problems), *violations(facts, client.told)],
    )


@asynccontextmanager
async def _kernel(url: str, *, pool_size: int) -> AsyncGenerator[Kernel]:
    ports = postgres_ports(url, pool_size=pool_size, deadline_s=3.0, pool_wait_s=3.0, lock_wait_s=2.0)
    async with Kernel(flows=FLOWS, ports=ports, inline_bytes_max=INLINE_BYTES_MAX) as kernel:
        yield kernel


async def _make_sink_known(server: Server, settings: Settings) -> None:
    """Let the store know the workers' sink before there is any event, so that it is owed all of them."""
    worker = WorkerSettings(
        name="nobody",
        url=server.url,
        ledger=str(settings.folder / "ledger"),
        seed=0,
        lease_s=settings.lease_s,
        concurrency=1,
        pool_size=1,
        clock_offset_s=0,
        sink_trouble=0,
    )
    ledger = Ledger(Path(worker.ledger))
    async with worker_kernel(worker, ledger) as kernel:
        await kernel.register()
    ledger.close()


async def _pass(seconds: float, tasks: list[asyncio.Task[None]]) -> None:
    """Let time pass; raises what one of the tasks raises."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _harm(settings: Settings, conductor: Conductor, tasks: list[asyncio.Task[None]]) -> None:
    """Let harm be done for as long as was asked, and until there was some of each kind, however slow the machine is."""
    await _pass(settings.seconds, tasks)
    deadline = time.monotonic() + settings.patience_s
    while not conductor.has_done_all_kinds and time.monotonic() < deadline:
        await _pass(LOOK_S, tasks)


async def _tell(settings: Settings, conductor: Conductor, client: Client, proxies: list[Proxy]) -> None:
    """Say how it goes, every few seconds."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(TELL_S)
        done, asked = conductor.done, client.asked
        lost = sum(proxy.lost[ProxyFault.LOSE_COMMIT] for proxy in proxies)
        settings.tell(
            f"{time.monotonic() - began:5.0f} s  {asked['starts']:5} started  {len(client.live):3} live  "
            f"{done['kills']:4} kills  {done['stops']:3} stops  {done['zombies']:3} zombies  "
            f"{done['restarts']:3} restarts  {done['terminated']:4} terminated  {lost:3} commits lost  "
            f"{len(conductor.workers.able())} able  {len(client.problems)} problems"
        )


async def _drain(settings: Settings, kernel: Kernel, client: Client, tasks: list[asyncio.Task[None]]) -> list[str]:
    """Wait until nothing moves that should; what does not come to its end."""
    deadline = time.monotonic() + settings.patience_s
    while True:
        left = [run for run in client.live if run.id not in client.told.unanswered]
        deferred = await kernel.deferred()
        waiting = sum(sink.waiting for sink in await kernel.sinks())
        if not (left or deferred or waiting) and client.idle:
            return []
        if time.monotonic() > deadline:
            break
        await _pass(LOOK_S, tasks)
    stuck = [f"drain: {len(deferred)} deferred commands and {waiting} events are left, and {len(left)} runs"]
    for run in left[:5]:
        explanation = await kernel.why(run.id)
        stuck.append(f"drain: run {run.id} of {run.flow}: {explanation}")
    return stuck


async def _ticks(kernel: Kernel, name: str, since: datetime) -> Ticks:
    last = (await (await kernel.find_schedule(name)).read()).last_tick
    found: list[datetime] = []
    async for record in _all_runs(kernel):
        if record.flow == "beat" and record.key is not None:
            found.append(datetime.fromisoformat(record.key.rpartition("/")[2]))
    return Ticks(expected=[] if last is None else list(Cron(CRON).between(since, last)), found=found)


async def _diagnose(kernel: Kernel) -> dict[str, Sequence[str]]:
    diagnosis = await kernel.doctor(blobs=True)
    return {f"{finding.name} ({finding.what})": finding.rows or (finding.remedy,) for finding in diagnosis.findings}


async def _all_runs(kernel: Kernel) -> AsyncGenerator[RunRecord]:
    page = await kernel.runs(limit=1_000)
    while True:
        for record in page.runs:
            yield record
        if page.next is None:
            return
        page = await kernel.runs(limit=1_000, after=page.next)


async def _facts(
    server: Server, kernel: Kernel, workers: Workers, ticks: Ticks, broken: Mapping[str, Sequence[str]]
) -> Facts:
    values: dict[str, int] = {}
    async for record in _all_runs(kernel):
        if record.status is RunStatus.COMPLETED and record.flow in LEAVES:
            made: Made | None = await kernel.run(record.id).output(LEAVES[record.flow])
            assert made is not None
            values[record.id] = made.value
    rows = await read_rows(server.url, values)
    lines = LedgerReader(workers.ledger).fresh()
    return Facts(
        runs=rows.runs,
        tasks=rows.tasks,
        signals=rows.signals,
        rows=rows.written,
        lost=rows.lost,
        stopped=workers.ended,
        executions=executions_of(lines),
        published=published_of(lines),
        ticks=ticks,
        deaths=[*workers.deaths, *_impossible(workers)],
        broken=broken,
    )


def _impossible(workers: Workers) -> list[str]:
    found: list[str] = []
    for path in workers.logs():
        with suppress(StopIteration):
            line = next(line for line in path.read_text(errors="replace").splitlines() if IMPOSSIBLE.search(line))
            found.append(f"{path} says: {line}")
    return found
