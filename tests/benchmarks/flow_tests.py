"""What a test of a flow costs with `FlowTest`.

Each test is a world of its own in which a flow of five steps runs to its end and is looked at, as with the fixture
`flow_test`. The processor's time is told beside the real one, since others' work does not lengthen it.
"""

from __future__ import annotations

import time
from statistics import median

from fairlead.hosts.testing import FlowTest

from .figures import Figure
from .flows import fifth, five_steps, order
from .processes import Server
from .sizes import Sizes

WARM_UP = 30


def try_flows(_server: Server, sizes: Sizes) -> Figure:
    """Whole tests, one after the other."""
    for _ in range(WARM_UP):
        _try_once()
    real: list[float] = []
    processor: list[float] = []
    for _ in range(sizes.flow_tests):
        real_s, processor_s = time.perf_counter(), time.process_time()
        _try_once()
        real.append(1000 * (time.perf_counter() - real_s))
        processor.append(1000 * (time.process_time() - processor_s))
    return Figure(
        workload="flow-test",
        subject="fairlead",
        unit="tests",
        count=len(real),
        took_s=sum(real) / 1000,
        extra={"median_ms": median(real), "median_cpu_ms": median(processor), "least_ms": min(real)},
    )


def _try_once() -> None:
    with FlowTest() as flow_test:
        run = flow_test.run(five_steps, order())
        if run.status != "completed" or run.output(fifth).handled != 5:
            raise RuntimeError(f"the run is {run.status}")
