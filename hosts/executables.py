"""What a host knows of a step in order to run its tasks, looked up once instead of once per task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from ..kernel import Kernel, Step, StepStatus
from ..kernel.definition.absence import certain
from ..kernel.definition.binding import CONFIG, ITEM, STATE, Binding
from ..kernel.facts import facts_of
from ..kernel.plan import INPUT, Questions, StepKind, ValuePath
from ..kernel.schema import Schema
from ..ports.errors import CorruptionError
from ..ports.records import ClaimedTask, TaskPhase
from .resources import check_resources


class NothingToCall(CorruptionError):
    """A task was claimed whose step has no function for its phase."""

    def __init__(self, step: str, phase: TaskPhase) -> None:
        self.step = step
        self.phase = phase
        super().__init__(f"step {step!r} has nothing that a host could call to {phase} it")


@frozen(kw_only=True)
class Executable:
    """One step of one registered flow in one phase: its handler, or its check, here called its handler too."""

    flow: str
    step: Step[Any]
    binding: Binding
    """The handler and how it is called."""
    yields: Schema | None
    """The type of one element, where the handler may return something that makes its array element by element."""
    phase: TaskPhase
    flow_id: int
    is_map: bool
    needs_run: bool
    """Whether the handler needs anything of what the run was started with."""
    takes_input: bool
    takes_config: bool
    takes_state: bool
    """Whether the handler takes what its step was suspended with."""
    outputs: tuple[tuple[str, bool], ...]
    """The steps whose outputs the handler takes, and whether each is a map."""
    map_streams: tuple[str, ...]
    """The maps whose outputs the handler takes one by one; they are not among `outputs`."""
    streamed: frozenset[str]
    """All sources that the handler takes element by element."""
    element_of: ValuePath | None
    """What `item` is an element of; None where the handler takes no item."""
    element_is_output: bool
    """Whether `item` is the output of one task of a map, rather than an element of an array in a payload."""
    has_dependents: bool
    is_read: bool
    """Whether a handler of the flow takes this step's output, in whole or in part."""
    questions: Questions
    """What decisions ask about what one call of the handler returns."""
    arrays: tuple[ValuePath, ...]
    """The arrays in what one call of the handler returns that are read in parts."""
    completed: tuple[str, ...]
    """The steps that have run whenever this one's handler is called."""

    def statuses(self, skipped: Collection[str]) -> Mapping[str, StepStatus]:
        """How the steps ended that the handler knows of, given which of those it takes outputs of were skipped."""
        taken = (*(slug for slug, _ in self.outputs), *self.map_streams)
        known = {slug: StepStatus.SKIPPED if slug in skipped else StepStatus.COMPLETED for slug in taken}
        return {**dict.fromkeys(self.completed, StepStatus.COMPLETED), **known}

    def facts(self, output: bytes) -> bytes | None:
        """The facts of an output of this step, as the decisions need them."""
        return facts_of(self.questions, output)


class Executables:
    """The executables of one kernel, made as they are asked for."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._made: dict[tuple[int, str, TaskPhase], Executable] = {}

    def check(self, resources: Mapping[str, object], *, queues: Iterable[str]) -> None:
        """See that every handler gets the resources it asks for, before the first is called.

        Raises:
            ResourceProblem: names or classes do not fit; all problems are listed.
        """
        check_resources(self._kernel.flows, resources, queues=queues)

    def of(self, task: ClaimedTask) -> Executable:
        """What is called for a claimed task.

        Raises:
            NothingToCall: its step is not run in its phase.
        """
        return self.find(task.flow_id, task.key.step, task.phase)

    def find(self, flow_id: int, slug: str, phase: TaskPhase = TaskPhase.RUN) -> Executable:
        """The executable for a step of a registered flow.

        Raises:
            NothingToCall: the step is not run in this phase.
        """
        found = self._made.get((flow_id, slug, phase))
        if found is None:
            found = self._made[flow_id, slug, phase] = self._make(flow_id, slug, phase)
        return found

    def _make(self, flow_id: int, slug: str, phase: TaskPhase) -> Executable:
        binding, yields = _called(self._kernel.flow_of(flow_id).steps[slug], phase)
        return self.made(flow_id, slug, phase, binding, yields)

    def made(
        self, flow_id: int, slug: str, phase: TaskPhase, binding: Binding, yields: Schema | None = None
    ) -> Executable:
        """An executable that is made anew, of whatever is called for the step."""
        flow, plan = self._kernel.flow_of(flow_id), self._kernel.plan_of(flow_id)
        step = flow.steps[slug]
        sources = binding.sources
        element_of = step.source if ITEM in sources else None
        is_map = step.kind is StepKind.MAP
        taken = [each.source for each in binding.payloads if each.source in flow.steps]
        map_streams = tuple(name for name in taken if name in binding.streams and plan.is_map(name))
        return Executable(
            flow=flow.slug,
            step=step,
            binding=binding,
            yields=yields,
            phase=phase,
            flow_id=flow_id,
            is_map=is_map,
            needs_run=INPUT in sources or CONFIG in sources or (element_of is not None and element_of.name == INPUT),
            takes_input=INPUT in sources,
            takes_config=CONFIG in sources,
            takes_state=STATE in sources,
            outputs=tuple((name, plan.is_map(name)) for name in taken if name not in map_streams),
            map_streams=map_streams,
            streamed=binding.streams,
            element_of=element_of,
            element_is_output=element_of is not None and plan.is_map(element_of.name),
            has_dependents=bool(plan.dependents[slug]),
            is_read=any(_reads(flow.steps[other], slug) for other in plan.dependents[slug]),
            questions=plan.questions[slug],
            arrays=flow.arrays_read_in_parts(slug),
            completed=certain(step, flow.steps),
        )


NewExecutables: TypeAlias = Callable[[Kernel], Executables]
"""Makes the executables of one kernel."""


def _called(step: Step[Any], phase: TaskPhase) -> tuple[Binding, Schema | None]:
    """How a step is called in a phase, and the type of an element where it may return one after the other."""
    if phase is TaskPhase.CHECK and step.check is not None:
        return step.check.binding, step.check.streamed
    if phase is TaskPhase.RUN and step.binding is not None:
        return step.binding, step.streamed
    raise NothingToCall(step.slug, phase)


def _reads(step: Step[Any], slug: str) -> bool:
    item_of_it = step.source is not None and step.source.name == slug
    return any(slug in each.sources or (ITEM in each.sources and item_of_it) for each in step.bindings)
