"""Shape and fingerprint of signals, sleeps and suspending steps, and how their differences are told."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import frozen

from fairlead.kernel import Flow, Suspend
from fairlead.kernel.definition import Shape, differences


@frozen
class Mail:
    send_at: datetime
    due: datetime


@frozen
class Approval:
    approved: bool


@frozen
class Consent:
    approved: bool


@frozen
class Detailed:
    approved: bool
    by: str


@frozen
class Batch:
    job_id: str


@frozen
class Job:
    job_id: int


@frozen
class Settings:
    dpi: int = 300


def suspends(mail: Mail) -> int | Suspend[Batch]:
    return 1


def keeps_a_job(mail: Mail) -> int | Suspend[Job]:
    return 1


def never_suspends(mail: Mail) -> int:
    return 1


def is_ready(state: Batch) -> int | Suspend[Batch]:
    return 1


def reads_more(state: Batch, approval: Approval | None) -> int:
    return 1


def takes_settings(state: Batch, config: Settings) -> int:
    return 1


def build(
    *,
    payload: Any = Approval,
    signal: Any = (),
    duration: Any = 1,
    until: str | None = "mail.send_at",
    compute: Any = suspends,
    check: Any = is_ready,
    run_timeout: Any = None,
) -> Shape:
    """Return the shape of a flow that waits in every way."""
    options = {} if run_timeout is None else {"run_timeout": run_timeout}
    flow: Any = Flow("send", version=1, input=Mail, input_name="mail", **options)
    flow.signal("approval", payload, **dict(signal))
    flow.sleep("nap", duration)
    flow.sleep("night", duration) if until is None else flow.sleep("night", until=until)
    flow.step(compute, slug="compute", after=["approval"])
    if check is not None:
        flow.check("compute")(check)
    flow.seal()
    shape: Shape = flow.shape
    return shape


LATE = {"timeout": 60, "on_timeout": "skip"}


@pytest.mark.parametrize(
    "change",
    [
        {"payload": Consent},
        {"signal": {"timeout": 60}},
        {"signal": {"timeout": 60, "on_timeout": "fail"}},
        {"duration": timedelta(days=3)},
        {"run_timeout": 60},
        {"check": lambda: 1},
    ],
)
def test_what_leaves_the_fingerprint_alone(change: dict[str, Any]) -> None:
    """How long something lasts, the names of classes, and the code of a check."""
    assert build(**change).fingerprint == build().fingerprint


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({}, {"payload": Detailed}, ["step 'approval': output.by is new, is string"]),
        ({}, {"signal": LATE}, ["step 'approval': on_timeout was fail, is skip"]),
        ({}, {"until": "mail.due"}, ["step 'night': lasted until input.send_at, lasts until input.due"]),
        (
            {},
            {"until": None},
            ["step 'night': lasted until input.send_at, lasts for a time that the flow says"],
        ),
        (
            {"until": None},
            {},
            ["step 'night': lasted for a time that the flow says, lasts until input.send_at"],
        ),
        (
            {"compute": never_suspends, "check": None},
            {},
            ["step 'compute': may suspend (has a check), never did"],
        ),
        (
            {},
            {"compute": never_suspends, "check": None},
            ["step 'compute': might suspend (had a check), never does"],
        ),
        (
            {"check": lambda: 1},
            {"compute": keeps_a_job, "check": lambda: 1},
            ["step 'compute': state.job_id was string, is integer"],
        ),
        (
            {"signal": LATE},
            {"signal": LATE, "check": reads_more},
            [
                "step 'compute': approval was read by its check as it is produced, is read by its check as "
                "null or object(approved)"
            ],
        ),
        (
            {"signal": LATE, "check": reads_more},
            {"signal": LATE},
            [
                "step 'compute': approval was read by its check as null or object(approved), is read by its check as "
                "it is produced"
            ],
        ),
        ({}, {"check": takes_settings}, ["step 'compute': takes settings (config), did not"]),
    ],
)
def test_what_changes_the_fingerprint(before: dict[str, Any], after: dict[str, Any], lines: list[str]) -> None:
    """Types, what ends a sleep, what follows from a late signal, and that a step may suspend, with what it keeps."""
    one, other = build(**before), build(**after)

    assert one.fingerprint != other.fingerprint
    assert list(differences(one, other)) == lines


def test_a_step_of_another_kind() -> None:
    """A signal that was a step, and a sleep that was a signal."""
    one: Any = Flow("send", version=1)
    one.step(lambda: None, slug="first")
    one.signal("second", None)
    other: Any = Flow("send", version=1)
    other.signal("first", object)
    other.sleep("second", 1)
    one.seal()
    other.seal()

    assert list(differences(one.shape, other.shape)) == [
        "step 'first': was a step, is a signal",
        "step 'second': was a signal, is a sleep",
    ]


def test_the_document() -> None:
    """What is written down of a flow that waits; nothing of durations, and nothing of what is not used."""
    document = json.loads(build(signal=LATE, check=reads_more).document)

    assert document["steps"] == {
        "approval": {"kind": "signal", "output": {"object": {"approved": "boolean"}}, "on_timeout": "skip"},
        "nap": {"kind": "sleep", "output": "null"},
        "night": {"kind": "sleep", "output": "null", "until": "input.send_at"},
        "compute": {
            "kind": "step",
            "dependencies": ["approval"],
            "output": "integer",
            "check": {
                "state": {"object": {"job_id": "string"}},
                "reads": {"approval": {"union": ["null", {"object": {"approved": "boolean"}}]}},
            },
        },
    }
