"""What a run comes to, as its starter reads it: how it stands, how it ends, and what its steps give."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Callable, Coroutine, Iterator
from contextlib import nullcontext
from typing import Any, TypeVar, overload

from ..ports import Ports
from ..ports.reading import OutputPage, OutputRequest, RunRecord, StepOutput
from ..ports.statuses import SETTLED_WELL, TERMINAL_RUN, TERMINAL_STEP, RunStatus, StepStatus
from .arguments import checked_seconds
from .codec import SIZE_UNLIMITED, JsonValue
from .codec import decode as decode_json
from .definition import Flow, Step
from .durations import Duration
from .errors import IsAMap, NotAMap, OtherShape, RunDidNotComplete, RunNotFound, WaitTimeout
from .facts import NULL
from .failures import decode_failure
from .fetching import fetch_payload
from .plan import StepKind
from .suspend import Suspend

T = TypeVar("T")

POLL_FIRST_S = 0.001
"""The pause after the first look at a run that is not finished."""

POLL_GROWTH = 1.2
POLL_LONGEST_S = 0.25
"""The longest pause between two looks."""

HEARD_FIRST_S = 0.05
HEARD_LONGEST_S = 2.0
"""Between these, doubling, lie the pauses where the run's end would be heard: a notification may be lost."""

PAGE_OUTPUTS_MAX = 5_000
"""Outputs of a map that are read at a time."""

PAGE_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of them together."""


class RunOutputs:
    """The course of one run, and its outputs."""

    id: str
    _ports: Ports
    _find_flow: Callable[[str, str], Flow[Any]]

    async def read(self) -> RunRecord:
        """The run's row as it stands.

        Raises:
            RunNotFound: there is no such run (any more).
        """
        record = await self._ports.persistence.read_run(self.id)
        if record is None:
            raise RunNotFound(self.id)
        return record

    async def status(self) -> RunStatus:
        """The run's status as it stands."""
        return (await self.read()).status

    async def wait(self, *, timeout: Duration | None = None) -> RunRecord:
        """Wait until the run is terminal, however it ends.

        Args:
            timeout: seconds or a `timedelta`; None waits for as long as it takes.

        Raises:
            WaitTimeout: it is not terminal after `timeout`.
            RunNotFound: there is no such run (any more).
            AdapterError: the store failed.
        """
        return await self._wait_for(None, timeout)

    async def result(self, *, timeout: Duration | None = None) -> dict[str, JsonValue]:
        """Wait for the run and return its output: `{leaf: output}` over the steps that nothing depends on, as JSON.

        Raises:
            RunDidNotComplete: the run failed or was cancelled.
            WaitTimeout: it is not terminal after `timeout`.
            RunNotFound: there is no such run (any more).
            UnknownFlow: the kernel does not have the run's flow.
            OtherShape: the run was started with another shape of it.
            BlobCorrupt: a blob of an output is missing or not what was written.
            AdapterError: a store failed.
        """
        while True:
            record = await self.wait(timeout=timeout)
            _require_completed(record)
            flow = self._flow_of(record)
            wanted = [OutputRequest(self.id, slug) for slug in flow.plan.leaves]
            outputs = (await self._ports.persistence.read_payloads((), wanted)).outputs
            if all(output.status in SETTLED_WELL for output in outputs.values()):
                break
            # Otherwise the run has begun anew since it was looked at, and is waited for again.
        return {
            request.step: _untyped(flow.steps[request.step], await self._fetched(outputs[request]))
            for request in wanted
            if outputs[request].status is StepStatus.COMPLETED
        }

    @overload
    async def output(self, step: Step[T], *, timeout: Duration | None = None) -> T | None: ...
    @overload
    async def output(
        self,
        step: Callable[..., Coroutine[Any, Any, AsyncIterable[T] | Iterator[T]]],
        *,
        timeout: Duration | None = None,
    ) -> list[T] | None: ...
    @overload
    async def output(
        self, step: Callable[..., Coroutine[Any, Any, T | Suspend[Any]]], *, timeout: Duration | None = None
    ) -> T | None: ...
    @overload
    async def output(self, step: Callable[..., Iterator[T]], *, timeout: Duration | None = None) -> list[T] | None: ...
    @overload
    async def output(self, step: Callable[..., T | Suspend[Any]], *, timeout: Duration | None = None) -> T | None: ...
    @overload
    async def output(self, step: str, *, timeout: Duration | None = None) -> Any: ...
    async def output(self, step: Any, *, timeout: Duration | None = None) -> Any:
        """Wait for a step and return its output, typed as it declares; None where it was skipped.

        The output of a signal is what it carried. An array is a list, also where it was made element by element.

        Args:
            step: the handler, its slug, or the `Step`.
            timeout: seconds or a `timedelta`; None waits for as long as it takes.

        Raises:
            IsAMap: the step has an output for each of its elements; see `outputs`.
            RunDidNotComplete: the run ended without this output.
            WaitTimeout: the step is not settled after `timeout`.
            FlowDefinitionError: the flow has no such step.
            RunNotFound: there is no such run (any more).
            UnknownFlow: the kernel does not have the run's flow.
            OtherShape: the run was started with another shape of it.
            BlobCorrupt: a blob of the output is missing or not what was written.
            AdapterError: a store failed.
        """
        flow = await self._flow()
        found = flow.step_named(step)
        if found.kind is StepKind.MAP:
            raise IsAMap(found.slug)
        settled = await self._settled(found, timeout)
        if settled is None:
            return None
        (data,) = await self._fetched(settled)
        return found.output.decode(data, size_bytes_max=SIZE_UNLIMITED)

    @overload
    async def outputs(
        self, step: Callable[..., Coroutine[Any, Any, T]], *, timeout: Duration | None = None
    ) -> list[T | None]: ...
    @overload
    async def outputs(self, step: Callable[..., T], *, timeout: Duration | None = None) -> list[T | None]: ...
    @overload
    async def outputs(self, step: str | Step[Any], *, timeout: Duration | None = None) -> list[Any]: ...
    async def outputs(self, step: Any, *, timeout: Duration | None = None) -> Any:
        """Wait for a map and return the outputs of its elements in order of index; other errors as for `output`.

        None stands where an element has none, since its failure was tolerated. Where the map was skipped there are no
        outputs at all. They are read page by page, and large ones, which are in blobs, one after the other: where
        there are many of these, let a step of the flow reduce them, whose host reads several at a time.

        Raises:
            NotAMap: the step has one output.
        """
        flow = await self._flow()
        found = flow.step_named(step)
        if found.kind is not StepKind.MAP:
            raise NotAMap(found.slug)
        page = await self._settled(found, timeout)
        generation = None if page is None else page.generation
        values: list[Any] = []
        while page is not None and len(values) < (page.elements or 0):
            if not page.outputs:  # it was completed, so it is not there any more
                raise RunNotFound(self.id)
            for data in await self._fetched(page):
                what = f"output {len(values)} of step {found.slug!r}"
                value = None if data == NULL else found.output.decode(data, size_bytes_max=SIZE_UNLIMITED, what=what)
                values.append(value)
            page = await self._page(found, len(values))
            if page is not None and page.generation != generation:  # it was rerun meanwhile
                return await self.outputs(step, timeout=timeout)
        return values

    async def _flow(self) -> Flow[Any]:
        return self._flow_of(await self.read())

    def _flow_of(self, record: RunRecord) -> Flow[Any]:
        flow = self._find_flow(record.flow, record.version)
        if flow.shape.fingerprint != record.fingerprint:
            raise OtherShape(run_id=record.id, flow=record.flow, version=record.version)
        return flow

    async def _page(self, step: Step[Any], first: int) -> StepOutput | None:
        """Consecutive outputs of a step's tasks. None where there is no such step."""
        page = OutputPage(
            run_id=self.id, step=step.slug, first=first, limit=PAGE_OUTPUTS_MAX, size_bytes_max=PAGE_BYTES_MAX
        )
        return await self._ports.persistence.read_output_page(page)

    async def _settled(self, step: Step[Any], timeout: Duration | None) -> StepOutput | None:
        """Wait until a step is completed; answers its first outputs. None where it was skipped."""
        found: StepOutput | None = None

        async def look(record: RunRecord) -> bool:
            nonlocal found
            found = await self._page(step, 0)
            return found is not None and found.status in TERMINAL_STEP

        while True:
            record = await self._wait_for(look, timeout)
            if found is not None and found.status is StepStatus.COMPLETED:
                return found
            if found is not None and found.status is StepStatus.SKIPPED:
                return None
            generation = record.generation
            if record.status not in TERMINAL_RUN:  # it was read before the step, which ended in between
                record = await self.wait()
            if record.generation == generation:
                break
        raise _did_not_complete(record)

    async def _fetched(self, output: StepOutput) -> list[bytes]:
        """The outputs of a step's tasks, null where a task has none."""
        return [NULL if each is None else await fetch_payload(self._ports.blobs, each) for each in output.outputs]

    async def _wait_for(
        self, done: Callable[[RunRecord], Coroutine[Any, Any, bool]] | None, timeout: Duration | None
    ) -> RunRecord:
        """Wait until the run has ended, or until `done` before. Only a run's end is told: for all else it is polled."""
        timeout_s = None if timeout is None else checked_seconds("timeout", timeout)
        clock = self._ports.clock
        began = clock.monotonic()
        poll_s, heard_s = POLL_FIRST_S, HEARD_FIRST_S
        with self._ports.transport.watch(self.id) if done is None else nullcontext() as watch:
            while True:
                record = await self.read()
                if (done is not None and await done(record)) or record.status in TERMINAL_RUN:
                    return record
                left_s = math.inf if timeout_s is None else timeout_s - (clock.monotonic() - began)
                if timeout_s is not None and left_s <= 0:
                    raise WaitTimeout(run_id=self.id, waited_s=timeout_s, status=record.status)
                if watch is not None and watch.hears:
                    await watch.wait(min(heard_s, left_s))
                    heard_s = min(2 * heard_s, HEARD_LONGEST_S)
                else:
                    await clock.sleep(min(poll_s, left_s))
                    poll_s = min(poll_s * POLL_GROWTH, POLL_LONGEST_S)


def _untyped(step: Step[Any], outputs: list[bytes]) -> JsonValue:
    values = [decode_json(each, size_bytes_max=SIZE_UNLIMITED) for each in outputs]
    return values if step.kind is StepKind.MAP else values[0]


def _require_completed(record: RunRecord) -> None:
    if record.status is not RunStatus.COMPLETED:
        raise _did_not_complete(record)


def _did_not_complete(record: RunRecord) -> RunDidNotComplete:
    failure = None if record.error is None else decode_failure(record.error)
    return RunDidNotComplete(
        run_id=record.id,
        status=record.status,
        reason=record.reason,
        message=None if failure is None else str(failure),
    )
