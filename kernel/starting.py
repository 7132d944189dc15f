"""Starting: what one start asks for, validated as a whole, and its input in blobs where that is too large for a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from ..ports import Ports
from ..ports.errors import AdapterError, CommitUnknown, FairleadError
from ..ports.notes import AnnotationValue
from .annotations import encode_annotations
from .arrays import MissingArray, missing_arrays
from .codec import CONFIG_SIZE_BYTES_MAX
from .commands import RunRequest, RunStart, StartRuns
from .decisions.start import request_digest
from .definition import Flow
from .definition.config import join_config
from .definition.unknown_fields import unknown_fields
from .errors import InvalidInput, PayloadError
from .facts import facts_of
from .plan import INPUT
from .references import input_prefix, is_reference, read_reference
from .registry import RegisteredFlow
from .shown import shown
from .sleeps import MissingTime, missing_times
from .spilling import Spill, write_blob

PRIORITY_MAX = 32_767
"""The largest absolute value of a priority: what a small integer column holds."""

KEY_LENGTH_MAX = 512
"""Characters of an idempotency key: enough for any composed business key, short enough for an index."""


@frozen(kw_only=True)
class Start:
    """One of many runs to start, as `Kernel.start_many` takes them."""

    input: object
    key: str | None = None
    priority: int = 0
    config: Mapping[str, object] | None = None
    annotations: Mapping[str, AnnotationValue] | None = None


class LargeInputs:
    """Inputs that are too large for a run's row.

    They are hashed and cut in the caller's event loop: the kernel has no threads. What is large anyhow is better made
    by a step, whose host works on it in one.

    Args:
        ports: where blobs are written.
        flow: what is started.
        size_bytes_max: what stays in the row.
    """

    def __init__(self, ports: Ports, flow: Flow[Any], *, size_bytes_max: int) -> None:
        self._ports = ports
        self._flow = flow
        self._size_bytes_max = size_bytes_max

    async def spilled(self, requests: Sequence[RunRequest]) -> list[RunRequest]:
        """The requests, with references to those of their inputs that are too large.

        Raises:
            AdapterError: the BlobStore failed; nothing was started, what was written is an orphan.
        """
        most = self._size_bytes_max
        return [request if len(request.input) <= most else await self._spilled(request) for request in requests]

    async def _spilled(self, request: RunRequest) -> RunRequest:
        """Write one input. Where the run's id was known before, somebody may have written one for it already, of
        another version of the flow, and may even have started it: each has a place of its own."""
        unique = None if request.run_id is None else self._ports.new_id()
        run_id = request.run_id or self._ports.new_id()
        spill = Spill(request.input, self._flow.arrays_read_in_parts(INPUT), input_prefix(run_id, unique))
        for blob in spill.blobs():
            await write_blob(self._ports.blobs, self._ports.clock, blob)
        return replace(request, run_id=run_id, digest=request_digest(request), input=spill.reference())

    async def discard(self, requests: Sequence[RunRequest], answers: Sequence[RunStart]) -> None:
        """Delete the inputs of runs that were not made, since their keys are those of earlier runs."""
        made = {answer.run_id for answer in answers}
        for request in requests:
            if is_reference(request.input) and request.run_id not in made:
                with suppress(AdapterError):  # they are orphans then, like those of a process that died
                    for blob in read_reference(request.input).blobs():
                        await self._ports.blobs.delete(blob.key)


async def start_runs(
    dispatch: Callable[[StartRuns], Awaitable[tuple[RunStart, ...]]],
    ports: Ports,
    found: RegisteredFlow,
    starts: Sequence[Start],
    *,
    size_bytes_max: int,
    run_id: str | None = None,
    patience_s: float | None = None,
) -> tuple[RunStart, ...]:
    """Check, spill and put down runs of one flow, all or none of them.

    Args:
        dispatch: carries the command out.
        ports: where large inputs go.
        found: the flow.
        starts: what each run is started with.
        size_bytes_max: how much of an input stays in its run's row.
        run_id: the id of the one run, where that is known already.
        patience_s: of the command, as it says.

    Raises:
        UsageError: for the first start that is wrong.
        AdapterError: a store failed.
    """
    inputs = LargeInputs(ports, found.flow, size_bytes_max=size_bytes_max)
    checked = [run_request(found.flow, found.flow_id, start) for start in starts]
    if run_id is not None:
        checked = [replace(request, run_id=run_id) for request in checked]
    requests = await inputs.spilled(checked)
    try:
        answers = await dispatch(StartRuns(tuple(requests), patience_s=patience_s))
    except FairleadError as error:
        if not isinstance(error, CommitUnknown):  # then the runs may exist, and their inputs must
            await inputs.discard(requests, ())
        raise
    await inputs.discard(requests, answers)
    return answers


def run_request(flow: Flow[Any], flow_id: int, start: Start) -> RunRequest:
    """Validate everything about one start, and report all that is wrong with it at once."""
    problems: list[tuple[str, str]] = [*key_problems(start.key), *_priority_problems(start.priority)]
    data, config = b"null", None
    problems += unknown_fields(flow.input_schema, start.input)
    try:
        data = flow.input_schema.encode(start.input)
    except PayloadError as error:
        problems += error.problems
    try:
        config = join_config(flow.merge_config(start.config))
    except PayloadError as error:
        problems += ((f"config {path}", problem) for path, problem in error.problems)
    if config is not None and len(config) > CONFIG_SIZE_BYTES_MAX:
        problems.append(("config", f"has {len(config):,} bytes of JSON, at most {CONFIG_SIZE_BYTES_MAX:,} are allowed"))
    annotations = None
    if start.annotations:
        try:
            annotations = encode_annotations(start.annotations, removing=False, what="annotations")
        except PayloadError as error:
            problems += ((f"annotations {path}", problem) for path, problem in error.problems)
    facts = None if problems else facts_of(flow.plan.questions[INPUT], data)
    if not problems:
        problems += _missing(flow, facts)
    if problems:
        raise InvalidInput(tuple(problems), what=f"start of flow {flow.slug!r} (version {flow.version})")
    return RunRequest(
        flow_id=flow_id,
        input=data,
        config=config,
        facts=facts,
        key=start.key,
        priority=start.priority,
        annotations=annotations,
    )


def _missing(flow: Flow[Any], facts: bytes | None) -> Iterable[tuple[str, str]]:
    """What maps and sleeps do not find in the input, by its path; of several that look at one place, the first."""
    arrays: Iterable[MissingArray] = missing_arrays(flow.plan, INPUT, facts)
    times: Iterable[MissingTime] = missing_times(flow.plan, INPUT, facts)
    found = [*((each.source, each) for each in arrays), *((each.until, each) for each in times)]
    first = {place.dotted: str(each) for place, each in reversed(found)}
    return (("$" + dotted.removeprefix(INPUT), problem) for dotted, problem in reversed(first.items()))


def key_problems(key: object) -> Iterable[tuple[str, str]]:
    """What is wrong with a key that makes a call repeatable."""
    if key is None:
        return
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_LENGTH_MAX:
        yield "key", f"must be text of 1 to {KEY_LENGTH_MAX} characters"
    elif "\0" in key or not key.isprintable():
        yield "key", "must be printable text, without control characters"


def _priority_problems(priority: object) -> Iterable[tuple[str, str]]:
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > PRIORITY_MAX:
        yield "priority", f"must be an int from -{PRIORITY_MAX} to {PRIORITY_MAX}, not {shown(priority)}"
