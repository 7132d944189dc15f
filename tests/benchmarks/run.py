"""`make bench`: the workloads of TARGETS beside the raw baseline, on an embedded PostgreSQL with durability on.

Repeats are interleaved: every repeat measures all workloads, each with its baseline right beside it. What is reported
is the median. A measurement whose results are wrong ends the benchmark with an error.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import asdict

from .figures import Figure
from .processes import Server
from .report import Report
from .workloads import (
    Sizes,
    drain_chains,
    drain_fan_out,
    drain_in_memory,
    drain_large,
    drain_one_step,
    drain_raw,
    latency,
    latency_raw,
)

RAW_BATCH = 100

Measurement = Callable[[Server, Sizes], Figure]


def _raw(workload: str, unit: str, jobs: Callable[[Sizes], int], steps: int, batch: int) -> Measurement:
    def measure(server: Server, sizes: Sizes) -> Figure:
        return drain_raw(server, workload, unit, jobs(sizes), steps=steps, batch=batch)

    return measure


WORKLOADS: Mapping[str, Sequence[Measurement]] = {
    "W1": (
        _raw("W1", "runs", lambda sizes: sizes.runs, 1, RAW_BATCH),
        _raw("W1", "runs", lambda sizes: sizes.runs // 10, 1, 1),
        drain_one_step,
    ),
    "W1b": (
        _raw("W1b", "runs", lambda sizes: sizes.runs, 1, RAW_BATCH),
        lambda server, sizes: drain_one_step(server, sizes, workers=2),
    ),
    "W2": (
        _raw("W2", "steps", lambda sizes: sizes.chains, 5, RAW_BATCH),
        _raw("W2", "steps", lambda sizes: sizes.chains // 10, 5, 1),
        drain_chains,
    ),
    "W3": (_raw("W3", "tasks", lambda sizes: sizes.elements, 1, RAW_BATCH), drain_fan_out),
    "W4": (latency_raw, latency),
    "large": (drain_large,),
    "memory": (lambda _server, sizes: drain_in_memory(sizes),),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := set(options.workloads) - set(WORKLOADS):
        parser.error(f"there is no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    sizes = Sizes(
        runs=options.runs,
        chains=options.chains,
        elements=options.elements,
        pages=options.pages,
        latencies=options.latencies,
        idle_s=options.idle,
        memory_runs=options.memory_runs,
        slots=options.slots,
        prepare=options.prepare,
    )
    report = Report()
    with Server.opened(options.binaries) as server:
        about = _about(server)
        print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
        for repeat in range(1, options.repeats + 1):
            for figure in _measured(server, sizes, options.workloads):
                report.add(figure)
                print(f"  {repeat}: {figure.workload} {figure.subject}: {figure.rate:,.0f} {figure.unit}/s", flush=True)
    print()
    for line in report.lines():
        print(line)
    if options.json is not None:
        document = {"about": about, "sizes": asdict(sizes), "figures": report.document()}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
        print(f"\nwritten to {options.json}")


def _measured(server: Server, sizes: Sizes, chosen: Sequence[str]) -> Iterable[Figure]:
    for name in chosen:
        for measure in WORKLOADS[name]:
            gc.collect()
            yield measure(server, sizes)


def _about(server: Server) -> dict[str, str]:
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "Python": platform.python_version(),
        "PostgreSQL": server.version,
        "cores": str(os.cpu_count()),
        **server.durability,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "workloads",
        nargs="*",
        default=list(WORKLOADS),
        metavar="WORKLOAD",
        help=f"of {', '.join(WORKLOADS)}; all of them",
    )
    number: Mapping[str, tuple[int, str]] = {
        "repeats": (3, "measurements of each; the median is reported"),
        "runs": (20_000, "runs of W1 and W1b"),
        "chains": (4_000, "runs of W2, five steps each"),
        "elements": (2_000, "elements of the map of W3"),
        "pages": (20_000, "elements that the 200 MB of the large fan-out are made of"),
        "latencies": (200, "runs of W4"),
        "idle": (10, "seconds for which an idle worker is watched"),
        "memory-runs": (20_000, "runs of the in-memory workload"),
        "slots": (400, "slots of each worker"),
    }
    for name, (default, help_) in number.items():
        parser.add_argument(f"--{name}", type=_positive, default=default, metavar="N", help=f"{help_} ({default})")
    parser.add_argument(
        "--prepare",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let workers prepare statements on the server, as is right where no old pooler stands before it (yes)",
    )
    parser.add_argument("--binaries", type=Path, metavar="FOLDER", help="of another PostgreSQL's programs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements there")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main(sys.argv[1:])
