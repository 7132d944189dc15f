"""The flows of a campaign whose steps work: in a row, side by side, by conditions, with failures, with blobs."""

from __future__ import annotations

import time

import attrs

from fairlead.kernel import Context, Flow, Resource
from tests.chaos.jobs import DOOMED_ATTEMPTS, MAX_ATTEMPTS, Job, Large, Made, mixed, text_of, work
from tests.chaos.ledger import Ledger

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


# Payloads that go into blobs.

heavy = Flow("heavy", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0)


@heavy.step
async def load(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Large:
    """A large text, and parts of it."""
    with ledger.attempt(ctx):
        await work(job)
        text = text_of(job)
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
