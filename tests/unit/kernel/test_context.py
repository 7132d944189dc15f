"""The context of an attempt."""

from __future__ import annotations

from typing import Any

import pytest
from attrs.exceptions import FrozenAttributeError

from fairlead.kernel.context import Context


def new_context() -> Context:
    return Context(run_id="r1", flow="fulfil", step="charge", attempt=2, idempotency_key="r1/charge/1/0")


def test_flags_are_raised_and_never_lowered() -> None:
    """The host tells; a later word that says nothing takes nothing back."""
    context = new_context()
    assert not context.lease_lost

    context.tell(lease_lost=True)
    context.tell()

    assert context.lease_lost


def test_a_handler_cannot_change_what_it_is_told() -> None:
    """The fields are fixed."""
    context: Any = new_context()

    for name in ("run_id", "attempt", "idempotency_key", "index"):
        with pytest.raises(FrozenAttributeError):
            setattr(context, name, "other")
    with pytest.raises(AttributeError):
        context.cancelled = True
