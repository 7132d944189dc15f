"""Runs whose payloads are in a bucket or a folder: through the commands, and through a network that fails."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from uuid import uuid4

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.adapters.s3 import object_blobs
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel
from tests.support.commands import PATIENCE_S, Commands
from tests.support.http_faults import (
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED_AFTER,
    SLOW_DOWN,
    UNHARMED,
    FaultyProxy,
    faulty,
)
from tests.support.s3_servers import BUCKET, S3Server

APP = """
from fairlead.kernel import Flow, Kernel, Ports

shout = Flow("shout", version=1)

@shout.step
def louder(input: str) -> str:
    return input.upper()

@shout.step
def length(louder: str) -> int:
    return len(louder)

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[shout], ports=ports)
"""


@pytest.fixture(params=["bucket", "folder"])
def address(request: pytest.FixtureRequest, fairlead: Commands, tmp_path: Path) -> str:
    """Where the payloads of this test are, for `--blobs`."""
    if request.param == "folder":
        return f"file://{tmp_path}/payloads"
    server: S3Server = request.getfixturevalue("ministack")
    fairlead.environment.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    return f"s3://{BUCKET}/commands/{uuid4()}?endpoint={server.endpoint}"


@pytest.fixture
def app(fairlead: Commands, migrated_url: str) -> Commands:
    """The command, in a folder with an app, and a database in the environment."""
    (fairlead.folder / "app.py").write_text(APP)
    fairlead.environment["DATABASE_URL"] = migrated_url
    return fairlead


async def keys_at(address: str) -> list[str]:
    """What is stored there."""
    blobs = object_blobs(
        address, options={"access_key_id": "test", "secret_access_key": "test"} if "?" in address else None
    )
    try:
        return [info.key async for info in blobs.list()]
    finally:
        await blobs.aclose()


def test_commands_keep_large_payloads_where_they_are_told(app: Commands, address: str) -> None:
    """The one that starts by its option, the one that works by the environment: both find what the other wrote."""
    (app.folder / "input.json").write_text(json.dumps("quiet " * 50_000))
    started = app.ok("start", "shout", "--kernel", "app:kernel", "--input", "@input.json", "--blobs", address, "--json")
    run_id = json.loads(started)["id"]
    app.environment["FAIRLEAD_BLOBS"] = address
    worker = app.begin("worker", "app:kernel")
    small = app.ok("start", "shout", "--kernel", "app:kernel", "--input", '"a"', "--wait", "--timeout", "60", "--json")
    again = app.ok(
        "start", "shout", "--kernel", "app:kernel", "--input", "@input.json", "--wait", "--timeout", "60", "--json"
    )
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_S)
    shown = json.loads(app.ok("runs", "show", run_id, "--json"))

    keys = asyncio.run(keys_at(address))
    assert json.loads(small)["output"] == {"length": 1}
    assert json.loads(again)["output"] == {"length": 300_000}
    assert shown["run"]["status"] == "completed"
    assert [key for key in keys if run_id in key] == [
        f"runs/{run_id}/input/whole",
        f"runs/{run_id}/louder/1/0/1/whole",
    ]


table = Flow("table", version=1)


@table.step
def export(input: int) -> Iterable[str]:
    """A long array."""
    return (f"line {number} of a long table" for number in range(input))


@table.map(over=export, max_concurrency=20)
def measure(item: str) -> str:
    """An output that is too large for a row."""
    return item * 10


@table.step
def total(measure: Iterable[str]) -> int:
    """All of them together."""
    return sum(map(len, measure))


@pytest.fixture
async def proxy(ministack: S3Server) -> AsyncGenerator[FaultyProxy]:
    """A proxy before the server."""
    async with faulty(ministack.endpoint) as made:
        yield made


@pytest.mark.fault(61)
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_run_goes_through_a_network_that_fails(ministack: S3Server, proxy: FaultyProxy, seed: int) -> None:
    """Every third request meets something: nothing is lost, and it costs no attempt."""
    chance = random.Random(seed)
    faults = [UNHARMED] * 8 + [SLOW_DOWN, LOST_BEFORE, LOST_AFTER, REFUSED_AFTER]
    proxy.plan(chance.choice(faults) for _ in range(10_000))
    ports = memory_ports(blobs=ministack.blobs(f"e2e/{uuid4()}", endpoint=proxy.endpoint))

    async with Kernel(flows=[table], ports=ports, inline_bytes_max=100) as kernel, NodeHost(kernel):
        run = await kernel.start(table, 60)
        found = await run.output(total, timeout=60)
        details = await run.details()

    assert found == sum(len(f"line {number} of a long table") * 10 for number in range(60))
    assert {task.attempts for task in details.tasks} == {1}
    assert proxy.requests.count("PUT") > 60
    assert 10_000 - proxy.left == len(proxy.requests)
