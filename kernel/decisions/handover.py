"""Hand-over: giving tasks that have just become ready to the host that made them so, already leased.

It saves the second claim that a queue would need, and the next handler starts in the process that holds its input.
The host reserves slots before the transaction and passes them in its `Capacity`; what finds no slot is queued.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ..commands import Capacity
from ..plan import StepPlan

NEW_TASKS_MAX = 20_000
"""Tasks that one transaction inserts, however many maps become ready in it: about a second's work of a database. What
exceeds it is inserted as the first tasks of these maps are settled."""


NOBODY = Capacity(worker="", flow_ids=(), queues=(), slots=0, lease_duration=timedelta(0))
"""Takes on nothing: where no host is there to run what becomes ready, it is queued."""


class HandOver:
    """The slots and the new tasks of one transaction, shared by all of its runs."""

    __slots__ = ("_capacity", "_flow_ids", "_queues", "_room", "lease_until", "remaining", "worker")

    def __init__(self, capacity: Capacity, now: datetime) -> None:
        self._capacity = capacity
        self._flow_ids = frozenset(capacity.flow_ids)
        self._queues = frozenset(capacity.queues)
        self._room = NEW_TASKS_MAX
        self.remaining = capacity.slots
        self.worker = capacity.worker
        self.lease_until = now + capacity.lease_duration

    def admit(self, wanted: int) -> int:
        """How many of `wanted` tasks of one step are inserted by this transaction: at least one, to keep it going."""
        admitted = max(1, min(wanted, self._room))
        self._room -= admitted
        return admitted

    def take(self, flow_id: int, step: StepPlan, priority: int, wanted: int) -> int:
        """Reserve slots for up to `wanted` tasks of a ready step.

        Returns:
            How many tasks may be born leased: none if the step has a start delay, if the host does not serve its
            flow or queue, or if it knows of waiting tasks with a higher priority.
        """
        if not self.remaining or step.start_delay_s or flow_id not in self._flow_ids:
            return 0
        if step.queue not in self._queues:
            return 0
        minimum = self._capacity.minimum_priority
        if minimum is not None and priority < minimum:
            return 0
        taken = min(wanted, self.remaining)
        self.remaining -= taken
        return taken
