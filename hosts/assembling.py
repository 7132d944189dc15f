"""Putting together what a handler is called with, of what is known; nothing here reads anything.

What is known stands under keys: a run's input and settings under its id, the output of a step under run, generation,
slug and element (None for all of it, `HEAD` for the first outputs of a map that is taken one by one), the state that a
task was suspended with under the lease of its check, parts of payloads that are in blobs under `Part.key`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from attrs import define, frozen

from ..kernel.definition.binding import CONFIG, ITEM, STATE, Streamed
from ..kernel.definition.config import split_config
from ..kernel.elements import Elements, NoArray, array_at
from ..kernel.plan import INPUT, ValuePath
from ..kernel.references import Reference, is_reference, read_reference
from ..ports.persistence import RunReader
from ..ports.reading import OutputRequest, StepOutput
from ..ports.records import ClaimedTask, Lease, TaskKey
from ..ports.statuses import StepStatus
from .blob_reading import BlobReading, Part
from .executables import Executable
from .kept import Kept
from .streams import OutputPages, Pages, SegmentPages, Stream, TextPages

Stored: TypeAlias = bytes | Reference
"""A payload as its row has it: canonical JSON, or where that is."""

Skipped: TypeAlias = Literal[StepStatus.SKIPPED]
"""What is known instead of the output of a step that was skipped."""

Look: TypeAlias = Callable[[object], object | None]
"""Finds what is known under a key."""

HEAD = -1


@frozen
class RunValues:
    """What a run was started with."""

    input: Stored
    config: bytes | None


@frozen
class MapOutput:
    """The outputs of a map's tasks, some of which are in blobs."""

    outputs: tuple[Stored, ...]


@define
class Values:
    """What a handler is called with."""

    payloads: dict[str, bytes | Streamed | None]
    """Canonical JSON by source, or a stream, as `Binding.arguments` takes it."""
    skipped: frozenset[str] = frozenset()
    """The steps among the sources that were skipped. The list of a map that was is empty."""
    streams: tuple[Stream, ...] = ()
    """Those of `payloads` that are read while the handler runs."""


class NotHere(Exception):
    """Something that a handler needs is not known."""


class InBlobs(Exception):
    """Something that a handler needs is known to be in blobs, which are not here."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts


class Assembling:
    """Puts values together for one host."""

    def __init__(self, reader: RunReader, blobs: BlobReading, kept: Kept) -> None:
        self._reader = reader
        self._blobs = blobs
        self._kept = kept

    def values(self, task: ClaimedTask, executable: Executable, look: Look) -> Values:
        """What a task's handler is called with.

        Raises:
            NotHere: something is not known.
            InBlobs: something is known to be in blobs.
        """
        key = task.key
        payloads: dict[str, bytes | Streamed | None] = {}
        values = Values(payloads)
        streamed = executable.streamed
        if executable.needs_run:
            run = look((key.run_id,))
            if not isinstance(run, RunValues):
                raise NotHere("its run's input")
            if executable.takes_input:
                self._put(INPUT, run.input, executable, look, values)
            if executable.takes_config and run.config is not None:
                payloads[CONFIG] = split_config(run.config)[key.step]
        for slug, is_map in executable.outputs:
            output = look((key.run_id, key.generation, slug, None))
            if output is StepStatus.SKIPPED:
                values.skipped |= {slug}
                payloads[slug] = b"[]" if is_map else None
            elif isinstance(output, bytes) and slug not in streamed:
                payloads[slug] = output
            else:
                self._put(slug, output, executable, look, values)
        for slug in executable.map_streams:
            self._put_map_stream(slug, key, executable, look, values)
        if executable.element_of is not None:
            payloads[ITEM] = self._item(key, executable.element_of, executable, look)
        if executable.takes_state:
            state = look(state_key(task))
            if state is None:
                raise NotHere("the state that it was suspended with")
            payloads[STATE] = _whole(state, "its state", look)
        return values

    def _put(self, source: str, value: object, executable: Executable, look: Look, values: Values) -> None:
        """A payload as it is, or as a stream where the handler takes its elements one by one."""
        if source not in executable.streamed:
            values.payloads[source] = _whole(value, source, look)
            return
        if isinstance(value, Reference) and value.whole is None:
            reference, array = value, value.top
            count = reference.count(array)
            self._put_stream(source, lambda: SegmentPages(self._blobs, reference, array), count, executable, values)
            return
        whole = _whole(value, source, look)
        try:
            elements = Elements(whole)
        except NoArray:
            values.payloads[source] = whole  # whoever decodes it says what is wrong
        else:
            self._put_stream(source, lambda: TextPages(elements), len(elements), executable, values)

    def _put_map_stream(self, slug: str, key: TaskKey, executable: Executable, look: Look, values: Values) -> None:
        head = look((key.run_id, key.generation, slug, HEAD))
        if not isinstance(head, StepOutput):
            raise NotHere(f"the output of {slug}")
        if head.status is StepStatus.SKIPPED:
            values.skipped |= {slug}
        count = (head.elements or 0) if head.status is StepStatus.COMPLETED else 0
        self._put_stream(
            slug,
            lambda: OutputPages(self._reader, self._blobs, key.run_id, slug, head.outputs),
            count,
            executable,
            values,
        )

    def _put_stream(
        self, source: str, pages: Callable[[], Pages], count: int, executable: Executable, values: Values
    ) -> None:
        stream = Stream(pages, count, is_async=executable.binding.is_async)
        values.payloads[source] = stream
        values.streams += (stream,)

    def _item(self, key: TaskKey, source: ValuePath, executable: Executable, look: Look) -> bytes:
        """A map task's element."""
        what = f"{source.dotted}[{key.element}]"
        if executable.element_is_output:
            return _whole(look((key.run_id, key.generation, source.name, key.element)), what, look)
        where = (key.run_id,) if source.name == INPUT else (key.run_id, key.generation, source.name, None)
        payload = look(where)
        value = payload.input if isinstance(payload, RunValues) else payload
        if isinstance(value, Reference) and source.dotted in value.arrays:
            return _in_segment(value, source.dotted, key.element, look)
        elements = self._split(key, source, value, look)
        if key.element >= len(elements):
            raise NotHere(what)
        return elements[key.element]

    def _split(self, key: TaskKey, source: ValuePath, value: object, look: Look) -> Elements:
        """The elements of an array in a payload; the array is split once for all of them."""
        place = (key.run_id, key.generation, source.dotted)
        elements = self._kept.get(place)
        if not isinstance(elements, Elements):
            try:
                elements = array_at(source.path, _whole(value, source.name, look))
            except NoArray as error:
                raise NotHere(f"an array at {source.dotted}") from error
            self._kept.put(place, elements, elements.size_bytes)
        return elements


def output_key(key: TaskKey, step: str, element: int | None) -> tuple[str, int, str, int | None]:
    """What is known of a step's output stands under this, for the tasks of one generation."""
    return (key.run_id, key.generation, step, element)


def state_key(task: ClaimedTask) -> Lease:
    """The state of a suspended task stands under this: it is the same for as long as the task has this token."""
    return Lease(task.key, task.token)


def outputs_needed(key: TaskKey, executable: Executable) -> list[OutputRequest]:
    """The outputs that a task needs whole, and the one that its element is, or is in."""
    needed = [OutputRequest(key.run_id, slug) for slug, _ in executable.outputs]
    source = executable.element_of
    if source is not None and source.name != INPUT:
        element = key.element if executable.element_is_output else None
        needed.append(OutputRequest(key.run_id, source.name, element))
    return needed


def as_stored(data: bytes) -> Stored:
    """A payload, or the reference that stands in its place."""
    return read_reference(data) if is_reference(data) else data


def as_output(output: StepOutput, *, is_map: bool) -> Stored | MapOutput | Skipped | None:
    """A step's output; None where it has none."""
    if output.status is StepStatus.SKIPPED:
        return StepStatus.SKIPPED
    if output.status is not StepStatus.COMPLETED:
        return None
    if not is_map:
        first = output.outputs[0] if output.outputs else None
        return None if first is None else as_stored(first)
    outputs = [b"null" if each is None else each for each in output.outputs]
    if any(map(is_reference, outputs)):
        return MapOutput(tuple(map(as_stored, outputs)))
    return _array(outputs)


def _in_segment(reference: Reference, array: str, index: int, look: Look) -> bytes:
    """One element of an array in blobs."""
    place = reference.place(array, index)
    if place is None:
        raise NotHere(f"{array}[{index}]")
    part = Part(reference, array, place.segment)
    elements = look(part.key)
    if not isinstance(elements, Elements):
        raise InBlobs([part])
    return elements[place.offset]


def _whole(value: object | None, what: str, look: Look) -> bytes:
    """A payload as its bytes."""
    if isinstance(value, bytes):
        return value
    outputs = value.outputs if isinstance(value, MapOutput) else (value,)
    parts = [Part(each) for each in outputs if isinstance(each, Reference)]
    if not parts:
        raise NotHere(f"the output of {what}")
    read = {part.reference.prefix: look(part.key) for part in parts}
    missing = [part for part in parts if read[part.reference.prefix] is None]
    if missing:
        raise InBlobs(missing)
    whole = [_bytes(read[each.prefix] if isinstance(each, Reference) else each) for each in outputs]
    return _array(whole) if isinstance(value, MapOutput) else whole[0]


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def _array(outputs: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(outputs) + b"]"
