"""What a simulation tells that every seed survived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from ...kernel.amounts import counted


@frozen(kw_only=True)
class Report:
    """What was simulated, and survived."""

    flow: str
    end: str
    """How the run ends without faults: its status, and why it has failed if it has."""
    seeds: int
    virtual_s: float
    """All courses together, in virtual seconds."""
    executions: int
    """Handlers that were called."""
    repeated: Mapping[str, int]
    """By step, the tasks whose handler was called more often than without faults. A step with 0 was never put to the
    test: more seeds may do that."""
    struck: Mapping[str, int]
    """How often each kind of fault has struck."""
    called_once: Sequence[str]
    """Steps with `max_attempts=1`: where a host dies in such a call the run fails, so faults show little of them."""
    never_called: Sequence[str]
    """Steps whose handler was called in no course, with faults or without: nothing is known of them."""
    unseen: Sequence[str]
    """What resources hold that could not be compared, with its type."""
    ran_out: int
    """Runs that failed since faults used up the attempts of a task; they are judged by invariants alone."""

    def __str__(self) -> str:
        struck = ", ".join(f"{kind} {count}" for kind, count in sorted(self.struck.items())) or "none"
        again = ", ".join(f"{step} {count}" for step, count in self.repeated.items())
        return (
            f"{self.flow}: {self.end} without faults; "
            f"{counted(self.seeds, 'seed')}, {self.virtual_s / 3600:.1f} simulated hours, "
            f"{counted(self.executions, 'handler call')}; called again: {again}; "
            f"{counted(self.ran_out, 'run')} out of attempts; faults: {struck}"
            + (f"; hardly put to the test, with max_attempts=1: {', '.join(self.called_once)}" * bool(self.called_once))
            + (f"; never called: {', '.join(self.never_called)}" * bool(self.never_called))
            + (f"; not compared: {', '.join(self.unseen)}" * bool(self.unseen))
        )
