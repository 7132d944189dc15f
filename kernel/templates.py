"""Templates: what a later run is started with, checked now, kept until then, and checked again by whoever starts it.

A flow may have got another version meanwhile, so nothing is kept that belongs to one: the input as canonical JSON and
the config as it was given, not merged with any defaults. A large input is one blob, below `scheduled/<id>/`, which
belongs to the one entry that refers to it and is deleted with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from ..ports import Ports
from ..ports.errors import AdapterError
from ..ports.notes import AnnotationValue
from ..ports.scheduler import Scheduler
from .codec import SIZE_UNLIMITED, decode, encode
from .definition import Flow
from .entries import read_entries
from .fetching import fetch_payload
from .references import is_reference, read_reference
from .schedules import CRON_PREFIX, START_PREFIX, CronEntry, StartEntry, Template, annotations_of
from .spilling import Spill, write_blob
from .starting import Start, run_request

TEMPLATES: Final = "scheduled/"
"""What the keys of the blobs of all templates begin with."""

_NOT_REGISTERED = 0
"""The flow id in a request that is only checked."""


def checked_template(
    flow: Flow[Any],
    input: object,
    config: Mapping[str, object] | None,
    *,
    priority: int,
    annotations: Mapping[str, AnnotationValue] | None,
    key: str | None = None,
) -> Template:
    """What a run would be started with; its input stands in it, however large.

    Raises:
        InvalidInput: input, config, key, priority or annotations do not fit; every problem is listed with its path.
    """
    start = Start(input=input, key=key, priority=priority, config=config, annotations=annotations)
    request = run_request(flow, _NOT_REGISTERED, start)
    data = request.input
    given = None if config is None else encode(config, what="config")
    return Template(
        flow=flow.slug,
        version=flow.version,
        input=data.decode(),
        digest=template_digest(data, given, priority),
        config=None if given is None else given.decode(),
        priority=priority,
        annotations=None if request.annotations is None else request.annotations.decode(),
    )


def template_digest(input: bytes, config: bytes | None, priority: int) -> str:
    """By what two templates are compared. Annotations are no part of it, as with the key of a start."""
    digest = hashlib.sha256(input)
    digest.update(b"\0" + (config or b""))
    digest.update(b"\0%d" % priority)
    return digest.hexdigest()


async def stored_template(ports: Ports, template: Template, *, size_bytes_max: int) -> Template:
    """The template as it may stand in an entry: a large input is written into a blob of its own.

    Raises:
        AdapterError: the BlobStore failed; what was written is an orphan.
    """
    data = template.input.encode()
    if len(data) <= size_bytes_max:
        return template
    spill = Spill(data, (), f"{TEMPLATES}{ports.new_id()}")
    for blob in spill.blobs():
        await write_blob(ports.blobs, ports.clock, blob)
    return replace(template, input=spill.reference().decode())


async def loaded_template(ports: Ports, template: Template) -> Template:
    """The template with its input in it.

    Raises:
        BlobCorrupt: its blob is missing or not what was written.
        AdapterError: the BlobStore failed.
    """
    return replace(template, input=(await fetch_payload(ports.blobs, template.input.encode())).decode())


async def discard_template(ports: Ports, template: Template) -> None:
    """Delete what a template that nobody refers to any more keeps in blobs."""
    data = template.input.encode()
    if is_reference(data):
        with suppress(AdapterError):  # they are orphans then, like those of a process that died
            for blob in read_reference(data).blobs():
                await ports.blobs.delete(blob.key)


async def kept_blobs(scheduler: Scheduler) -> Set[str]:
    """The keys of all blobs that what is scheduled refers to."""
    keys: set[str] = set()
    for prefix in (CRON_PREFIX, START_PREFIX):
        async for _, entry in read_entries(scheduler, prefix):
            data = entry.template.input.encode() if isinstance(entry, (CronEntry, StartEntry)) else b""
            if is_reference(data):
                keys.update(blob.key for blob in read_reference(data).blobs())
    return keys


def start_of(template: Template, key: str | None) -> Start:
    """The start that a loaded template asks for."""
    config: Any = None if template.config is None else decode(template.config.encode(), what="config")
    value = decode(template.input.encode(), size_bytes_max=SIZE_UNLIMITED, what="input")
    annotations = annotations_of(template) or None
    return Start(input=value, key=key, priority=template.priority, config=config, annotations=annotations)
