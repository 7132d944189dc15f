"""Filters of runs and of dead letters: what they ask for is checked here, so that every store gives the same answer."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from ..ports.outbox import DeadLetterFilter
from ..ports.reading import RunFilter
from ..ports.statuses import RunStatus
from .annotations import decode_annotations, encode_annotations
from .errors import InvalidArgument

SEQUENCE_MAX = 2**31 - 1
"""The largest sequence number of an event: what an integer column holds."""


def checked_runs(chosen: RunFilter) -> RunFilter:
    """Return a filter of runs, its values as what they are stored as, whatever subclasses were given.

    Raises:
        InvalidArgument: a field is of a kind or value that no run can have.
        InvalidAnnotations: no run can be annotated like that.
    """
    _check_texts(flow=chosen.flow, key=chosen.key)
    _check_moments(created_from=chosen.created_from, created_before=chosen.created_before)
    annotations = chosen.annotations
    if annotations:
        plain = encode_annotations(annotations, removing=False, what="annotations of the filter")
        annotations = decode_annotations(plain)
    return replace(chosen, statuses=_statuses(chosen.statuses), annotations=annotations)


def checked_dead_letters(chosen: DeadLetterFilter) -> DeadLetterFilter:
    """Return a filter of dead letters.

    Raises:
        InvalidArgument: a field is of a kind or value that no dead letter can have.
    """
    _check_texts(sink=chosen.sink, run_id=chosen.run_id, type=chosen.type, flow=chosen.flow)
    sequence = chosen.sequence
    if sequence is not None and not (type(sequence) is int and 1 <= sequence <= SEQUENCE_MAX):
        raise InvalidArgument("sequence", f"an int from 1 to {SEQUENCE_MAX}", sequence)
    return chosen


def _check_texts(**texts: object) -> None:
    for name, text in texts.items():
        if text is not None and not (isinstance(text, str) and text.isprintable()):
            raise InvalidArgument(name, "printable text", text)


def _check_moments(**moments: object) -> None:
    for name, moment in moments.items():
        if moment is not None and not (isinstance(moment, datetime) and moment.tzinfo is not None):
            raise InvalidArgument(name, "an aware datetime", moment)


def _statuses(found: frozenset[RunStatus] | None) -> frozenset[RunStatus] | None:
    if found is None:
        return None
    try:
        known = _STATUSES.issuperset(found)
    except TypeError:  # it is no set of anything
        known = False
    if not known:
        raise InvalidArgument("statuses", f"a set of some of {', '.join(RunStatus)}", found)
    return frozenset(map(RunStatus, found))


_STATUSES: Final = frozenset(RunStatus)
