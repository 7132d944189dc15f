"""`simulate`: a flow of yours in storms, one after the other, until one of them shows what it does not survive."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from inspect import signature
from random import Random
from typing import Any, TypeAlias, TypeVar

from attrs import frozen

from ...kernel import Flow, Kernel, RunStatus, SignalNotAwaited, Step, decode_failure
from ...kernel.durations import Duration
from ...ports.errors import UsageError
from ..options import checked_duration
from ..testing.errors import RealTimeLimit
from ..testing.flow_test import REAL_LIMIT
from ..testing.stage import Stage
from .broken import Broken, NotOver
from .effects import kept_by_code, state_of
from .faults import Faults, chance_beside
from .fitness import (
    SimulationUnfit,
    Supply,
    checked_end,
    checked_faults,
    checked_flow,
    checked_invariants,
    checked_resources,
    checked_seeds,
    checked_signals,
    checked_snapshots,
    require_known,
)
from .judging import Invariant, broken_invariants, broken_promises, differences, ran_out
from .logs import logging_restored
from .outcome import Outcome, calls_of, told_end
from .report import Report
from .setting import Setting
from .telling import SimulationFailed, failure
from .world import World

SEEDS = 100
"""Seeds that are tried where nothing else is said: some seconds, and enough for what happens in one of ten."""

KEY = "the run"

HANDLERS = "fairlead-host-"
"""How the names of threads begin in which hosts call plain handlers."""

T = TypeVar("T")

AnyFlow: TypeAlias = Flow[Any] | Callable[[], Flow[Any]]


def __tracebackhide__(raised: Any) -> bool:
    """Whether pytest leaves out the frames of this module: where an error says all, they say nothing."""
    return bool(raised.errisinstance((SimulationFailed, SimulationUnfit, UsageError)))


class Opaque(UserWarning):
    """A resource holds what cannot be looked into, such as a connection: it counts as equal, whatever it holds."""


class NotCompared(UserWarning):
    """Handlers change what is no resource: a global, or what they close over. Nobody sees what faults do to that."""


def simulate(
    flow: AnyFlow,
    input: object = None,
    *,
    seeds: int | Iterable[int] = SEEDS,
    faults: Faults | None = None,
    resources: Callable[[], Mapping[str, object]] | None = None,
    signals: Mapping[str | Step[Any], object] | None = None,
    config: Mapping[str, object] | None = None,
    snapshots: Mapping[str, Callable[[Any], object]] | None = None,
    invariants: Iterable[Invariant] = (),
    same_end: bool = True,
    expects: RunStatus = RunStatus.COMPLETED,
    real_limit: Duration = REAL_LIMIT,
) -> Report:
    """Run a flow in memory, once without faults and once for each seed with them, and judge how it ends.

    Hosts are killed and stand still, ports refuse or lose their answers, messages get lost or come twice, clocks
    differ, all in virtual time. Then the faults stop, and the run has to end. It must end as it does without faults:
    with the same status and output, and with its resources in the same state. A handler that does not bear being
    called twice is convicted by that: what it does to a resource is there twice.

    Args:
        flow: the flow, or what makes a new one for each course; then its handlers may close over something new.
        input: what each run is started with.
        seeds: how many, from 0 on, or which. A step is called again in one of ten or so; `Report.repeated` tells.
        faults: what may strike; None for everything.
        resources: makes what handlers ask for with `Resource[…]`, anew for each course: fakes that remember what was
            done to them. They stand for the world outside, and outlive every host.
        signals: what a client sends to signal steps, by step.
        config: the run's configuration.
        snapshots: what is compared in the place of a resource, by its name: functions of the resource that return what
            it holds, such as the rows of a database.
        invariants: functions of an `Outcome` that raise or return False where something must not be.
        same_end: whether status, output and resources must be as without faults; False where they depend on chance or
            time.
        expects: how the run ends without faults; a flow that is to fail by itself needs `RunStatus.FAILED`.
        real_limit: how long one course may take in real time, before a handler that hangs is reported.

    Returns:
        What was simulated; every seed is sound.

    Raises:
        SimulationFailed: a seed is not. It shows what, why, and how to see it again.
        SimulationUnfit: the run does not end even without faults, is not as expected then, or differs from one course
            without faults to the next; or an argument is not what it takes.
        RealTimeLimit: a handler hangs.
        HostOptionError: `real_limit` is no duration.

    Warns:
        Opaque: a resource holds what cannot be compared, and has no snapshot.
        NotCompared: handlers keep something beside their resources.
    """
    checked_flow(flow)
    checked_resources(resources)
    played = checked_seeds(seeds)
    simulation = _Simulation(
        flow=flow,
        input=input,
        faults=checked_faults(faults),
        supply=Supply(resources),
        signals=checked_signals(signals),
        config=config,
        snapshots=checked_snapshots(snapshots),
        invariants=checked_invariants(invariants),
        same_end=same_end,
        expects=checked_end(expects),
        stage=Stage(checked_duration("real_limit", real_limit, least_s=0.01), beside=HANDLERS),
    )
    try:
        with logging_restored():
            return simulation.run(played)
    finally:
        simulation.stage.close()


@frozen
class _Calm:
    """A course without faults."""

    outcome: Outcome
    waits: int
    """How often it waits for a time that is far."""
    beside: Sequence[str]
    """What handlers have changed that is no resource: by step, where it is held."""


@frozen(kw_only=True)
class _Simulation:
    flow: AnyFlow
    input: object
    faults: Faults
    supply: Supply
    signals: Mapping[str, object]
    config: Mapping[str, object] | None
    snapshots: Mapping[str, Callable[[Any], object]]
    invariants: Sequence[Invariant]
    same_end: bool
    expects: RunStatus
    stage: Stage
    """Where courses are played: who waits for one that hangs can stop waiting."""

    def run(self, seeds: Sequence[int]) -> Report:
        usual_course = self._calm()
        calm = usual_course.outcome
        usual = calls_of(calm)
        called = {each.step for each in calm.executions}
        count = executions = exhausted = 0
        virtual_s = 0.0
        struck: Counter[str] = Counter()
        repeated: dict[str, int] = {}
        for seed in seeds:
            outcome, strikes = self._perform(partial(self._stormy_course, seed, usual_course), f"seed {seed}")
            count += 1
            virtual_s += outcome.virtual_s
            executions += len(outcome.executions)
            for step in outcome.flow.steps.values():
                if step.bindings:
                    repeated.setdefault(step.slug, 0)
            for (slug, task), calls in calls_of(outcome).items():
                called.add(slug)
                repeated[slug] += calls > max(usual[slug, task], 1)
            exhausted += ran_out(outcome, calm) and any(differences(outcome, calm))
            struck.update(strikes)
        return Report(
            flow=calm.details.run.flow,
            end=told_end(calm),
            seeds=count,
            virtual_s=virtual_s,
            executions=executions,
            repeated=repeated,
            struck=struck,
            called_once=[
                slug for slug, step in calm.flow.steps.items() if step.bindings and step.policy.max_attempts == 1
            ],
            never_called=[slug for slug in repeated if slug not in called],
            unseen=calm.effects.unseen,
            ran_out=exhausted,
        )

    def _flow(self) -> Flow[Any]:
        if not callable(self.flow):
            return self.flow
        takes = [each.name for each in signature(self.flow).parameters.values() if each.default is each.empty]
        made = None if takes else self.flow()
        if isinstance(made, Flow):
            return made
        name = getattr(self.flow, "__name__", repr(self.flow))
        what = f"takes {', '.join(takes)}" if takes else f"returns a {type(made).__name__}"
        raise SimulationUnfit(
            f"expected a Flow, or a function without parameters that makes one, found {name!r}, which {what}; "
            "a step is simulated in its flow"
        )

    def _world(self, flow: Flow[Any], seed: int | None) -> World:
        random = Random(f"fairlead {seed}")
        most = min((step.policy.max_attempts for step in flow.steps.values()), default=1)
        setting = Setting.calm() if seed is None else Setting.drawn(self.faults, random, kills_max=max(most - 1, 1))
        return World([flow], setting, random, resources=self.supply.course())

    def _calm(self) -> _Calm:
        """How it ends without faults, each time."""
        course = self._perform(self._calm_course, "without faults")
        calm = course.outcome
        if calm.status is not self.expects:
            raise SimulationUnfit(
                f"without any fault, the run of flow {calm.flow.slug!r} has {told_end(calm)}, and was to end "
                f"{self.expects}. Repair the flow, its input or its resources; or, if it is to end so, pass "
                f"expects=RunStatus.{calm.status.name}"
            )
        problems = list(broken_invariants(calm, self.invariants))
        if problems:
            raise SimulationUnfit(f"without any fault, flow {calm.flow.slug!r} ends otherwise: {'; '.join(problems)}")
        if self.same_end:
            self._require_sameness(course)
        return course

    def _require_sameness(self, course: _Calm) -> None:
        """See that a comparison of ends means something."""
        calm = course.outcome
        again = list(differences(self._perform(self._calm_course, "without faults").outcome, calm))
        if again:
            raise SimulationUnfit(
                f"flow {calm.flow.slug!r} ends otherwise each time, even without faults: {'; '.join(again)}. Does a "
                "handler use random numbers, the time, or state that is kept outside of its resources? Or does a "
                "resource keep state that outlives it, in a class or a global? Let a new resource hold it, or pass "
                "same_end=False and say with invariants= what must hold"
            )
        if calm.effects.unseen:
            warnings.warn(
                f"nobody can see whether these are as without faults: {'; '.join(calm.effects.unseen)}. Pass "
                "snapshots={name: function}, which returns what the resource of that name holds",
                Opaque,
                stacklevel=5,
            )
        if course.beside:
            warnings.warn(
                f"handlers change what is no resource: {', '.join(course.beside)}. What faults do to it is not "
                "compared; let a resource hold it, made anew for each course: resources=lambda: {…}",
                NotCompared,
                stacklevel=5,
            )

    def _perform(self, course: Callable[[], T], name: str) -> T:
        """Play a course, while real time is watched from beside it."""
        try:
            return self.stage.perform(course)
        except RealTimeLimit as limit:
            raise RealTimeLimit(limit_s=limit.limit_s, where=(f"the course {name}", *limit.where)) from None

    def _calm_course(self) -> _Calm:
        flow = self._flow()
        kept = _kept_by_handlers(flow)
        with self._world(flow, None) as world:
            try:
                outcome = self._course(world, flow, None)
            except NotOver as standing:
                raise SimulationUnfit(
                    f"flow {flow.slug!r} does not end without faults: {'; '.join(standing.problems)}. Give `signals=` "
                    "for what it waits for"
                ) from None
            except Broken as broken:
                raise failure(flow, None, broken.problems, world, by_flow=False) from None
            beside = [place for place, text in _kept_by_handlers(flow).items() if kept.get(place, text) != text]
            return _Calm(outcome, world.jumps, beside)

    def _stormy_course(self, seed: int, calm: _Calm) -> tuple[Outcome, Mapping[str, int]]:
        """How a seed ends, and what has struck in it: from the beginning on, or from one of the times waited for."""
        flow = self._flow()
        world = self._world(flow, seed)
        lull = chance_beside(world.random).randint(0, calm.waits)
        with world:
            return self._judged(world, flow, seed, calm.outcome, lull), world.strikes.struck

    def _judged(self, world: World, flow: Flow[Any], seed: int, calm: Outcome, lull: int) -> Outcome:
        try:
            outcome = self._course(world, flow, seed, lull)
        except Broken as broken:
            raise failure(flow, seed, broken.problems, world, by_flow=False) from None
        promises = list(broken_promises(world, flow, [outcome.details]))
        if promises:
            raise failure(flow, seed, promises, world, by_flow=False)
        problems: list[str] = []
        if self.same_end and not ran_out(outcome, calm):
            problems += differences(outcome, calm)
        problems += broken_invariants(outcome, self.invariants)
        if problems:
            raise failure(flow, seed, problems, world, by_flow=True)
        return outcome

    def _course(self, world: World, flow: Flow[Any], seed: int | None, lull: int = 0) -> Outcome:
        require_known(self.snapshots, world.resources)
        world.play(lambda world: self._act(world, flow, seed), lull=lull)
        return world.loop.run_until_complete(self._outcome(world, flow, seed))

    async def _act(self, world: World, flow: Flow[Any], seed: int | None) -> None:
        """What clients do: start the run, and send the signals."""

        async def start(kernel: Kernel) -> bool:
            run = await kernel.start(flow, self.input, key=KEY, config=self.config)
            world.ledger.runs[KEY] = run.id
            return True

        await world.insist("client", start)
        for step, payload in self.signals.items():
            try:
                await world.send(KEY, step, payload)
            except SignalNotAwaited as late:
                if seed is None:
                    over = f"the {'run' if late.step is None else 'step'} is {late.status}"
                    raise SimulationUnfit(
                        f"without any fault, the signal to step {step!r} of flow {flow.slug!r} comes when {over} "
                        "already: a client sends it within 30 virtual seconds. Leave it out of signals= "
                        "where the run does not wait for it, or let the step wait longer"
                    ) from None
                world.timeline.note("client", f"comes too late with the signal to {step}: {late.status}")

    async def _outcome(self, world: World, flow: Flow[Any], seed: int | None) -> Outcome:
        run = world.reader().run(world.ledger.runs[KEY])
        details = await run.details()
        completed = details.run.status is RunStatus.COMPLETED
        error = None if details.run.error is None else decode_failure(details.run.error)
        held = {name: self.snapshots.get(name, _itself)(each) for name, each in world.resources.items()}
        return Outcome(
            flow=flow,
            seed=seed,
            status=details.run.status,
            output=await run.result() if completed else None,
            reason=details.run.reason,
            error=error,
            details=details,
            executions=[each for executions in world.ledger.executions.values() for each in executions],
            resources=world.resources,
            effects=state_of(held, run.id),
            virtual_s=world.loop.time(),
            digest=world.timeline.digest,
        )


def _kept_by_handlers(flow: Flow[Any]) -> Mapping[str, str]:
    """What handlers and checks close over and which globals they name, as text."""
    handlers = {binding.whose: binding.handler for step in flow.steps.values() for binding in step.bindings}
    return kept_by_code(handlers)


def _itself(resource: object) -> object:
    return resource
