"""The table: every workload's figure beside the raw baseline of the same repeats, and the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from .figures import Figure, document, middle


@frozen(kw_only=True)
class Target:
    """What TARGETS asks for, as a ratio to another figure of the same repeats, or as a number of the figure's own."""

    wanted: float
    of: str | None = None
    """The workload whose rate it is a ratio to; `raw-N` means the baseline of the same workload."""
    extra: str | None = None
    """The extra that is to be at most `wanted`."""


TARGETS: Mapping[str, Sequence[Target]] = {
    "W1": (Target(wanted=0.4, of="raw-100"),),
    "W1b": (Target(wanted=1.2, of="W1"),),
    "W2": (Target(wanted=0.25, of="raw-100"),),
    "W3": (Target(wanted=0.4, of="raw-100"),),
    "W4": (
        Target(wanted=5.0, extra="p50_ms"),
        Target(wanted=12.0, extra="p99_ms"),
        Target(wanted=0.02, extra="idle_cores"),
    ),
    "large": (Target(wanted=500, extra="peak_mib"),),
    "memory": (Target(wanted=10_000),),
}


class Report:
    """Figures as they come in, and what is said of them."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], list[Figure]] = {}

    def add(self, figure: Figure) -> None:
        """Take one measurement."""
        self._figures.setdefault((figure.workload, figure.subject), []).append(figure)

    def middles(self) -> list[Figure]:
        """The median of every workload and subject."""
        return [middle(figures) for figures in self._figures.values()]

    def document(self) -> list[dict[str, object]]:
        """Medians and single measurements as JSON has them."""
        return [
            {**document(middle(figures)), "repeats": [document(figure) for figure in figures]}
            for figures in self._figures.values()
        ]

    def lines(self) -> Iterable[str]:
        """The table, line by line."""
        head = ("", "", "per s", "× raw", "worker", "postgres", "statem.", "transact.", "row", "WAL")
        units = ("workload", "subject", "", "100", "ms/unit", "ms/unit", "/unit", "/unit", "writes/unit", "B/unit")
        rows = [head, units, *(self._row(figure) for figure in self.middles())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        for row in rows:
            left = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
            right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            yield "  ".join([*left, *right]).rstrip()
        yield ""
        for figure in self.middles():
            if figure.extra:
                shown = ", ".join(f"{name} {value:,.4g}" for name, value in figure.extra.items())
                yield f"{figure.workload} {figure.subject}: {shown}"
        yield ""
        yield from self._verdicts()

    def _row(self, figure: Figure) -> tuple[str, ...]:
        ratio = self._ratio(figure, "raw-100")
        cells = [
            figure.workload,
            figure.subject,
            f"{figure.rate:,.0f} {figure.unit}",
            "" if ratio is None else f"{ratio:.2f}",
        ]
        costs = figure.costs
        if costs is None:
            return (*cells, "", "", "", "", "", "")
        by_hand = figure.subject != "fairlead"
        counted = (
            ("", "")
            if by_hand
            else (f"{costs.statements / figure.count:.3f}", f"{costs.transactions / figure.count:.3f}")
        )
        return (
            *cells,
            f"{1000 * costs.worker_cpu_s / figure.count:.3f}",
            f"{1000 * costs.postgres_cpu_s / figure.count:.3f}",
            *counted,
            f"{costs.row_writes / figure.count:.2f}",
            f"{costs.wal_bytes / figure.count:,.0f}",
        )

    def _ratio(self, figure: Figure, of: str) -> float | None:
        key = (figure.workload, of) if of.startswith("raw-") else (of, "fairlead")
        others = self._figures.get(key)
        return None if not others or figure.workload == "W4" else figure.rate / middle(others).rate

    def _verdicts(self) -> Iterable[str]:
        for figure in self.middles():
            if figure.subject != "fairlead":
                continue
            for target in TARGETS[figure.workload]:
                yield from self._verdict(figure, target)

    def _verdict(self, figure: Figure, target: Target) -> Iterable[str]:
        if target.extra is not None:
            found = figure.extra[target.extra]
            said = "reached" if found <= target.wanted else "missed"
            yield f"{figure.workload}: {target.extra} {found:.3g}, at most {target.wanted:g}: {said}"
            return
        measured = figure.rate if target.of is None else self._ratio(figure, target.of)
        if measured is not None:
            said = "reached" if measured >= target.wanted else f"at {measured / target.wanted:.0%}"
            what = "per second" if target.of is None else f"× {target.of}"
            yield f"{figure.workload}: {measured:,.3g} {what}, at least {target.wanted:,g}: {said}"
