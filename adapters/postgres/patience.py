"""How long a transaction waits for the lock of another one, as the server takes it."""

from __future__ import annotations

from .database import DatabaseSettings


def lock_timeout(settings: DatabaseSettings, patience_s: float | None) -> str:
    """A value of the setting `lock_timeout`, where 0 would stand for no end.

    Args:
        settings: of the database.
        patience_s: how long it waits; as long as they say where None.
    """
    wait_s = settings.lock_wait_s if patience_s is None else patience_s
    return f"{max(round(wait_s * 1000), 1)}ms"
