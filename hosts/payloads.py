"""The payloads that handlers are called with: read for a whole claim at once, and kept for those that come next.

Payloads never change once they are written, so what is kept need not be checked again. Kept are the inputs of runs
that this host claimed, the outputs that its handlers produced, and whatever it had to read. A task that is handed
over to the host that made it ready therefore finds everything here, and needs no read at all.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec
from attrs import define, field

from ..kernel.definition.binding import CONFIG, ITEM
from ..kernel.definition.config import split_config
from ..kernel.plan import INPUT, MapSource
from ..ports.errors import FairleadError
from ..ports.persistence import RunReader
from ..ports.reading import OutputRequest, RunPayload, StepOutput
from ..ports.records import ClaimedTask, PendingRun, TaskKey
from ..ports.statuses import StepStatus
from .executables import Executable

KEPT_BYTES_MAX = 64 * 1024 * 1024
"""Payloads kept by one host: large enough for thousands of runs in flight, small beside a Python process."""

ENTRY_BYTES = 300
"""What one kept payload costs beside its bytes: key, record, place in the table."""

_RunKey: TypeAlias = tuple[str]
_OutputKey: TypeAlias = tuple[str, int, str, int | None]
_ElementsKey: TypeAlias = tuple[str, int, str]
_Key: TypeAlias = _RunKey | _OutputKey | _ElementsKey

Skipped: TypeAlias = Literal[StepStatus.SKIPPED]
"""What is known instead of the output of a step that was skipped."""

_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class PayloadMissing(FairleadError):
    """A payload that a claimed task needs is not in the store: its run was removed, or its step is not completed."""

    def __init__(self, task: TaskKey, missing: str) -> None:
        self.task = task
        super().__init__(f"task {task} needs {missing}, which the store does not have")


@define
class Values:
    """What a handler is called with."""

    payloads: dict[str, bytes | None] = field(factory=dict[str, "bytes | None"])
    """Canonical JSON by source, as `Binding.arguments` takes it."""
    skipped: set[str] = field(factory=set[str])
    """The steps among the sources that were skipped. The list of a map that was is empty."""


class Elements:
    """An array as JSON text, with the places where its elements end: any of them is found at once.

    Millions of elements cost four bytes each beside the text, where a list of them would cost a hundred.
    """

    __slots__ = ("_ends", "_text")

    def __init__(self, text: bytes | msgspec.Raw) -> None:
        elements = _array.decode(text)
        self._text = bytes(text)
        lengths = [len(memoryview(element)) for element in elements]
        if len(self._text) != sum(lengths) + max(len(lengths) - 1, 0) + 2:
            self._text = msgspec.json.encode(elements)  # white space between elements would shift their places
        self._ends = array("I")
        end = 0
        for length in lengths:
            end += 1 + length
            self._ends.append(end)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> bytes:
        start = self._ends[index - 1] + 1 if index else 1
        return self._text[start : self._ends[index]]

    @property
    def size_bytes(self) -> int:
        """The memory it takes."""
        return len(self._text) + self._ends.itemsize * len(self._ends)


class Kept:
    """Payloads by key, the least recently used forgotten when they grow too many."""

    def __init__(self, size_bytes_max: int) -> None:
        self._size_bytes_max = size_bytes_max
        self._size_bytes = 0
        self._entries: OrderedDict[_Key, tuple[object, int]] = OrderedDict()

    def get(self, key: _Key) -> object | None:
        """What is kept under a key, which is now the most recently used."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: _Key, value: object, size_bytes: int) -> None:
        """Keep a value, unless it is larger than all there is room for."""
        cost = size_bytes + ENTRY_BYTES
        if cost > self._size_bytes_max or key in self._entries:
            return
        self._entries[key] = (value, cost)
        self._size_bytes += cost
        while self._size_bytes > self._size_bytes_max:
            _, (_, freed) = self._entries.popitem(last=False)
            self._size_bytes -= freed


class Payloads:
    """What one host knows of payloads. Belongs to one event loop."""

    def __init__(self, reader: RunReader, *, size_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._reader = reader
        self._kept = Kept(size_bytes_max)

    def remember_run(self, run: PendingRun) -> None:
        """Keep what a claimed run brought with it."""
        self._put_run(run.id, RunPayload(input=run.input, config=run.config))

    def remember_output(self, task: ClaimedTask, executable: Executable, output: bytes) -> None:
        """Keep what a handler returned, if anybody will ask for it."""
        if executable.is_read:
            key = task.key
            element = key.element if executable.is_map else None
            self._kept.put((key.run_id, key.generation, key.step, element), output, len(output))

    def find(self, task: ClaimedTask, executable: Executable) -> Values | None:
        """What a handler is called with, if all of it is here."""
        try:
            return self._assemble(task, executable, self._kept.get)
        except _NotHere:
            return None

    async def load(self, wanted: Sequence[tuple[ClaimedTask, Executable]]) -> list[Values | PayloadMissing]:
        """What the handlers of some tasks are called with, read in one round trip as far as it is not here.

        Returns:
            For each of `wanted` its values, or what is missing.

        Raises:
            AdapterError: the store could not be read.
        """
        runs: dict[str, None] = {}
        outputs: dict[OutputRequest, None] = {}
        for task, executable in wanted:
            if executable.needs_run and self._kept.get((task.key.run_id,)) is None:
                runs[task.key.run_id] = None
            for request in _outputs(task.key, executable):
                if self._kept.get(_output_key(task.key, request)) is None:
                    outputs[request] = None
        read = await self._reader.read_payloads(tuple(runs), tuple(outputs))
        found: dict[_Key, object] = {}
        for run_id, payload in read.runs.items():
            found[(run_id,)] = payload
            self._put_run(run_id, payload)
        for task, executable in wanted:
            for request in _outputs(task.key, executable):
                output = read.outputs.get(request)
                data = None if output is None else _joined(output, is_map=_is_map(executable, request))
                if data is not None:
                    key = _output_key(task.key, request)
                    found[key] = data
                    self._kept.put(key, data, 0 if data is StepStatus.SKIPPED else len(data))

        def look(key: _Key) -> object | None:
            value = found.get(key)
            return self._kept.get(key) if value is None else value

        return [self._found(task, executable, look) for task, executable in wanted]

    def _found(
        self, task: ClaimedTask, executable: Executable, look: Callable[[_Key], object | None]
    ) -> Values | PayloadMissing:
        try:
            return self._assemble(task, executable, look)
        except _NotHere as absent:
            return PayloadMissing(task.key, str(absent))

    def _assemble(self, task: ClaimedTask, executable: Executable, look: Callable[[_Key], object | None]) -> Values:
        """Collect a handler's values; raises `_NotHere` for the first that cannot be found."""
        key = task.key
        values = Values()
        payloads = values.payloads
        if executable.needs_run:
            payload = look((key.run_id,))
            if not isinstance(payload, RunPayload):
                raise _NotHere("its run's input")
            payloads[INPUT] = payload.input
            if payload.config is not None and CONFIG in executable.step.binding.sources:
                payloads[CONFIG] = split_config(payload.config)[key.step]
        for slug, is_map in executable.outputs:
            output = look((key.run_id, key.generation, slug, None))
            if output is StepStatus.SKIPPED:
                values.skipped.add(slug)
                payloads[slug] = b"[]" if is_map else None
            else:
                payloads[slug] = _bytes(output, slug)
        source = executable.element_of
        if source is not None:
            if executable.element_is_output:
                element = look((key.run_id, key.generation, source.name, key.element))
                payloads[ITEM] = _bytes(element, f"{source.name}[{key.element}]")
            else:
                payloads[ITEM] = self._element(key, source, look)
        return values

    def _element(self, key: TaskKey, source: MapSource, look: Callable[[_Key], object | None]) -> bytes:
        """One element of an array in a payload; the array is split once for all of them."""
        place = (key.run_id, key.generation, source.dotted)
        elements = self._kept.get(place)
        if not isinstance(elements, Elements):
            payload = look((key.run_id,) if source.name == INPUT else (key.run_id, key.generation, source.name, None))
            data = payload.input if isinstance(payload, RunPayload) else _bytes(payload, source.name)
            elements = _split(data, source.path)
            self._kept.put(place, elements, elements.size_bytes)
        if key.element >= len(elements):
            raise _NotHere(f"{source.dotted}[{key.element}]")
        return elements[key.element]

    def _put_run(self, run_id: str, payload: RunPayload) -> None:
        self._kept.put((run_id,), payload, len(payload.input) + len(payload.config or b""))


class _NotHere(Exception):
    """Something that a handler needs was not found."""


def _bytes(value: object | None, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise _NotHere(f"the output of {what}")
    return value


def _outputs(key: TaskKey, executable: Executable) -> Iterable[OutputRequest]:
    """The outputs that a task needs whole, and the one that its element is."""
    for slug, _ in executable.outputs:
        yield OutputRequest(key.run_id, slug)
    source = executable.element_of
    if source is not None and source.name != INPUT:
        element = key.element if executable.element_is_output else None
        yield OutputRequest(key.run_id, source.name, element)


def _output_key(key: TaskKey, request: OutputRequest) -> _OutputKey:
    return (key.run_id, key.generation, request.step, request.element)


def _is_map(executable: Executable, request: OutputRequest) -> bool:
    return request.element is None and (request.step, True) in executable.outputs


def _joined(output: StepOutput, *, is_map: bool) -> bytes | Skipped | None:
    """A step's output as one JSON text; None where it has none."""
    if output.status is StepStatus.SKIPPED:
        return StepStatus.SKIPPED
    if output.status is not StepStatus.COMPLETED:
        return None
    if is_map:
        return b"[" + b",".join(b"null" if each is None else each for each in output.outputs) + b"]"
    return output.outputs[0] if output.outputs else None


def _split(data: bytes, path: Sequence[str]) -> Elements:
    """The elements of the array that `path` leads to."""
    inner: bytes | msgspec.Raw = data
    try:
        for name in path:
            inner = _object.decode(inner)[name]
        return Elements(inner)
    except (msgspec.DecodeError, KeyError) as error:
        raise _NotHere(f"an array at {'.'.join(path) or 'the top'}") from error
