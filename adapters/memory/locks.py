"""Row locks: who holds which row, who waits for it, and whether the waiting could ever end.

A key is locked whether or not its row exists yet, so two inserts of one key meet here as they would at a unique
index. A lock is handed on in order of arrival, directly from its holder to the first waiter. Every method expects
the store's mutex to be held; only the waiting itself happens outside it.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from ...ports.errors import Contention
from ...ports.records import TaskKey
from .waking import Waiter

StepKey: TypeAlias = tuple[str, str, int]
"""Run id, slug and generation."""

SignalKey: TypeAlias = tuple[str, str, str]
"""Run id, the slug of the step it is for, and its own key."""

LockKey: TypeAlias = str | StepKey | TaskKey | SignalKey
"""A run by its id, a step, a task, or a signal."""


class Holder:
    """One transaction as the locks know it."""

    __slots__ = ("held", "waiting")

    def __init__(self) -> None:
        self.held: list[LockKey] = []
        self.waiting: Wait | None = None


class Wait:
    """A holder's place in the queue for one lock."""

    __slots__ = ("granted", "holder", "key", "waiter")

    def __init__(self, key: LockKey, holder: Holder) -> None:
        self.key = key
        self.holder = holder
        self.waiter = Waiter()
        self.granted = False


class MustWait(Exception):
    """Internal: a statement met a lock that another transaction holds, and runs again once it is granted."""

    def __init__(self, wait: Wait) -> None:
        self.wait = wait


class Locks:
    """All row locks of a store."""

    def __init__(self) -> None:
        self._owners: dict[LockKey, Holder] = {}
        self._queues: dict[LockKey, deque[Wait]] = {}

    @property
    def waiting(self) -> int:
        """How many transactions wait for a lock: lets a test know that somebody has begun to wait."""
        return sum(map(len, self._queues.values()))

    @property
    def held(self) -> int:
        """How many locks are held."""
        return len(self._owners)

    def is_locked(self, key: LockKey) -> bool:
        """Whether anybody holds `key`."""
        return key in self._owners

    def holds(self, key: LockKey, holder: Holder) -> bool:
        """Whether `holder` holds `key`."""
        return self._owners.get(key) is holder

    def try_lock(self, key: LockKey, holder: Holder) -> bool:
        """Lock `key` for `holder` if nobody else holds it, and say whether `holder` holds it now."""
        owner = self._owners.get(key)
        if owner is None:
            self._owners[key] = holder
            holder.held.append(key)
            return True
        return owner is holder

    def lock(self, key: LockKey, holder: Holder) -> None:
        """Lock `key` for `holder`.

        Raises:
            MustWait: another transaction holds it; the holder stands in the queue now.
            Contention: waiting would close a circle of transactions that wait for each other.
        """
        if self.try_lock(key, holder):
            return
        self._refuse_deadlock(key, holder)
        wait = Wait(key, holder)
        holder.waiting = wait
        self._queues.setdefault(key, deque()).append(wait)
        raise MustWait(wait)

    def abandon(self, wait: Wait) -> None:
        """Leave the queue; a lock that was granted meanwhile stays with its holder until it ends."""
        wait.holder.waiting = None
        queue = self._queues.get(wait.key)
        if queue is not None and wait in queue:
            queue.remove(wait)
            if not queue:
                del self._queues[wait.key]

    def release(self, holder: Holder) -> None:
        """Give up everything that `holder` holds, each lock to the first who waits for it."""
        if holder.waiting is not None:
            holder.waiting.waiter.wake()
            self.abandon(holder.waiting)
        for key in holder.held:
            if not self._queues or not self._hand_on(key):
                del self._owners[key]
        holder.held.clear()

    def _hand_on(self, key: LockKey) -> bool:
        queue = self._queues.get(key)
        granted = False
        while queue and not granted:
            wait = queue.popleft()
            wait.holder.waiting = None
            granted = wait.granted = wait.waiter.wake()
            if granted:
                self._owners[key] = wait.holder
                wait.holder.held.append(key)
        if queue is not None and not queue:
            del self._queues[key]
        return granted

    def _refuse_deadlock(self, key: LockKey, holder: Holder) -> None:
        """Follow who waits for whom; each transaction waits for one lock at most, so the way is a line."""
        owner = self._owners[key]
        while owner.waiting is not None:
            owner = self._owners[owner.waiting.key]
            if owner is holder:  # recovers 23: two transactions would wait for each other
                raise Contention(f"deadlock: waiting for {key} would never end; run the transaction again")
