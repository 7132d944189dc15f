"""How two shapes differ, told to the person who changed one of them: every difference, each in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from ..codec import encode
from .shape import CheckShape, ConditionShape, Shape, StepShape

Normal: TypeAlias = Any
"""JSON in the normal form of `schema_normal`."""

Patterns: TypeAlias = dict[str, Any]
"""Patterns by the name of what they are about."""


_ENTERED = ("object", "array", "map")
"""Kinds whose differences are told from within."""


def differences(stored: Shape, current: Shape) -> tuple[str, ...]:
    """Return every difference between two shapes of one flow.

    Args:
        stored: the shape as registered; what it says is told in the past tense.
        current: the shape as the code declares it now.

    Returns:
        One line each, empty where the fingerprints are equal.
    """
    if stored.fingerprint == current.fingerprint:
        return ()
    return tuple(_differences(stored, current))


def _differences(stored: Shape, current: Shape) -> Iterator[str]:
    old, new = stored.parsed, current.parsed
    if old.format != new.format:
        yield f"the shape was written in format {old.format}, now it is format {new.format}"
    yield from _type_differences("input", old.input, new.input)
    for slug in old.steps:
        if slug not in new.steps:
            yield f"step {slug!r} is gone"
    for slug, step in new.steps.items():
        if slug in old.steps:
            yield from (f"step {slug!r}: {line}" for line in _step_differences(old.steps[slug], step))
        else:
            yield f"step {slug!r} is new"


def _step_differences(old: StepShape, new: StepShape) -> Iterator[str]:
    if old.kind != new.kind:
        yield f"was a {old.kind}, is a {new.kind}"
    if old.over != new.over and old.kind == new.kind:
        yield f"mapped over {old.over}, maps over {new.over}"
    if old.until != new.until and old.kind == new.kind:
        yield f"lasted {_until(old.until)}, lasts {_until(new.until)}"
    yield from (f"depended on {slug!r}, does no longer" for slug in old.dependencies if slug not in new.dependencies)
    yield from (f"depends on {slug!r}, did not" for slug in new.dependencies if slug not in old.dependencies)
    yield from _type_differences("output", old.output, new.output)
    yield from _config_differences(old.config, new.config)
    yield from _read_differences(old.reads or {}, new.reads or {}, "read")
    yield from _check_differences(old.check, new.check)
    yield from _running_differences(old, new)


def _running_differences(old: StepShape, new: StepShape) -> Iterator[str]:
    """When the step runs, and what follows where it does not."""
    before, after = old.condition or ConditionShape(), new.condition or ConditionShape()
    yield from _pattern_differences("when", before.when, after.when)
    yield from _pattern_differences("unless", before.unless, after.unless)
    left, entered = [_told(branch) for branch in old.branches], [_told(branch) for branch in new.branches]
    yield from (f"stood in the branch {each}, does no longer" for each in left if each not in entered)
    yield from (f"stands in the branch {each}, did not" for each in entered if each not in left)
    yield from (f"required {slug!r}, does no longer" for slug in old.requires if slug not in new.requires)
    yield from (f"requires {slug!r}, did not" for slug in new.requires if slug not in old.requires)
    if old.on_unmet != new.on_unmet:
        yield f"on_unmet was {old.on_unmet}, is {new.on_unmet}"
    if old.on_exhausted != new.on_exhausted:
        yield f"on_exhausted was {old.on_exhausted}, is {new.on_exhausted}"
    if old.on_timeout != new.on_timeout:
        yield f"on_timeout was {old.on_timeout}, is {new.on_timeout}"
    if old.tolerant != new.tolerant:
        yield "tolerates failures, tolerated none" if new.tolerant else "tolerated failures, tolerates none"


def _pattern_differences(place: str, old: Patterns, new: Patterns) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if name not in new:
            yield f"{place} asked {name} for {_text(old[name])}, does no longer"
        elif name not in old:
            yield f"{place} asks {name} for {_text(new[name])}, did not"
        elif _text(old[name]) != _text(new[name]):
            yield f"{place} asked {name} for {_text(old[name])}, asks for {_text(new[name])}"


def _told(branch: ConditionShape) -> str:
    """Return a branch's condition in one line, as in `otherwise of (when judge has {"verdict":"good"})`."""
    told = " ".join(
        f"{place} " + " and ".join(f"{name} has {_text(pattern)}" for name, pattern in sorted(patterns.items()))
        for place, patterns in (("when", branch.when), ("unless", branch.unless))
        if patterns
    )
    return f"otherwise of ({told})" if branch.negated else f"({told})"


def _text(pattern: Any) -> str:
    return encode(pattern).decode()


def _config_differences(old: Normal, new: Normal) -> Iterator[str]:
    if old is None or new is None:
        if old != new:
            yield "takes settings (config), did not" if old is None else "took settings (config), does no longer"
    else:
        yield from _type_differences("config", old, new)


def _check_differences(old: CheckShape | None, new: CheckShape | None) -> Iterator[str]:
    if old is None or new is None:
        if old != new:
            yield "may suspend (has a check), never did" if old is None else "might suspend (had a check), never does"
    else:
        yield from _type_differences("state", old.state, new.state)
        yield from _read_differences(old.reads or {}, new.reads or {}, "read by its check")


def _until(until: str | None) -> str:
    return "for a time that the flow says" if until is None else f"until {until}"


def _read_differences(old: dict[str, Normal], new: dict[str, Normal], read: str) -> Iterator[str]:
    """A read that is absent has the type of what is produced."""
    for source in sorted({*old, *new}):
        before, after = old.get(source), new.get(source)
        if before is not None and after is not None:
            yield from _type_differences(f"{source} as {read}", before, after)
        elif before is not None:
            yield f"{source} was {read} as {described(before)}, is {read} as it is produced"
        else:
            yield f"{source} was {read} as it is produced, is {read} as {described(after)}"


def _type_differences(where: str, old: Normal, new: Normal) -> Iterator[str]:
    if old == new:
        return
    old_kind, new_kind = _container(old), _container(new)
    if old_kind == new_kind == "object":
        yield from _field_differences(where, old, new)
    elif old_kind == new_kind == "array":
        yield from _type_differences(f"{where}[]", old["array"], new["array"])
    elif old_kind == new_kind == "map":
        yield from _type_differences(f"{where}.*", old["map"], new["map"])
    elif old_kind == new_kind == "union":
        yield from _union_differences(where, old, new)
    else:
        yield f"{where} was {described(old)}, is {described(new)}"


def _field_differences(where: str, old: Normal, new: Normal) -> Iterator[str]:
    before, after = old["object"], new["object"]
    for name in before:
        if name not in after:
            yield f"{where}.{name} is gone, was {described(before[name])}"
    for name in after:
        if name not in before:
            yield f"{where}.{name} is new, is {described(after[name])}"
            continue
        yield from _type_differences(f"{where}.{name}", before[name], after[name])
        was_optional, is_optional = name in old.get("optional", ()), name in new.get("optional", ())
        if was_optional != is_optional:
            yield f"{where}.{name} was {_needed(was_optional)}, is {_needed(is_optional)}"


def _union_differences(where: str, old: Normal, new: Normal) -> Iterator[str]:
    """Where one object or array of the union changed, what changed in it; else both unions."""
    gone = [member for member in old["union"] if member not in new["union"]]
    added = [member for member in new["union"] if member not in old["union"]]
    if len(gone) == len(added) == 1 and _container(gone[0]) == _container(added[0]) in _ENTERED:
        yield from _type_differences(where, gone[0], added[0])
    else:
        yield f"{where} was {described(old)}, is {described(new)}"


def _needed(optional: bool) -> str:
    return "optional" if optional else "required"


def _container(normal: Normal) -> str | None:
    if not isinstance(normal, dict):
        return None
    return next((kind for kind in ("object", "array", "map", "union", "tuple", "literal") if kind in normal), None)


def described(normal: Normal) -> str:
    """Return a type in normal form as a reader would name it, in one line."""
    match normal:
        case str():
            return normal
        case {"object": dict(fields)}:  # pyright: ignore[reportUnknownVariableType]
            return f"object({', '.join(str(name) for name in fields)})"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        case {"array": items}:
            return f"array of {described(items)}"
        case {"map": values}:
            return f"object of {described(values)}"
        case {"tuple": [*places]}:
            return f"tuple({', '.join(described(place) for place in places)})"
        case {"literal": [*values]}:
            return f"one of {', '.join(encode(value).decode() for value in values)}"
        case {"recursive": 1}:
            return "the object it stands in"
        case {"recursive": level}:
            return f"the object {level} levels up"
        case {"union": [*members]}:
            return " or ".join(described(member) for member in members)
        case _:
            return encode(normal).decode()
