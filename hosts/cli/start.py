"""`fairlead start`: put a run down, and wait for it if asked."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ...kernel import AnnotationValue, Kernel, Start
from ...ports.errors import UsageError
from .annotation_words import annotation_values
from .command import DatabaseChoice, FairleadCommand, common_options, kernel_option, ports_options
from .moments import age, due_time
from .output import print_json, shown_time

if TYPE_CHECKING:
    from .displays import Display


class InputUnreadable(UsageError):
    """The file that holds an input or a config cannot be read."""

    def __init__(self, option: str, path: str, reason: str) -> None:
        self.option = option
        self.path = path
        super().__init__(f"{option}: the file {path} cannot be read: {reason}")


@click.command(cls=FairleadCommand, short_help="Start a run of a flow.")
@click.argument("flow")
@kernel_option("the flow")
@click.option(
    "--input",
    "input_source",
    metavar="JSON|@FILE|-",
    default="null",
    help="The run's input: JSON, a file with it, or stdin. Default: null.",
)
@click.option(
    "--config",
    "config_source",
    metavar="JSON|@FILE|-",
    help="Settings by step, in the same forms: {step: {field: value}}.",
)
@click.option("--key", help="Makes the start repeatable: the same key and input give the same run.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher is worked on first.")
@click.option(
    "--annotation",
    "annotations",
    multiple=True,
    callback=annotation_values,
    metavar="KEY=VALUE",
    help="What the run is found by; may be given several times.",
)
@click.option("--after", callback=age, metavar="AGE", help="Put the start off: 45s, 90m, 12h, 30d, 4w.")
@click.option(
    "--at",
    callback=due_time,
    metavar="TIME",
    help="Put it off until then: 2026-05-04T12:30 (UTC, or with a zone); at once where that is past.",
)
@click.option("--wait", is_flag=True, help="Wait until the run ends, and show its output.")
@click.option("--watch", is_flag=True, help="Like --wait, and show meanwhile how far the run is.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer; with --wait or --watch."
)
@ports_options
@common_options
def start(
    flow: str,
    target: str,
    input_source: str,
    config_source: str | None,
    key: str | None,
    priority: int,
    annotations: Mapping[str, AnnotationValue],
    after: timedelta | None,
    at: datetime | None,
    wait: bool,
    watch: bool,
    timeout: float | None,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Start a run of FLOW.

    When the command returns, the run is durable; a worker that has the flow carries it out. Its input and config are
    checked before, and all that is wrong with them is told. With --after or --at the start is put off: it is durable as
    well, and the run is there once its time has come. MODULE:KERNEL is what `fairlead worker` takes.

    \b
    fairlead start fulfil_order --kernel myapp.flows:kernel --input '{"id": 7}' --key order-7
    fairlead start fulfil_order --kernel myapp.flows:kernel --input @order.json --watch
    """
    from .serving import open_kernel

    if timeout is not None and not (wait or watch):
        raise click.UsageError("--timeout says how long --wait or --watch waits; give one of them too")
    if after is not None and at is not None:
        raise click.UsageError("--after and --at name two times; give one of them")
    later = after is not None or at is not None
    if later and (wait or watch):
        raise click.UsageError("a run that is put off cannot be waited for; give --wait or --watch without a time")
    if input_source == "-" and config_source == "-":
        raise click.UsageError("--input and --config cannot both be read from stdin")
    if watch and as_json:
        raise click.UsageError(
            "--watch is for people; with --json give --wait, or `fairlead runs watch RUN --json` beside it"
        )
    input_value = read_json("--input", input_source)
    config = None if config_source is None else read_config(config_source)
    begin = Start(input=input_value, key=key, priority=priority, config=config, annotations=annotations or None)
    display = None
    if wait or watch:
        from .displays import Hints, display_on

        display = display_on(sys.stderr) if watch else Hints(sys.stderr, as_json=as_json)
    with open_kernel(target, choice) as source:
        kernel = source.make()
        starting = _defer(kernel, flow, begin, at, after) if later else _start(kernel, flow, begin, display, timeout)
        answer = asyncio.run(starting)
    if as_json:
        print_json(answer)
    else:
        _print(answer)


def read_json(option: str, source: str) -> Any:
    """The JSON value of an option: written there, in a file (`@order.json`), or on stdin (`-`).

    Raises:
        InputUnreadable: the file is not there or closed.
        PayloadError: it is not JSON.
    """
    from ...kernel.codec import decode

    if source == "-":
        text = sys.stdin.buffer.read()
    elif source.startswith("@"):
        try:
            text = Path(source[1:]).read_bytes()
        except OSError as error:
            raise InputUnreadable(option, source[1:], error.strerror or str(error)) from error
    else:
        text = source.encode("utf-8", "surrogateescape")
    return decode(text, what=option)


def read_config(source: str) -> Mapping[str, object]:
    """The settings by step that `--config` gives.

    Raises:
        PayloadError: it is not JSON, or no object.
    """
    from ...kernel import PayloadError

    value = read_json("--config", source)
    if not isinstance(value, dict):
        raise PayloadError((("$", "expected an object: {step: {field: value}}"),), what="--config")
    return cast("dict[str, object]", value)


async def _start(
    kernel: Kernel, flow: str, begin: Start, display: Display | None, timeout: float | None
) -> dict[str, object]:
    """Start the run, and wait for it where there is a display; the answer is what `--json` shows."""
    async with kernel:
        found = kernel.find_flow(flow)
        (run,) = await kernel.start_many(found, [begin])
        answer: dict[str, object] = {
            "id": run.id,
            "flow": found.slug,
            "version": found.version,
            "created": run.created,
        }
        if display is not None:
            from .watching import watch_shown

            await watch_shown(kernel, run.id, display, timeout=timeout)
            answer["output"] = await run.result(timeout=timeout)
        answer["status"] = await run.status()
    return answer


async def _defer(
    kernel: Kernel, flow: str, begin: Start, at: datetime | None, after: timedelta | None
) -> dict[str, object]:
    """Put the start off; the answer is what `--json` shows."""
    async with kernel:
        found = kernel.find_flow(flow)
        deferred = await kernel.start_later(
            found,
            begin.input,
            at=at,
            after=after,
            key=begin.key,
            priority=begin.priority,
            config=begin.config,
            annotations=begin.annotations,
        )
    return {
        "id": deferred.record.run_id,
        "flow": found.slug,
        "created": deferred.created,
        "command": deferred.name,
        "due_at": deferred.record.due_at,
    }


def _print(answer: dict[str, Any]) -> None:
    if "due_at" in answer:
        told = _start_words(answer["due_at"]) if answer["created"] else "known already, by its key"
        click.echo(f"run {answer['id']} of {answer['flow']}: {told} ({answer['command']})")
        return
    told = "started" if answer["created"] else "known already, by its key"
    click.echo(f"run {answer['id']} of {answer['flow']} (version {answer['version']}): {told}, {answer['status']}")
    if "output" in answer:
        print_json(answer["output"])


def _start_words(due_at: datetime) -> str:
    shown = shown_time(due_at)
    if due_at <= datetime.now(UTC):
        return f"starts at once, since {shown} is past: a worker that has the flow does it"
    return f"starts at {shown}"
