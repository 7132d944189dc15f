"""A worker process for tests of memory: it starts one run over an array of the size it is told, and serves it.

Run as `python large_worker.py DATABASE BLOBS COUNT SIZE_BYTES`, BLOBS being the address of a blob store or nothing;
prints the run's output, and the most memory that the process has had, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Iterable

from attrs import frozen

from fairlead.adapters.postgres import postgres_ports
from fairlead.adapters.s3 import object_blobs
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel

TIMEOUT_S = 100.0


@frozen
class Pages:
    """How many pages there are, and how many characters each has."""

    count: int
    length: int


large = Flow("large", version=1, input=Pages, input_name="wanted")


@large.step(timeout=TIMEOUT_S)
def pages(wanted: Pages) -> Iterable[str]:
    """The array, which never exists as one value."""
    return (str(number).ljust(wanted.length, "x") for number in range(wanted.count))


@large.map(over=pages)
async def length(item: str) -> int:
    """One task per page."""
    return len(item)


@large.step(timeout=TIMEOUT_S)
def total(length: Iterable[int], pages: Iterable[str]) -> list[int]:
    """All pages together: by what their tasks returned, and by going through them."""
    return [sum(length), sum(map(len, pages))]


async def serve(url: str, blobs: str, wanted: Pages) -> object:
    """Start the run and serve it to its end."""
    ports = postgres_ports(url, blobs=object_blobs(blobs) if blobs else None)
    async with Kernel(flows=[large], ports=ports) as kernel, NodeHost(kernel, concurrency=100):
        run = await kernel.start(large, wanted)
        return await run.result(timeout=TIMEOUT_S)


if __name__ == "__main__":
    database, store, count, characters = sys.argv[1:]
    result = asyncio.run(serve(database, store, Pages(int(count), int(characters))))
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    sys.stdout.write(json.dumps({"result": result, "peak_mib": peak_mib}) + "\n")
