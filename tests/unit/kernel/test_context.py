"""The context of an attempt."""

from __future__ import annotations

from typing import Any

import pytest
from attrs.exceptions import FrozenAttributeError

from fairlead.kernel.context import Context
from fairlead.kernel.errors import StatusUnknown
from fairlead.ports.statuses import StepStatus


def new_context() -> Context:
    return Context(run_id="r1", flow="fulfil", step="charge", attempt=2, idempotency_key="r1/charge/1/0")


def test_flags_are_raised_and_never_lowered() -> None:
    """The host tells; a later word that says nothing takes nothing back."""
    context = new_context()
    assert (context.lease_lost, context.cancelled) == (False, False)

    context.tell(lease_lost=True)
    context.tell()
    assert (context.lease_lost, context.cancelled) == (True, False)

    context.tell(cancelled=True)
    context.tell()
    assert (context.lease_lost, context.cancelled) == (True, True)


def test_a_skip_is_told_from_an_output_of_none() -> None:
    """The status of a dependency is known if the host said it; of any other step the error says which are."""
    context = new_context()
    context.learn({"pack": StepStatus.COMPLETED, "ship": StepStatus.SKIPPED})

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
        with pytest.raises(FrozenAttributeError):
            setattr(context, name, "other")
    with pytest.raises(AttributeError):
        context.cancelled = True
