"""What went into a run and what came out of its steps, as far as a person can read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

import click
import msgspec
from attrs import evolve, frozen

from ...kernel import Kernel, RunDetails, StepStatus, TaskStatus
from ...kernel.fetching import fetch_payload
from ...kernel.references import is_reference, read_reference
from ...kernel.step_order import as_they_stand
from ...ports import BlobStore
from ...ports.blobs import BlobCorrupt
from ...ports.reading import OutputRequest
from .output import printable, shown_size

ELEMENTS_MAX = 10
"""Outputs of a map that are read and shown; `--all` has the rest."""

CHARACTERS_MAX = 2_000
"""Of each payload that people are shown; `--all` has the rest, and so has `--json` of what is not kept as a blob."""

FAILED = "no output: the element failed"
GAP = "no output: the element that it is made of failed"
"""Neither is JSON, so that nobody takes it for an output."""


@frozen(kw_only=True)
class Unreadable:
    """Stands for a payload whose blob is missing or is not what was written."""

    size_bytes: int
    problem: str


@frozen(kw_only=True)
class Output:
    """What a step that completed has given."""

    elements: int
    """How many outputs there are in all: 1 for a plain step."""
    outputs: Sequence[bytes | Unreadable | None]
    """The first of them, canonical JSON; None where an element has none."""
    failed: Set[int]
    """The elements whose task failed. What has no output beside them has no task."""


@frozen(kw_only=True)
class RunPayloads:
    """The payloads of one run, bounded or not."""

    input: bytes | Unreadable
    config: bytes | None
    outputs: Mapping[str, Output]
    """By step, in order of definition."""
    everything: bool

    def as_json(self) -> dict[str, object]:
        """The payloads as they are shown to programs; `outputs` of a step are those of its elements."""
        return {
            "input": _document(self.input),
            "config": None if self.config is None else _document(self.config),
            "outputs": {
                step: {"elements": output.elements, "outputs": [_document(each or b"null") for each in output.outputs]}
                for step, output in self.outputs.items()
            },
        }

    def print(self) -> None:
        """Write the payloads for people."""
        click.echo()
        click.echo(click.style("PAYLOADS", bold=True))
        lines = list(self._lines())
        widest = max(len(label) for label, _ in lines)
        for label, shown in lines:
            click.echo(f"{click.style(f'{label:{widest}}', fg='cyan')}  {shown}")
        for step, output in self.outputs.items():
            rest = output.elements - len(output.outputs)
            if rest > 0:
                click.echo(f"… and {rest:,} more outputs of {step}; --all shows them")

    def _lines(self) -> Iterator[tuple[str, str]]:
        yield "input", self._shown(self.input)
        if self.config is not None:
            yield "config", self._shown(self.config)
        for step, output in self.outputs.items():
            for index, each in enumerate(output.outputs):
                missing = FAILED if index in output.failed else GAP
                label = step if output.elements == 1 else f"{step}[{index}]"
                yield label, missing if each is None else self._shown(each)

    def _shown(self, payload: bytes | Unreadable) -> str:
        if isinstance(payload, Unreadable):
            return f"not readable: {printable(payload.problem)}"
        if is_reference(payload):
            return f"{shown_size(read_reference(payload).size_bytes)}, kept as a blob; --all shows it"
        text = printable(payload.decode())
        if self.everything or len(text) <= CHARACTERS_MAX:
            return text
        return f"{text[:CHARACTERS_MAX]}… and {len(text) - CHARACTERS_MAX:,} more characters; --all shows them"


async def read_run_payloads(kernel: Kernel, details: RunDetails, *, everything: bool) -> RunPayloads:
    """Read the payloads of a run; of long maps only the first outputs, and no blobs, unless everything is wanted.

    Raises:
        AdapterError: a store failed.
    """
    run_id = details.run.id
    steps = [step for step in as_they_stand(details.steps) if step.status is StepStatus.COMPLETED]
    completed = {step.slug: step.elements or 0 for step in steps}
    requests = {slug: _requests(run_id, slug, elements, everything) for slug, elements in completed.items()}
    wanted = [request for each in requests.values() for request in each]
    found = await kernel.ports.persistence.read_payloads([run_id], wanted)
    read = {
        slug: [each for one in asked if one in found.outputs for each in found.outputs[one].outputs]
        for slug, asked in requests.items()
    }
    failed = _failed_elements(details)
    outputs = {
        slug: Output(elements=elements, outputs=read[slug], failed=failed.get(slug, set()))
        for slug, elements in completed.items()
    }
    payload = found.runs[run_id]
    read_input: bytes | Unreadable = payload.input
    if everything:
        blobs = kernel.ports.blobs
        read_input = await _fetched(blobs, payload.input)
        outputs = {
            slug: evolve(output, outputs=[None if each is None else await _fetched(blobs, each) for each in read[slug]])
            for slug, output in outputs.items()
        }
    return RunPayloads(input=read_input, config=payload.config, outputs=outputs, everything=everything)


def _failed_elements(details: RunDetails) -> Mapping[str, Set[int]]:
    """Those of the steps as they stand: a retry runs again all that had failed before."""
    generations = {step.slug: step.generation for step in as_they_stand(details.steps)}
    found: dict[str, set[int]] = {}
    for task in details.tasks:
        if task.status is TaskStatus.FAILED and task.key.generation == generations[task.key.step]:
            found.setdefault(task.key.step, set()).add(task.key.element)
    return found


async def _fetched(blobs: BlobStore, stored: bytes) -> bytes | Unreadable:
    try:
        return await fetch_payload(blobs, stored)
    except BlobCorrupt as error:
        return Unreadable(size_bytes=read_reference(stored).size_bytes, problem=str(error))


def _requests(run_id: str, slug: str, elements: int, everything: bool) -> list[OutputRequest]:
    if everything or elements <= ELEMENTS_MAX:
        return [OutputRequest(run_id, slug)]
    return [OutputRequest(run_id, slug, element) for element in range(ELEMENTS_MAX)]


def _document(payload: bytes | Unreadable) -> object:
    """A payload inside of another JSON document; of one that is kept as a blob, how large it is, and what is wrong."""
    if isinstance(payload, Unreadable):
        return {"blob": {"size_bytes": payload.size_bytes, "problem": payload.problem}}
    if is_reference(payload):
        return {"blob": {"size_bytes": read_reference(payload).size_bytes}}
    return msgspec.Raw(payload)
