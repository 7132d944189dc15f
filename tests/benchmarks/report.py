"""The table: every workload's figure beside the raw baseline of the same repeats, its costs, and the targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from attrs import asdict

from .figures import Figure, document, middle
from .targets import FAIRLEAD, Verdict, verdicts


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

    def ratio(self, figure: Figure, *, workload: str, subject: str) -> float | None:
        """How many times another's rate a figure has, the median over the repeats; None where that was not measured.

        Each repeat compares what it measured itself: what else the machine did weighed upon both.
        """
        mine = self._figures.get((figure.workload, figure.subject), [])
        others = self._figures.get((workload, subject), [])
        return median(one.rate / other.rate for one, other in zip(mine, others, strict=False)) if others else None

    def verdicts(self) -> list[Verdict]:
        """What the medians say of the targets."""
        fairlead = [figure for figure in self.middles() if figure.subject == FAIRLEAD]
        return [verdict for figure in fairlead for verdict in verdicts(figure, self)]

    def document(self) -> dict[str, object]:
        """Medians, single measurements and verdicts as JSON has them."""
        return {
            "figures": [
                {**document(middle(figures)), "repeats": [document(figure) for figure in figures]}
                for figures in self._figures.values()
            ],
            "verdicts": [asdict(verdict) for verdict in self.verdicts()],
        }

    def lines(self) -> Iterable[str]:
        """Everything that is printed, line by line."""
        head = ("", "", "per s", "×", "worker", "postgres", "statem.", "transact.", "row", "WAL")
        units = ("workload", "subject", "", "raw", "ms/unit", "ms/unit", "/unit", "/unit", "writes/unit", "B/unit")
        yield from _table([head, units, *(self._row(figure) for figure in self.middles())], texts=2)
        yield ""
        for figure in self.middles():
            if figure.extra:
                shown = ", ".join(f"{name} {value:,.4g}" for name, value in figure.extra.items())
                yield f"{figure.workload} {figure.subject}: {shown}"
        yield ""
        yield from _table([_told(verdict) for verdict in self.verdicts()], texts=2)

    def _row(self, figure: Figure) -> tuple[str, ...]:
        ratio = self._ratio_to_raw(figure)
        cells = (
            figure.workload,
            figure.subject,
            f"{figure.rate:,.0f} {figure.unit}",
            "" if ratio is None else f"{ratio:.2f}",
        )
        costs = figure.costs
        if costs is None:
            return (*cells, "", "", "", "", "", "")
        counted = (f"{costs.statements / figure.count:.3f}", f"{costs.transactions / figure.count:.3f}")
        return (
            *cells,
            f"{1000 * costs.worker_cpu_s / figure.count:.3f}",
            f"{1000 * costs.postgres_cpu_s / figure.count:.3f}",
            *(counted if figure.subject == FAIRLEAD else ("", "")),
            f"{costs.row_writes / figure.count:.2f}",
            f"{costs.wal_bytes / figure.count:,.0f}",
        )

    def _ratio_to_raw(self, figure: Figure) -> float | None:
        """Its rate beside the first baseline of its workload, which is the one that it is compared with."""
        for workload, subject in self._figures:
            if workload == figure.workload and subject.startswith("raw-"):
                return self.ratio(figure, workload=workload, subject=subject)
        return None


def _told(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.workload,
        f"{verdict.what} {verdict.wanted:,g}",
        f"{verdict.found:,.3g}" if verdict.found < 1000 else f"{verdict.found:,.0f}",
        "reached" if verdict.reached else "MISSED",
    )


def _table(rows: Sequence[tuple[str, ...]], *, texts: int) -> Iterator[str]:
    """Columns of equal width; the first ones are texts, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:texts], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[texts:], widths[texts:], strict=True)]
        yield "  ".join([*left, *right]).rstrip()
