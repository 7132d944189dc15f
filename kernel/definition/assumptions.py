"""What follows from conditions that are known to be met: other conditions, or that they cannot all be met at once.

Everything concluded here is certain, whatever the values; not everything that is certain is concluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field

from .. import codec
from ..codec import JsonValue
from ..containment import contains
from ..plan import INPUT, Condition, Pattern


class Disjoint(Exception):
    """No value contains both of two patterns."""


def merged(one: JsonValue, other: JsonValue) -> JsonValue:
    """Return the pattern that exactly those values contain which contain both.

    Raises:
        Disjoint: there are none.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        shared = {key: merged(one[key], wanted) for key, wanted in other.items() if key in one}
        return {**one, **other, **shared}
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    if contains(one, other) and contains(other, one):
        return one
    raise Disjoint


@define
class Assumptions:
    """Conditions that are known to be met, taken apart."""

    _met: dict[str, JsonValue] = field(factory=dict[str, JsonValue])
    """By name, what its value is known to contain."""
    _refused: list[tuple[Pattern, ...]] = field(factory=list[tuple[Pattern, ...]])
    """Groups of patterns of which at least one is unmet."""
    _negated: set[Condition] = field(factory=set[Condition])
    """Complements of conditions that have both parts, kept whole."""
    _torn: bool = False
    """Whether some value would have to contain two patterns that none contains."""

    def assume(self, condition: Condition) -> frozenset[str]:
        """Take a condition for met.

        Returns:
            The steps that must have run for it, since patterns about them are met: a skipped one contains nothing.
        """
        met: tuple[Pattern, ...] = ()
        if not condition.negated:
            met = condition.when
            if condition.unless:
                self._refused.append(condition.unless)
        elif not condition.unless:
            self._refused.append(condition.when)
        elif not condition.when:
            met = condition.unless
        else:
            self._negated.add(condition)
        self._meet(met)
        return frozenset(pattern.name for pattern in met if pattern.name != INPUT)

    @property
    def contradictory(self) -> bool:
        """Whether no values at all meet what was assumed."""
        if self._torn or any(self._all_met(group) for group in self._refused):
            return True
        return any(self._all_met(each.when) and self._not_all_met(each.unless) for each in self._negated)

    def imply(self, condition: Condition) -> bool:
        """Whether a condition is met too."""
        when, unless = condition.when, condition.unless
        if not condition.negated:
            return self._all_met(when) and (not unless or self._not_all_met(unless))
        return condition in self._negated or self._not_all_met(when) or (bool(unless) and self._all_met(unless))

    def _meet(self, patterns: Iterable[Pattern]) -> None:
        for pattern in patterns:
            name, document = pattern.name, codec.decode(pattern.document)
            if name not in self._met:
                self._met[name] = document
            elif not contains(self._met[name], document):
                self._add(name, document)

    def _add(self, name: str, document: JsonValue) -> None:
        try:
            self._met[name] = merged(self._met[name], document)
        except Disjoint:
            self._torn = True

    def _all_met(self, patterns: Iterable[Pattern]) -> bool:
        known = self._met
        return all(each.name in known and contains(known[each.name], codec.decode(each.document)) for each in patterns)

    def _not_all_met(self, patterns: Iterable[Pattern]) -> bool:
        wanted = {each.name: codec.decode(each.document) for each in patterns}
        return any(_cover(wanted, group) for group in self._refused) or any(
            name in self._met and _are_disjoint(self._met[name], document) for name, document in wanted.items()
        )


def _cover(wanted: Mapping[str, JsonValue], group: Iterable[Pattern]) -> bool:
    """Whether values that meet all of `wanted` meet all of `group`."""
    return all(each.name in wanted and contains(wanted[each.name], codec.decode(each.document)) for each in group)


def _are_disjoint(one: JsonValue, other: JsonValue) -> bool:
    try:
        merged(one, other)
    except Disjoint:
        return True
    return False
