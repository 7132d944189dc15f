"""The flows of a campaign that go by time: they suspend, wait for signals, sleep, tick, and are forgotten."""

from __future__ import annotations

from typing import Final

from fairlead.kernel import Context, Flow, Resource, Suspend
from tests.chaos.jobs import MAX_ATTEMPTS, Answer, Job, Made, Waiting, mixed, work
from tests.chaos.ledger import Ledger

CHECK_S: Final = 0.3
SLEEP_S: Final = 1.0
PATIENCE_S: Final = 0.5
"""How long a signal is waited for that nobody sends."""

ANSWER_TIMEOUT_S: Final = 24 * 3600.0
RETENTION_S: Final = 4.0
"""How long runs that are to be forgotten are kept after their end."""

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


# What ticks by the clock.

beat = Flow("beat", version=1, input=Job, input_name="job", max_attempts=MAX_ATTEMPTS, base_delay=0.1, max_delay=1.0)


@beat.step
async def tick(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """One tick."""
    with ledger.attempt(ctx):
        return Made(mixed(job.value, "tick"), ctx.attempt)


# What is forgotten soon after its end.

fleeting = Flow(
    "fleeting",
    version=1,
    input=Job,
    input_name="job",
    max_attempts=MAX_ATTEMPTS,
    base_delay=0.1,
    max_delay=1.0,
    retention=RETENTION_S,
)


@fleeting.step
async def pass_by(job: Job, ctx: Context, ledger: Resource[Ledger]) -> Made:
    """The only step."""
    with ledger.attempt(ctx):
        await work(job)
        return Made(mixed(job.value, "pass"), ctx.attempt)
