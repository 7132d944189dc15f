"""Handlers that make their output element by element: it is written as it comes, and never exists as one value.

While a segment is stored the handler waits, so it produces no faster than the store takes. A plain function's elements
are made in its thread, an async one's in the event loop.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import TypeAlias, cast

from ..kernel.array_writing import ArrayWriter
from ..kernel.commands import Outcome
from ..kernel.pydantic_models import is_model
from ..ports.records import ClaimedTask
from .executables import Executable
from .outcomes import completed_with
from .spilling import Spilling
from .trying import Ongoing

_VALUES = (list, tuple, set, frozenset, str, bytes, bytearray, memoryview, Mapping)
"""What can be iterated and is a value all the same."""


Yielding: TypeAlias = Iterable[object] | AsyncIterable[object]
"""What a handler may return instead of a list: its elements come one by one."""


def elements_in(executable: Executable, value: object) -> Yielding | None:
    """What a handler returned, where it may return its array element by element and has done so."""
    if executable.yields is None or isinstance(value, _VALUES) or is_model(type(value)):
        return None
    if isinstance(value, AsyncIterable):
        return cast(Yielding, value) if executable.binding.is_async else None
    return cast(Yielding, value) if isinstance(value, Iterable) else None


async def produced(
    task: ClaimedTask,
    executable: Executable,
    stream: Yielding,
    spilling: Spilling,
    attempt: Ongoing,
) -> Outcome:
    """Go through what an async handler returned, and store it.

    Raises:
        InvalidElement: an element is not what the step declares, or the array is too large.
        OutputNotStored: the store refuses a segment.
        Exception: whatever the stream raises.
    """
    writer = _writer(task, executable, spilling)
    elements = stream if isinstance(stream, AsyncIterable) else _awaited(stream)
    try:
        async for element in elements:
            full = writer.add(element)
            if full is not None:
                await spilling.store(full, attempt)
    finally:
        if inspect.isasyncgen(elements):
            await elements.aclose()
    last, output, facts = writer.finish()
    if last is not None:
        await spilling.store(last, attempt)
    return completed_with(task, output, facts)


def produced_in_thread(
    task: ClaimedTask, executable: Executable, stream: Yielding, spilling: Spilling, attempt: Ongoing
) -> Outcome:
    """Go through what a plain function returned, in its thread, and store it; errors as for `produced`."""
    assert isinstance(stream, Iterable), "a plain function makes its elements without awaiting"
    writer = _writer(task, executable, spilling)
    try:
        for element in stream:
            full = writer.add(element)
            if full is not None:
                spilling.store_in_thread(full, attempt)
    finally:
        if inspect.isgenerator(stream):
            stream.close()
    last, output, facts = writer.finish()
    if last is not None:
        spilling.store_in_thread(last, attempt)
    return completed_with(task, output, facts)


async def _awaited(stream: Iterable[object]) -> AsyncIterator[object]:
    try:
        for element in stream:
            yield element
    finally:
        if inspect.isgenerator(stream):
            stream.close()


def _writer(task: ClaimedTask, executable: Executable, spilling: Spilling) -> ArrayWriter:
    element = executable.yields
    assert element is not None, "only a step that is annotated so makes its output element by element"
    return spilling.writer(task, executable, element)
