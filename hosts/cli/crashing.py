"""A survey whose worker is killed half-way: real processes, a real SIGKILL, and what the database then tells of it.

The watching process works on nothing itself. It starts a worker, waits until half of the files are analysed, kills it,
starts another, and reads from the history of attempts which tasks were executed twice. The survey is slowed down, as
much as its size needs, so that there is something to interrupt; should it have ended before the kill all the same, it
is done again, slower.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import evolve, field, frozen

from ...kernel import Kernel, RunHandle, StepStatus, TaskStatus
from ...ports.errors import AdapterError, UsageError
from ...ports.reading import AttemptRecord, TaskRecord
from ..demo import AnalyseSettings, analyse, list_files, path_bytes
from ..demo.listing import list_folder
from .database import Database
from .displays import Display
from .records import ended_tasks
from .surveying import Findings, Wanted, read_findings, start_survey
from .watching import Look, watch

TAKES_S = 8.0
"""About how long the analysis is made to take."""

PAUSE_MAX_S = 4.0

AT_A_TIME_MAX = 4
"""Files at a time. As many are lost with the worker, and then tried one by one, in case one of them has killed it."""

TRIES_MAX = 3

LEASE_S = 5.0
"""How long a killed worker's tasks stay its own: short enough to wait for, long enough for a machine that is busy."""

END_WITHIN_S = 30.0
"""How long a worker may take to end when it is asked to."""

TASKS_LOOKED_AT_MAX = 10_000
"""In a larger survey something is always being analysed, and need not be looked for."""

LOST = "worker_lost"
"""The reason of an attempt whose lease ran out."""


class NothingToInterrupt(UsageError):
    """A folder without files has no survey that could be interrupted."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(f"--crash: {folder} holds no files, so there is nothing to interrupt; name another folder")


class WorkerEnded(AdapterError):
    """A worker ended by itself."""

    def __init__(self, pid: int, said: str) -> None:
        self.pid = pid
        super().__init__(f"worker process {pid} ended by itself: {said.strip() or 'it said nothing'}")


class TooFast(AdapterError):
    """The survey was over before its worker could be killed, however much it was slowed down."""

    def __init__(self) -> None:
        super().__init__(f"the survey ended before its worker could be killed, {TRIES_MAX} times; try a larger folder")


@frozen(kw_only=True)
class WorkerProcess:
    """A worker in a process of its own."""

    name: str
    process: subprocess.Popen[bytes] = field(repr=False)
    log: Path = field(repr=False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def require_life(self) -> None:
        """Raise where it has ended by itself."""
        if self.process.poll() is not None:
            raise WorkerEnded(self.pid, self.log.read_text(errors="replace"))


@frozen(kw_only=True)
class Repeated:
    """A task that was executed more than once."""

    task: TaskRecord
    file: str | None
    """What it analyses; None where it is another step's."""
    attempts: Sequence[AttemptRecord]
    """Those that did not complete."""


@frozen(kw_only=True)
class Crash:
    """What happened."""

    findings: Findings
    killed: WorkerProcess
    finisher: WorkerProcess
    analysed: int
    """Files that were recorded when the worker was killed."""
    repeated: Sequence[Repeated]

    @property
    def in_hands(self) -> int:
        """How many tasks the killed worker had in its hands."""
        lost = (attempt for each in self.repeated for attempt in each.attempts)
        return sum(attempt.worker == self.killed.name and attempt.reason == LOST for attempt in lost)


async def crash(kernel: Kernel, wanted: Wanted, database: Database, display: Display, concurrency: int) -> Crash:
    """Start a survey, kill its worker half-way, have another finish it.

    Raises:
        NothingToInterrupt: the folder has no files.
        RunDidNotComplete: the run failed or was cancelled.
        AdapterError: a worker could not do its work.
    """
    files = len(_listed(wanted))
    if not files:
        raise NothingToInterrupt(wanted.request.folder)
    at_a_time = max(1, min(concurrency, AT_A_TIME_MAX, files // 4))
    takes_s = TAKES_S
    for _ in range(TRIES_MAX):
        pause_s = min(takes_s * at_a_time / files, PAUSE_MAX_S)
        slowed = evolve(wanted, analysis=AnalyseSettings(pause_s=round(pause_s, 4)))
        display.say(f"{files:,} files, slowed down to about {takes_s:.0f} s, so that there is something to interrupt")
        found = await _crashed(kernel, await start_survey(kernel, slowed), database, display, at_a_time)
        if found is not None:
            return found
        display.say("it ended before its worker could be killed; once more, slower")
        takes_s *= 2
    raise TooFast


def _listed(wanted: Wanted) -> list[str]:
    request = wanted.request
    try:
        folder, report = path_bytes(request.folder), path_bytes(request.report)
        return list_folder(folder, leave_out=wanted.listing.leave_out, report=report).files
    except OSError:
        return []


async def _crashed(
    kernel: Kernel, run: RunHandle, database: Database, display: Display, concurrency: int
) -> Crash | None:
    """Let the run be done by two workers, of which the first is killed. None where there was no time to do it."""
    display.say(f"survey started as run {run.id}")
    async with _worker(1, run, database, concurrency) as first:
        display.say(f"worker 1 is process {first.pid}")
        analysed = await _until_half_way(kernel, run, first, display)
        if analysed is None:
            return None
        display.say(f"half-way, files analysed: {analysed:,}; kill -9 {first.pid}")
        first.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(first.process.wait)
    display.say("worker 1 is dead, and could tell nobody; what it had in its hands is leased to it, for some seconds")
    async with _worker(2, run, database, concurrency) as second:
        display.say(f"worker 2 is process {second.pid}")
        async for look in watch(kernel, run.id):
            display.show(look)
            if not look.ended:
                second.require_life()
    return Crash(
        findings=await read_findings(run),
        killed=first,
        finisher=second,
        analysed=analysed,
        repeated=await _repeated(run),
    )


async def _until_half_way(kernel: Kernel, run: RunHandle, worker: WorkerProcess, display: Display) -> int | None:
    """Watch until half of the files are analysed; returns how many are, or None where the run has ended."""
    async for look in watch(kernel, run.id):
        display.show(look)
        if look.ended:
            return None
        worker.require_life()
        if await _is_half_way(kernel, look):
            return next(ended_tasks(step) for step in look.steps if step.slug == analyse.__name__)
    return None


async def _is_half_way(kernel: Kernel, look: Look) -> bool:
    """Whether half of the files are analysed, others are not, and the worker has some in its hands."""
    for step in look.steps:
        if step.slug == analyse.__name__ and step.status is StepStatus.RUNNING and step.elements is not None:
            if not step.elements // 2 <= ended_tasks(step) < step.elements:
                return False
            if step.elements > TASKS_LOOKED_AT_MAX:
                return True
            tasks = await kernel.ports.persistence.read_tasks(look.run.id, step=step.slug)
            return any(task.status is TaskStatus.RUNNING for task in tasks)
    return False


@asynccontextmanager
async def _worker(number: int, run: RunHandle, database: Database, concurrency: int) -> AsyncGenerator[WorkerProcess]:
    """A worker for the demo's flow, which ends with the block, and with this process."""
    name = f"worker-{number}-{run.id[-6:]}"
    arguments = [sys.executable, "-m", "fairlead.hosts.cli.leash", "worker", "fairlead.hosts.demo:kernel"]
    arguments += ["--concurrency", str(concurrency), "--lease", str(LEASE_S), "--worker-id", name]
    arguments += ["--log-level", "error"]
    if database.schema is not None:
        arguments += ["--schema", database.schema]
    if database.blobs is not None:
        arguments += ["--blobs", database.blobs]
    with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
        log = Path(folder) / "log"
        process = _started(arguments, log, database)
        try:
            yield WorkerProcess(name=name, process=process, log=log)
        finally:
            await asyncio.to_thread(_end, process)


def _started(arguments: Sequence[str], log: Path, database: Database) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**os.environ, "DATABASE_URL": database.url},
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and see to it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdin is not None:  # only now: its end asks the process once more, which a worker takes for haste
        process.stdin.close()


async def _repeated(run: RunHandle) -> list[Repeated]:
    details = await run.details()
    listing = await run.output(list_files, timeout=0)
    assert listing is not None, "the step is in no branch and has no condition"
    return [
        Repeated(
            task=task,
            file=listing.files[task.key.element] if task.key.step == analyse.__name__ else None,
            attempts=[attempt for attempt in details.attempts if attempt.key == task.key],
        )
        for task in details.tasks
        if task.attempts > 1
    ]
