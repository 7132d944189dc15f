"""`fairlead worker`: a long-running host for a kernel."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ...ports.errors import UsageError
from .command import DatabaseChoice, FairleadCommand, common_options, ports_options
from .output import json_line

if TYPE_CHECKING:
    from ...kernel import Kernel
    from ..resources import Resources

LEVELS = ("debug", "info", "warning", "error")


class NothingToServe(UsageError):
    """A worker that is set up like this would never do anything."""

    def __init__(self, target: str, problem: str) -> None:
        self.target = target
        super().__init__(f"{target!r}: {problem}")


@click.command(cls=FairleadCommand, short_help="Work on the flows of a kernel.")
@click.argument("target", metavar="MODULE:KERNEL")
@click.option("--concurrency", type=click.IntRange(1), default=50, show_default=True, help="Handlers at a time.")
@click.option("--queue", "queues", multiple=True, metavar="NAME", help="Serve only this queue; several times.")
@click.option("--resources", "resources_target", metavar="MODULE:NAME", help="The resources that handlers ask for.")
@click.option("--at-start", metavar="MODULE:NAME", help="A function of the kernel, called before anything is claimed.")
@click.option("--worker-id", metavar="NAME", help="Unique among all hosts. Default: host name, process id, chance.")
@click.option(
    "--lease",
    "lease_s",
    type=float,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a task stays this worker's if it dies.",
)
@click.option(
    "--drain-timeout",
    "drain_s",
    type=float,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long running handlers may take to end after a signal.",
)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="What is logged.")
@ports_options
@common_options
def worker(
    target: str,
    concurrency: int,
    queues: Sequence[str],
    resources_target: str | None,
    at_start: str | None,
    worker_id: str | None,
    lease_s: float,
    drain_s: float,
    log_level: str,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Work on the runs of a kernel's flows until SIGTERM or Ctrl-C.

    MODULE:KERNEL names a Kernel, a function that returns one, or one flow by itself. If the function has a parameter
    `ports`, it is given the ports of the database chosen here, as is the flow's kernel. The current folder can be
    imported from. In myapp/flows.py for instance:

    \b
    def kernel(ports: Ports) -> Kernel:
        return Kernel(flows=[fulfil_order], ports=ports)

    --resources names a mapping, or a function that returns an async context manager yielding one; if it has a parameter
    `kernel` or `ports`, it is given them.

    --at-start names a function, `async def` or `def`, that takes `kernel`. Each worker calls it once, before it claims
    anything: the place to put schedules down.

    A first signal lets running handlers end, a second ends the process at once. Any number of workers may run.

    \b
    fairlead worker myapp.flows:kernel
    fairlead worker myapp.flows:kernel --concurrency 200 --queue mail --queue default
    fairlead worker myapp.flows:kernel --resources myapp.wiring:resources
    fairlead worker myapp.flows:kernel --at-start myapp.flows:schedule
    """
    from ..process import collect_rarely, new_runner
    from .resource_sources import find_resources
    from .serving import open_kernel

    log(log_level, as_json=as_json)
    options: dict[str, Any] = {
        "concurrency": concurrency,
        "queues": queues or None,
        "worker": worker_id,
        "lease_duration": lease_s,
        "drain_timeout": drain_s,
    }
    with open_kernel(target, choice) as source, new_runner() as runner:
        kernel = source.make()
        resources = None if resources_target is None else find_resources(resources_target, kernel)
        collect_rarely()
        runner.run(_work(target, kernel, options, resources, at_start))


def log(level: str, *, as_json: bool) -> None:
    """Write log records of that level and above to stderr, one per line."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else plain)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON: `time` (seconds since 1970), `level`, `logger`, `message`, `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        document = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json_line(document).rstrip("\n")


async def _work(
    target: str, kernel: Kernel, options: Mapping[str, Any], resources: Resources | None, at_start: str | None
) -> None:
    from ..node import NodeHost
    from .at_start import call_at_start

    async with kernel:
        _require_work(target, kernel, options["queues"])
        if at_start is not None:
            await call_at_start(at_start, kernel)
        await NodeHost(kernel, resources=resources, **options).run_until_signal()


def _require_work(target: str, kernel: Kernel, queues: Sequence[str] | None) -> None:
    """Raise where a worker could never do anything."""
    from ...kernel.hints import nearest

    if not kernel.flows:
        raise NothingToServe(target, "the kernel has no flows; pass them to Kernel(flows=[…])")
    named = sorted({step.policy.queue for flow in kernel.flows for step in flow.steps.values()})
    for queue in queues or ():
        if queue not in named:
            raise NothingToServe(
                target, f"--queue: no step of its flows has the queue {queue!r}; {nearest(queue, named)}"
            )
