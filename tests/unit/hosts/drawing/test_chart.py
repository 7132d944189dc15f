"""What is drawn of a flow: nodes, frames, edges, words."""

from __future__ import annotations

from attrs import frozen

from fairlead.hosts.drawing.chart import Edge, chart_of
from fairlead.kernel import Flow, Suspend
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


def test_waits_are_drawn_with_what_they_wait_for() -> None:
    """A signal with the type of what it carries, a sleep with its end, a step that may suspend, and the limit of a
    run."""
    flow = Flow("send", version=1, input=Order, input_name="order", run_timeout=86_400)
    flow.signal("approval", Order, timeout=60)
    flow.signal("go", object)
    flow.sleep("nap", 7200, when={"order": {"lines": ["x"]}})

    @flow.step
    def compute(order: Order) -> int | Suspend[str]:
        return 1

    @flow.check(compute)
    def is_ready(state: str) -> int:
        return len(state)

    flow.seal()
    chart = chart_of(flow)

    assert chart.subtitle == "version 1 · 4 steps · at most 1 d"
    assert [(node.title, node.lines, node.badges, node.is_wait) for node in list(chart.nodes.values())[1:]] == [
        ("approval", ("waits for Order",), ("within 1 min, else the run fails",), True),
        ("go", ("waits for a signal",), (), True),
        ("nap", ("sleeps for 2 h",), (), True),
        ("compute", ("→ int",), ("may suspend",), False),
    ]
    assert "signal approval, waits for Order, within 1 min, else the run fails, after order." in chart.description


def test_a_sleep_until_a_time_in_the_input_comes_from_there() -> None:
    """Also where it comes after other steps."""
    sleep = StepPlan(slug="nap", kind=StepKind.SLEEP, until=over("input.at"), dependencies=("first",))

    edges = chart_of(plan(StepPlan(slug="first"), sleep)).edges

    assert Edge(INPUT, "nap", implied=True) in edges


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
