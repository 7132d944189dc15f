"""Finding what is wrong in a value or a text that is no proper payload, with the path of every fault.

Slow and thorough: everything is looked at, without recursion, so that no value can exhaust the stack. `codec` asks
only when it already has reason to believe that something is wrong.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import math
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, cast

import attrs
import msgspec

from .pydantic_models import dumped, is_model
from .shown import shown, with_article

DEPTH_MAX: Final = 200
"""Deepest nesting of arrays and objects. Data made by people stays below 20; the C stack and Python's recursion limit
(1,000 frames, shared with the caller) end somewhere above, and where exactly must not decide."""

INTEGER_DIGITS_MAX: Final = 4300
"""Most digits of an integer: what Python reads and writes exactly by default (`sys.int_info.default_max_str_digits`).
A longer one could be written by a process with another setting and then be read by none of the others."""

FAULTS_MAX: Final = 100
"""Most faults listed for one value, so that the report on a million bad elements can be read and stored."""

PATH_LENGTH_MAX: Final = 200
"""Longest path written out, in characters; a longer one loses its middle."""

Faults: TypeAlias = tuple[tuple[str, str], ...]
"""(path, what is wrong) pairs."""

Path: TypeAlias = "tuple[Path | None, str, object]"
"""A place in a value: the place of its container, the text of the last part, the value there."""

Part: TypeAlias = "tuple[str, str | None, object]"
"""An element of an array or object: the text that leads to it, what is wrong with its key, the element."""

_SCALARS: Final = (
    bool,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    decimal.Decimal,
    bytes,
    bytearray,
    memoryview,
)
_INTEGER_BOUND: Final = 10**INTEGER_DIGITS_MAX
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def key_path(path: str, key: str) -> str:
    """Return the path of an object's key: `$.sku`, or `$["unit price"]` for a key that is no name."""
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}"
    return f"{path}[{json.dumps(key)}]"


def key_text(key: object) -> str:
    """Return what leads to an entry of a mapping, whatever its key: `.sku`, `["unit price"]`, `[1]`, `[a tuple]`."""
    return _shortened(_key_text(key))


def value_faults(value: object) -> Faults:
    """Return everything that keeps a Python value from being a payload; empty if nothing does."""
    faults: list[tuple[str, str]] = []
    pending: list[tuple[Path, int]] = [((None, "$", value), 0)]
    while pending and len(faults) < FAULTS_MAX:
        place, level = pending.pop()
        found = cast(object, place[2].value) if isinstance(place[2], enum.Enum) else place[2]
        parts = _parts(found)
        if parts is None:
            problem = _scalar_fault(found)
            if problem is not None:
                faults.append((_written(place), problem))
        elif level >= DEPTH_MAX:
            faults.append(_depth_fault(place))
        else:
            faults.extend((_written((place, text, None)), fault) for text, fault, _ in parts if fault)
            pending.extend(((place, text, part), level + 1) for text, _, part in reversed(parts))
    return tuple(faults[:FAULTS_MAX])


def text_faults(data: bytes) -> Faults:
    """Return everything that keeps text from being a payload; empty if nothing does, or if its grammar is broken."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return (("$", f"is not UTF-8 at byte {error.start}; JSON text is"),)
    if depth(data) > DEPTH_MAX:
        return (("$", f"nests deeper than {DEPTH_MAX} levels; flatten it"),)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except (ValueError, RecursionError):
        return ()
    return value_faults(value)


def repeats_a_key(data: bytes) -> bool:
    """Whether an object of valid JSON text holds a key twice."""
    repeated = False

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in pairs}) < len(pairs)

    json.loads(data, object_pairs_hook=look, parse_int=len)
    return repeated


def depth(data: bytes) -> int:
    """Return how deep JSON text nests, or `DEPTH_MAX + 1` where it is deeper. Needs no recursion.

    All but brackets and quotes is deleted. A bracket is in a string if the quotes before it are odd in number, which
    deleting pairs of quotes does not change. Then each round removes the innermost pairs of brackets.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = data.translate(_AS_BRACKETS, _NO_BRACKETS).replace(b'""', b"")
    if b'"' in brackets:
        brackets = b"".join(brackets.split(b'"')[::2])
    level = 0
    while brackets and level <= DEPTH_MAX:
        inside = brackets.replace(b"[]", b"")
        if len(inside) == len(brackets):
            break
        brackets = inside
        level += 1
    return level


_AS_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b'[]{}"'))


class _RepeatedKeys(dict[str, object]):
    """An object read from text in which `keys_repeated` stand more than once."""

    keys_repeated: tuple[str, ...] = ()


class _LongInteger:
    """An integer of text with more digits than can be read."""

    def __init__(self, digits: int) -> None:
        self.digits = digits


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) == len(pairs):
        return read
    keys = [key for key, _ in pairs]
    marked = _RepeatedKeys(read)
    marked.keys_repeated = tuple(key for key in read if keys.count(key) > 1)
    return marked


def _integer(text: str) -> object:
    digits = len(text.lstrip("-"))
    return int(text) if digits <= INTEGER_DIGITS_MAX else _LongInteger(digits)


def _parts(value: object) -> list[Part] | None:
    """Return the parts of an array or object, None for anything else."""
    if isinstance(value, dict):
        repeated = value.keys_repeated if isinstance(value, _RepeatedKeys) else ()
        entries = cast(dict[object, object], value).items()
        return [(_key_text(key), _key_fault(key, repeated), element) for key, element in entries]
    if isinstance(value, list | tuple | set | frozenset):
        elements = cast(Iterable[object], value)
        return [(f"[{index}]", None, element) for index, element in enumerate(elements)]
    if is_model(type(value)):
        return _model_parts(value)
    names = _field_names(value)
    if names is None:
        return None
    return [(f".{name}", None, getattr(value, name)) for name in names if hasattr(value, name)]


def _model_parts(model: object) -> list[Part] | None:
    try:
        return _parts(dumped(model))
    except Exception:
        # Serialisers of users may raise anything; the caller knows what msgspec said.
        return None


def _field_names(value: object) -> Sequence[str] | None:
    """Return the names of the fields of a record, None for any other object."""
    if isinstance(value, type):
        return None
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    cls = type(value)
    if attrs.has(cls):
        return [field.name for field in attrs.fields(cls)]
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return None


def _key_text(key: object) -> str:
    if isinstance(key, str):
        return key_path("", key)
    return f"[{shown(key)}]" if key is None or isinstance(key, bool | int | float) else f"[{with_article(key)}]"


def _key_fault(key: object, repeated: Collection[str]) -> str | None:
    if not isinstance(key, str):
        return f"the key is {with_article(key)}, but keys of JSON objects are strings; write str(key)"
    if key in repeated:
        return "the key stands more than once in its object; keep one"
    problem = _text_fault(key)
    return f"the key {problem}" if problem else None


def _scalar_fault(value: object) -> str | None:
    if value is None or isinstance(value, _SCALARS):
        return None
    if isinstance(value, str):
        return _text_fault(value)
    if isinstance(value, int):
        return _integer_fault(value)
    if isinstance(value, float):
        return _float_fault(value)
    if isinstance(value, _LongInteger):
        return f"an integer of {value.digits:,} digits is longer than the {INTEGER_DIGITS_MAX:,} that are read back"
    return f"{with_article(value)} is not JSON; {_advice(value)}"


def _text_fault(text: str) -> str | None:
    if "\0" in text:
        return "holds a NUL character, which PostgreSQL cannot store; remove it"
    if not text.isascii() and _SURROGATE.search(text):
        return "holds a lone surrogate, which is no character; decode the text anew or replace it"
    return None


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _integer_fault(value: int) -> str | None:
    if -_INTEGER_BOUND < value < _INTEGER_BOUND:
        return None
    return f"the integer has more than the {INTEGER_DIGITS_MAX:,} digits that are read back exactly; write it as text"


def _float_fault(value: float) -> str | None:
    if math.isnan(value):
        return "NaN is not JSON; use None or leave it out"
    if math.isinf(value):
        return "the number is infinite or beyond the range of a float; JSON has no such number, use None or text"
    return None


def _advice(value: object) -> str:
    """What to do with an object that cannot be carried."""
    if inspect.iscoroutine(value) or inspect.isawaitable(value):
        return "await it"
    if inspect.isgenerator(value) or isinstance(value, Iterator | range):
        return "make it a list"
    if inspect.isasyncgen(value):
        return "collect it in a list"
    if isinstance(value, type) or callable(value):
        return "return data, not code"
    if isinstance(value, Mapping):
        return "make it a dict"
    return "use an attrs class, a dataclass, or plain dicts, lists, strings and numbers"


def _depth_fault(place: Path) -> tuple[str, str]:
    """Tell a cycle from mere depth: in a cycle the way down meets a container a second time."""
    way: list[Path] = []
    here: Path | None = place
    while here is not None:
        way.append(here)
        here = here[0]
    met: set[int] = set()
    for step in reversed(way):
        if id(step[2]) in met:
            return _written(step), "contains itself; JSON is a tree, refer by key or index"
        met.add(id(step[2]))
    return _written(place), f"nests deeper than {DEPTH_MAX} levels; flatten it"


def _written(place: Path) -> str:
    """Return a path as text: `$.lines[2].sku`."""
    texts: list[str] = []
    here: Path | None = place
    while here is not None:
        texts.append(here[1])
        here = here[0]
    return _shortened("".join(reversed(texts)))


def _shortened(path: str) -> str:
    if len(path) <= PATH_LENGTH_MAX:
        return path
    half = PATH_LENGTH_MAX // 2
    return f"{path[:half]}…{path[-half:]}"
