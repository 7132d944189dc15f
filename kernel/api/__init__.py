"""What users ask a kernel for, one area a module: each a base of `Kernel`, all of it commands and readings.

Its names follow rules. A plural lists: in pages what there may be any number of (`runs`, `dead_letters`), whole what
people keep (`schedules`, `deferred`, `sinks`, `workers`). One of many is found by its name (`find_flow`,
`find_schedule`, `find_deferred`) and then commanded by its handle; only what is done with a run, of which everybody
knows the id, is on both. A handle's `read` gives its record as it stands. `…_later` puts a command off to a time,
`request_…` until a transaction of the caller's has committed: both give a `Deferred`. `…_sync` is for callers that
block. An answer has one type, and is neither true nor false by itself.
"""
