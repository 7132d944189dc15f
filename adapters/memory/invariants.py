"""stub"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .store import Store


def broken_invariants(store: Store) -> Mapping[str, Sequence[str]]:
    return {}
