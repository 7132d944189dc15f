"""What is drawn of a flow: nodes, frames, edges, words."""

from __future__ import annotations

from attrs import frozen

from fairlead.hosts.drawing.chart import Edge, chart_of
from fairlead.kernel import Flow
from fairlead.kernel.plan import INPUT, StepKind, StepPlan
from tests.support.drawn_plans import GOOD, INGEST, over, plan, when


@frozen
class Order:
    lines: list[str]


def test_a_flow_is_drawn_with_its_types() -> None:
    """The input under its name; what handlers return; nothing where nothing is known."""
    flow = Flow("fulfil", version=3, input=Order, input_name="order")

    @flow.map(over="order.lines", max_concurrency=5)
    def reserve(item: str) -> int:
        return len(item)

    @flow.step
    def pay(reserve: list[int]):  # type: ignore[no-untyped-def]
        return sum(reserve)

    flow.seal()
    chart = chart_of(flow)
    nodes = list(chart.nodes.values())

    assert (chart.title, chart.subtitle) == ("fulfil", "version 3 · 2 steps")
    assert [(node.title, node.lines, node.badges) for node in nodes] == [
        ("order", ("Order",), ()),
        ("reserve", ("each of order.lines", "→ int"), ("5 at a time",)),
        ("pay", (), ()),
    ]
    assert [node.is_map for node in nodes] == [False, True, False]


def test_a_branch_stands_for_its_steps() -> None:
    """What its condition asks about leads to the frame, once, instead of to every step in it."""
    edges = chart_of(INGEST).edges

    assert [edge for edge in edges if edge.source == "judge"] == [
        Edge("judge", (GOOD,), implied=False),
        Edge("judge", chart_of(INGEST).nodes["quarantine"].frames, implied=False),
    ]
    assert Edge("publish", "announce", implied=False) in edges


def test_edges_that_add_no_order_are_marked() -> None:
    """A step that is reached by another way too, through frames as well."""
    implied = {(edge.source, edge.target) for edge in chart_of(INGEST).edges if edge.implied}

    assert implied == {("fetch", "judge"), ("fetch", "publish"), ("read", "publish")}


def test_the_input_leads_to_what_begins() -> None:
    """To steps without dependencies, to maps over it, and to a branch that asks about it rather than to its steps."""
    asked = when(INPUT, {"kind": "new"})
    chart = chart_of(
        plan(
            StepPlan(slug="first"),
            StepPlan(slug="each", kind=StepKind.MAP, source=over("input.lines"), dependencies=("first",)),
            StepPlan(slug="last", dependencies=("each",)),
            StepPlan(slug="inside", branches=(asked,)),
        )
    )

    assert [edge for edge in chart.edges if edge.source == INPUT] == [
        Edge(INPUT, "first", implied=False),
        Edge(INPUT, "each", implied=True),
        Edge(INPUT, (asked,), implied=False),
    ]


def test_the_description_says_all_that_is_drawn() -> None:
    """For those who cannot see the picture: branches, steps, conditions and policies, and what they follow."""
    description = chart_of(INGEST).description

    assert 'branch when judge.verdict = "good", after judge: publish, announce.' in description
    assert "map read, each of fetch.pages, 20 at a time, 10 % may fail, after fetch." in description
    assert "step quarantine, when judge.pages = 7, unmet: the run fails." in description


def test_a_brief_chart_has_names_and_conditions() -> None:
    """Where there is little room, types and badges are left out."""
    nodes = chart_of(INGEST).brief.nodes

    assert {(node.lines, node.badges) for node in nodes.values()} == {((), ())}
    assert nodes["quarantine"].condition == "when judge.pages = 7"
