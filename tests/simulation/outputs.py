"""What steps have come to, whether they are maps or not."""

from __future__ import annotations

from typing import Any

from fairlead.kernel import IsAMap, Kernel


async def output_of(kernel: Kernel, run_id: str, slug: str) -> Any:
    """What a step has come to; of a map all that its elements have."""
    run = kernel.run(run_id)
    try:
        return await run.output(slug)
    except IsAMap:
        return await run.outputs(slug)
