"""The state of resources as plain data, to be compared with what it is without faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias

from ...kernel.amounts import counted

DEPTH_MAX = 6
"""How deep resources are looked into."""

RUN = "<run>"
"""What stands for the id of the run."""

Path: TypeAlias = str

PLAIN = (str, bytes, int, float, bool, complex, type(None))


def state_of(resources: Mapping[str, object], run_id: str) -> Mapping[Path, str]:
    """Every value that resources hold, by where it is held.

    The order in lists does not count: what ran side by side may have come in another order. What cannot be looked
    into stands for itself by its type, and the run's id, which differs from course to course, for itself as `RUN`.
    """
    parts = _parts("", resources, 0, frozenset())
    return {place.replace(run_id, RUN): text.replace(run_id, RUN) for place, text in parts}


def _parts(path: Path, value: object, depth: int, above: frozenset[int]) -> Iterator[tuple[Path, str]]:
    if isinstance(value, PLAIN):
        yield path, repr(value)
        return
    if depth > DEPTH_MAX or id(value) in above:
        yield path, f"<{type(value).__name__}>"
        return
    above = above | {id(value)}
    if isinstance(value, Mapping):
        entries: Mapping[Any, object] = value  # pyright: ignore[reportUnknownVariableType]
        yield path, counted(len(entries), "entry", "entries")
        for key, each in entries.items():
            yield from _parts(f"{path}[{key!r}]" if path else str(key), each, depth + 1, above)
    elif isinstance(value, Sequence | Set):
        elements: Sequence[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        shown = sorted(_text(each, depth + 1, above) for each in elements)
        yield path, f"[{', '.join(shown)}]"
    else:
        held = _held(value)
        if not held:
            yield path, f"<{type(value).__name__}>"
        for name, each in held.items():
            yield from _parts(f"{path}.{name}", each, depth + 1, above)


def _text(value: object, depth: int, above: frozenset[int]) -> str:
    parts = list(_parts("", value, depth, above))
    if len(parts) == 1:
        return parts[0][1]
    return f"{type(value).__name__}({', '.join(f'{path}={text}' for path, text in sorted(parts))})"


def _held(value: object) -> Mapping[str, object]:
    """The attributes of an object; none of a function, a class or a module."""
    kind: type = type(value)
    slots = [name for base in kind.__mro__ for name in _slots(base)]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**held, **vars(value)} if hasattr(value, "__dict__") and not isinstance(value, type) else held


def _slots(kind: type) -> Sequence[str]:
    slots = kind.__dict__.get("__slots__", ())
    return [name for name in ([slots] if isinstance(slots, str) else slots) if not name.startswith("__")]
