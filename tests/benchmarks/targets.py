"""What Fairlead must reach, workload by workload, and what a measurement says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

from attrs import frozen

from .figures import Figure

FAIRLEAD = "fairlead"


@frozen(kw_only=True)
class Ratio:
    """Its rate is to be at least so many times that of another figure."""

    least: float
    to: str
    """`raw-N`, or the name of another system: what that reached in the same workload. Else a workload of Fairlead's."""


@frozen(kw_only=True)
class Rate:
    """It is to do at least so many units per second, whatever the machine."""

    least: float


@frozen(kw_only=True)
class Most:
    """One of its extras is to be at most so much."""

    extra: str
    most: float


Target: TypeAlias = Ratio | Rate | Most

TARGETS: Mapping[str, Sequence[Target]] = {
    "W1": (Ratio(least=0.4, to="raw-100"), Most(extra="row_writes_in_all", most=14)),
    "W1b": (Ratio(least=1.2, to="W1"),),
    "W2": (Ratio(least=0.25, to="raw-100"),),
    "W3": (
        Ratio(least=20, to="absurd"),
        Ratio(least=0.4, to="raw-100"),
        Most(extra="row_writes_in_all", most=4),
    ),
    "W3L": (
        Ratio(least=0.8, to="W3"),
        Most(extra="peak_mib", most=500),
        Most(extra="starter_peak_mib", most=500),
    ),
    "W3M": (
        Ratio(least=0.8, to="W3"),
        Most(extra="peak_mib", most=500),
        Most(extra="starter_peak_mib", most=500),
    ),
    "W4": (
        Most(extra="p50_ms", most=5),
        Most(extra="p99_ms", most=12),
        Most(extra="idle_cores", most=0.02),
        Most(extra="idle_statements_per_minute", most=60),
    ),
    "W5": (Rate(least=3_200), Ratio(least=0.37, to="raw-1")),
    "W5b": (Rate(least=20_000), Ratio(least=0.31, to="raw-1000")),
    "W6": (Ratio(least=0.95, to="W1"),),
    "W6w": (Ratio(least=0.95, to="W1"),),
    "W7": (Ratio(least=0.8, to="W1"),),
    "W8": (Ratio(least=0.7, to="W1"),),
    "hosts": (Most(extra="deadlocks", most=0),),
    "large": (Most(extra="peak_mib", most=500),),
    "memory": (Rate(least=10_000),),
    "flow-test": (Most(extra="median_ms", most=5),),
    "import": (Most(extra="kernel_ms", most=80), Most(extra="handler_ms", most=350)),
}
"""Where a rate is asked for, and raw was measured on the same machine, its ratio to raw is asked for too: it holds on
other machines."""


@frozen(kw_only=True)
class Verdict:
    """What a measurement says of one target."""

    workload: str
    what: str
    found: float
    wanted: float
    reached: bool


class Ratios(Protocol):
    """Who can tell how figures compare."""

    def ratio(self, figure: Figure, *, workload: str, subject: str) -> float | None:
        """Its rate divided by another's; None where that was not measured."""
        ...


def compared_with(workload: str) -> Iterator[str]:
    """The workloads that its targets are ratios to."""
    for target in TARGETS.get(workload, ()):
        if isinstance(target, Ratio) and target.to in TARGETS:
            yield target.to


def verdicts(figure: Figure, ratios: Ratios) -> Iterator[Verdict]:
    """What a figure of Fairlead's says of its targets, as far as what they need was measured."""
    for target in TARGETS.get(figure.workload, ()):
        match target:
            case Most(extra=extra, most=most):
                found: float | None = figure.extra[extra]
                what, wanted, reached = f"{extra} at most", most, figure.extra[extra] <= most
            case Rate(least=least):
                found = figure.rate
                what, wanted, reached = f"{figure.unit}/s at least", least, figure.rate >= least
            case Ratio(least=least, to=to):
                of_fairlead = to in TARGETS
                found = ratios.ratio(
                    figure,
                    workload=to if of_fairlead else figure.workload,
                    subject=FAIRLEAD if of_fairlead else to,
                )
                what, wanted, reached = f"× {to} at least", least, found is not None and found >= least
        if found is not None:
            yield Verdict(workload=figure.workload, what=what, found=found, wanted=wanted, reached=reached)
