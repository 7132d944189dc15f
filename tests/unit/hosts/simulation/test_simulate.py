"""`simulate`: what bears being called twice survives, what does not is convicted, and a seed can be seen again."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from attrs import define, evolve, field

from fairlead.hosts.simulation import (
    Entry,
    Faults,
    NotCompared,
    Opaque,
    Outcome,
    Report,
    SimulationFailed,
    SimulationUnfit,
    simulate,
)
from fairlead.hosts.testing import RealTimeLimit
from fairlead.kernel import Context, Flow, FlowDefinitionError, GiveUp, PayloadError, Resource, RunStatus, Suspend

SEEDS = 20


@define
class Payments:
    """The service of a bank, as a test has it: it remembers what was taken, and by which key."""

    taken: list[int] = field(factory=list[int])
    keys: set[str] = field(factory=set[str])

    def take(self, cents: int, key: str | None) -> None:
        """Take money, once for each key."""
        if key is None or key not in self.keys:
            self.taken.append(cents)
        if key is not None:
            self.keys.add(key)


def _buying(*, idempotent: bool) -> Flow[int]:
    flow = Flow("buy", version=1, input=int)

    @flow.step
    def lines(input: int) -> list[int]:
        return list(range(input))

    @flow.step
    async def charge(lines: list[int], payments: Resource[Payments], ctx: Context) -> str:
        payments.take(len(lines), ctx.idempotency_key if idempotent else None)
        return "taken"

    @flow.map(over=lines)
    def pack(item: int, charge: str) -> int:
        return item * 2

    @flow.step
    async def weigh(pack: list[int]) -> int:
        return sum(pack)

    @flow.step
    def notify(weigh: int, charge: str) -> str:
        return f"{charge}: {weigh}"

    return flow


def _payments() -> Mapping[str, object]:
    return {"payments": Payments()}


def test_what_bears_being_called_twice_survives() -> None:
    """Handlers were called again, hosts killed, answers lost; every run ends as without faults."""
    report = simulate(_buying(idempotent=True), 3, seeds=SEEDS, resources=_payments)

    assert (report.flow, report.seeds, report.ran_out) == ("buy", SEEDS, 0)
    assert sum(report.repeated.values()) > 0
    assert {"killed", "paused", "refused", "answer lost", "delayed"} <= set(report.struck)
    assert "20 seeds" in str(report)


@pytest.mark.fault(4, 5)
def test_what_does_not_is_convicted_and_told_why() -> None:
    """The seed, what is different, which calls there were and what became of them, and how to see it again."""
    with pytest.raises(SimulationFailed) as failed:
        simulate(_buying(idempotent=False), 3, seeds=200, resources=_payments)

    told = str(failed.value)
    assert re.search(r"resource payments\.taken: \[3(, 3)+\]; without faults \[3\]", told)
    assert re.search(r"The handler of 'charge' was called \d times", told)
    assert "attempt 1 on host-" in told
    assert "was killed at" in told or "returned at" in told
    assert "ctx.idempotency_key" in told
    assert f"Again: simulate(…, seeds=[{failed.value.seed}])" in told

    with pytest.raises(SimulationFailed) as again:
        simulate(_buying(idempotent=False), 3, seeds=[failed.value.seed or 0], resources=_payments)

    assert (again.value.digest, str(again.value)) == (failed.value.digest, told)


def test_without_faults_nothing_happens_twice() -> None:
    """Each kind of fault can be left out."""
    report = simulate(_buying(idempotent=False), 3, seeds=10, resources=_payments, faults=Faults.none())

    assert (report.struck, sum(report.repeated.values()), report.executions) == ({}, 0, 10 * 7)


@pytest.mark.parametrize(
    ("kind", "struck"),
    [
        ("kills", {"killed"}),
        ("pauses", {"paused"}),
        ("refusals", {"refused"}),
        ("lost_answers", {"answer lost"}),
        ("delays", {"delayed"}),
        ("messages", {"message lost", "message duplicated", "message late"}),
        ("sinks", {"sink refuses", "sink hangs", "sink accepts a part", "sink raises after all"}),
    ],
)
def test_each_kind_of_fault_strikes_alone(kind: str, struck: set[str]) -> None:
    """What is chosen strikes, and nothing else does."""
    faults = evolve(Faults.none(), **{kind: True})
    report = simulate(_buying(idempotent=True), 3, seeds=50, resources=_payments, faults=faults)

    assert set(report.struck) == struck


def _waiting() -> Flow[int]:
    flow = Flow("waits", version=1, input=int)

    @flow.step
    async def compute(input: int) -> int | Suspend[int]:
        return Suspend(state=input, check_after=timedelta(hours=1))

    @flow.check(compute)
    async def look(state: int, ctx: Context) -> int | Suspend[int]:
        return state + 1

    approval = flow.signal("approval", bool, timeout=timedelta(days=30))
    pause = flow.sleep("pause", timedelta(days=2), after=[approval])

    @flow.step(after=[pause])
    def close(compute: int, approval: bool) -> list[int]:
        return [compute, int(approval)]

    return flow


def test_days_of_waiting_pass() -> None:
    """Signals are sent by a client that insists; sleeps and checks have their time."""
    report = simulate(_waiting(), 1, seeds=8, signals={"approval": True})

    assert report.virtual_s > 8 * timedelta(days=2).total_seconds()


def _paying_late(wait: str, *, idempotent: bool) -> Flow[int]:
    flow = Flow("late", version=1, input=int, max_attempts=8)
    before: Any
    if wait == "sleeps":
        before = flow.sleep("first", timedelta(days=2))
        for number in range(3):
            before = flow.sleep(f"then{number}", timedelta(hours=1), after=[before])
    elif wait == "a signal's timeout":
        before = flow.signal("answer", int, timeout=timedelta(hours=5), on_timeout="skip")
    else:
        pause = timedelta(seconds=1 if wait == "quick checks" else 600)

        @flow.step
        async def compute() -> int | Suspend[int]:
            return Suspend(state=0, check_after=pause)

        @flow.check(compute)
        async def ready(state: int) -> int | Suspend[int]:
            return 1 if state == 3 else Suspend(state=state + 1, check_after=pause)

        before = compute

    @flow.step(after=[before])
    async def pay(input: int, payments: Resource[Payments], ctx: Context) -> str:
        payments.take(input, ctx.idempotency_key if idempotent else None)
        return "taken"

    return flow


@pytest.mark.parametrize("wait", ["sleeps", "a signal's timeout", "checks"])
def test_faults_meet_what_comes_after_a_long_wait(wait: str) -> None:
    """A storm may begin where time has jumped; what bears it survives there, too."""
    with pytest.raises(SimulationFailed, match=r"payments\.taken: \[5, 5") as caught:
        simulate(_paying_late(wait, idempotent=False), 5, seeds=200, resources=_payments)

    seed = caught.value.seed
    assert seed is not None
    report = simulate(_paying_late(wait, idempotent=True), 5, seeds=[seed], resources=_payments)
    assert report.repeated["pay"] == 1


def test_checks_are_told_apart_from_handlers() -> None:
    """A check looks again by its nature, and is no call of the handler."""
    flow = _paying_late("quick checks", idempotent=False)

    with pytest.raises(SimulationFailed) as caught:
        simulate(flow, 5, seeds=200, resources=_payments)

    assert "The handler of 'pay' was called" in str(caught.value)
    assert "of 'compute' was called" not in str(caught.value)
    whats = [entry.what for entry in caught.value.timeline]
    assert "compute, attempt 1: the check is called" in whats
    assert "compute, attempt 1: the check returned" in whats
    assert "compute, attempt 1: the handler is called" in whats


def test_a_signal_that_does_not_fit_is_told_so() -> None:
    """Rather than that the run waits for it."""
    with pytest.raises(PayloadError, match="got `str`"):
        simulate(_waiting(), 1, seeds=3, signals={"approval": "yes"})


@pytest.mark.parametrize("beside", ["global", "closure"])
def test_what_handlers_keep_beside_resources_is_warned_of(beside: str) -> None:
    """Nobody compares it."""
    seen: list[int] = []

    async def closes_over(input: int) -> int:
        seen.append(input)
        return input

    with pytest.warns(NotCompared, match=r"step 'step'\.(SEEN|seen)\b.*let a resource hold it"):
        simulate(_drawing(_keeps_in_global if beside == "global" else closes_over), 1, seeds=3)


SEEN: list[int] = []


async def _keeps_in_global(input: int) -> int:
    SEEN.append(input)
    return input


def test_an_assertion_without_words_shows_its_line() -> None:
    """Outside of pytest, which writes words for it."""

    def never(outcome: Outcome) -> None:
        if outcome.seed is not None:
            raise AssertionError

    with pytest.raises(SimulationFailed, match=r"never: raise AssertionError \(test_simulate\.py, line \d+\)"):
        simulate(_buying(idempotent=True), 3, seeds=1, resources=_payments, invariants=[never])


def test_a_flow_that_waits_for_ever_is_unfit() -> None:
    """Nobody sends the signal: it is said before any fault."""
    flow = Flow("asks", version=1)
    flow.signal("answer", int)

    with pytest.raises(SimulationUnfit, match=r"does not end without faults.*answer.*Give `signals=`"):
        simulate(flow, seeds=1)


def test_invariants_of_users_see_the_end() -> None:
    """They raise or answer False, and are told apart by name."""
    seen: list[Outcome] = []

    def is_packed(outcome: Outcome) -> None:
        seen.append(outcome)
        assert outcome.output == {"notify": "taken: 6"}, "the parcel is incomplete"

    simulate(_buying(idempotent=True), 3, seeds=3, resources=_payments, invariants=[is_packed])
    once = seen[0]

    assert [outcome.seed for outcome in seen] == [None, 0, 1, 2]
    assert once.status is RunStatus.COMPLETED
    assert [each.attempt for each in once.executions_of("charge")] == [1]
    assert once.resources["payments"] == Payments(taken=[3], keys={f"{once.details.run.id}/charge/1/0"})

    def is_quick(outcome: Outcome) -> bool:
        return outcome.seed is None

    with pytest.raises(SimulationFailed, match="is_quick does not hold"):
        simulate(_buying(idempotent=True), 3, seeds=3, resources=_payments, invariants=[is_quick])
    with pytest.raises(SimulationUnfit, match=r"without any fault.*is_packed: the parcel is incomplete"):
        simulate(_buying(idempotent=True), 2, seeds=3, resources=_payments, invariants=[is_packed])


@pytest.mark.filterwarnings("ignore::fairlead.hosts.simulation.NotCompared")
def test_a_flow_may_be_made_anew_for_each_course() -> None:
    """Handlers that close over something get it new each time; a run that fails by itself fails in every seed."""
    made: list[int] = []

    def make() -> Flow[Any]:
        made.append(1)
        calls: list[int] = []
        flow = Flow("doomed", version=1)

        @flow.step
        def fails() -> int:
            calls.append(1)
            assert len(calls) <= 3, "it is new each time"
            raise GiveUp("never")

        return flow

    report = simulate(make, seeds=5, expects=RunStatus.FAILED)

    assert (report.ran_out, len(made)) == (0, 7)
    assert report.end == "failed, handler_failed, step 'fails', GiveUp: never"


DIGESTS = """
import sys; sys.path.insert(0, "tests/unit/hosts/simulation")
from test_simulate import _buying, _payments
from fairlead.hosts.simulation import simulate
digests = []
simulate(_buying(idempotent=True), 3, seeds=range(6), resources=_payments,
         invariants=[lambda outcome: digests.append(outcome.digest)])
print(*digests)
"""


def _digests(hash_seed: str) -> list[str]:
    answer = subprocess.run(
        [sys.executable, "-c", DIGESTS],
        env={"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return answer.stdout.split()


def test_one_seed_has_one_course_in_every_process() -> None:
    """The hash of everything that happens is the same, whatever the order in which Python hashes; seeds differ."""
    first, second = _digests("1"), _digests("2")

    assert len(set(first)) == 7
    assert first == second


def test_a_broken_framework_is_not_blamed_on_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A promise that is broken is named, and reported as the framework's."""
    broken = {"I99": ["something is not as it should be"]}

    def break_one(_: object, **__: object) -> Mapping[str, list[str]]:
        return broken

    monkeypatch.setattr("fairlead.hosts.simulation.checks.broken_invariants", break_one)

    with pytest.raises(SimulationFailed, match=r"(?s)I99: something.*no flow can cause"):
        simulate(_buying(idempotent=True), 3, seeds=1, resources=_payments, faults=Faults.none())


@pytest.mark.fault(4, 5)
def test_what_raises_when_it_is_called_again_is_convicted() -> None:
    """A bank that refuses to take the same money again fails a run that ends well without faults."""
    flow = Flow("strict", version=1, input=int, base_delay=1)

    @flow.step
    async def charge(input: int, payments: Resource[Payments]) -> int:
        if payments.taken:
            raise ValueError("taken already")
        payments.take(input, None)
        await asyncio.sleep(2)
        return input

    with pytest.raises(SimulationFailed, match=r"(?s)without faults it has completed.*'charge' was called \d times"):
        simulate(flow, 1, seeds=200, resources=_payments)


def test_a_flow_that_fails_by_itself_is_no_culprit() -> None:
    """Where faults use up an attempt, it fails for another reason: that is counted, and not convicted."""
    flow = Flow("fails", version=1, input=int, base_delay=1)

    @flow.step
    async def a(input: int, payments: Resource[Payments]) -> int:
        await asyncio.sleep(20)
        payments.take(1, None)
        raise ValueError("no")

    report = simulate(flow, 1, seeds=40, resources=_payments, expects=RunStatus.FAILED)

    assert report.ran_out > 0


def test_a_flow_that_fails_without_faults_is_unfit() -> None:
    """Nothing is shown by storms in which it fails as well, unless that is what is expected; how it ended is told."""

    def gives_up(input: int) -> int:
        raise GiveUp("there is none")

    def gives(input: int) -> int:
        return input

    with pytest.raises(
        SimulationUnfit, match=r"failed, handler_failed, step 'step', GiveUp: there is none, and .*=RunStatus\.FAILED"
    ):
        simulate(_drawing(gives_up), 1, seeds=1)
    with pytest.raises(SimulationUnfit, match=r"has completed, and was to end failed.*=RunStatus\.COMPLETED"):
        simulate(_drawing(gives), 1, seeds=1, expects=RunStatus.FAILED)


def test_what_is_called_again_without_faults_is_not_counted() -> None:
    """Neither checks of what is suspended, nor a handler's own retries; calls that faults cause are."""
    flow = Flow("again", version=1, input=int, base_delay=1, max_attempts=8)

    @flow.step
    async def fails_once(input: int, calls: Resource[set[str]], ctx: Context) -> int:
        if "failed" not in calls:
            calls.add("failed")
            raise ConnectionError("down")
        return input

    @flow.step
    async def waits(input: int) -> int | Suspend[int]:
        return Suspend(state=input, check_after=5)

    @flow.check(waits)
    async def looks(state: int) -> int | Suspend[int]:
        return state

    def play(faults: Faults) -> Report:
        return simulate(flow, 1, seeds=30, faults=faults, resources=lambda: {"calls": set[str]()})

    assert play(Faults.none()).repeated == {"fails_once": 0, "waits": 0}
    assert min(play(Faults()).repeated.values()) > 0


def test_a_step_that_is_never_called_is_named() -> None:
    """Its handler may be as careless as it likes: nothing is known of it."""
    flow = Flow("branches", version=1, input=int)

    @flow.step(on_exhausted="skip")
    def gives_up(input: int) -> int:
        raise GiveUp("there is none")

    @flow.step(requires=[gives_up])
    def goes_on(gives_up: int) -> int:
        return gives_up

    report = simulate(flow, 1, seeds=3)

    assert report.never_called == ["goes_on"]
    assert "; never called: goes_on" in str(report)


def test_invariants_that_nobody_would_await_are_refused() -> None:
    """They would hold whatever they say."""

    async def never(outcome: Outcome) -> None:
        raise AssertionError

    def promises(outcome: Outcome) -> object:
        return never(outcome)

    def gives(input: int) -> int:
        return input

    for invariant in (never, promises):
        with pytest.raises(SimulationUnfit, match="is async, and nobody would await it"):
            simulate(_drawing(gives), 1, seeds=1, invariants=[invariant])


def test_resources_that_are_not_new_are_refused() -> None:
    """A constant may be the same each time, what a course has changed may not; nor does a class start anew."""
    payments, limits = Payments(), {"cents": 3}

    async def take(input: int, payments: Resource[Payments], limits: Resource[dict[str, int]], ctx: Context) -> None:
        payments.take(limits["cents"], ctx.idempotency_key)

    class Kept(Payments):
        all_taken: ClassVar[list[int]] = []

        def take(self, cents: int, key: str | None) -> None:
            self.all_taken.append(cents)

    def play(make: Callable[[], Payments]) -> None:
        simulate(_drawing(take), 1, seeds=3, resources=lambda: {"payments": make(), "limits": limits})

    play(Payments)
    with pytest.raises(
        SimulationUnfit, match=r"the same object for 'payments' twice.*payments\.taken was \[\], and is"
    ):
        play(lambda: payments)
    with pytest.raises(SimulationUnfit, match=r"payments\.all_taken: \[3, 3\].*state that outlives it, in a class"):
        play(Kept)


def test_a_signal_that_comes_too_late_is_no_riddle() -> None:
    """Without faults it is said what to do; with them the run has gone on without it, as it would."""

    def waiting(timeout: float) -> Flow[Any]:
        flow: Flow[Any] = Flow("asks", version=1)
        flow.signal("answer", str, timeout=timeout, on_timeout="skip")
        return flow

    with pytest.raises(SimulationUnfit, match=r"signal to step 'answer'.*comes when the run is completed already"):
        simulate(waiting(0.5), seeds=1, signals={"answer": "yes"})

    seen: list[bool] = []
    simulate(
        waiting(32),
        seeds=40,
        signals={"answer": "yes"},
        same_end=False,
        invariants=[lambda outcome: seen.append(outcome.output == {"answer": "yes"})],
    )
    assert set(seen) == {True, False}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"seeds": "3"}, r"seeds= takes how many, or which: an int or several; found '3'"),
    ({"seeds": 1.5}, r"seeds= takes how many"),
    ({"seeds": True}, r"seeds= takes how many"),
    ({"seeds": ["a"]}, r"seeds= takes whole numbers; found 'a'"),
    ({"faults": {"kills": False}}, r"faults= takes Faults\(…\)"),
    ({"faults": Faults}, r"faults= takes Faults\(…\)"),
    ({"invariants": len}, r"invariants= takes several functions"),
    ({"invariants": [3]}, r"invariants= takes functions of an Outcome; found 3"),
    ({"signals": ["a"]}, r"signals= takes a mapping, payloads by signal step; found \['a'\]"),
    ({"signals": {len: 1}}, r"signals= takes signal steps, or their names"),
    ({"snapshots": [len]}, r"snapshots= takes a mapping"),
    ({"snapshots": {"payments": 3}}, r"snapshots= takes a function of the resource for 'payments'; found 3"),
    ({"snapshots": {"payment": len}}, r"snapshots= names 'payment', and no resource; did you mean 'payments'"),
    ({"expects": "done"}, r"expects= takes RunStatus\.COMPLETED"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_arguments_of_the_wrong_type_are_refused(options: dict[str, Any], message: str) -> None:
    """Before anything is played, with what was found."""
    given: dict[str, Any] = {"seeds": 1, "resources": _payments, **options}
    with pytest.raises(SimulationUnfit, match=message):
        simulate(_buying(idempotent=True), 3, **given)


async def _slow(input: int) -> int:
    await asyncio.sleep(55)
    return input


def test_what_a_deploy_interrupts_is_called_again_as_the_same_attempt() -> None:
    """A host that stops gives back what does not end in time: no attempt is spent, and no promise broken."""
    flow = Flow("slow", version=1, input=int, max_attempts=8)
    flow.step(_slow)

    assert simulate(flow, 1, seeds=25).seeds == 25


def test_no_seed_is_no_simulation() -> None:
    """Nothing would be shown."""
    with pytest.raises(SimulationUnfit, match="no seed"):
        simulate(_buying(idempotent=True), 3, seeds=0)


def test_a_report_reads_as_a_sentence() -> None:
    """What was done, in one line."""
    report = Report(
        flow="f",
        end="completed",
        seeds=2,
        virtual_s=7200,
        executions=3,
        repeated={"a": 1, "b": 0},
        struck={"killed": 4},
        called_once=["b"],
        never_called=["c"],
        unseen=["db, a sqlite3.Connection"],
        ran_out=0,
    )

    assert str(report) == (
        "f: completed without faults; 2 seeds, 2.0 simulated hours, 3 handler calls; called again: a 1, b 0; "
        "0 runs out of attempts; faults: killed 4; hardly put to the test, with max_attempts=1: b; never called: c; "
        "not compared: db, a sqlite3.Connection"
    )


def _drawing(draw: Any, **options: Any) -> Flow[Any]:
    flow: Flow[Any] = Flow("draws", version=1, input=int, **options)
    flow.step(slug="step")(draw)
    return flow


def test_what_differs_without_faults_is_no_measure() -> None:
    """Chance, the time, and state outside: said before any fault, unless invariants alone are to judge."""
    calls: list[int] = []

    def counts(input: int) -> int:
        calls.append(input)
        return len(calls)

    with pytest.raises(SimulationUnfit, match=r"ends otherwise each time.*random numbers.*same_end=False"):
        simulate(_drawing(counts), 1, seeds=5)

    assert simulate(_drawing(counts), 1, seeds=5, same_end=False).seeds == 5


@pytest.mark.filterwarnings("ignore::fairlead.hosts.simulation.NotCompared")
def test_what_differs_though_nothing_was_repeated_is_asked_about() -> None:
    """The report does not blame a repetition that there was not."""
    calls: list[int] = []

    def differs_late(input: int) -> int:
        calls.append(input)
        return max(len(calls), 2)

    with pytest.raises(SimulationFailed, match=r"(?s)No handler was called twice.*random numbers,.the time, or state"):
        simulate(_drawing(differs_late), 1, seeds=5, faults=Faults.none())


def test_the_course_keeps_handlers_and_deaths_among_failing_calls() -> None:
    """Calls of ports that fail in a row are one line; whatever happens to handlers and hosts has its own."""
    refusing = evolve(Faults.none(), kills=True, refusals=True, lost_answers=True)
    first, told = 0, ""
    timeline: Sequence[Entry] = ()
    while not any(each.minor for each in timeline):
        with pytest.raises(SimulationFailed) as failed:
            simulate(_buying(idempotent=False), 3, seeds=range(first, 300), resources=_payments, faults=refusing)
        first = (failed.value.seed or 0) + 1
        told, timeline = str(failed.value), failed.value.timeline
    major = [str(each) for each in timeline if not each.minor and each.who != "log"]
    assert [line for line in major if line not in told] == []
    assert any("the handler is called" in line for line in major)
    assert any("is killed" in line for line in major)


def test_what_cannot_be_looked_into_is_warned_of() -> None:
    """A connection is equal to every other one, until a snapshot says what it holds."""

    def connect() -> Mapping[str, object]:
        database = sqlite3.connect(":memory:", check_same_thread=False)
        database.execute("CREATE TABLE taken (cents int)")
        return {"database": database}

    async def take(input: int, database: Resource[sqlite3.Connection]) -> None:
        database.execute("INSERT INTO taken VALUES (?)", (input,))

    def rows(database: sqlite3.Connection) -> object:
        return database.execute("SELECT cents FROM taken").fetchall()

    with pytest.warns(Opaque, match=r"database, a sqlite3\.Connection\. Pass snapshots=") as warned:
        report = simulate(_drawing(take), 7, seeds=1, resources=connect)
    with pytest.raises(SimulationFailed, match=r"resource database: \[\[7\], \[7\].*; without faults \[\[7\]\]"):
        simulate(_drawing(take), 7, seeds=200, resources=connect, snapshots={"database": rows})

    assert [each.filename for each in warned] == [__file__]
    assert report.unseen == ["database, a sqlite3.Connection"]


def test_what_cannot_be_played_is_refused() -> None:
    """With what was expected and what was found."""
    flow: Any = _buying(idempotent=True)

    def step(input: int) -> int:
        return input

    def makes_none() -> Any:
        return None

    wrong: list[tuple[Any, Any, str]] = [
        (step, None, "found 'step', which takes input; a step is simulated in its flow"),
        (makes_none, None, "found 'makes_none', which returns a NoneType"),
        ("buy", None, "found 'buy'"),
        (flow, {"payments": Payments()}, r"found a dict: pass lambda: \{…\}"),
        (flow, Payments, "by name, found a Payments"),
    ]
    for played, resources, message in wrong:
        with pytest.raises(SimulationUnfit, match=message):
            simulate(played, 3, seeds=1, resources=resources)


def test_a_step_that_is_never_called_again_is_named() -> None:
    """The summary says that faults could show little of it."""

    def gives(input: int) -> int:
        return input

    report = simulate(_drawing(gives, max_attempts=1), 1, seeds=2)

    assert report.called_once == ["step"]


def test_calls_are_asked_for_by_step() -> None:
    """A name that no step has is answered with the nearest."""
    flow = _buying(idempotent=True)

    def misspells(outcome: Outcome) -> None:
        assert outcome.executions_of(flow.steps["charge"]) == outcome.executions_of("charge") != []
        outcome.executions_of("chrage")

    with pytest.raises(FlowDefinitionError, match="did you mean 'charge'"):
        simulate(flow, 3, seeds=1, resources=_payments, invariants=[misspells])


def _hangs(input: int) -> int:
    while not GOES_ON.is_set():
        time.sleep(0.01)
    return input


async def _hangs_in_the_loop(input: int) -> int:
    return _hangs(input)


GOES_ON = threading.Event()


@pytest.mark.parametrize("handler", [_hangs, _hangs_in_the_loop])
def test_a_handler_that_hangs_is_reported(handler: Any) -> None:
    """After real seconds, with the course and the line at which it stands."""
    GOES_ON.clear()
    log = logging.getLogger("fairlead")
    as_it_was = (log.level, log.propagate, list(log.handlers))
    try:
        with pytest.raises(RealTimeLimit, match=r"(?s)more than 0\.5 real seconds.*course without faults.*in _hangs, "):
            simulate(_drawing(handler), 1, seeds=1, real_limit=0.5)
        assert (log.level, log.propagate, log.handlers) == as_it_was
    finally:
        GOES_ON.set()


COURSES_WITHOUT_FAULTS = 2
"""How often a flow is played before its first seed."""


@pytest.mark.filterwarnings("ignore::fairlead.hosts.simulation.NotCompared")
def test_a_world_that_hung_is_not_heard_in_the_next() -> None:
    """Its thread takes it apart once its handler goes on, and its hosts complain of that."""
    GOES_ON.clear()
    before = set(threading.enumerate())
    with pytest.raises(RealTimeLimit):
        simulate(_drawing(_hangs_in_the_loop), 1, seeds=1, real_limit=0.5)
    hung = set(threading.enumerate()) - before
    assert hung
    calls: list[int] = []

    def lets_it_go(input: int) -> int:
        calls.append(input)
        if len(calls) > COURSES_WITHOUT_FAULTS:
            GOES_ON.set()
            for thread in hung:
                thread.join()
        return input

    assert _digest(_drawing(lets_it_go)) == _digest(_drawing(lets_it_go))


FAILING = """
async def fails(input: int) -> int:
    raise ValueError("no")
"""


def _digest_of(file: str) -> str:
    """The trace of a run whose handler stands in some file, and fails."""
    code: dict[str, Any] = {}
    exec(compile(FAILING, file, "exec"), code)
    flow = Flow[Any]("fails", version=1, input=int, max_attempts=2)
    flow.step(code["fails"])
    return _digest(flow, expects=RunStatus.FAILED)


def _digest(flow: Flow[Any], **options: Any) -> str:
    digests = list[str]()

    def noted(outcome: Outcome) -> None:
        digests.append(outcome.digest)

    simulate(flow, 1, seeds=[3], invariants=[noted], **options)
    return digests[-1]


def test_a_trace_does_not_tell_where_code_lies() -> None:
    """A seed has one in every checkout, although tracebacks name files and lines."""
    assert _digest_of("/here/flows.py") == _digest_of("/there/and/elsewhere/flows.py")


def test_a_flow_without_steps_is_told_so() -> None:
    """As wherever else it is used."""
    with pytest.raises(FlowDefinitionError, match="there are no steps"):
        simulate(Flow("empty", version=1), seeds=1)
