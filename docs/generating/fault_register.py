"""The register of faults: what goes wrong in the world, by number, and what has to come of it.

The numbers are for ever: tests name the faults that they show by them (`@pytest.mark.fault(5, 6)`), and so do
docstrings. A fault that is met for the first time gets the next free one.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Fault:
    """One thing that goes wrong, and its right outcome."""

    what: str
    outcome: str


REGISTER: Mapping[str, Mapping[int, Fault]] = {
    "Crashes": {
        1: Fault(
            "A client dies before its start commits", "Nothing exists; the client tries again, and there is one run."
        ),
        2: Fault("… after the commit, before the answer", "A repetition with the same key returns that run."),
        3: Fault(
            "A host dies after a claim, before the handler",
            "The lease ends and the task is claimed again; one attempt is spent.",
        ),
        4: Fault(
            "… in the handler",
            "As before. `ctx.idempotency_key` is the same in every attempt, to guard effects outside.",
        ),
        5: Fault("… after the handler, before its outcome commits", "It is executed again; one outcome is recorded."),
        6: Fault(
            "… after the commit, before the message is deleted",
            "The message comes again, finds a settled task, and is acknowledged.",
        ),
        7: Fault(
            "… between a task's end and what follows from it", "There is no such moment: both are one transaction."
        ),
        8: Fault("… before what follows is announced to a queue", "The sweep announces it again."),
        9: Fault(
            "… after publishing an event, before noting so", "The event comes again, under the same sequence number."
        ),
        10: Fault(
            "… after writing a blob, before the commit",
            "An orphan, unique to its attempt, which is collected when it is old.",
        ),
        11: Fault(
            "… after the commit, before deleting a blob",
            "An orphan, which is collected. Blobs go after the commit only, as often as it takes.",
        ),
        12: Fault(
            "… while it records an idempotency key", "Key and effect are one transaction; nothing is ever in progress."
        ),
        13: Fault(
            "… in the reaper, a sweep or a removal", "Batches are bounded and begin anew; nothing is lost behind them."
        ),
        14: Fault("… in a migration", "It is one transaction under a lock, and can be repeated."),
        15: Fault("… between a suspension and its timer", "The time is a column of the row, and no process."),
        16: Fault("A signal comes before its step waits", "It is a row; the step looks for it under the same lock."),
        17: Fault(
            "SIGTERM while a step runs",
            "It may finish for a while; when that is over, its task is given back, unspent.",
        ),
        18: Fault("A second SIGTERM", "The process ends at once, as if it had been killed."),
        19: Fault(
            "A handler takes its process along: memory, `os._exit`, segfault",
            "As 4; after `max_attempts` it ends as `worker_lost`.",
        ),
        20: Fault(
            "A process stands still beyond its lease, and goes on",
            "Whatever it writes is stale; it stops at its first refused heartbeat.",
        ),
    },
    "The database": {
        21: Fault("A restart or failover in a transaction", "The whole operation is tried again, from its beginning."),
        22: Fault(
            "The answer to a commit is lost", "What was done is looked up by key or token before it is repeated."
        ),
        23: Fault(
            "A deadlock or serialization failure",
            "Locks are taken in one order; it is tried again, boundedly; no host ends by it.",
        ),
        24: Fault(
            "A statement, lock or idle timeout", "It is tried again with pauses, for as long as the budget lasts."
        ),
        25: Fault(
            "All connections of the pool are in use",
            "The wait is bounded and ends in a typed error; heartbeats have a connection of their own.",
        ),
        26: Fault("A connection is half open", "A deadline of the wall clock closes it."),
        27: Fault("A cancelled coroutine leaves its connection in use", "It is closed, and never given to the next."),
        28: Fault("A status changes between its reading and its update", "The update itself carries the guard."),
        29: Fault("An error is swallowed inside a transaction", "The transaction cannot be committed, and says so."),
        30: Fault(
            "A plan under which `LIMIT … SKIP LOCKED` takes every row", "The claim takes its limit under every plan."
        ),
        31: Fault(
            "Events commit in another order than they were numbered in",
            "Each run numbers its own under its lock; none is passed over.",
        ),
        32: Fault("LISTEN dies silently, NOTIFY waits", "It costs time, and nothing else."),
        33: Fault(
            "A pooler in transaction mode stands before the database",
            "Nothing depends on a session; only LISTEN needs an address of its own.",
        ),
        34: Fault(
            "A neighbour's long transaction",
            "A claim reads what it claims, and passes what was settled since that began; nothing else.",
        ),
        35: Fault(
            "The disk is full, or the database read-only after a failover", "Nothing is half done; hosts go on trying."
        ),
        36: Fault("Reads of a replica that lags behind", "What decides is read where it is written."),
        37: Fault(
            "A restored backup is older than queue and blobs",
            "Unknown messages are acknowledged; what a missing blob was needed for fails by itself.",
        ),
    },
    "Delivery, time and leases": {
        38: Fault("One message reaches two hosts", "One claim wins; the other message is acknowledged."),
        39: Fault("Outcomes arrive in another order", "The token decides."),
        40: Fault(
            "A message of an unknown run, or one that is none", "It is acknowledged, or told apart to be put aside."
        ),
        41: Fault("Everything is to be recovered at once", "Batches of the reaper are bounded; retries are spread."),
        42: Fault("A lease is lost while the handler works", "Its result is stale; it sees `ctx.lease_lost`."),
        43: Fault("Clocks that are set, jump, or differ", "No lease is taken back early, none lasts for ever."),
        44: Fault(
            "Sleeps to the year 9999, negative delays, backoff beyond all numbers",
            "Refused, or clamped to what a calendar has.",
        ),
        45: Fault(
            "A message becomes visible while its handler runs",
            "It is kept invisible, or acknowledged at the claim: the row decides.",
        ),
        46: Fault("Some messages of a batch fail", "Only these come again."),
        47: Fault("The deadline of a function", "It stops claiming in time, and leaves nothing running."),
        48: Fault("A queue is purged", "The sweep announces what is due."),
        49: Fault("A poison pill", "It is tried with pauses, and then no more."),
        50: Fault("A replay of 100,000 dead letters", "It is paced, in order per run; twice is once."),
        51: Fault("One flow floods the store", "The others get their share."),
        52: Fault("A backlog of hours", "It waits; nothing of it is taken for stuck."),
    },
    "Data": {
        53: Fault(
            "Values that are no JSON, or only nearly",
            "One verdict in every store: kept canonically, or refused with the path.",
        ),
        54: Fault("Payloads around and far beyond the limits", "A blob, or a clear error before anything is written."),
        55: Fault("Errors with texts of any size and content", "They are cut and cleaned."),
        56: Fault("Names of any content", "The same verdict everywhere."),
        57: Fault("Flows without steps, with ten thousand, with cycles", "Refused where they are defined, or fine."),
        58: Fault("Maps over nothing, one, a hundred thousand", "Memory and locks are bounded."),
        59: Fault(
            "A flow changes while its runs go on",
            "Runs are bound to their version and shape; a host that lacks it claims nothing of them.",
        ),
        60: Fault(
            "A blob is missing, cut off or damaged", "It is read again, then told as corrupt; nothing takes its place."
        ),
        61: Fault(
            "The blob store refuses, is slow or away", "It is tried again with pauses, and never inside a transaction."
        ),
    },
    "Races": {
        62: Fault("A cancel beside a claim, an outcome, a retry, a wait, another cancel", "As one after the other."),
        63: Fault("A signal beside its timeout, another signal, the end", "One of them counts, and each is told."),
        64: Fault("A retry beside the end of its lease", "One of them is recorded; the other is stale."),
        65: Fault("A rerun beside late results of the generation before", "They are stale in every order."),
        66: Fault("A hundred starts with one key", "One run."),
        67: Fault("The last two siblings end together", "What depends on both begins once."),
        68: Fault("A sibling fails while others run", "They are cancelled, and told; what they bring is stale."),
        69: Fault(
            "Two reapers, publishers, schedulers, migrators", "Each thing is done once, or twice without a difference."
        ),
        70: Fault(
            "A tick that five hosts see, ticks that none saw", "One run for each tick; missed ones as the policy says."
        ),
    },
    "Hosts and handlers": {
        71: Fault("A handler blocks the event loop", "Heartbeats go on."),
        72: Fault("A handler leaves tasks or threads behind", "Its outcome is recorded when it returns."),
        73: Fault("A handler swallows its cancellation", "Its slot is given to others after a grace."),
        74: Fault(
            "A handler raises what ends processes: `sys.exit`, endless recursion", "A failed attempt, like any other."
        ),
        75: Fault("A sink raises, hangs, or calls back into the kernel", "It holds up nothing but its own events."),
        76: Fault("Scheduler, clock or another duty of a host raises", "That step fails alone, and is taken again."),
        77: Fault("Two hosts in one process; hosts that come and go", "No connection, thread, task or file is left."),
        78: Fault(
            "The rules themselves raise, by a defect of ours",
            "That run or task fails alone, as `internal_error`; the rest of the batch is recorded.",
        ),
    },
}
"""Every fault by its number, under what it is about."""

FAULTS: Mapping[int, Fault] = {number: fault for part in REGISTER.values() for number, fault in part.items()}
"""Every fault by its number."""
