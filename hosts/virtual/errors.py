"""What keeps a world in virtual time from coming to an end."""

from __future__ import annotations

from collections.abc import Sequence

from ...ports.errors import UsageError


class Deadlock(UsageError):
    """Everybody waits for somebody else, and no timer will wake anyone."""

    def __init__(self, waiting: Sequence[str]) -> None:
        self.waiting = waiting
        super().__init__("every task waits for another one, and no time will wake them: " + "; ".join(waiting[:10]))


class Livelock(UsageError):
    """Somebody goes on and on, and no time passes."""

    def __init__(self, callbacks: int, busy: Sequence[str]) -> None:
        self.busy = busy
        super().__init__(
            f"{callbacks:,} callbacks ran in a row while no time passed, as of a loop that never waits for time. "
            f"Busy: {'; '.join(busy) or 'no task'}"
        )
