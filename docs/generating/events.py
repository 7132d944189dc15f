"""The page of events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import msgspec

from fairlead.kernel.events import PublishedEvent
from fairlead.ports.outbox import EventRecord

from .docstrings import markdown
from .page import head, text
from .sources import field_texts

_KINDS = {"Raw": "object or null", "str": "text", "int": "integer", "datetime": "time, as ISO 8601 text in UTC"}

_EVERYWHERE = {
    "run_id": "The run.",
    "flow": "The flow's slug.",
    "generation": "Which course of the run: 1, and one more with each explicit rerun.",
    "sequence": "1 for a run's first event, then 2, 3, … without a gap. A sink that minds repetition looks at it.",
    "type": "The event's name.",
    "step": "The step's slug, where the event is one of a step.",
    "at": "When it happened.",
}


def events_page() -> str:
    """Every event: when there is one, and what it says."""
    return text(
        [
            *head("Events", "kernel/events.py"),
            *_introduction(),
            *(line for each in get_args(PublishedEvent) for line in _entry(each)),
        ]
    )


def _introduction() -> Iterator[str]:
    yield "An event is written in the transaction that causes it, and published by a host soon after: at least once,"
    yield "for each run in order. [Do something when something happens](../how-to/events.md) shows how to receive them."
    yield from ("", "Beside what is its own, each has:", "", "| field | |", "|---|---|")
    fields = [each.name for each in msgspec.structs.fields(EventRecord) if each.name != "data"]
    yield from (f"| `{name}` | {_EVERYWHERE[name]} |" for name in fields)
    yield from ("| `data` | The whole event as JSON: its `type`, and the fields below. |", "")


def _entry(event: type[msgspec.Struct]) -> Iterator[str]:
    yield from (f"## {event.__struct_config__.tag}", "")
    yield from markdown(event)
    yield ""
    fields = msgspec.structs.fields(event)
    if fields:
        texts = field_texts(event)
        yield from ("| field | kind | |", "|---|---|---|")
        for each in fields:
            optional = "" if each.required else "; may be absent"
            meaning = texts.get(each.name, _MEANINGS.get(each.name, ""))
            yield f"| `{each.name}` | {_kind(each.type)}{optional} | {meaning} |"
        yield ""


_MEANINGS = {
    "step": "The step's slug.",
    "reason": "One of the [reasons](reasons.md).",
    "error": "What was raised: `type`, `message`, `traceback`, `attempt`.",
    "element": "The index of the task's element in a map; 0 in a plain step.",
    "attempt": "Which attempt it was, from 1.",
    "tasks": "How many tasks the step has now; a large map makes more of them later.",
    "ready_at": "The next attempt starts no earlier.",
}


def _kind(annotation: object) -> str:
    members = [each for each in get_args(annotation) if each is not type(None)] or [annotation]
    return " or ".join(
        _KINDS.get(getattr(each, "__name__", ""), getattr(each, "__name__", str(each))) for each in members
    )
