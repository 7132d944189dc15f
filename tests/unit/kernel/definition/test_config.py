"""Settings of steps: merged over the defaults of their classes, with every problem reported."""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec
import pytest
from attrs import Factory, frozen

from fairlead.kernel.definition import Flow, join_config, split_config
from fairlead.kernel.errors import PayloadError


@frozen
class Language:
    code: str = "en"
    strict: bool = False


@frozen
class ReadSettings:
    dpi: int = 300
    language: Language = Factory(Language)
    names: dict[str, int] = Factory(dict[str, int])


@frozen
class SendSettings:
    address: str
    retries: int = 3


class Loose(TypedDict, total=False):
    depth: int


class Struct(msgspec.Struct):
    size: int = 5


def flow_of(*settings: type) -> Flow[Any]:
    """Return a flow with the steps `s0`, `s1`, …, each with settings of one class, and `plain` without any."""
    flow: Flow[Any] = Flow("ingest", version=1)

    def handler(config: object) -> None: ...

    for number, each in enumerate(settings):
        handler.__annotations__["config"] = each
        flow.step(handler, slug=f"s{number}")
    flow.step(lambda: 1, slug="plain")
    return flow


def test_defaults_alone() -> None:
    """Steps whose fields all have defaults need nothing, and still their values are kept with the run."""
    merged = flow_of(ReadSettings, Struct).merge_config()

    assert merged == {
        "s0": b'{"dpi":300,"language":{"code":"en","strict":false},"names":{}}',
        "s1": b'{"size":5}',
    }


def test_field_by_field() -> None:
    """Given fields win, the others keep their defaults; inside a nested class too."""
    merged = flow_of(ReadSettings).merge_config({"s0": {"dpi": 72, "language": {"code": "de"}, "names": {"any": 1}}})

    assert merged == {"s0": b'{"dpi":72,"language":{"code":"de","strict":false},"names":{"any":1}}'}


def test_an_instance_of_the_class() -> None:
    """It may be passed as it is."""
    assert flow_of(ReadSettings).merge_config({"s0": ReadSettings(dpi=1)})["s0"].startswith(b'{"dpi":1,')


def test_a_typed_dict_without_defaults() -> None:
    """Keys that need not be there stay absent."""
    assert flow_of(Loose).merge_config({}) == {"s0": b"{}"}


def test_every_problem_is_reported() -> None:
    """Unknown steps and fields, missing and wrong values: all at once, each with its path."""
    given = {
        "s0": {"dpi": "high", "dip": 1, "language": {"cod": "de"}},
        "s2": {},
        "plain": {"x": 1},
    }

    with pytest.raises(PayloadError) as raised:
        flow_of(ReadSettings, SendSettings).merge_config(given)

    assert raised.value.what == "config of flow 'ingest'"
    assert raised.value.problems == (
        ("$.s2", "there is no such step; known: 's0', 's1'"),
        ("$.plain", "this step takes no settings (it has no parameter `config`)"),
        ("$.s0.dip", "there is no such field in ReadSettings; did you mean 'dpi'?"),
        ("$.s0.language.cod", "there is no such field in Language; did you mean 'code'?"),
        ("$.s0.dpi", "Expected `int`, got `str`"),
        ("$.s1.address", "the required field is missing"),
    )


@pytest.mark.parametrize("given", [[], "s0", 3])
def test_settings_that_are_no_mapping(given: Any) -> None:
    """The whole is refused."""
    with pytest.raises(PayloadError) as raised:
        flow_of(ReadSettings).merge_config(given)

    assert raised.value.problems == (("$", f"must map step slugs to their settings, not be {type(given).__name__}"),)


def test_settings_of_one_step_that_are_no_object() -> None:
    """The problem stands at the step."""
    with pytest.raises(PayloadError) as raised:
        flow_of(ReadSettings).merge_config({"s0": 3})

    assert [path for path, _ in raised.value.problems] == ["$.s0"]


def test_the_settings_of_a_run_are_stored_as_one() -> None:
    """What was joined comes apart again, byte by byte."""
    merged = flow_of(ReadSettings, Struct).merge_config()
    stored = join_config(merged)

    assert stored == b'{"s0":' + merged["s0"] + b',"s1":' + merged["s1"] + b"}"
    assert split_config(stored) == merged
    assert join_config({}) is None
    assert split_config(None) == {}
