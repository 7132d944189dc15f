"""`make bench`: the workloads of TARGETS beside the raw baseline, on an embedded PostgreSQL with durability on.

Repeats are interleaved: every repeat measures all workloads, each with its baseline and the other systems that were
asked for right beside it. What is reported is the median. A measurement whose results are wrong ends the benchmark
with an error.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import asdict

from .figures import Figure, NotMeasurable
from .peers.catalogue import PEERS
from .peers.environments import interpreter
from .processes import Server
from .report import Report
from .sizes import Sizes, add_options, positive, sizes_of
from .targets import compared_with
from .workloads import SYSTEMS, WORKLOADS, measurements


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := set(options.workloads) - set(WORKLOADS):
        parser.error(f"there is no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    chosen, systems = _chosen(options.workloads), options.systems
    for name in PEERS.keys() & systems:
        interpreter(name)
    sizes = sizes_of(options)
    report = Report()
    with Server.opened(options.binaries) as server:
        about = _about(server)
        print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
        for repeat in range(1, options.repeats + 1):
            for figure in _measured(server, sizes, chosen, systems):
                report.add(figure)
                print(f"  {repeat}: {figure.workload} {figure.subject}: {figure.rate:,.0f} {figure.unit}/s", flush=True)
    print()
    for line in report.lines():
        print(line)
    if options.json is not None:
        document = {"about": about, "sizes": asdict(sizes), **report.document()}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
        print(f"\nwritten to {options.json}")


def _chosen(names: Sequence[str]) -> list[str]:
    """The workloads to measure: those named, or else the default ones, with those that they are compared with."""
    wanted = set(names) or {name for name, workload in WORKLOADS.items() if workload.by_default}
    wanted |= {other for name in wanted for other in compared_with(name)}
    return [name for name in WORKLOADS if name in wanted]


def _measured(server: Server, sizes: Sizes, chosen: Sequence[str], systems: Collection[str]) -> Iterable[Figure]:
    for name in chosen:
        for measure in measurements(name, systems):
            gc.collect()
            try:
                yield measure(server, sizes)
            except NotMeasurable as error:
                print(f"  {error}", flush=True)


def _about(server: Server) -> dict[str, str]:
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "Python": platform.python_version(),
        "PostgreSQL": server.version,
        "cores": str(os.cpu_count()),
        **server.durability,
    }


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(
        f"  {name:<10} {workload.about}{'' if workload.by_default else ' (only where it is named)'}"
        for name, workload in WORKLOADS.items()
    )
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=f"{__doc__}\nworkloads:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help="what is measured, with what it is compared with"
    )
    parser.add_argument(
        "--systems",
        type=_systems,
        default=frozenset({"fairlead", "raw"}),
        metavar="SYSTEM,…",
        help=f"of {', '.join(SYSTEMS)}, or `all` (fairlead,raw); other systems are installed when they are first named",
    )
    parser.add_argument(
        "--repeats", type=positive, default=3, metavar="N", help="measurements of each; the median is reported (3)"
    )
    add_options(parser)
    parser.add_argument("--binaries", type=Path, metavar="FOLDER", help="of another PostgreSQL's programs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements there")
    return parser


def _systems(text: str) -> frozenset[str]:
    named = frozenset(SYSTEMS if text == "all" else text.split(","))
    if unknown := named - set(SYSTEMS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}")
    return named


if __name__ == "__main__":
    main(sys.argv[1:])
