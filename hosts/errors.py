"""What can be wrong with how a host is set up or called. All of it is found before the host claims anything."""

from __future__ import annotations

from ..ports.errors import UsageError


class HostOptionError(UsageError):
    """An option of a host is out of bounds."""

    def __init__(self, option: str, problem: str) -> None:
        self.option = option
        super().__init__(f"option {option!r} must be {problem}")


class ResourceProblem(UsageError):
    """Handlers ask for resources that the host was not given. `problems` holds a line for each."""

    def __init__(
        self, problems: tuple[str, ...], *, what: str = "the host cannot start; pass what is missing in resources={…}"
    ) -> None:
        self.problems = problems
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{what}:\n{listed}")


class AwaitedInLoop(UsageError):
    """A handler waits with `ctx.wait_for` in the event loop that would have to carry out what it waits for."""

    def __init__(self) -> None:
        super().__init__(
            "ctx.wait_for is for `def` handlers, which run in threads; in an `async def` handler, await it"
        )


class StreamInLoop(UsageError):
    """A stream that belongs into a thread is read in the event loop that it would have to wait for."""

    def __init__(self) -> None:
        super().__init__(
            "an Iterable is read in the thread of its `def` handler; in the event loop of its host it would wait for "
            "itself: write the handler as `async def` and take an AsyncIterable"
        )


class MalformedJob(UsageError):
    """A message is no job. It will never be one: put it aside, and do not deliver it again."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem}; a job is an object with 'run_id', 'queue' and, for a task, "
            "'task': {'step': …, 'generation': …, 'element': …}"
        )
