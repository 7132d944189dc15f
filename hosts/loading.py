"""Reading what attempts need, and starting them with it: all that is in rows at once, blobs for each by itself.

An attempt never waits for another one's blobs. While the store fails it is tried again, for as long as the attempts
hold their leases.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from random import Random

from ..ports.blobs import BlobCorrupt
from ..ports.errors import AdapterError
from .backoff import Backoff
from .errands import Errands
from .execution import Execution
from .payloads import Incomplete, PayloadMissing, Payloads
from .trying import Abandoned, try_on

logger = logging.getLogger(__name__)


class Loading:
    """Loads for one host. Belongs to one event loop."""

    def __init__(self, payloads: Payloads, random: Random, errands: Errands) -> None:
        self._payloads = payloads
        self._random = random
        self._errands = errands

    def begin(self, executions: Sequence[Execution]) -> None:
        """Read what some attempts need, and start each as soon as that is here."""
        self._spawn(self._load(executions))

    async def _load(self, executions: Sequence[Execution]) -> None:
        """Read what is in rows, all of it at once."""
        backoff = Backoff(self._random)
        while executions:
            wanted = [(execution.claimed, execution.executable) for execution in executions]
            try:
                loaded = await self._payloads.load(wanted)
            except AdapterError as error:  # recovers 21: inputs cannot be read for now
                if backoff.failures == 0:
                    logger.warning("cannot read the input of %d tasks for now, trying on: %s", len(wanted), error)
                await asyncio.sleep(backoff.pause_s())
                executions = [execution for execution in executions if not execution.ended]
                continue
            except Exception as error:  # recovers 76: inputs of a claim cannot be read at all
                logger.exception("the input of %d tasks cannot be read", len(wanted))
                for execution in executions:
                    execution.refuse(error)
                return
            for execution, values in zip(executions, loaded, strict=True):
                if isinstance(values, PayloadMissing):  # recovers 37: the store does not have what a task needs
                    execution.refuse(values)
                elif isinstance(values, Incomplete):
                    self._spawn(self._complete(execution, values))
                else:
                    execution.start(values)
            return

    async def _complete(self, execution: Execution, incomplete: Incomplete) -> None:
        """Read what one attempt needs from blobs, and start it."""
        try:
            values = await try_on(execution, "read its input", lambda: self._payloads.complete(incomplete))
        except Abandoned:  # recovers 42: an attempt is over while its blobs cannot be read
            return
        except (BlobCorrupt, PayloadMissing) as error:  # recovers 60: a blob that a task needs is lost
            execution.refuse(error)
        except Exception as error:  # recovers 76: the input of one task cannot be read at all
            logger.exception("the input of task %s cannot be read", execution.claimed.key)
            execution.refuse(error)
        else:
            execution.start(values)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        self._errands.add(asyncio.get_running_loop().create_task(work))
