"""The report: the score of every package, and the survivors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from .mutants import Mutant, Outcome

IN_ALL = "in all"


@define
class Score:
    """How many mutants of a package there are, and what came of those that were played."""

    mutants: int = 0
    outcomes: Counter[Outcome] = field(factory=Counter[Outcome])

    @property
    def played(self) -> int:
        """Those of which something can be said."""
        return sum(self.outcomes[each] for each in (Outcome.KILLED, Outcome.SURVIVED, Outcome.UNTESTED))

    @property
    def killed(self) -> float | None:
        """The part of the played ones that was noticed; None where none was played."""
        return self.outcomes[Outcome.KILLED] / self.played if self.played else None


@define
class Report:
    """What came of a play."""

    mutants: Sequence[Mutant]
    """All that count, played or not."""
    outcomes: Mapping[str, Outcome]
    """Of those that were to be played."""
    messages: int
    """How many were left out, since they change words of messages alone."""

    def scores(self) -> dict[str, Score]:
        """Of each package, and in all."""
        scores: dict[str, Score] = {}
        for mutant in sorted(self.mutants, key=lambda each: each.package):
            for place in (mutant.package, IN_ALL):
                score = scores.setdefault(place, Score())
                score.mutants += 1
                if mutant.name in self.outcomes:
                    score.outcomes[self.outcomes[mutant.name]] += 1
        return dict(sorted(scores.items(), key=lambda item: (item[0] == IN_ALL, item[0])))

    def survivors(self) -> list[Mutant]:
        """Those that no test failed for, those first that some test calls."""
        left = [each for each in self.mutants if self.outcomes.get(each.name) in (Outcome.SURVIVED, Outcome.UNTESTED)]
        return sorted(left, key=lambda each: (self.outcomes[each.name] is Outcome.UNTESTED, each.path))

    def table(self) -> str:
        """The scores, as a table in Markdown."""
        lines = ["| package | mutants | played | killed | survived | no test | unclear | score |", "|---|" + "--:|" * 7]
        for place, score in self.scores().items():
            told = "" if score.killed is None else f"{score.killed:.1%}"
            counts = [
                score.outcomes[each] for each in (Outcome.KILLED, Outcome.SURVIVED, Outcome.UNTESTED, Outcome.UNCLEAR)
            ]
            cells = [place, f"{score.mutants:,}", f"{score.played:,}", *(f"{count:,}" for count in counts), told]
            lines.append(f"| {' | '.join(cells)} |")
        left_out = f"Left out: {self.messages:,} mutants that change words of messages alone"
        unplayed = self.scores()[IN_ALL].outcomes[Outcome.UNPLAYED] if self.mutants else 0
        return "\n".join([*lines, "", f"{left_out}, and {unplayed:,} that there was no time for."])

    def text(self) -> str:
        """Scores and survivors, in Markdown."""
        parts = ["# What the tests of the kernel notice", self.table(), "## Survivors"]
        for each in self.survivors():
            parts.append(f"`{each.path}` {each.function}: {self.outcomes[each.name]}, `{each.name}`")
            parts.append(f"```diff\n{each.difference}\n```")
        return "\n\n".join(parts) + "\n"

    def data(self) -> dict[str, Any]:
        """The same for programs, with all outcomes."""
        scores = {
            place: {"mutants": score.mutants, "played": score.played, "killed": score.killed}
            for place, score in self.scores().items()
        }
        survivors = [each.name for each in self.survivors()]
        return {"scores": scores, "messages": self.messages, "survivors": survivors, "outcomes": dict(self.outcomes)}

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `mutation.md` and `mutation.json`; their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        text, data = folder / "mutation.md", folder / "mutation.json"
        text.write_text(self.text(), encoding="utf-8")
        data.write_text(json.dumps(self.data(), indent=1), encoding="utf-8")
        return text, data


def survivors_of(data: Path) -> list[str]:
    """The names of the survivors of an earlier play."""
    return list(json.loads(data.read_text(encoding="utf-8"))["survivors"])
