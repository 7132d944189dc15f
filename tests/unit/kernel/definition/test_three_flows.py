"""Three real flows, written as an app would write them: what is compiled of them, and the mistakes they would allow."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal, Protocol, assert_type

import pytest
from attrs import frozen

from fairlead.kernel import Branch, Context, Flow, FlowDefinitionError, Resource, Step, Suspend
from fairlead.kernel.definition.absence import why_none
from fairlead.kernel.plan import INPUT, Condition, Consequence, Pattern, StepKind
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
class Approval:
    approved: bool


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


approval = fulfil.signal(
    "approval", Approval, when={"assess": {"risk": "high"}}, timeout=timedelta(days=3), on_timeout="skip"
)


@fulfil.step(after=[reserve], timeout=30)
async def charge(
    order: Order, assess: Assessment, approval: Approval | None, payments: Resource[Payments], ctx: Context
) -> Payment:
    if assess.risk == "high" and not (approval and approval.approved):
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


@frozen
class Report:
    lines: int


@frozen
class Batch:
    job_id: str


class BatchService(Protocol):
    async def submit(self, day: date) -> str: ...

    async def status(self, job_id: str) -> Report | None: ...


nightly = Flow("nightly_report", version=1, input=Night, input_name="night")
books_closed = nightly.sleep("books_closed", timedelta(hours=2))


@nightly.step(after=[books_closed])
async def compute(night: Night, batches: Resource[BatchService]) -> Report | Suspend[Batch]:
    return Suspend(
        state=Batch(await batches.submit(night.day)),
        check_after=timedelta(minutes=5),
        give_up_after=timedelta(hours=6),
    )


@nightly.check(compute)
async def compute_is_ready(state: Batch, batches: Resource[BatchService]) -> Report | Suspend[Batch]:
    return await batches.status(state.job_id) or Suspend(state=state, check_after=timedelta(minutes=5))


@nightly.step
async def deliver(night: Night, compute: Report) -> str:
    return f"{night.day}: {compute.lines}"


# A digest is made every week


@frozen
class Week:
    day: date
    recipients: list[str]


class Books(Protocol):
    async def report(self, day: date) -> Report: ...


weekly = Flow("weekly_digest", version=1, input=Week, input_name="week")


@weekly.step(start_delay=timedelta(hours=2), on_exhausted="skip")
async def digest(week: Week, books: Resource[Books]) -> Report:
    return await books.report(week.day)


@weekly.map(over="week.recipients", requires=[digest])
async def send(item: str, digest: Report) -> str:
    return f"{item}: {digest.lines}"


@weekly.step
def record(week: Week, send: list[str], digest: Report | None = None) -> str:
    return f"{week.day}: {len(send)} of {digest.lines if digest else 0}"


@pytest.fixture(autouse=True)
def _sealed() -> None:
    for flow in (fulfil, ingest, nightly, weekly):
        flow.seal()


def test_the_plan_of_an_order() -> None:
    """Parameters, `over`, `after` and `when` are the edges; what nothing depends on is the run's output."""
    plan = fulfil.plan

    assert {slug: step.dependencies for slug, step in plan.steps.items()} == {
        "assess": (),
        "reserve": (),
        "approval": ("assess",),
        "charge": ("assess", "reserve", "approval"),
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


def test_the_plan_of_an_approval() -> None:
    """It is waited for where the risk is high, for three days, and may then be missing."""
    plan, steps = fulfil.plan, fulfil.steps
    asked = plan.steps["approval"]

    assert (asked.kind, asked.wait_s, asked.on_timeout) == (StepKind.SIGNAL, 3 * 86_400.0, Consequence.SKIP)
    assert why_none(steps["charge"], approval, steps) == "it says on_timeout='skip'"
    assert_type(approval, Step[Approval])


def test_the_plan_of_a_report() -> None:
    """The books are closed before the work begins, and what it waits for is looked at by its check."""
    plan, steps = nightly.plan, nightly.steps

    assert (plan.steps["books_closed"].kind, plan.steps["books_closed"].wait_s) == (StepKind.SLEEP, 7200.0)
    assert {slug: step.dependencies for slug, step in plan.steps.items()} == {
        "books_closed": (),
        "compute": ("books_closed",),
        "deliver": ("compute",),
    }
    assert plan.leaves == ("deliver",)
    check = steps["compute"].check
    assert check is not None
    assert (check.name, steps["compute"].output.name, steps["compute"].state_schema.name) == (
        "compute_is_ready",
        "Report",
        "Batch",
    )


async def test_checks_are_plain_functions() -> None:
    """A unit test calls them, and sees what they return."""

    class Batches:
        async def submit(self, day: date) -> str:
            return f"job of {day}"

        async def status(self, job_id: str) -> Report | None:
            return Report(7) if job_id == "done" else None

    batches = Batches()

    submitted = await compute(Night(date(2026, 11, 26)), batches)

    assert submitted == Suspend(
        state=Batch("job of 2026-11-26"), check_after=timedelta(minutes=5), give_up_after=timedelta(hours=6)
    )
    assert await compute_is_ready(Batch("done"), batches) == Report(7)
    assert await compute_is_ready(Batch("new"), batches) == Suspend(
        state=Batch("new"), check_after=timedelta(minutes=5)
    )


def test_the_plan_of_a_digest() -> None:
    """What is required is there for whoever requires it; whoever does not has a default."""
    plan, steps = weekly.plan, weekly.steps

    assert plan.steps["digest"].on_exhausted is Consequence.SKIP
    assert plan.steps["send"].requires == ("digest",)
    assert why_none(steps["send"], steps["digest"], steps) is None
    assert why_none(steps["record"], steps["digest"], steps) == "it says on_exhausted='skip'"
    assert binding_of(weekly, "record").arguments(
        {INPUT: b'{"day":"2026-11-26","recipients":[]}', "send": b"[]", "digest": None},
        None,  # type: ignore[arg-type]
    ) == {"week": Week(date(2026, 11, 26), []), "send": []}


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
        copy.signal("approval", Approval, timeout=60, on_timeout="skip")
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
    """A shipment that may not be there, a status that no payment has, a reservation taken for the list of them, and an
    approval that may not come."""

    def notify(order: Order, ship: Shipment) -> None: ...

    def one_of_many(reserve: Reservation) -> None: ...

    def approved(approval: Approval) -> None: ...

    flow = again(fulfil)
    with pytest.raises(FlowDefinitionError, match=r"'ship' is Shipment, but step 'ship' may be skipped \(it has a"):
        flow.step(notify)
    with pytest.raises(FlowDefinitionError, match=r"\"payed\" is never found in Literal\['declined', 'paid'\]"):
        flow.step(notify, when={"charge": {"status": "payed"}})
    with pytest.raises(FlowDefinitionError, match=r"'reserve' is Reservation, but step 'reserve' gives list"):
        flow.step(one_of_many)
    with pytest.raises(FlowDefinitionError, match=r"step 'approval' may be skipped \(it says on_timeout='skip'\)"):
        flow.step(approved)
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
