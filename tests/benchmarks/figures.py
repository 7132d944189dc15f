"""Measurements as data: what one measured, and what several of the same make together."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from attrs import asdict, evolve, field, frozen

from .costs import Costs


class NotMeasurable(Exception):
    """This machine has not what a workload needs."""

    def __init__(self, workload: str, why: str) -> None:
        super().__init__(f"{workload} is left out: {why}")


@frozen(kw_only=True)
class Figure:
    """One measurement. It exists only where its results were checked and right."""

    workload: str
    subject: str
    """`fairlead`, `raw-N` for the raw baseline in batches of N, or the name of another system."""
    unit: str
    count: int
    """How many units were done."""
    took_s: float
    costs: Costs | None = None
    extra: dict[str, float] = field(factory=dict[str, float])
    """Further numbers of this workload, by name."""

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.count / self.took_s


def middle(figures: Sequence[Figure]) -> Figure:
    """The figure with the median time; with an even number the slower of the middle ones. Extras are medians too."""
    ordered = sorted(figures, key=lambda figure: figure.took_s)
    chosen = ordered[len(ordered) // 2]
    names = chosen.extra
    return evolve(chosen, extra={name: median(figure.extra[name] for figure in figures) for name in names})


def document(figure: Figure) -> dict[str, object]:
    """A figure as JSON has it, its costs per unit beside the totals."""
    found: dict[str, object] = {**asdict(figure), "rate": figure.rate}
    if figure.costs is not None:
        found["costs_per_unit"] = {name: value / figure.count for name, value in asdict(figure.costs).items()}
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value below or at which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
