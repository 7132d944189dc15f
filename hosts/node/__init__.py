"""The long-running host: claims work, runs it in its slots, and records what came of it.

How the roles fit together
--------------------------
::

    transport ──wake──▶ ListenLoop ─┐                         ┌─▶ handlers (slots)
    store ──due──▶ WatchLoop ───────┼─▶ ClaimLoop ─▶ Worker ──┤
                      │             │   (free slots)          └─▶ Settler ─▶ store ─▶ handed-over tasks ─▶ Worker
                      ├─ reap, wake, expire, fire, sweep, synchronise │
                      └─ FlushLoop ─▶ sink ◀──────────────────────────┘
    HeartbeatThread ─▶ store (leases of everything held)

- A **slot** is free, taken by a claim under way, filled by a handler, or kept for what its outcome makes ready. It is
  refilled as soon as it is free: a slow handler costs its own slot and no other.
- **Claims** go where work may wait (`claiming`), in batches as large as there are free slots.
- **Settling** is group commit (`settling`): one transaction takes whatever has ended during the one before;
  where many outcomes wait, a second one, of other runs, goes beside it.
- **Waking.** With a transport that delivers, messages name what to claim. Otherwise a hint says where something may
  wait, which leads to a claim there at once, and a single probe statement asks the store whether any tick would find
  something: soon after activity, then at pauses that double up to `poll_interval`. An idle host asks nothing else.
- **Waiting** is nobody's: no loop, timer or slot stands for a task that is suspended or put off. The probe tells when
  the next of all such times comes, and is made again just then; a host that put something off probes soon after.
- **Leases** last `lease_duration` and are extended every third of it (`heartbeats`).

How it ends
-----------
`stop()` claims no more; handlers end and are recorded until `drain_timeout` is over; async handlers that are left are
cancelled, and their tasks given back without spending an attempt. A thread cannot be stopped: its task is given back
only by a process that ends right after (`run_until_signal`), else its lease runs out. Heartbeats go on until the last
outcome is settled; only then is anything closed. A second signal ends the process at once.

How it fails
------------
Every loop is its own task; one that fails goes on after a pause that grows up to five seconds. While the store cannot
be reached, nothing is claimed, handlers go on, their outcomes wait, and heartbeats keep trying.
"""

from .host import NodeHost

__all__ = ["NodeHost"]
