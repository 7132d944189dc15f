"""Node hosts as processes on PostgreSQL: signals, kills, pauses, poison, a database that restarts."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fairlead.adapters.postgres import migrate, postgres_ports
from fairlead.adapters.postgres.embedded import EmbeddedServer, start_server, stop_server
from fairlead.hosts.worker import UNSETTLED_PER_SLOT
from fairlead.kernel import Kernel, RunHandle, Start
from fairlead.ports.errors import AdapterError
from fairlead.ports.statuses import TERMINAL_RUN, RunStatus, TaskStatus
from tests.support import worker_app
from tests.support.worker_app import FLOWS, POLL_S, Order, single, tally, threaded

TIMEOUT_S = 60.0
LEASE_S = 1.0


class Line(NamedTuple):
    """A line of the ledger."""

    what: str
    step: str
    run_id: str
    element: int | None
    attempt: int
    pid: int


class Workers:
    """Worker processes over one database and one ledger."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._ledger = folder / "ledger"
        self._started: list[subprocess.Popen[str]] = []

    def start(self, **options: Any) -> subprocess.Popen[str]:
        """Start a worker and wait until its host runs."""
        given = {"lease_duration": LEASE_S, "concurrency": 5, **options}
        arguments = [f"{name}={json.dumps(value)}" for name, value in given.items()]
        with (self._folder / f"worker-{len(self._started)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, worker_app.__file__, self._url, str(self._ledger), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "ready\n", self.logs()
        return process

    def logs(self) -> str:
        """What all workers logged."""
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("worker-*.log")))

    def ledger(self) -> list[Line]:
        """What was executed so far."""
        if not self._ledger.exists():
            return []
        return [Line(*json.loads(line)) for line in self._ledger.read_text().splitlines()]

    async def until(self, count: int, *, what: str = "begin", run: RunHandle | None = None) -> list[Line]:
        """Wait until so many attempts have begun (or ended), of any run or of one."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                found = [each for each in self.ledger() if each.what == what and (run is None or each.run_id == run.id)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.01)

    def kill_all(self) -> None:
        """Leave no process behind."""
        for process in self._started:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def workers(migrated_url: str, tmp_path: Path) -> Generator[Workers]:
    """Workers on a database of their own."""
    workers = Workers(migrated_url, tmp_path)
    yield workers
    workers.kill_all()


@pytest.fixture
async def kernel(workers: Workers, migrated_url: str) -> AsyncGenerator[Kernel]:
    """The test's own kernel, which starts runs and looks at them; the store is sound in the end."""
    async with Kernel(flows=FLOWS, ports=postgres_ports(migrated_url, pool_size=2)) as kernel:
        yield kernel
        broken = await kernel.ports.persistence.check_invariants()
        assert not {name: rows for name, rows in broken.items() if rows}
        workers.kill_all()


async def _ended(process: subprocess.Popen[str]) -> int:
    """Wait for a process; its exit code."""
    return await asyncio.to_thread(process.wait, TIMEOUT_S)


async def _only_task(run: RunHandle) -> tuple[TaskStatus, int, int]:
    (task,) = (await run.details()).tasks
    return task.status, task.attempts, task.losses


@pytest.mark.fault(17)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_handlers_end(
    kernel: Kernel, workers: Workers, tmp_path: Path, number: signal.Signals
) -> None:
    """What runs is finished and recorded, nothing further is claimed, the process ends with 0."""
    worker = workers.start(concurrency=2)
    release = tmp_path / "release"
    slow = [await kernel.start(single, Order(kind="wait", until=str(release), value=n)) for n in (1, 2)]
    await workers.until(2)
    waiting = await kernel.start(single, Order(value=3))
    worker.send_signal(number)
    await asyncio.to_thread(_until_logged, workers, "no further claims")
    release.touch()

    assert await _ended(worker) == 0
    assert [await run.result(timeout=1) for run in slow] == [{"work": 1}, {"work": 2}]
    assert await waiting.status() is RunStatus.PENDING

    workers.start()
    assert await waiting.result(timeout=TIMEOUT_S) == {"work": 3}


def _until_logged(workers: Workers, text: str) -> None:
    while text not in workers.logs():
        os.sched_yield()


@pytest.mark.fault(17)
@pytest.mark.parametrize("flow", [single, threaded], ids=["async", "thread"])
async def test_what_does_not_end_in_time_is_given_back_unspent(
    kernel: Kernel, workers: Workers, tmp_path: Path, flow: Any
) -> None:
    """Past the drain timeout the task is released, a thread's as the process's last act, and runs elsewhere."""
    worker = workers.start(drain_timeout=0.1, cancel_grace=0.1, lease_duration=60)
    release = tmp_path / "release"
    run = await kernel.start(flow, Order(kind="wait", until=str(release), value=7))
    await workers.until(1)
    worker.send_signal(signal.SIGTERM)

    assert await _ended(worker) == 0
    assert await _only_task(run) == (TaskStatus.QUEUED, 0, 0)

    release.touch()
    workers.start()
    assert list((await run.result(timeout=TIMEOUT_S)).values()) == [7]
    assert [line.attempt for line in workers.ledger() if line.what == "begin"] == [1, 1]


@pytest.mark.fault(18)
@pytest.mark.parametrize("kind", ["wait", "block"])
async def test_a_second_signal_ends_the_process_at_once(
    kernel: Kernel, workers: Workers, tmp_path: Path, kind: str
) -> None:
    """Also while a handler blocks the event loop. The state is that after a kill: the task is still leased."""
    worker = workers.start(lease_duration=60)
    run = await kernel.start(single, Order(kind=kind, until=str(tmp_path / "never")))
    await workers.until(1)
    worker.send_signal(signal.SIGTERM)
    if kind == "wait":
        await asyncio.to_thread(_until_logged, workers, "no further claims")
    worker.send_signal(signal.SIGTERM)
    while kind == "block" and worker.poll() is None:  # two that come at once may arrive as one
        worker.send_signal(signal.SIGTERM)
        await asyncio.sleep(POLL_S)

    assert await _ended(worker) == 128 + signal.SIGTERM
    assert await _only_task(run) == (TaskStatus.RUNNING, 1, 0)


@pytest.mark.fault(4)
async def test_a_killed_worker_s_tasks_are_run_again_elsewhere(kernel: Kernel, workers: Workers) -> None:
    """Half-way through a map its worker is killed: what was recorded stays, the rest is run once more, none is lost."""
    numbers = list(range(400))
    first = workers.start(concurrency=10)
    run = await kernel.start(tally, numbers)
    await workers.until(150, what="end")
    first.kill()
    await _ended(first)
    workers.start(concurrency=10)

    assert await run.result(timeout=TIMEOUT_S) == {"total": sum(n * n for n in numbers)}
    begun = Counter(line.element for line in workers.ledger() if line.what == "begin" and line.step == "square")
    assert set(begun) == set(numbers)
    assert max(begun.values()) <= 2
    slots = 10
    assert sum(begun.values()) - len(numbers) <= slots + (UNSETTLED_PER_SLOT + 1) * slots


@pytest.mark.fault(20)
async def test_a_paused_worker_is_fenced(kernel: Kernel, workers: Workers, tmp_path: Path) -> None:
    """Stopped for longer than its lease and continued, a zombie stops at its first heartbeat and records nothing."""
    zombie = workers.start()
    release = tmp_path / "release"
    run = await kernel.start(single, Order(kind="wait", until=str(release), value=1))
    (begun,) = await workers.until(1)
    zombie.send_signal(signal.SIGSTOP)
    workers.start()
    second = (await workers.until(2))[1]
    assert (second.attempt, second.pid == begun.pid) == (2, False)
    zombie.send_signal(signal.SIGCONT)
    await asyncio.to_thread(_until_logged, workers, "its lease is lost")
    release.touch()

    assert await run.result(timeout=TIMEOUT_S) == {"work": 1}
    assert await _only_task(run) == (TaskStatus.COMPLETED, 2, 1)
    assert [line.pid for line in workers.ledger() if line.what == "end"] == [second.pid]
    zombie.send_signal(signal.SIGTERM)
    assert await _ended(zombie) == 0


@pytest.mark.fault(62)
async def test_a_cancel_reaches_another_process(kernel: Kernel, workers: Workers, tmp_path: Path) -> None:
    """Handlers are stopped within a heartbeat, in the loop and in a thread that sees nothing: both slots are free."""
    worker = workers.start(concurrency=2, cancel_grace=0.05)
    release = tmp_path / "release"
    waiting = Order(kind="wait", until=str(release))
    runs = [await kernel.start(flow, waiting) for flow in (single, threaded)]
    await workers.until(2)

    assert all([await run.cancel(reason="no longer wanted") for run in runs])

    others = await kernel.start_many(single, [Start(input=Order(value=value)) for value in (1, 2)])
    assert [await other.result(timeout=TIMEOUT_S) for other in others] == [{"work": 1}, {"work": 2}]
    release.touch()
    await workers.until(1, what="end", run=runs[1])
    worker.send_signal(signal.SIGTERM)
    assert await _ended(worker) == 0
    assert [await _only_task(run) for run in runs] == [(TaskStatus.CANCELLED, 1, 0)] * 2
    assert not [line for line in workers.ledger() if line.what == "end" and line.run_id == runs[0].id]
    assert workers.logs().count("was stopped: it was cancelled") == 2


@pytest.mark.fault(19)
async def test_a_task_that_kills_its_host_ends_as_worker_lost(kernel: Kernel, workers: Workers, tmp_path: Path) -> None:
    """Workers are started again and again: the killer fails after `max_attempts`, its neighbours lose two at most."""
    release = tmp_path / "release"
    waiting = Order(kind="wait", until=str(release), value=5)
    neighbours = await kernel.start_many(single, [Start(input=waiting) for _ in range(4)])
    killer = await kernel.start(single, Order(kind="die"))
    deaths = 0
    async with asyncio.timeout(TIMEOUT_S):
        while await killer.status() not in TERMINAL_RUN:
            worker = workers.start(poll_interval=0.1)
            while worker.poll() is None and await killer.status() not in TERMINAL_RUN:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            deaths += worker.poll() is not None
            release.touch()

    assert deaths == 3
    assert ((await killer.read()).reason, (await _only_task(killer))[1]) == ("worker_lost", 3)
    for neighbour in neighbours:
        assert await neighbour.result(timeout=TIMEOUT_S) == {"work": 5}
        assert 1 <= (await _only_task(neighbour))[2] <= 2


@pytest.fixture
def own_server() -> Generator[EmbeddedServer]:
    """A server that can be restarted, durable as a real one."""
    folder = Path(tempfile.mkdtemp(prefix="fairlead-restart-"))
    with EmbeddedServer.open(folder, discard=False, stay=True) as server:
        yield server
    stop_server(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.fault(21)
async def test_a_database_that_restarts_loses_nothing(own_server: EmbeddedServer, tmp_path: Path) -> None:
    """Twice stopped in the midst of work and started again: every run completes, and hardly an attempt is spent twice.

    Only a claim whose answer was lost costs its tasks an attempt: their leases run out.
    """
    url, folder, port = own_server.url, own_server.folder, own_server.port
    await migrate(url)
    workers = Workers(url, tmp_path)
    try:
        async with Kernel(flows=FLOWS, ports=postgres_ports(url)) as kernel:
            worker = workers.start(lease_duration=5, concurrency=20)
            numbers = list(range(300))
            runs = [await kernel.start(tally, numbers) for _ in range(4)]
            for share in (200, 700):
                await workers.until(share, what="end")
                await asyncio.to_thread(stop_server, folder)
                await asyncio.to_thread(start_server, folder, port=port)
            expected = {"total": sum(n * n for n in numbers)}
            for run in runs:
                assert await _result(run) == expected
            worker.send_signal(signal.SIGTERM)
            assert await _ended(worker) == 0
            tasks = [task for run in runs for task in (await run.details()).tasks]
            broken = await kernel.ports.persistence.check_invariants()
    finally:
        workers.kill_all()

    assert "cannot settle" in workers.logs()
    assert max(task.attempts for task in tasks) <= 2
    assert sum(task.attempts > 1 for task in tasks) <= 2 * 20
    assert not {name: rows for name, rows in broken.items() if rows}


async def _result(run: RunHandle) -> dict[str, Any]:
    """The result of a run, asked for again while the database cannot be reached."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                return await run.result(timeout=TIMEOUT_S)
            except AdapterError:
                await asyncio.sleep(0.05)
