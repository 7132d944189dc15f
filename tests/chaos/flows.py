"""The flows that run under chaos: each has one leaf whose value follows from the run's input alone.

Every handler notes in the ledger when it begins and ends, and says in its output which attempt made it. So the end of a
campaign can tell which of the executions was recorded. `expected` has what a run must come to.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Final

import attrs

from fairlead.kernel import Context, Flow, Resource, Suspend
from tests.chaos.ledger import Ledger

MAX_ATTEMPTS: Final = 40
"""Of ordinary steps: enough for any number of lost leases that a campaign brings about, and soon."""

DOOMED_ATTEMPTS: Final = 3
"""Of the step that always fails."""

CHECK_S: Final = 0.3
SLEEP_S: Final = 1.0
PATIENCE_S: Final = 0.5
"""How long a signal is waited for that nobody sends."""

ANSWER_TIMEOUT_S: Final = 24 * 3600.0


@attrs.frozen(kw_only=True)
class Job:
    """The input of every flow."""

    value: int
    elements: int = 6
    """Of maps."""
    failures: int = 0
    """How many attempts of a retried step fail."""
    size: int = 0
    """Characters of a large payload."""
    work_ms: int = 20
    """How long a handler works."""
    padding: str = ""
    """Makes the input itself large."""


@attrs.frozen
class Made:
    """What a step made, and in which attempt."""

    value: int
    attempt: int


@attrs.frozen
class Large:
    """A payload that goes into blobs."""

    text: str
    parts: list[str]
    attempt: int


@attrs.frozen
class Waiting:
    """What a suspended step waits with."""

    checks_left: int


@attrs.frozen
class Answer:
    """What signals carry."""

    value: int
    note: str = ""


def mixed(value: int, salt: str) -> int:
    """A number that follows from another one, and from nothing else."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{value}".encode()).digest()[:4])


async def work(job: Job) -> None:
    """Take as long as the job says."""
    await asyncio.sleep(job.work_ms / 1000)


# One step after the other, one of them in a thread.

chain = Flow("chain", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0)


@chain.step
async def first(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """The beginning."""
    with ledger.attempt(ctx):
        await work(job)
        return Made(mixed(job.value, "first"), ctx.attempt)


@chain.step
def second(first: Made, job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """In a thread."""
    with ledger.attempt(ctx):
        time.sleep(job.work_ms / 1000)
        return Made(mixed(first.value, "second"), ctx.attempt)


@chain.step
async def third(second: Made, job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """The end."""
    with ledger.attempt(ctx):
        await work(job)
        return Made(mixed(second.value, "third"), ctx.attempt)


# A map over a map, both through a window.

spread = Flow(
    "spread", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0
)


@spread.step
async def cut(job: Job, ctx: Context, ledger: Resource[Ledger]) -> list[int]:
    """The elements."""
    with ledger.attempt(ctx):
        return [job.value + n for n in range(job.elements)]


@spread.map(over="cut", max_concurrency=4)
async def square(item: int, job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """Each by itself."""
    with ledger.attempt(ctx):
        await work(job)
        return Made(mixed(item, "square"), ctx.attempt)


@spread.map(over=square, max_concurrency=3)
async def double(item: Made, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """Each once more."""
    with ledger.attempt(ctx):
        return Made(2 * item.value, ctx.attempt)


@spread.step
async def total(double: list[Made], ctx: Context, ledger: Resource[Ledger]) -> Made:
    """All together."""
    with ledger.attempt(ctx):
        return Made(sum(each.value for each in double), ctx.attempt)


# A step that fails at first, and a run that fails for good.

flaky = Flow("flaky", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0)


@flaky.step
async def stubborn(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """Fails as often as the job says."""
    with ledger.attempt(ctx):
        await work(job)
        if ctx.attempt <= job.failures:
            raise RuntimeError("not yet")
        return Made(mixed(job.value, "stubborn"), ctx.attempt)


@flaky.step
async def relieved(stubborn: Made, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """The end."""
    with ledger.attempt(ctx):
        return Made(mixed(stubborn.value, "relieved"), ctx.attempt)


doomed = Flow("doomed", version=1, input=Job, input_name="job", max_attempts=DOOMED_ATTEMPTS, base_delay=0.05)


@doomed.step
async def hopeless(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """Fails always."""
    with ledger.attempt(ctx):
        await work(job)
        raise RuntimeError("never")


# Conditions: a branch, its complement, and a step that takes whichever was taken.

choice = Flow(
    "choice", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0
)


@attrs.frozen
class Decision:
    """Which way."""

    way: str
    attempt: int


@choice.step
async def decide(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Decision:
    """By the job's value."""
    with ledger.attempt(ctx):
        await work(job)
        return Decision("left" if job.value % 2 else "right", ctx.attempt)


left = choice.branch(when={"decide": {"way": "left"}})


@left.step
async def left_hand(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """One way."""
    with ledger.attempt(ctx):
        return Made(mixed(job.value, "left"), ctx.attempt)


right = left.otherwise()


@right.step
def right_hand(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """The other."""
    with ledger.attempt(ctx):
        return Made(mixed(job.value, "right"), ctx.attempt)


@choice.step
async def joined(left_hand: Made | None, right_hand: Made | None, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """Whichever it was; never both."""
    with ledger.attempt(ctx):
        (taken,) = [each for each in (left_hand, right_hand) if each is not None]
        return Made(taken.value, ctx.attempt)


# A step that suspends and is checked.

patient = Flow(
    "patient", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0
)


@patient.step
async def order(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made | Suspend[Waiting]:
    """Suspends at once."""
    with ledger.attempt(ctx):
        await work(job)
        return Suspend(state=Waiting(job.elements % 3), check_after=CHECK_S)


@patient.check(order)
async def arrived(state: Waiting, job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made | Suspend[Waiting]:
    """Looks a few times."""
    with ledger.attempt(ctx, phase="check"):
        if state.checks_left:
            return Suspend(state=Waiting(state.checks_left - 1), check_after=CHECK_S)
        return Made(mixed(job.value, "order"), ctx.attempt)


@patient.step
async def unpacked(order: Made, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """The end."""
    with ledger.attempt(ctx):
        return Made(mixed(order.value, "unpacked"), ctx.attempt)


# A signal that somebody sends, or answers by a resume token.

asked = Flow("asked", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0)

answer = asked.signal("answer", Answer, timeout=ANSWER_TIMEOUT_S)


@asked.step
async def ask(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """Hands out a token."""
    with ledger.attempt(ctx):
        await work(job)
        ledger.hand_out(ctx.run_id, "answer", await ctx.resume_token(answer))
        return Made(mixed(job.value, "ask"), ctx.attempt)


@asked.step
async def close(ask: Made, answer: Answer, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """Takes question and answer."""
    with ledger.attempt(ctx):
        return Made(ask.value + answer.value, ctx.attempt)


# A sleep, and a signal that nobody sends.

timed = Flow("timed", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0)

nap = timed.sleep("nap", SLEEP_S)
silence = timed.signal("silence", Answer, after=[nap], timeout=PATIENCE_S, on_timeout="skip")


@timed.step
async def awake(job: Job, silence: Answer | None, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """Goes on without an answer."""
    with ledger.attempt(ctx):
        await work(job)
        return Made(mixed(job.value, "awake" if silence is None else "answered"), ctx.attempt)


# Payloads that go into blobs.

heavy = Flow("heavy", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0)


@heavy.step
async def load(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Large:
    """A large text, and parts of it."""
    with ledger.attempt(ctx):
        await work(job)
        text = _text(job)
        return Large(text, [text[n :: job.elements] for n in range(job.elements)], ctx.attempt)


@heavy.map(over="load.parts", max_concurrency=3)
async def weigh(item: str, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """A part of it."""
    with ledger.attempt(ctx):
        return Made(sum(item.encode()), ctx.attempt)


@heavy.step
async def weighed(load: Large, weigh: list[Made], ctx: Context, ledger: Resource[Ledger]) -> Made:
    """All of it, twice."""
    with ledger.attempt(ctx):
        whole = sum(load.text.encode())
        assert whole == sum(each.value for each in weigh), "parts of another payload"
        return Made(whole, ctx.attempt)


# What ticks by the clock.

beat = Flow("beat", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0)


@beat.step
async def tick(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """One tick."""
    with ledger.attempt(ctx):
        return Made(mixed(job.value, "tick"), ctx.attempt)


FLOWS: Final = (chain, spread, flaky, doomed, choice, patient, asked, timed, heavy, beat)

LEAVES: Final = {
    "chain": "third",
    "spread": "total",
    "flaky": "relieved",
    "choice": "joined",
    "patient": "unpacked",
    "asked": "close",
    "timed": "awake",
    "heavy": "weighed",
    "beat": "tick",
}
"""The leaf of each flow that completes."""

MAX_ATTEMPTS_OF: Final = {flow.slug: MAX_ATTEMPTS for flow in FLOWS} | {"doomed": DOOMED_ATTEMPTS}


def _text(job: Job) -> str:
    return hashlib.sha256(str(job.value).encode()).hexdigest() * (job.size // 64 + 1)


def answer_to(run_id: str) -> Answer:
    """The one answer that anybody sends to a run; now and then it is a large one."""
    value = mixed(0, run_id) % 1000
    return Answer(value, note="." * 40_000 if value % 7 == 0 else "")


def expected(flow: str, job: Job, run_id: str) -> int:
    """The value of the leaf of a run that completes."""
    match flow:
        case "chain":
            return mixed(mixed(mixed(job.value, "first"), "second"), "third")
        case "spread":
            return sum(2 * mixed(job.value + n, "square") for n in range(job.elements))
        case "flaky":
            return mixed(mixed(job.value, "stubborn"), "relieved")
        case "choice":
            return mixed(job.value, "left" if job.value % 2 else "right")
        case "patient":
            return mixed(mixed(job.value, "order"), "unpacked")
        case "asked":
            return mixed(job.value, "ask") + answer_to(run_id).value
        case "timed":
            return mixed(job.value, "awake")
        case "heavy":
            return sum(_text(job).encode())
        case "beat":
            return mixed(job.value, "tick")
        case _:
            raise ValueError(f"runs of {flow} do not complete")
