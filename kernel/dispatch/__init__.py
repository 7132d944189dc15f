"""Carrying commands out: load under lock, decide, commit everything, then wake whoever has work now.

`Dispatcher` knows which area carries out which command. Transactions, idempotency, repetition and wake-ups are handled
by the same `means` for all of them. What is decided is none of this package's business (`kernel.decisions`), nor how it
is stored (`ports.persistence`).
"""

from __future__ import annotations

from .dispatcher import Dispatcher

__all__ = ["Dispatcher"]
