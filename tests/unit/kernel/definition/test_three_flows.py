"""Three real flows, written as an app would write them: what is compiled of them, and the mistakes they would allow."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal, Protocol

import pytest
from attrs import frozen

from fairlead.kernel import Branch, Context, Flow, FlowDefinitionError, Resource
from fairlead.kernel.definition.absence import why_none
from fairlead.kernel.plan import INPUT, Condition, Consequence, Pattern
from tests.support.bindings import binding_of

# An order is fulfilled


@frozen
class Line:
    sku: str
    quantity: int


@frozen
class Order:
    customer: str
    total_cents: int
    lines: list[Line]


@frozen
class Assessment:
    risk: Literal["low", "high"]


@frozen
class Reservation:
    sku: str
    shelf: str


@frozen
class Payment:
    status: Literal["paid", "declined"]
    reference: str


@frozen
class Shipment:
    parcel: str


class Warehouse(Protocol):
    async def reserve(self, sku: str, quantity: int) -> str: ...

    async def ship(self, reservations: list[Reservation]) -> str: ...


class Payments(Protocol):
    async def charge(self, customer: str, cents: int, key: str) -> str | None: ...


fulfil = Flow("fulfil_order", version=1, input=Order, input_name="order")


@fulfil.step
def assess(order: Order) -> Assessment:
    return Assessment(risk="high" if order.total_cents > 100_000 else "low")


@fulfil.map(over="order.lines", max_attempts=5)
async def reserve(item: Line, warehouse: Resource[Warehouse]) -> Reservation:
    return Reservation(item.sku, await warehouse.reserve(item.sku, item.quantity))


@fulfil.step(after=[reserve], timeout=30)
async def charge(order: Order, assess: Assessment, payments: Resource[Payments], ctx: Context) -> Payment:
    if assess.risk == "high":
        return Payment("declined", reference="not approved")
    reference = await payments.charge(order.customer, order.total_cents, key=ctx.idempotency_key)
    return Payment("paid", reference) if reference else Payment("declined", reference="")


@fulfil.step(when={"charge": {"status": "paid"}})
async def ship(charge: Payment, reserve: list[Reservation], warehouse: Resource[Warehouse]) -> Shipment:
    return Shipment(f"{charge.reference}: {await warehouse.ship(reserve)}")


@fulfil.step
async def notify(order: Order, charge: Payment, ship: Shipment | None) -> str:
    return f"{order.customer}: {ship.parcel if ship else charge.status}"


# A document is ingested


@frozen
class Source:
    path: str


@frozen
class Document:
    title: str
    pages: list[str]


@frozen
class Text:
    words: list[str]


@frozen
class Embedded:
    vector: list[float]


@frozen
class Quality:
    verdict: Literal["good", "poor"]


@frozen
class ReadSettings:
    dpi: int = 300
    language: str = "en"


class Models(Protocol):
    async def read(self, page: str, dpi: int) -> list[str]: ...

    async def embed(self, words: list[str]) -> list[float]: ...


class Library(Protocol):
    async def fetch(self, path: str) -> Document: ...

    async def publish(self, title: str, vectors: list[list[float]]) -> str: ...


ingest = Flow("ingest_document", version=2, input=Source, input_name="source")


@ingest.step
async def fetch(source: Source, library: Resource[Library]) -> Document:
    return await library.fetch(source.path)


@ingest.map(over="fetch.pages", tolerate_failures=0.1, max_concurrency=20)
async def read(item: str, index: int, config: ReadSettings, models: Resource[Models]) -> Text:
    return Text(await models.read(f"{index}: {item}", config.dpi))


@ingest.map(over=read, tolerate_failures=0.1)
async def embed(item: Text, models: Resource[Models]) -> Embedded:
    return Embedded(await models.embed(item.words))


@ingest.step
def judge(fetch: Document, embed: list[Embedded | None]) -> Quality:
    return Quality("good" if embed.count(None) < len(fetch.pages) / 20 else "poor")


good = ingest.branch(when={"judge": {"verdict": "good"}})


@good.step
async def publish(fetch: Document, embed: list[Embedded | None], library: Resource[Library]) -> str:
    return await library.publish(fetch.title, [each.vector for each in embed if each])


@good.step
async def announce(publish: str, source: Source) -> None: ...


poor = good.otherwise()


@poor.step
def quarantine(source: Source, judge: Quality) -> str:
    return f"{source.path}: {judge.verdict}"


# A report is made every night


@frozen
class Night:
    day: date
    recipients: list[str]


@frozen
class Report:
    lines: int


class Books(Protocol):
    async def report(self, day: date) -> Report: ...


nightly = Flow("nightly_report", version=1, input=Night, input_name="night")


@nightly.step(start_delay=timedelta(hours=2), on_exhausted="skip")
async def compute(night: Night, books: Resource[Books]) -> Report:
    return await books.report(night.day)


@nightly.map(over="night.recipients", requires=[compute])
async def deliver(item: str, compute: Report) -> str:
    return f"{item}: {compute.lines}"


@nightly.step
def record(night: Night, deliver: list[str], compute: Report | None = None) -> str:
    return f"{night.day}: {len(deliver)} of {compute.lines if compute else 0}"


@pytest.fixture(autouse=True)
def _sealed() -> None:
    for flow in (fulfil, ingest, nightly):
        flow.seal()


def test_the_plan_of_an_order() -> None:
    """Parameters, `over`, `after` and `when` are the edges; what nothing depends on is the run's output."""
    plan = fulfil.plan

    assert {slug: step.dependencies for slug, step in plan.steps.items()} == {
        "assess": (),
        "reserve": (),
        "charge": ("assess", "reserve"),
        "ship": ("reserve", "charge"),
        "notify": ("charge", "ship"),
    }
    assert plan.leaves == ("notify",)
    assert plan.steps["ship"].condition == Condition(when=(Pattern("charge", b'{"status":"paid"}'),))
    assert plan.questions["charge"].patterns == (b'{"status":"paid"}',)
    assert [each.dotted for each in plan.questions[INPUT].arrays] == ["input.lines"]


def test_the_plan_of_a_document() -> None:
    """Gaps go from map to map; both branches wait for what decides between them, which is none of their data."""
    plan, steps = ingest.plan, ingest.steps
    condition = Condition(when=(Pattern("judge", b'{"verdict":"good"}'),))

    assert isinstance(good, Branch)
    assert {slug: step.branches for slug, step in plan.steps.items() if step.branches} == {
        "publish": (condition,),
        "announce": (condition,),
        "quarantine": (Condition(when=condition.when, negated=True),),
    }
    assert plan.steps["announce"].dependencies == ("judge", "publish")
    assert plan.leaves == ("announce", "quarantine")
    assert steps["embed"].produced.name == "list[Embedded | None]"
    assert (plan.steps["read"].tolerated(100), plan.steps["read"].max_concurrency) == (10, 20)
    assert why_none(steps["announce"], steps["publish"], steps) is None
    assert ingest.merge_config({"read": {"dpi": 600}}) == {"read": b'{"dpi":600,"language":"en"}'}


def test_the_plan_of_a_report() -> None:
    """What is required is there for whoever requires it; whoever does not has a default."""
    plan, steps = nightly.plan, nightly.steps

    assert plan.steps["compute"].on_exhausted is Consequence.SKIP
    assert plan.steps["deliver"].requires == ("compute",)
    assert why_none(steps["deliver"], steps["compute"], steps) is None
    assert why_none(steps["record"], steps["compute"], steps) == "it says on_exhausted='skip'"
    assert binding_of(nightly, "record").arguments(
        {INPUT: b'{"day":"2026-11-26","recipients":[]}', "deliver": b"[]", "compute": None},
        None,  # type: ignore[arg-type]
    ) == {"night": Night(date(2026, 11, 26), []), "deliver": []}


def test_the_types_of_a_document() -> None:
    """Other programs learn what a run takes and what its steps return and may be set to."""
    schema = ingest.json_schema()

    assert schema["input"]["$defs"]["Source"]["required"] == ["path"]
    assert list(schema["steps"]) == ["fetch", "read", "embed", "judge", "publish", "announce", "quarantine"]
    assert schema["steps"]["read"]["config"]["$defs"]["ReadSettings"]["properties"]["dpi"]["default"] == 300
    assert schema["steps"]["judge"]["output"]["$defs"]["Quality"]["properties"]["verdict"]["enum"] == ["good", "poor"]


def test_handlers_are_plain_functions() -> None:
    """A unit test calls them."""
    assert assess(Order("a", 200_000, [])) == Assessment("high")
    assert judge(Document("t", ["p"]), [None]) == Quality("poor")


def again(flow: Flow[Any]) -> Any:
    """Return an unsealed flow with the same steps."""
    copy: Any = Flow(flow.slug, version=1, input=flow.input_schema.annotation, input_name=flow.input_name)
    if flow is fulfil:
        copy.step(assess)
        copy.map(reserve, over="order.lines")
        copy.step(charge, after=[reserve])
        copy.step(ship, when={"charge": {"status": "paid"}})
    if flow is ingest:
        copy.step(fetch)
        copy.map(read, over="fetch.pages", tolerate_failures=0.1)
        copy.map(embed, over=read)
        copy.step(judge)
        copy.branch(when={"judge": {"verdict": "good"}}).step(publish)
    return copy


def test_mistakes_with_an_order() -> None:
    """A shipment that may not be there, a status that no payment has, a reservation taken for the list of them."""

    def notify(order: Order, ship: Shipment) -> None: ...

    def one_of_many(reserve: Reservation) -> None: ...

    flow = again(fulfil)
    with pytest.raises(FlowDefinitionError, match=r"'ship' is Shipment, but step 'ship' may be skipped \(it has a"):
        flow.step(notify)
    with pytest.raises(FlowDefinitionError, match=r"\"payed\" is never found in Literal\['declined', 'paid'\]"):
        flow.step(notify, when={"charge": {"status": "payed"}})
    with pytest.raises(FlowDefinitionError, match=r"'reserve' is Reservation, but step 'reserve' gives list"):
        flow.step(one_of_many)
    flow.step(notify, requires=[ship])

    assert flow.steps["notify"].requires == ("ship",)


def test_mistakes_with_a_document() -> None:
    """Gaps that are not expected, and an announcement outside the branch of what it announces."""

    def count(embed: list[Embedded]) -> int:
        return len(embed)

    flow = again(ingest)
    with pytest.raises(FlowDefinitionError, match=r"map 'embed' works over 'read', which tolerates failures"):
        flow.step(count)
    with pytest.raises(
        FlowDefinitionError, match=r"'publish' is str, but step 'publish' may be skipped \(it stands in"
    ):
        flow.step(announce)
    with pytest.raises(FlowDefinitionError, match=r"Quality has no 'verdikt'; did you mean 'verdict'\?"):
        flow.branch(when={"judge": {"verdikt": "good"}})
