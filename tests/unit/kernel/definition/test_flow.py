"""The flow as a whole: references, order, the input's type, sealing and the plan."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen

from fairlead.kernel.definition import Flow
from fairlead.kernel.errors import FlowDefinitionError
from fairlead.kernel.plan import INPUT, StepKind, ValuePath


@frozen
class Line:
    sku: str


@frozen
class Order:
    lines: list[Line]


@frozen
class Invoice:
    number: int


@frozen
class Document:
    pages: list[str]
    notes: dict[str, list[int]]


def new_flow() -> Flow[Order]:
    return Flow("fulfil", version=3, input=Order, input_name="order")


def test_functions_stay_what_they_are() -> None:
    """A decorated function is the very function, so unit tests call it directly."""
    flow = new_flow()

    def assess(order: Order) -> int:
        return len(order.lines)

    def reserve(item: Line) -> str:
        return item.sku

    assert flow.step(assess) is assess
    assert flow.step(slug="again", max_attempts=1)(assess) is assess
    assert flow.map(over="order.lines")(reserve) is reserve
    assert flow.map(reserve, over="order.lines", slug="again_too") is reserve
    assert assess(Order([Line("a")])) == 1


def test_a_step_is_named_by_function_slug_or_itself() -> None:
    """All three lead to the same step."""
    flow = new_flow()

    @flow.step
    def assess(order: Order) -> int:
        return 1

    step = flow.steps["assess"]
    assert flow.step_named(assess) is flow.step_named("assess") is flow.step_named(step) is step


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("asess", "output: there is no step 'asess'; did you mean 'assess'?"),
        (3, "output: name a step by its function or slug, not by 3"),
    ],
)
def test_a_step_that_does_not_exist(reference: Any, message: str) -> None:
    """The message says what the reference was for, and proposes the nearest step."""
    flow = new_flow()
    flow.step(lambda: 1, slug="assess")

    with pytest.raises(FlowDefinitionError) as raised:
        flow.step_named(reference, "output")

    assert str(raised.value) == f"flow 'fulfil': {message}"


def test_the_names_that_are_proposed() -> None:
    """Where none is near all are listed, though not hundreds; where there are none that is said."""
    flow = new_flow()
    with pytest.raises(FlowDefinitionError, match=r"no step 'zzz'; there is none yet$"):
        flow.step_named("zzz")
    for number in range(20):
        flow.step(lambda: 1, slug=f"step_{number}")
    with pytest.raises(FlowDefinitionError, match=r"known: 'step_0', .*'step_11' and 8 more$"):
        flow.step_named("zzz")


def test_dependencies_stand_once_in_order_of_definition() -> None:
    """Parameters, `over` and `after` make dependencies alike, in whatever order they are written."""
    flow = new_flow()
    for slug in ("first", "second", "third", "fourth"):
        flow.step(lambda: [1], slug=slug)

    @flow.map(over="third", after=["fourth", "second", "first", "first"])
    def last(second: list[int], first: list[int], item: int) -> None: ...

    flow.seal()

    assert flow.plan.steps["last"].dependencies == ("first", "second", "third", "fourth")
    assert flow.plan.leaves == ("last",)
    assert flow.plan.dependents["first"] == ("last",)


def test_the_plan() -> None:
    """The plan has the flow's name, version and fingerprint, and each step with its source."""
    flow = new_flow()
    flow.map(lambda: Document([], {}), over="order.lines", slug="read")

    @flow.step
    def fetch(order: Order) -> Document:
        return Document([], {})

    @flow.map(over="fetch.notes.margin", max_concurrency=5)
    def annotate(item: int) -> None: ...

    @flow.map(over=annotate)
    def close(item: None) -> None: ...

    flow.seal()
    plan = flow.plan

    assert (plan.slug, plan.version, plan.fingerprint) == ("fulfil", "3", flow.shape.fingerprint)
    assert list(plan.steps) == ["read", "fetch", "annotate", "close"]
    assert {slug: step.kind for slug, step in plan.steps.items()} == {
        "read": StepKind.MAP,
        "fetch": StepKind.STEP,
        "annotate": StepKind.MAP,
        "close": StepKind.MAP,
    }
    assert {slug: step.source and step.source.dotted for slug, step in plan.steps.items()} == {
        "read": "input.lines",
        "fetch": None,
        "annotate": "fetch.notes.margin",
        "close": "annotate",
    }
    assert dict(plan.mapped_paths) == {
        INPUT: (ValuePath(name=INPUT, path=("lines",)),),
        "fetch": (ValuePath(name="fetch", path=("notes", "margin")),),
        "annotate": (ValuePath(name="annotate"),),
    }


def test_maps_over_everything_that_is_an_array() -> None:
    """The input itself, a path into it, a step, a path into a step, a map, and whatever is untyped."""
    flow = Flow("sort", version=1, input=list[list[int]])

    @flow.map(over="input")
    def rows(item: list[int]) -> list[int]:
        return item

    @flow.map(over=rows)
    def again(item: list[int]) -> Document:
        return Document([], {})

    @flow.map(over=again)
    def pages(item: Document) -> int:
        return 1

    @flow.step
    def anything() -> Any: ...

    @flow.map(over=anything)
    def one(item: int) -> None: ...

    @flow.map(over="anything.below.that")
    def two(item: str) -> None: ...

    flow.seal()
    assert list(flow.steps) == ["rows", "again", "pages", "anything", "one", "two"]


def test_a_chain_of_maps() -> None:
    """The last of ten receives the elements of the ninth, and a step after it their list."""
    flow = new_flow()
    flow.map(lambda: "x", over="order.lines", slug="m0")

    def relay(item: str) -> str:
        return item

    def count(m0: list[Any], m9: list[str]) -> int:
        return len(m9)

    for number in range(1, 10):
        flow.map(relay, over=f"m{number - 1}", slug=f"m{number}") if number > 1 else flow.map(
            relay, over="m0", slug="m1"
        )
    flow.step(count)
    flow.seal()

    assert flow.plan.steps["m9"].dependencies == ("m8",)


def test_the_input_type_comes_from_the_annotations() -> None:
    """Without `input=` the first annotation says it, and unannotated parameters agree with everything."""
    flow: Flow[Any] = Flow("fulfil", version=1)

    def loose(input: Any) -> None: ...

    def first(input: Order) -> None: ...

    def second(input: Order) -> None: ...

    flow.step(loose)
    assert flow.input_schema.name == "Any"
    flow.step(first)
    flow.step(second)
    assert flow.input_schema.name == "Order"


def test_annotations_of_the_input_that_disagree() -> None:
    """Another type in a later step is refused, unless the flow says which one it is."""
    flow: Flow[Any] = Flow("fulfil", version=1)

    def first(input: Order) -> None: ...

    def second(input: Order | None) -> None: ...

    flow.step(first)
    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(second)

    assert str(raised.value) == (
        "flow 'fulfil', step 'second': parameter 'input' is Order | None, but an earlier step says that the input is "
        "Order; annotate it alike everywhere, or pass Flow(input=…)"
    )


def test_a_view_of_a_declared_input() -> None:
    """Where the flow says its input, a step may read it as another class that fits."""

    @frozen
    class Head:
        lines: list[Any]

    flow = new_flow()

    def assess(order: Head) -> None: ...

    flow.step(assess)

    assert flow.input_schema.name == "Order"


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("order.number", "over: order.number is int, not an array"),
        ("order.lines", "over: order is Invoice, which has no 'lines'; known: 'number'"),
    ],
)
def test_a_map_over_an_input_that_is_known_later(over: str, message: str) -> None:
    """What could not be checked when the map was written is checked when the flow is sealed."""
    flow: Flow[Any] = Flow("fulfil", version=1, input_name="order")
    flow.map(lambda: 1, over=over, slug="reserve")

    def bill(order: Invoice) -> None: ...

    flow.step(bill)
    with pytest.raises(FlowDefinitionError) as raised:
        flow.seal()

    assert str(raised.value) == f"flow 'fulfil', step 'reserve': {message}"


def test_an_item_of_an_input_that_is_known_later() -> None:
    """The item is checked against the element at sealing too."""
    flow: Flow[Any] = Flow("fulfil", version=1, input_name="order")

    def reserve(item: int) -> None: ...

    def bill(order: Order) -> None: ...

    flow.map(reserve, over="order.lines")
    flow.step(bill)
    with pytest.raises(FlowDefinitionError, match=r"parameter 'item' is int, but an element of order.lines is Line"):
        flow.seal()


def test_sealing() -> None:
    """It may be repeated and changes nothing more; afterwards no step can be added."""
    flow = new_flow()
    flow.step(lambda: 1, slug="one")
    with pytest.raises(FlowDefinitionError, match=r"the plan is known only when the flow is sealed"):
        _ = flow.plan
    flow.seal()
    plan, shape = flow.plan, flow.shape
    flow.seal()

    assert flow.plan is plan
    assert flow.shape is shape
    with pytest.raises(FlowDefinitionError, match=r"step 'two': the flow is sealed"):
        flow.step(lambda: 1, slug="two")
    with pytest.raises(FlowDefinitionError, match=r"step 'two': the flow is sealed"):
        flow.map(slug="two", over="one")(lambda: 1)


@pytest.mark.fault(57)
def test_a_flow_without_steps() -> None:
    """There is nothing it could do."""
    with pytest.raises(FlowDefinitionError) as raised:
        new_flow().seal()

    assert str(raised.value) == "flow 'fulfil': there are no steps; decorate a function with @flow.step"


def test_a_sealing_that_failed_can_be_repaired() -> None:
    """The flow stays open."""
    flow = new_flow()
    with pytest.raises(FlowDefinitionError):
        flow.seal()
    flow.step(lambda: 1, slug="one")
    flow.seal()

    assert list(flow.plan.steps) == ["one"]


def test_two_flows_do_not_know_of_each_other() -> None:
    """One function may be a step of both."""
    one, other = new_flow(), new_flow()

    @one.step
    @other.step
    def assess(order: Order) -> int:
        return 1

    assert one.step_named(assess) is not other.step_named(assess)


def test_the_versions() -> None:
    """A number, or `dev`; both are text from then on."""
    flow: Flow[Any] = Flow("fulfil", version="dev")

    assert (flow.version, new_flow().version) == ("dev", "3")
    assert repr(flow) == "Flow('fulfil', version=dev, steps=[])"


def test_steps_cannot_be_changed_from_outside() -> None:
    """The mapping is a view."""
    steps: Any = new_flow().steps

    with pytest.raises(TypeError):
        steps["x"] = 1
