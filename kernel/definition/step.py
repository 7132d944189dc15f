"""One step of a flow, as its definition left it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from attrs import field, frozen

from ..plan import Condition, StepKind, StepPlan, ValuePath
from ..schema import ANY, Schema
from .binding import CONFIG, Binding
from .options import Policy
from .suspension import Check, Suspension

T = TypeVar("T")


@frozen(kw_only=True, eq=False)
class Step(Generic[T]):
    """A node of a flow. Equal only to itself; it may stand wherever a step is named.

    Type checkers know of those that `signal` and `sleep` return what they give: `Step[Approval]`.
    """

    slug: str
    kind: StepKind = field(repr=lambda kind: str(kind))
    binding: Binding | None = field(repr=False)
    """The handler and how it is called; None for a signal or a sleep, which has none."""
    output: Schema = field(repr=False)
    """What one call of the handler returns; for a signal, what it carries."""
    streamed: Schema | None = field(repr=False)
    """The type of one element, where the handler may return something that makes its array element by element."""
    produced: Schema = field(repr=False)
    """What dependents receive: `output`; for a map the list of all its outputs, with None in its gaps."""
    dependencies: tuple[str, ...] = field(repr=False)
    """Slugs of the earlier steps that must be settled first, each once, in order of definition."""
    source: ValuePath | None = field(repr=False)
    """The array that a map works over."""
    until: ValuePath | None = field(repr=False)
    """The time in an earlier value at which a sleep ends."""
    condition: Condition | None = field(repr=False)
    """Its own, of `when` and `unless`."""
    branches: tuple[Condition, ...] = field(repr=False)
    """The conditions of the branches that it stands in, outermost first."""
    requires: tuple[str, ...] = field(repr=False)
    """Slugs of the dependencies that must have run, in order of definition."""
    gaps: bool = field(repr=False)
    """Whether the list of a map may hold None for elements that failed, its own or those of the map it works over."""
    may_be_skipped: bool = field(repr=False)
    """Whether there are runs in which it is skipped and its dependents are not; `absence` says in which."""
    policy: Policy = field(repr=False)
    suspension: Suspension | None = field(repr=False)
    """How the step may suspend; None where it may not."""

    @property
    def check(self) -> Check | None:
        """What looks whether the step has its output while it is suspended; None where it never is."""
        return None if self.suspension is None else self.suspension.check

    @property
    def suspends(self) -> bool:
        """Whether a handler of the step may return `Suspend`, which takes a check."""
        return self.check is not None

    @property
    def lacks_check(self) -> bool:
        """Whether the step says that it may suspend, and nothing says how it goes on then."""
        return self.suspension is not None and self.suspension.declared and self.suspension.check is None

    @property
    def state_schema(self) -> Schema:
        """What the step keeps for its check while it is suspended."""
        return ANY if self.suspension is None else self.suspension.state

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """Of its handler and its check, as far as there are such."""
        bindings = (self.binding, None if self.check is None else self.check.binding)
        return tuple(binding for binding in bindings if binding is not None)

    @property
    def config(self) -> Schema | None:
        """The class of the step's settings; None where neither its handler nor its check takes any."""
        payloads = (binding.payload(CONFIG) for binding in self.bindings)
        return next((payload.schema for payload in payloads if payload is not None), None)

    @property
    def conditions(self) -> Iterator[Condition]:
        """Every condition that it is under, the outermost first."""
        yield from self.branches
        if self.condition is not None:
            yield self.condition

    @property
    def non_retryable(self) -> tuple[type[Exception], ...]:
        """Exceptions after which no further attempt is made."""
        return self.policy.non_retryable

    def encode_output(self, value: object) -> bytes:
        """Return what one call of the handler returned, as canonical JSON.

        Raises:
            PayloadError: it does not fit the declared type, or is not JSON.
        """
        return self.output.encode(value, what=f"output of step {self.slug!r}")

    def encode_state(self, value: object) -> bytes:
        """Return what the step suspends with, as canonical JSON.

        Raises:
            PayloadError: it does not fit the declared type, or is not JSON.
        """
        return self.state_schema.encode(value, what=f"state of step {self.slug!r}")

    def plan(self) -> StepPlan:
        """Return what the decisions know of this step."""
        policy = self.policy
        return StepPlan(
            slug=self.slug,
            kind=self.kind,
            dependencies=self.dependencies,
            source=self.source,
            queue=policy.queue,
            max_attempts=policy.max_attempts,
            base_delay_s=policy.base_delay_s,
            max_delay_s=policy.max_delay_s,
            jitter=policy.jitter,
            timeout_s=policy.timeout_s,
            start_delay_s=policy.start_delay_s,
            max_concurrency=policy.max_concurrency,
            condition=self.condition,
            branches=self.branches,
            requires=self.requires,
            on_unmet=policy.on_unmet,
            on_exhausted=policy.on_exhausted,
            tolerate_failures=policy.tolerate_failures,
            wait_s=policy.wait_s,
            until=self.until,
            on_timeout=policy.on_timeout,
        )
