"""Worker processes for tests of memory: each does its part of one run over arrays of the size it is told.

Run as `python large_worker.py PART DATABASE BLOBS COUNT SIZE_BYTES`, BLOBS being the address of a blob store or
nothing. The parts:

    streamed    starts a run of `large` and serves it to its end
    lists       starts a run of `listed` and serves its steps that have whole lists
    pages       serves the steps of `listed` that take them element by element, until all runs have ended

Prints the run's output, and the most memory that the process has had, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

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
    return (page(number, wanted) for number in range(wanted.count))


@large.map(over=pages)
async def length(item: str) -> int:
    """One task per page."""
    return len(item)


@large.step(timeout=TIMEOUT_S)
def total(length: Iterable[int], pages: Iterable[str]) -> list[int]:
    """All pages together: by what their tasks returned, and by going through them."""
    return [sum(length), sum(map(len, pages))]


listed = Flow("listed", version=1, input=list[str], input_name="given", timeout=TIMEOUT_S)


@listed.step(queue="lists")
def copied(given: list[str]) -> list[str]:
    """The array as one value."""
    return given


@listed.step(queue="pages")
def counted(given: Iterable[str], copied: Iterable[str]) -> list[int]:
    """What was whole elsewhere, by going through it."""
    return [sum(map(len, given)), sum(map(len, copied))]


def page(number: int, wanted: Pages) -> str:
    """One of the pages, all of which differ."""
    return str(number).ljust(wanted.length, "x")


def peak_mib() -> float:
    """The most memory that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux `ru_maxrss` counts what the parent had before the process became this program
        (peak_kib,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))
        return int(peak_kib) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)


async def serve(part: str, kernel: Kernel, wanted: Pages) -> object:
    """Do one part; answers the run's output, where that is known at its end."""
    if part == "streamed":
        async with NodeHost(kernel, concurrency=100):
            run = await kernel.start(large, wanted)
            return await run.result(timeout=TIMEOUT_S)
    if part == "lists":
        async with NodeHost(kernel, queues=("lists",)):
            run = await kernel.start(listed, [page(number, wanted) for number in range(wanted.count)])
            return len(await run.output(copied, timeout=TIMEOUT_S) or [])
    async with NodeHost(kernel, queues=("pages",)):
        (record,) = (await kernel.runs()).runs
        return await kernel.run(record.id).result(timeout=TIMEOUT_S)


async def main(part: str, url: str, blobs: str, wanted: Pages) -> object:
    """One part over the ports that are named."""
    ports = postgres_ports(url, blobs=object_blobs(blobs) if blobs else None)
    async with Kernel(flows=[large, listed], ports=ports) as kernel:
        return await serve(part, kernel, wanted)


if __name__ == "__main__":
    chosen, database, store, count, characters = sys.argv[1:]
    result = asyncio.run(main(chosen, database, store, Pages(int(count), int(characters))))
    sys.stdout.write(json.dumps({"result": result, "peak_mib": peak_mib()}) + "\n")
