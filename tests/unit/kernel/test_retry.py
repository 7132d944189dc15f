"""What a handler raises about its next attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fairlead.kernel.retry import GiveUp, RetryAfter


@pytest.mark.parametrize(("delay", "seconds"), [(90, 90.0), (timedelta(minutes=2), 120.0), (0, 0.0), (0.5, 0.5)])
def test_a_delay_in_seconds(delay: Any, seconds: float) -> None:
    """A timedelta or a number of seconds."""
    assert RetryAfter(delay).delay_s == seconds
    assert str(RetryAfter(delay)) == f"retry after {seconds:g} s"
    assert str(RetryAfter(delay, "rate limited")) == "rate limited"


@pytest.mark.fault(44)
@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), True, "90", None, timedelta(days=4000)])
def test_a_delay_that_is_none(delay: Any) -> None:
    """The handler's own mistake is told in its place."""
    with pytest.raises(ValueError, match=r"^RetryAfter: delay must be "):
        RetryAfter(delay)


def test_giving_up() -> None:
    """The reason is the message."""
    assert str(GiveUp("card stolen")) == "card stolen"
    assert GiveUp("card stolen").reason == "card stolen"
