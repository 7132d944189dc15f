"""Other systems, measured beside Fairlead on the same server in the same repeats.

Each peer has an environment of its own (`environments`), in which its module runs as a process that knows nothing of
Fairlead (`dbos_roles` and its like; `conversation` is how such a process is talked to). On this
side `catalogue` says what a peer takes part in and what its tables must hold afterwards, and `measuring` makes
figures of it.

What is fair here. Payloads, server, durability and number of worker processes are those of Fairlead's workloads, and
so is what is timed: a drain begins when workers are connected and are told to go, and ends when the last run has ended
in the database. A worker process may use as many connections, threads and batches as its documentation offers, tuned
for each workload where that helps it; Fairlead has one configuration for all. Its process runs on uvloop where it is
asynchronous. A run of one step is the peer's own unit of work (a workflow, a task, a job) without a recorded step in
it, since that unit is recorded and repeated as a whole; only runs of several steps record steps. Where a peer is slow,
fewer runs are drained; that flatters it rather, since its tables and indexes stay small.
"""
