"""Maps that tolerate failures, as their dependents see them: lists with gaps, which maps behind them pass on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from attrs import frozen

from fairlead.kernel.definition import Flow
from fairlead.kernel.errors import FlowDefinitionError


@frozen
class Text:
    words: int


def read(item: str) -> Text:
    return Text(1)


def embed(item: Text) -> float:
    return 0.0


def maybe(item: Text) -> float | None:
    return None


def new_flow(**tolerant: Any) -> Any:
    """Return a flow whose map `read` has the given options."""
    flow: Any = Flow("ingest", version=1, input=list[str])
    flow.map(read, over="input", **tolerant)
    return flow


@pytest.mark.parametrize("tolerance", [1, 0.1, "all"])
def test_the_list_of_a_tolerant_map(tolerance: Any) -> None:
    """May hold None in the place of elements that failed."""
    flow = new_flow(tolerate_failures=tolerance)

    assert flow.steps["read"].produced.name == "list[Text | None]"
    assert flow.steps["read"].output.name == "Text"


def test_a_map_that_tolerates_none() -> None:
    """Its list is of what it returns."""
    assert new_flow(tolerate_failures=0).steps["read"].produced.name == "list[Text]"
    assert new_flow().steps["read"].produced.name == "list[Text]"


def test_gaps_are_passed_on() -> None:
    """A map over one with gaps has them too, through a chain of any length, though it tolerates nothing itself."""
    flow = new_flow(tolerate_failures=1)
    flow.map(embed, over=read)
    flow.map(lambda: None, over=embed, slug="again")
    flow.map(maybe, over="read")

    assert flow.steps["embed"].produced.name == "list[float | None]"
    assert flow.steps["maybe"].produced.name == "list[float | None]"
    assert (flow.steps["embed"].gaps, flow.steps["again"].gaps) == (True, True)
    assert flow.steps["again"].produced.name == "list[Any]"


def test_an_array_in_an_output_has_no_gaps() -> None:
    """What a step makes of a list with gaps is its own."""
    flow = new_flow(tolerate_failures=1)

    def joined(read: list[Text | None]) -> list[str]:
        return []

    flow.step(joined)
    flow.map(read, over=joined, slug="once_more")

    assert flow.steps["once_more"].produced.name == "list[Text]"


def test_the_item_of_a_map_over_gaps_is_plain() -> None:
    """There is no task for an element that failed, so `item` is what the map before it returns."""
    flow = new_flow(tolerate_failures=1)
    flow.map(embed, over=read)

    def wrong(item: int) -> None: ...

    with pytest.raises(FlowDefinitionError, match=r"'item' is int, but an element of read is Text: "):
        flow.map(wrong, over=read)
    flow.seal()

    assert flow.shape.parsed.steps["embed"].reads is None


@pytest.mark.parametrize(
    "annotation",
    [list[Text | None], list[Any], list, Any, Iterable[Text | None], Sequence[Text | None], list[Text | None] | None],
    ids=str,
)
def test_lists_that_admit_gaps(annotation: Any) -> None:
    """Are fine."""
    flow = new_flow(tolerate_failures=1)

    def judge(read: Any) -> None: ...

    judge.__annotations__["read"] = annotation
    flow.step(judge)

    assert "judge" in flow.steps


TOLERATES = "map 'read' tolerates failures"
PASSES_ON = "map 'embed' works over 'read', which tolerates failures"


def of_texts(read: list[Text]) -> None: ...


def streamed(read: Iterable[Text]) -> None: ...


def with_a_default(read: list[Text] = []) -> None: ...  # noqa: B006


def of_numbers(embed: list[float]) -> None: ...


@pytest.mark.parametrize(
    ("handler", "parameter", "reason", "better"),
    [
        (of_texts, "'read' is list[Text]", TOLERATES, "list[Text | None]"),
        (streamed, "'read' is Iterable[Text]", TOLERATES, "Iterable[Text | None]"),
        (with_a_default, "'read' is list[Text]", TOLERATES, "list[Text | None]"),
        (of_numbers, "'embed' is list[float]", PASSES_ON, "list[float | None]"),
    ],
)
def test_lists_that_do_not(handler: Callable[..., object], parameter: str, reason: str, better: str) -> None:
    """Are refused with the reason; a default is no way out, since it is for what was skipped."""
    flow = new_flow(tolerate_failures=1)
    flow.map(embed, over=read)

    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(handler, slug="judge")

    assert str(raised.value) == (
        f"flow 'ingest', step 'judge': parameter {parameter}, but {reason}, so that its list may hold None for "
        f"elements that failed; write {better}"
    )


def test_gaps_can_be_asked_for() -> None:
    """A pattern may look for null in the list of a tolerant map, and in no other."""
    flow = new_flow(tolerate_failures=1)
    flow.map(read, over="input", slug="strictly")
    flow.step(lambda: None, slug="complain", when={"read": [None]})

    with pytest.raises(FlowDefinitionError, match=r"at \$\[\]: null is never found in Text$"):
        flow.step(lambda: None, slug="complain_again", when={"strictly": [None]})
