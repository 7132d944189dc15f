"""The flows of the runs that commands meet at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fairlead.kernel import Flow, Suspend

MINUTE = timedelta(minutes=1)
FLOW = "everything"
WAITS = "waits"
QUIET_QUEUE = "quiet"
"""The queue of a step that nobody claims on the way."""


def everything() -> Flow[Any]:
    """Plain steps, a map, a step that suspends, a signal, and a step behind all; a minute for each and all."""
    flow = Flow(FLOW, version=1, input=list[int], max_attempts=2, base_delay=0, run_timeout=MINUTE)

    @flow.step
    def work() -> None: ...

    @flow.step(queue=QUIET_QUEUE)
    def idle() -> None: ...

    @flow.map(over="input", max_attempts=1)
    def each(item: int) -> int:
        return item

    @flow.step
    def compute() -> int | Suspend[int]:
        return 0

    @flow.check(compute)
    def is_ready(state: int) -> int | Suspend[int]:
        return 0

    answer = flow.signal("answer", int, timeout=MINUTE)

    @flow.step(after=[work, idle, answer, compute, each])
    def last() -> None: ...

    return flow


def waits() -> Flow[Any]:
    """A signal behind a step, a step that suspends, one beside both, and one behind all; a minute for each and all."""
    flow = Flow(WAITS, version=1, max_attempts=1, run_timeout=MINUTE)

    @flow.step
    def ask() -> None: ...

    answer = flow.signal("answer", int, after=[ask], timeout=MINUTE)

    @flow.step
    def compute() -> int | Suspend[int]:
        return 0

    @flow.check(compute)
    def is_ready(state: int) -> int | Suspend[int]:
        return 0

    @flow.step
    def beside() -> None: ...

    @flow.step(after=[answer, compute, beside])
    def last() -> None: ...

    return flow
