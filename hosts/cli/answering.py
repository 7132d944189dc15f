"""`fairlead signal` and `fairlead resume`: answer a step that waits for an answer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from ...kernel import Kernel, SentSignal, SignalFate
from .command import DatabaseChoice, FairleadCommand, common_options, kernel_option, ports_options
from .output import print_json
from .run_names import find_run
from .start import read_json

checking_option = kernel_option("the run's flow")
"""An answer is checked against its step's type, which only the code says."""


@click.command(cls=FairleadCommand, short_help="Answer a step that waits for a signal.")
@click.argument("run")
@click.argument("step")
@click.argument("payload", default="null")
@checking_option
@click.option("--key", help="Makes the answer repeatable: the same key and payload count once.")
@ports_options
@common_options
def signal(
    run: str, step: str, payload: str, target: str, key: str | None, as_json: bool, choice: DatabaseChoice
) -> None:
    """Answer the signal step STEP of RUN with PAYLOAD, which becomes its output.

    RUN is a run's id; the end or the beginning of one, as far as no other run has it too; or `latest`. PAYLOAD is JSON,
    @FILE with it, or - for stdin; without one it is null. It is checked against the step's type. A step that does not
    wait yet takes it as soon as it does.

    \b
    fairlead signal 6f2a10 approval '{"approved": true}' --kernel shop:kernel
    fairlead signal latest approval @answer.json --kernel shop:kernel --key order-7
    """
    value = read_json("PAYLOAD", payload)

    async def send(kernel: Kernel) -> SentSignal:
        return await kernel.signal(await find_run(kernel, run), step, value, key=key)

    _answer(target, choice, send, as_json=as_json)


@click.command(cls=FairleadCommand, short_help="Answer a step with a resume token.")
@click.argument("token")
@click.argument("payload", default="null")
@checking_option
@ports_options
@common_options
def resume(token: str, payload: str, target: str, as_json: bool, choice: DatabaseChoice) -> None:
    """Answer the step that TOKEN was made for with PAYLOAD. A token is good for one answer, until it expires.

    TOKEN is what `ctx.resume_token` gave, or - to read it from stdin, where other users of the machine do not see it.
    PAYLOAD is JSON, or @FILE with it; without one it is null.

    \b
    fairlead resume "$TOKEN" '{"approved": true}' --kernel shop:kernel
    fairlead resume - @answer.json --kernel shop:kernel < token.txt
    """
    if token == payload == "-":
        raise click.UsageError("TOKEN and PAYLOAD cannot both be read from stdin")
    found = sys.stdin.read().strip() if token == "-" else token
    value = read_json("PAYLOAD", payload)
    _answer(target, choice, lambda kernel: kernel.resume(found, value), as_json=as_json)


def _answer(
    target: str, choice: DatabaseChoice, send: Callable[[Kernel], Awaitable[SentSignal]], *, as_json: bool
) -> None:
    """Send an answer with the kernel that the command line names, and say what became of it."""
    from .serving import open_kernel

    async def sent(kernel: Kernel) -> SentSignal:
        async with kernel:
            return await send(kernel)

    with open_kernel(target, choice) as source:
        told = asyncio.run(sent(source.make()))
    if as_json:
        print_json(_as_json(told))
    else:
        click.echo(f"run {told.run_id}, step {told.step}: {_words(told)}")


def _as_json(told: SentSignal) -> dict[str, Any]:
    return {"run": told.run_id, "step": told.step, "fate": told.fate, "repeated": told.repeated}


def _words(told: SentSignal) -> str:
    if told.repeated:
        return "answered before, in the same way"
    if told.fate is SignalFate.KEPT:
        return "the answer is kept until the step waits for it"
    return "answered"
