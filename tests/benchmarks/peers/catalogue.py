"""The peers by name: what each takes part in, and what its tables say of the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen


@frozen
class Check:
    """A query that gives a number, and what that number must be."""

    query: str
    """May name `%(once)s` and `%(five_times)s`, the order as JSON after so many steps."""
    per_order: int = 1
    """The number for each order that was enqueued."""


@frozen(kw_only=True)
class Peer:
    """Another system."""

    name: str
    schema: str
    """Where its tables are."""
    shares: Mapping[str, float]
    """The workloads it takes part in, and what share of Fairlead's amount it does there: a few seconds' worth."""
    waiting: str
    """A query that gives a row as long as something has not ended, at little cost."""
    checks: Mapping[str, Sequence[Check]]
    """What must hold in the end: of `runs`, `chains` and `map` after they were worked off, of `starts` before that."""
    stores_outputs: bool = True
    """If not, its workers count what ended with the right output."""
    polls: bool = False
    """Whether it finds work by polling alone, so that how often it looks decides between latency and idle cost."""


_DBOS_SUCCESSFUL = (
    "FROM dbos.workflow_status JOIN dbos.workflow_output AS done USING (workflow_uuid) WHERE status = 'SUCCESS'"
)
_PROCRASTINATE_SUCCEEDED = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
_PGQUEUER_SUCCESSFUL = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"

_ALL = (
    Peer(
        name="dbos",
        schema="dbos",
        shares={"W1": 0.05, "W1b": 0.05, "W2": 0.05, "W3": 0.25, "W4": 1, "W5": 0.4, "W5b": 0.1},
        waiting="SELECT FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING') LIMIT 1",
        checks={
            "starts": [Check("SELECT count(*) FROM dbos.workflow_status WHERE status = 'ENQUEUED'")],
            "runs": [
                Check(
                    f"SELECT count(*) {_DBOS_SUCCESSFUL} AND name = 'one_step' AND done.output::jsonb = %(once)s::jsonb"
                ),
            ],
            "chains": [
                Check(
                    f"SELECT count(*) {_DBOS_SUCCESSFUL} AND name = 'chain'"
                    " AND done.output::jsonb = %(five_times)s::jsonb"
                ),
                Check("SELECT count(*) FROM dbos.operation_outputs WHERE function_name = 'step'", per_order=5),
            ],
            "map": [
                Check(
                    f"SELECT count(*) {_DBOS_SUCCESSFUL} AND name = 'one_step' AND done.output::jsonb = %(once)s::jsonb"
                ),
                Check(f"SELECT sum(done.output::integer) {_DBOS_SUCCESSFUL} AND name = 'fan_out'"),
            ],
        },
        polls=True,
    ),
    Peer(
        name="absurd",
        schema="absurd",
        shares={"W1": 0.2, "W1b": 0.2, "W2": 0.2, "W3": 1, "W4": 1, "W5": 1, "W5b": 0.2},
        waiting="(SELECT FROM absurd.r_default WHERE state IN ('pending', 'running', 'sleeping') LIMIT 1)"
        " UNION ALL (SELECT FROM absurd.r_elements WHERE state IN ('pending', 'running', 'sleeping') LIMIT 1)",
        checks={
            "starts": [Check("SELECT count(*) FROM absurd.t_default WHERE state = 'pending'")],
            "runs": [
                Check(
                    "SELECT count(*) FROM absurd.t_default"
                    " WHERE state = 'completed' AND completed_payload = %(once)s::jsonb"
                )
            ],
            "chains": [
                Check(
                    "SELECT count(*) FROM absurd.t_default"
                    " WHERE state = 'completed' AND completed_payload = %(five_times)s::jsonb"
                ),
                Check("SELECT count(*) FROM absurd.c_default", per_order=5),
            ],
            "map": [
                Check(
                    "SELECT count(*) FROM absurd.t_elements"
                    " WHERE state = 'completed' AND completed_payload = %(once)s::jsonb"
                ),
                Check("SELECT sum(completed_payload::integer) FROM absurd.t_default WHERE state = 'completed'"),
            ],
        },
        polls=True,
    ),
    Peer(
        name="procrastinate",
        schema="public",
        shares={"W1": 0.2, "W1b": 0.2, "W2": 0.1, "W4": 1, "W5": 0.5, "W5b": 0.5},
        waiting="SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing') LIMIT 1",
        checks={
            "starts": [Check("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")],
            "runs": [Check(_PROCRASTINATE_SUCCEEDED)],
            "chains": [Check(_PROCRASTINATE_SUCCEEDED, per_order=5)],
        },
        stores_outputs=False,
    ),
    Peer(
        name="pgqueuer",
        schema="public",
        shares={"W1": 1, "W1b": 1, "W2": 0.5, "W4": 1, "W5": 1, "W5b": 1},
        waiting="(SELECT FROM pgqueuer WHERE status = 'queued' LIMIT 1)"
        " UNION ALL (SELECT FROM pgqueuer WHERE status = 'picked' LIMIT 1)",
        checks={
            "starts": [Check("SELECT count(*) FROM pgqueuer WHERE status = 'queued'")],
            "runs": [Check(_PGQUEUER_SUCCESSFUL)],
            "chains": [Check(_PGQUEUER_SUCCESSFUL, per_order=5)],
        },
        stores_outputs=False,
    ),
)

PEERS: Mapping[str, Peer] = {peer.name: peer for peer in _ALL}
