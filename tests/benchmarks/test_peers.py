"""A figure of another system exists only where its results are right; these tests make them wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.benchmarks.flows import PAYLOAD, TEXT, five_steps
from tests.benchmarks.peers import environments
from tests.benchmarks.peers.catalogue import PEERS
from tests.benchmarks.peers.conversation import PURPOSES, STEPS, WORKLOADS, handled, parser
from tests.benchmarks.peers.measuring import MEASUREMENTS, WrongResults, check, measurement
from tests.benchmarks.run import main

ORDERS = 3

TABLES = {
    "dbos": """
        CREATE SCHEMA dbos;
        CREATE TABLE dbos.workflow_status (workflow_uuid text, name text, status text);
        CREATE TABLE dbos.workflow_output (workflow_uuid text, output text);
    """,
    "absurd": """
        CREATE SCHEMA absurd;
        CREATE TABLE absurd.t_default (state text, completed_payload jsonb);
        CREATE TABLE absurd.r_default (state text);
        CREATE TABLE absurd.r_elements (state text);
    """,
    "procrastinate": "CREATE TABLE procrastinate_jobs (status text);",
    "pgqueuer": "CREATE TABLE pgqueuer (status text); CREATE TABLE pgqueuer_log (status text);",
}
"""As much of each peer's tables as its check of runs of one step looks at."""

DONE = {
    "dbos": """
        INSERT INTO dbos.workflow_status SELECT id::text, 'one_step', 'SUCCESS' FROM generate_series(1, 3) AS id;
        INSERT INTO dbos.workflow_output SELECT id::text, '{"text":"$TEXT","handled":1}'
        FROM generate_series(1, 3) AS id
    """,
    "absurd": """
        INSERT INTO absurd.t_default SELECT 'completed', '{"text":"$TEXT","handled":1}' FROM generate_series(1, 3);
        INSERT INTO absurd.r_default SELECT 'completed' FROM generate_series(1, 3)
    """,
    "procrastinate": "INSERT INTO procrastinate_jobs SELECT 'succeeded' FROM generate_series(1, 3)",
    "pgqueuer": "INSERT INTO pgqueuer_log SELECT 'successful' FROM generate_series(1, 3)",
}
"""Three runs of one step that ended well."""

DAMAGE = [
    ("dbos", "UPDATE dbos.workflow_status SET status = 'ERROR' WHERE workflow_uuid = '2'"),
    ("dbos", "UPDATE dbos.workflow_output SET output = '{\"handled\": 1}' WHERE workflow_uuid = '2'"),
    ("dbos", "DELETE FROM dbos.workflow_output WHERE workflow_uuid = '2'"),
    ("dbos", "INSERT INTO dbos.workflow_status VALUES ('4', 'one_step', 'PENDING')"),
    ("absurd", "UPDATE absurd.t_default SET state = 'failed'"),
    ("absurd", "UPDATE absurd.t_default SET completed_payload = '{\"handled\": 2}'"),
    ("absurd", "INSERT INTO absurd.r_elements VALUES ('running')"),
    ("procrastinate", "INSERT INTO procrastinate_jobs VALUES ('doing')"),
    ("procrastinate", "INSERT INTO procrastinate_jobs VALUES ('succeeded')"),
    ("pgqueuer", "INSERT INTO pgqueuer VALUES ('picked')"),
    ("pgqueuer", "UPDATE pgqueuer_log SET status = 'exception'"),
]


@pytest.fixture
def work_off(empty_database_url: str) -> Callable[[str], str]:
    """Makes a database in which a peer has worked off three runs of one step."""

    def make(peer: str) -> str:
        execute(empty_database_url, TABLES[peer])
        execute(empty_database_url, DONE[peer].replace("$TEXT", TEXT))
        return empty_database_url

    return make


def execute(url: str, statements: str) -> None:
    """Statements in a transaction."""
    with psycopg.connect(url) as connection:
        connection.execute(statements.encode())


@pytest.mark.parametrize("name", PEERS)
def test_right_results_are_accepted(name: str, work_off: Callable[[str], str]) -> None:
    """What the other tests damage passes undamaged."""
    check(work_off(name), PEERS[name], "runs", ORDERS, done=ORDERS)


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_wrong_results_are_an_error(name: str, damage: str, work_off: Callable[[str], str]) -> None:
    """Something failed, has another output, is missing, is there too often or has not ended."""
    url = work_off(name)
    execute(url, damage)

    with pytest.raises(WrongResults, match=name):
        check(url, PEERS[name], "runs", ORDERS, done=ORDERS)


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if not peer.stores_outputs])
def test_wrong_outputs_are_an_error_where_nothing_stores_them(name: str, work_off: Callable[[str], str]) -> None:
    """The workers' own count says how many came out right."""
    with pytest.raises(WrongResults, match="2 of 3"):
        check(work_off(name), PEERS[name], "runs", ORDERS, done=2)


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_has_all_that_its_workloads_need(name: str) -> None:
    """A module and pinned requirements; a measurement and checks for each workload that it takes part in."""
    peer, folder = PEERS[name], environments.REQUIREMENTS
    lines = (folder / f"{name}.txt").read_text().splitlines()

    assert (folder.parent / f"{name}_roles.py").is_file()
    assert all(line.count("==") == 1 for line in lines)
    assert peer.shares.keys() <= MEASUREMENTS.keys()
    assert {"starts", "runs", "chains"} <= peer.checks.keys()
    assert ("W3" in peer.shares) == ("map" in peer.checks)
    assert measurement("W6", peer) is None


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_peer_is_told_what_to_enqueue(workload: str) -> None:
    """The order comes from outside."""
    options = parser().parse_args(["--order", PAYLOAD, "start", "postgresql://", workload, "7", "--bulk"])

    assert (workload, 7, True) == (options.workload, options.count, options.bulk)
    assert options.order == {"text": TEXT, "handled": 0}
    assert handled(options.order) == {"text": TEXT, "handled": 1}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_peer_is_told_what_its_worker_is_for(purpose: str) -> None:
    """Which decides on its settings."""
    options = parser().parse_args(["--order", PAYLOAD, "work", "postgresql://", purpose])

    assert purpose == options.purpose


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    """Nothing is installed again while the requirements are those that were installed."""
    made = tmp_path / "dbos"
    made.mkdir()
    (made / "installed.txt").write_bytes((environments.REQUIREMENTS / "dbos.txt").read_bytes())

    assert made / "bin" / "python" == environments.interpreter("dbos", folder=tmp_path)
    assert [each.name for each in made.iterdir()] == ["installed.txt"]


def test_a_system_that_is_unknown_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The message says which there are."""
    with pytest.raises(SystemExit):
        main(["W1", "--systems", "fairlead,temporal"])

    assert "there is no temporal; there are fairlead, raw, dbos" in capsys.readouterr().err


def test_chains_are_as_long_as_the_flow() -> None:
    """All systems take the same number of steps."""
    assert len(five_steps.steps) == STEPS
