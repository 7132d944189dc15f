"""The state of resources as plain data, to be compared with what it is without faults."""

from __future__ import annotations

import asyncio
import enum
import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias
from uuid import UUID

from attrs import field, frozen

from ...kernel.amounts import counted

DEPTH_MAX = 6
"""How deep resources are looked into."""

RUN = "<run>"
"""What stands for the id of the run."""

Path: TypeAlias = str

PLAIN = (str, bytes, int, float, bool, complex, type(None), enum.Enum, PurePath, UUID)
"""What stands for itself as it is written."""

MACHINERY = (
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    ModuleType,
    type,
    logging.Logger,
    threading.Thread,
    type(threading.Lock()),
    type(threading.RLock()),
    asyncio.Lock,
    asyncio.Event,
    asyncio.Semaphore,
    asyncio.AbstractEventLoop,
)
"""What holds nothing of the world outside; it stands for itself by its type."""

ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)


@frozen
class State:
    """What resources hold."""

    values: Mapping[Path, str]
    """Every value as text, by where it is held."""
    unseen: Sequence[str]
    """What could not be looked into, and so is equal in every course: where it is held, and of which type it is."""


def state_of(resources: Mapping[str, object], run_id: str) -> State:
    """Look at every value that resources hold.

    The order in lists does not count: what ran side by side may have come in another order. What cannot be looked
    into stands for itself by its type, and the run's id, which differs from course to course, for itself as `RUN`.
    """
    look = _Look()
    parts = list(look.parts("", resources, 0, frozenset()))
    values = {place.replace(run_id, RUN): text.replace(run_id, RUN) for place, text in parts}
    return State(values, [each.replace(run_id, RUN) for each in look.unseen])


@frozen
class _Look:
    """One look at resources."""

    unseen: list[str] = field(factory=list[str], init=False)

    def parts(self, path: Path, value: object, depth: int, above: frozenset[int]) -> Iterator[tuple[Path, str]]:
        """The values below one, itself included."""
        name = type(value).__name__
        if isinstance(value, PLAIN):
            yield path, repr(value)
        elif isinstance(value, MACHINERY) or id(value) in above:
            yield path, f"<{name}>"
        elif depth > DEPTH_MAX:
            yield path, self._closed(path, value)
        else:
            yield from self._within(path, value, depth + 1, above | {id(value)})

    def _within(self, path: Path, value: object, depth: int, above: frozenset[int]) -> Iterator[tuple[Path, str]]:
        if isinstance(value, Mapping):
            entries: Mapping[Any, object] = value  # pyright: ignore[reportUnknownVariableType]
            yield path, counted(len(entries), "entry", "entries")
            for key, each in entries.items():
                yield from self.parts(f"{path}[{key!r}]" if path else str(key), each, depth, above)
        elif isinstance(value, Sequence | Set):
            elements: Sequence[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            yield path, f"[{', '.join(sorted(self._text(f'{path}[…]', each, depth, above) for each in elements))}]"
        elif held := _held(value):
            for name, each in held.items():
                yield from self.parts(f"{path}.{name}", each, depth, above)
        else:
            yield path, self._closed(path, value)

    def _text(self, path: Path, value: object, depth: int, above: frozenset[int]) -> str:
        parts = list(self.parts(path, value, depth, above))
        if len(parts) == 1:
            return parts[0][1]
        told = ", ".join(f"{place.removeprefix(path)}={text}" for place, text in sorted(parts))
        return f"{type(value).__name__}({told})"

    def _closed(self, path: Path, value: object) -> str:
        """What shows no parts: as it is written, unless that only says where it lies in memory."""
        kind = type(value)
        if kind.__repr__ is not object.__repr__ and not ADDRESS.search(written := repr(value)):
            return written
        if kind is not object and (_held(value) or not hasattr(value, "__dict__")):
            unseen = f"{path}, a {kind.__module__}.{kind.__qualname__}"
            if unseen not in self.unseen:
                self.unseen.append(unseen)
        return f"<{kind.__name__}>"


def _held(value: object) -> Mapping[str, object]:
    """The attributes of an object; none of a function, a class or a module."""
    kind: type = type(value)
    slots = [name for base in kind.__mro__ for name in _slots(base)]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**held, **vars(value)} if hasattr(value, "__dict__") and not isinstance(value, type) else held


def _slots(kind: type) -> Sequence[str]:
    slots = kind.__dict__.get("__slots__", ())
    return [name for name in ([slots] if isinstance(slots, str) else slots) if not name.startswith("__")]
