"""How much of everything is measured: the numbers that the command line can change."""

from __future__ import annotations

import argparse
from typing import Any

from attrs import field, fields, frozen


def _number(default: int, what: str) -> Any:
    return field(default=default, metadata={"what": what})


@frozen(kw_only=True)
class Sizes:
    """How much of each workload is measured. Each is an option of that name."""

    runs: int = _number(20_000, "runs of W1, and of all that are compared to it")
    chains: int = _number(4_000, "runs of W2, five steps each")
    elements: int = _number(2_000, "elements of the map of W3")
    long_elements: int = _number(100_000, "elements of the map of W3L")
    million_elements: int = _number(1_000_000, "elements of the map of W3M")
    pages: int = _number(20_000, "elements that the 200 MB of the large fan-out are made of")
    latencies: int = _number(200, "runs of W4")
    idle_s: int = _number(10, "seconds for which an idle worker is watched")
    starts: int = _number(5_000, "runs that W5 starts one at a time; in bulk ten times as many")
    finished_runs: int = _number(300_000, "finished runs that are in the tables in W6")
    waiting_runs: int = _number(100_000, "runs that wait for a time or a signal in W6w")
    hosts: int = _number(32, "hosts that share the runs of the workload of that name")
    memory_runs: int = _number(20_000, "runs of the in-memory workload")
    flow_tests: int = _number(300, "tests of a flow that are played with the test kit")
    imports: int = _number(11, "fresh processes that import Fairlead")
    slots: int = _number(800, "slots of each worker")
    prepare: bool = True
    """Whether statements are prepared on the server, as is right where no old pooler stands before it."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option for each size."""
    for each in fields(Sizes):
        if "what" in each.metadata:
            name = f"--{each.name.replace('_', '-')}"
            help_ = f"{each.metadata['what']} ({each.default:,})"
            parser.add_argument(name, type=positive, default=each.default, metavar="N", help=help_)
    parser.add_argument(
        "--prepare",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let workers prepare statements on the server, as is right where no old pooler stands before it (yes)",
    )


def sizes_of(options: argparse.Namespace) -> Sizes:
    """What the command line said."""
    return Sizes(**{each.name: getattr(options, each.name) for each in fields(Sizes)})


def positive(text: str) -> int:
    """A number of the command line, at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
