"""What a host keeps of payloads, so that those who come next need no read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

KEPT_BYTES_MAX = 64 * 1024 * 1024
"""Payloads kept by one host: large enough for thousands of runs in flight, small beside a Python process."""

ENTRY_BYTES = 300
"""What one kept payload costs beside its bytes: key, record, place in the table."""


class Kept:
    """Payloads by key, the least recently used forgotten when they grow too many."""

    def __init__(self, size_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._size_bytes_max = size_bytes_max
        self._size_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def get(self, key: Hashable) -> object | None:
        """What is kept under a key, which is now the most recently used."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: object, size_bytes: int) -> None:
        """Keep a value, unless it is larger than all there is room for."""
        cost = size_bytes + ENTRY_BYTES
        if cost > self._size_bytes_max or key in self._entries:
            return
        self._entries[key] = (value, cost)
        self._size_bytes += cost
        while self._size_bytes > self._size_bytes_max:
            _, (_, freed) = self._entries.popitem(last=False)
            self._size_bytes -= freed
