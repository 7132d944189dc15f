"""The context of an attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError

from fairlead.kernel.context import Context, Signs
from fairlead.kernel.errors import OutsideHost, StatusUnknown
from fairlead.ports.statuses import StepStatus


def new_context(**more: Any) -> Context:
    return Context(run_id="r1", flow="fulfil", step="charge", attempt=2, idempotency_key="r1/charge/1/0", **more)


def test_a_handler_sees_the_signs_that_its_host_raises() -> None:
    """While it runs, each when it is raised."""
    signs = Signs()
    context = new_context(signs=signs)
    seen = [(context.lease_lost, context.cancelled)]
    signs.lease_lost = True
    seen.append((context.lease_lost, context.cancelled))
    signs.cancelled = True
    seen.append((context.lease_lost, context.cancelled))

    assert seen == [(False, False), (True, False), (True, True)]


def test_a_context_offers_nothing_to_change_it() -> None:
    """What a handler may call and read is what it may know."""
    public = {name for name in dir(Context) if not name.startswith("_")}

    assert public == {
        *("run_id", "flow", "step", "index", "attempt", "idempotency_key"),
        *("status", "lease_lost", "cancelled"),
        *("log", "progress", "annotate"),
        *("resume_token", "wait_for"),
    }


def test_a_skip_is_told_from_an_output_of_none() -> None:
    """The status of a dependency is known if the host said it; of any other step the error says which are."""
    context = new_context(statuses={"pack": StepStatus.COMPLETED, "ship": StepStatus.SKIPPED})

    assert [context.status("pack"), context.status("ship")] == ["completed", "skipped"]
    with pytest.raises(StatusUnknown, match="it knows of pack, ship") as raised:
        context.status("shop")
    assert (raised.value.step, raised.value.known) == ("shop", ("pack", "ship"))


def test_a_unit_test_says_how_dependencies_ended() -> None:
    """A context made by hand takes the statuses with it."""
    context = Context(
        run_id="r1", flow="fulfil", step="notify", idempotency_key="k", statuses={"ship": StepStatus.SKIPPED}
    )

    assert context.status("ship") is StepStatus.SKIPPED
    with pytest.raises(StatusUnknown, match="it knows of none"):
        new_context().status("ship")


def test_a_handler_cannot_change_what_it_is_told() -> None:
    """The fields are fixed."""
    context: Any = new_context()

    for name in ("run_id", "attempt", "idempotency_key", "index"):
        with pytest.raises(FrozenInstanceError):
            setattr(context, name, "other")
    with pytest.raises(AttributeError):
        context.cancelled = True


async def test_what_only_a_host_can_do_is_refused_without_one() -> None:
    """A context that was made by hand says how to make one for a test."""
    alone = new_context()
    with pytest.raises(OutsideHost, match=r"ctx\.resume_token: .* services="):
        await alone.resume_token("approval")
    waiting = asyncio.sleep(0)
    with pytest.raises(OutsideHost, match=r"ctx\.wait_for: "):
        alone.wait_for(waiting)
    waiting.close()


async def test_a_test_may_take_the_place_of_the_host() -> None:
    """What it hands out is what the handler gets."""

    class Services:
        async def resume_token(self, step: object, expires_in: object) -> str:
            return f"token for {step}, {expires_in}"

        def wait_for(self, awaitable: Any) -> Any:
            awaitable.close()
            return "waited"

    served = new_context(services=Services())

    assert await served.resume_token("approval", expires_in=60) == "token for approval, 60"
    assert served.wait_for(served.resume_token("approval")) == "waited"
