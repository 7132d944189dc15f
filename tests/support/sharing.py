"""Runs by where their events are: some that share a shard, and one that is apart."""

from __future__ import annotations

from fairlead.ports.outbox import shard_of

from .records import run_id

TOGETHER = [number for number in range(1, 2000) if shard_of(run_id(number)) == shard_of(run_id(1))][:3]
"""Numbers of runs that share the shard of the first."""

APART = next(number for number in range(2, 2000) if shard_of(run_id(number)) != shard_of(run_id(1)))
"""The number of a run in another shard."""
