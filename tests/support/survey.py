"""A flow of which runs come to stand in every status."""

from __future__ import annotations

from typing import Any

from fairlead.kernel import Flow


def survey() -> Flow[Any]:
    """A step, a map over it with two attempts for each task, and a step behind the map."""
    flow = Flow("survey", version=1)

    @flow.step
    def read(input: object) -> object:
        return input

    @flow.map(over="read", max_attempts=2)
    def weigh(item: object) -> object:
        return item

    @flow.step
    def total(weigh: list[object]) -> object:
        return weigh

    return flow
