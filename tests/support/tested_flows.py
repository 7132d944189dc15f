"""Flows that the tests of the test kit test."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from attrs import frozen

from fairlead.kernel import Context, Flow, Resource, Suspend


@frozen
class Order:
    """An order."""

    customer: str
    lines: list[int]


@frozen
class Payment:
    """What became of a charge."""

    status: Literal["paid", "declined"]
    reference: str = ""


@frozen
class Approval:
    """Somebody's answer."""

    approved: bool


class Payments:
    """The client of a payment service that must not be called in tests."""

    async def charge(self, customer: str) -> str:
        """Charge."""
        raise NotImplementedError


class FakePayments(Payments):
    """Fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.charged: list[str] = []

    async def charge(self, customer: str) -> str:
        """Charge, or fail."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the line is down")
        self.charged.append(customer)
        return f"ref-{customer}"


fulfil = Flow("fulfil", version=1, input=Order, input_name="order", base_delay=600, jitter=0)


@fulfil.map(over="order.lines")
def reserve(item: int) -> str:
    """A plain handler of a map."""
    return f"reserved {item}"


@fulfil.step
async def charge(order: Order, payments: Resource[Payments], ctx: Context) -> Payment:
    """An async handler with a resource."""
    ctx.log("charging", customer=order.customer)
    ctx.annotate(customer=order.customer)
    return Payment("paid", await payments.charge(order.customer))


@fulfil.step(when={"charge": {"status": "paid"}})
def ship(charge: Payment, reserve: list[str]) -> str:
    """Skipped where the charge was declined."""
    return f"{charge.reference}: {', '.join(reserve)}"


order = Order("Ada", [1, 2])

approving = Flow("approving", version=1, input=str, input_name="what")


@approving.step
async def ask(what: str, ctx: Context) -> str:
    """Gives a resume token out."""
    return await ctx.resume_token("approval")


approval = approving.signal("approval", Approval)


@approving.step(after=[ask])
async def decide(what: str, approval: Approval) -> str:
    """Follows the signal."""
    return f"{what}: {'yes' if approval.approved else 'no'}"


nightly = Flow("nightly", version=1, input=str, input_name="night")
books_closed = nightly.sleep("books_closed", timedelta(days=30))


@nightly.step(after=[books_closed])
async def compute(night: str) -> str | Suspend[int]:
    """Waits for outside work."""
    return Suspend(state=0, check_after=timedelta(minutes=5), give_up_after=timedelta(hours=6))


@nightly.check(compute)
async def compute_is_ready(state: int, night: str) -> str | Suspend[int]:
    """Ready at the third look."""
    return f"report of {night}" if state == 2 else Suspend(state=state + 1, check_after=timedelta(minutes=5))
