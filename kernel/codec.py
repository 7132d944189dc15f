"""Canonical JSON: the one form in which a payload is stored, compared and fingerprinted.

This module turns values into bytes and bytes into values, and refuses what is not JSON with the same verdict for
every adapter. It knows nothing of types; `schema` puts those on top. What exactly is wrong with a refused value is
found by `payload_faults`, which walks it; nothing here does.

The rules
---------
- Object keys are sorted by code point, there is no white space, text is UTF-8: equal values give equal bytes.
- Arrays come from lists, tuples and sets (a set is sorted); objects from dicts with string keys and from attrs,
  dataclass, msgspec and pydantic records.
- Scalars that have a standard text form are stored as that text: datetime, date and time (RFC 3339), timedelta
  (ISO 8601), UUID, Decimal, bytes (base64); an Enum member is stored as its value. **What is stored is JSON; the
  annotation of the one who reads it says what it becomes.** Without an annotation it stays text.
- `-0.0`, `1.0` and `1` are kept as given, and integers of up to `INTEGER_DIGITS_MAX` digits exactly.
- Refused, naming the path: NUL characters and lone surrogates (PostgreSQL stores neither), NaN and the infinities,
  numbers beyond the range of a float, longer integers, keys that are no strings, the same key twice in one object of
  incoming text, deeper nesting than `DEPTH_MAX`, cycles, bodies over the size limit, and every other object
  (generators, coroutines, functions, ...).

How it stays fast
-----------------
A value is encoded, read back and encoded again by msgspec, so what is stored is known to be readable. Whatever msgspec
lets through and we do not is then looked for in the *bytes*, with screens that cost a few hundred nanoseconds and
never miss: NaN is written as `null`, a NUL only as `\\u0000`, depth needs brackets, and text that its own value writes
alike holds no key twice. Only when a screen hits, or msgspec refuses, is the value walked in Python.
"""

from __future__ import annotations

from typing import Final, NoReturn, TypeAlias

import msgspec

from .errors import PayloadError
from .payload_faults import DEPTH_MAX, depth, repeats_a_key, text_faults, value_faults
from .pydantic_models import dumped, is_model

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""A value as JSON has it."""

PAYLOAD_SIZE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Largest payload in bytes of canonical JSON. It is held in memory several times over while a task runs; larger data
belongs into a store of the app's own, with its address as the payload, or is an array that is produced as a stream."""

STREAM_SIZE_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Largest array that is produced element by element, in bytes of canonical JSON. It never exists as one value; whoever
takes it whole, rather than element by element, needs the memory for it."""

CONFIG_SIZE_BYTES_MAX: Final = 64 * 1024
"""Largest settings of a run, in bytes of canonical JSON for all of its steps. They stand in the run's row and are read
with every claim; data belongs into the input."""

SIZE_UNLIMITED: Final = 2**62
"""Bytes. Every stored value was within the limit when it was recorded; the outputs of a map together need not be."""


def _base_value(value: object) -> object:
    """Encode hook: a subclass of str, int or float (as numpy's float64) is the value it is, a model its JSON."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if is_model(type(value)):
        return dumped(value)
    raise TypeError(f"a value of type {type(value).__name__} is not JSON")


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_base_value, order="sorted")
_DECODER: Final = msgspec.json.Decoder()
_PACKER: Final = msgspec.msgpack.Encoder(enc_hook=_base_value)


def encode(value: object, *, size_bytes_max: int = PAYLOAD_SIZE_BYTES_MAX, what: str = "value") -> bytes:
    """Return the canonical JSON bytes of `value`.

    Args:
        value: What is to be stored.
        size_bytes_max: Longest result allowed, in bytes.
        what: How the value is called in an error, as `input` or `output of step 'charge'`.

    Raises:
        PayloadError: The value is not JSON, or too large; every fault found is listed with its path.
    """
    raw = encode_raw(value, what=what)
    screen(raw, value, size_bytes_max=size_bytes_max, what=what)
    try:
        return _ENCODER.encode(_DECODER.decode(raw))
    except Exception as error:
        _refuse(value, error, what)


def decode(data: bytes, *, size_bytes_max: int = PAYLOAD_SIZE_BYTES_MAX, what: str = "value") -> JsonValue:
    """Return the value of JSON text, canonical or not.

    Args:
        data: UTF-8 text of one JSON value.
        size_bytes_max: Longest text accepted, in bytes.
        what: How the value is called in an error.

    Raises:
        PayloadError: The text is not JSON or holds what is refused; every fault found is listed with its path.
    """
    require_size(data, size_bytes_max, what)
    try:
        value: JsonValue = _DECODER.decode(data)
    except Exception as error:
        _refuse_text(data, error, what)
    screen_text(data, value, what=what)
    return value


def encode_raw(value: object, *, what: str = "value") -> bytes:
    """Return msgspec's JSON of `value`, sorted but unscreened: the first half of encoding.

    Raises:
        PayloadError: msgspec refuses the value.
    """
    try:
        return _ENCODER.encode(value)
    except Exception as error:
        # Objects of users may raise anything while they are read.
        _refuse(value, error, what)


def screen(data: bytes, value: object, *, size_bytes_max: int, what: str) -> None:
    """Refuse encoded `data` for what msgspec lets through; `value` is what it was made of, and tells the path.

    Raises:
        PayloadError: A fault was found.
    """
    require_size(data, size_bytes_max, what)
    if _suspicious(data) or (b"null" in data and _may_hold_nan(value)):
        faults = value_faults(value)
        if faults:
            raise PayloadError(faults, what=what)


def screen_text(data: bytes, value: object, *, what: str) -> None:
    """Refuse JSON text that msgspec reads and we do not; `value` is what it was read as, typed or not.

    Text that reads back from its own value byte by byte is canonical, so no key can stand in it twice; only other
    text is looked at key by key.

    Raises:
        PayloadError: A fault was found.
    """
    if _ENCODER.encode(value) == data and not _suspicious(data):
        return
    try:
        plain = _DECODER.decode(data)
        canonical = _ENCODER.encode(plain) == data
    except Exception as error:
        _refuse_text(data, error, what)
    faults = value_faults(plain) if _suspicious(data) else ()
    if not faults and not canonical and repeats_a_key(data):
        faults = text_faults(data)
    if faults:
        raise PayloadError(faults, what=what)


def require_size(data: bytes, size_bytes_max: int, what: str) -> None:
    """Refuse data longer than `size_bytes_max`."""
    if len(data) > size_bytes_max:
        problem = (
            f"{len(data):,} bytes of JSON are more than the {size_bytes_max:,} allowed; "
            "store the data elsewhere and pass its address"
        )
        raise PayloadError((("$", problem),), what=what)


def _suspicious(data: bytes) -> bool:
    """Whether data may hold a NUL or nest too deep. Says no only when it does neither."""
    if b"\\u0000" in data:
        return True
    return data.count(b"[") + data.count(b"{") > DEPTH_MAX and depth(data) > DEPTH_MAX


def _may_hold_nan(value: object) -> bool:
    """Whether a NaN or an infinity may be in a value. Says no only when none is.

    MessagePack writes every float as 0xCB and its eight bytes, of which theirs begin with 0x7FF or 0xFFF.
    """
    try:
        packed = _PACKER.encode(value)
    except Exception:
        # MessagePack has narrower limits than JSON; a walk will tell.
        return True
    return b"\xcb\x7f" in packed or b"\xcb\xff" in packed


def _refuse(value: object, error: Exception, what: str) -> NoReturn:
    """Raise a PayloadError that says what is wrong with a value that could not be encoded."""
    if isinstance(error, MemoryError):
        raise error
    faults = value_faults(value) or (("$", f"cannot be written as JSON: {_text_of(error)}"),)
    raise PayloadError(faults, what=what) from error


def _refuse_text(data: bytes, error: Exception, what: str) -> NoReturn:
    """Raise a PayloadError that says what is wrong with text that could not be read."""
    if isinstance(error, MemoryError):
        raise error
    faults = text_faults(data) or (("$", f"is not JSON: {_text_of(error)}"),)
    raise PayloadError(faults, what=what) from error


def _text_of(error: Exception) -> str:
    try:
        return f"{error}" or type(error).__name__
    except Exception:
        return type(error).__name__
