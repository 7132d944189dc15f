"""The state of resources as plain data, to be compared with what it is without faults."""

from __future__ import annotations

import asyncio
import enum
import functools
import io
import logging
import re
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    FunctionType,
    GenericAlias,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any, TypeAlias
from uuid import UUID

from attrs import field, frozen

from ...kernel.amounts import counted
from .reach import enumerated, held_by_class, held_by_function

DEPTH_MAX = 6
"""How deep resources are looked into."""

RUN = "<run>"
"""What stands for the id of the run."""

NOBODY = "nobody's run"
"""The id of the run, where there is none."""

Path: TypeAlias = str

PLAIN = (str, bytes, int, float, bool, complex, type(None), enum.Enum, PurePath, UUID)
"""What stands for itself as it is written."""

MACHINERY = (
    ModuleType,
    GenericAlias,
    weakref.ReferenceType,
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

CODE: tuple[type[Any], ...] = (
    FunctionType,
    MethodType,
    BuiltinFunctionType,
    MethodWrapperType,
    functools.partial,
    staticmethod,
    classmethod,
    property,
    type,
)
"""What is called; it stands for itself by its type, beside what it keeps."""

OPEN = (object, dict, list, tuple, set, frozenset, BaseException, SimpleNamespace)
"""Types that are not written in Python, and show all that they hold."""

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
    What changes and is kept by code, such as an attribute of a class, is held by whatever has that code.
    """
    look = _Look()
    parts = list(look.parts("", resources, 0, frozenset()))
    values = {place.replace(run_id, RUN): text.replace(run_id, RUN) for place, text in parts}
    return State(values, [each.replace(run_id, RUN) for each in look.unseen])


def kept_by_code(functions: Mapping[str, object]) -> Mapping[Path, str]:
    """What functions close over and which globals they name, as text; nothing where something cannot be looked at.

    Args:
        functions: by name, with which the places begin.
    """
    try:
        return state_of(functions, NOBODY).values
    except Exception:  # a `repr` that raises, say: whoever is looked at is no resource, and need not bear it
        return {}


@frozen
class _Look:
    """One look at resources."""

    unseen: list[str] = field(factory=list[str], init=False)
    _codes: dict[int, object] = field(factory=dict[int, object], init=False)
    """What is called and was looked into, by its `id`."""

    def parts(self, path: Path, value: object, depth: int, above: frozenset[int]) -> Iterator[tuple[Path, str]]:
        """The values below one, itself included."""
        name = type(value).__name__
        if isinstance(value, PLAIN):
            yield path, repr(value)
        elif isinstance(value, MACHINERY) or id(value) in above:
            yield path, f"<{name}>"
        elif isinstance(value, CODE):
            yield path, f"<{name}>"
            yield from self._kept(path, value, depth + 1)
        elif depth > DEPTH_MAX:
            yield path, self._closed(path, value)
        else:
            yield from self._within(path, value, depth + 1, above | {id(value)})
            yield from self._kept(path, type(value), depth + 1)

    def _kept(self, path: Path, code: object, depth: int) -> Iterator[tuple[Path, str]]:
        """What code keeps that may change: each code is looked into once, wherever it is met."""
        if id(code) in self._codes:
            return
        self._codes[id(code)] = code
        for name, value in _held_by_code(code):
            place = f"{path}.{name}" if name else path
            if isinstance(value, CODE):
                if depth < DEPTH_MAX:
                    yield from self._kept(place, value, depth + 1)
            elif not isinstance(value, MACHINERY) and not hasattr(type(value), "__get__"):
                yield from self.parts(place, value, depth, frozenset())

    def _within(self, path: Path, value: object, depth: int, above: frozenset[int]) -> Iterator[tuple[Path, str]]:
        held = _held(value)
        if isinstance(value, Mapping):
            entries: Mapping[Any, object] = value  # pyright: ignore[reportUnknownVariableType]
            yield path, counted(len(entries), "entry", "entries")
            for key, each in entries.items():
                yield from self.parts(f"{path}[{key!r}]" if path else str(key), each, depth, above)
        elif isinstance(value, Sequence | Set):
            elements: Sequence[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            yield path, f"[{', '.join(sorted(self._text(f'{path}[…]', each, depth, above) for each in elements))}]"
        elif isinstance(value, io.StringIO | io.BytesIO) and not value.closed:
            yield path, repr(value.getvalue())
        elif isinstance(value, BaseException):
            yield path, f"{type(value).__name__}{value.args}"
        elif not held or _is_closed(type(value)):
            yield path, self._closed(path, value)
        for name, each in held.items():
            yield from self.parts(f"{path}.{name}", each, depth, above)

    def _text(self, path: Path, value: object, depth: int, above: frozenset[int]) -> str:
        parts = list(self.parts(path, value, depth, above))
        if len(parts) == 1:
            return parts[0][1]
        told = ", ".join(f"{place.removeprefix(path)}={text}" for place, text in sorted(parts))
        return f"{type(value).__name__}({told})"

    def _closed(self, path: Path, value: object) -> str:
        """What shows no parts: as it is written, unless that only says what it is, or where it lies in memory."""
        kind = type(value)
        if kind.__repr__ is not object.__repr__:
            written = repr(value)
            if not written.startswith("<") and not ADDRESS.search(written):
                return written
        if kind is not object and (_held(value) or _is_closed(kind)):
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


def _held_by_code(code: object) -> Iterator[tuple[str, object]]:
    match code:
        case FunctionType():
            yield from held_by_function(code)
        case MethodType():
            yield "", code.__func__
            yield "__self__", code.__self__
        case BuiltinFunctionType() | MethodWrapperType():
            yield "__self__", code.__self__
        case functools.partial():
            yield "", code.func
            yield from enumerated("args", code.args)
            yield from code.keywords.items()
        case staticmethod() | classmethod():
            yield "", code.__func__  # pyright: ignore[reportUnknownMemberType]
        case property():
            yield from (("", each) for each in (code.fget, code.fset, code.fdel))
        case type():
            yield from held_by_class(code)
        case _:
            return


def _is_closed(kind: type) -> bool:
    """Whether instances hold something besides attributes: a type among its own is not written in Python."""
    return any(_is_native(base) for base in kind.__mro__ if base not in OPEN)


@functools.cache
def _is_native(kind: type) -> bool:
    """Whether a type is not written in Python: it has methods of its own that are not."""
    methods = WrapperDescriptorType, MethodDescriptorType
    return any(isinstance(each, methods) and each.__objclass__ is kind for each in vars(kind).values())


def _slots(kind: type) -> Sequence[str]:
    slots = kind.__dict__.get("__slots__", ())
    return [name for name in ([slots] if isinstance(slots, str) else slots) if not name.startswith("__")]
