"""What a test of a flow costs with `FlowTest`: `python -m tests.benchmarks.flow_tests [TESTS]`.

Each test is a world of its own in which a flow of five steps runs to its end and is looked at, as with the fixture
`flow_test`; the least and the median are told, of the real time and of the processor's, which others' work does not
lengthen. The result is checked every time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from fairlead.hosts.testing import FlowTest
from tests.benchmarks.flows import Order, fifth, five_steps

TESTS = 300
WARM_UP = 30


def fresh() -> None:
    """A whole test."""
    with FlowTest() as flow_test:
        further(flow_test)


def further(flow_test: FlowTest) -> None:
    """One run in a world that is there."""
    run = flow_test.run(five_steps, Order("x", 0))
    assert run.status == "completed"
    assert run.output(fifth).handled == 5


def measure(call: Callable[[], None], tests: int) -> str:
    """The least and the median of real time and processor time, in ms."""
    for _ in range(WARM_UP):
        call()
    real: list[float] = []
    processor: list[float] = []
    for _ in range(tests):
        real_s, processor_s = time.perf_counter(), time.process_time()
        call()
        real.append((time.perf_counter() - real_s) * 1000)
        processor.append((time.process_time() - processor_s) * 1000)
    return "  ".join(
        f"{what} {min(values):.2f} (median {statistics.median(values):.2f}) ms"
        for what, values in (("real", real), ("processor", processor))
    )


def main(tests: int) -> None:
    """Measure and print."""
    print(f"a test of a five-step flow:  {measure(fresh, tests)}")
    with FlowTest() as flow_test:
        print(f"a further run in a world:    {measure(lambda: further(flow_test), tests)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TESTS)
