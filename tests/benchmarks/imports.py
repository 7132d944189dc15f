"""How long a process takes to import Fairlead: what every command, and every cold start of a function, waits for.

Not counted is the interpreter itself. Modules are compiled, as an installation leaves them, and lie in the machine's
cache, as they do for all processes but the first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from statistics import median

from .figures import Figure
from .processes import ROOT, Server
from .sizes import Sizes

KERNEL = "import fairlead.kernel"

HANDLER = "import fairlead.hosts.serverless, fairlead.kernel, fairlead.adapters.postgres"
"""What the module of a function in a cloud imports."""

MEASURE = """
import time
real_s, processor_s = time.perf_counter(), time.process_time()
{}
print(time.perf_counter() - real_s, time.process_time() - processor_s)
"""


def import_modules(_server: Server, sizes: Sizes) -> Figure:
    """Import the kernel, and what a function needs, each in fresh processes of its own that take turns."""
    kernel: list[tuple[float, float]] = []
    handler: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="fairlead-bytecode-") as folder:
        for statement in (KERNEL, HANDLER):
            _fresh(statement, folder)
        for _ in range(sizes.imports):
            kernel.append(_fresh(KERNEL, folder))
            handler.append(_fresh(HANDLER, folder))
    return Figure(
        workload="import",
        subject="fairlead",
        unit="imports",
        count=2 * sizes.imports,
        took_s=sum(real_s for real_s, _ in (*kernel, *handler)),
        extra={
            "kernel_ms": 1000 * median(real_s for real_s, _ in kernel),
            "kernel_cpu_ms": 1000 * median(cpu_s for _, cpu_s in kernel),
            "handler_ms": 1000 * median(real_s for real_s, _ in handler),
            "handler_cpu_ms": 1000 * median(cpu_s for _, cpu_s in handler),
        },
    )


def _fresh(statement: str, bytecode: str) -> tuple[float, float]:
    """Seconds of real time and of the processor that a statement takes in a new process; compiled is in `bytecode`."""
    command = [sys.executable, "-c", MEASURE.format(statement)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    said = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
    real_s, processor_s = map(float, said.split())
    return real_s, processor_s
