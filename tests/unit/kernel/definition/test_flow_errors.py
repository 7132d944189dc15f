"""Flows written down wrongly, with the whole message that each gets."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.kernel import Flow, FlowDefinitionError
from tests.support.wrong_steps import Order, Warehouse

WRONG_FLOWS: list[tuple[dict[str, Any], str]] = [
    ({"slug": "1st"}, "flow slug '1st' must consist of letters, digits and underscores, not beginning with a digit"),
    (
        {"slug": "fulfil\n"},
        "flow slug 'fulfil\\n' must consist of letters, digits and underscores, not beginning with a digit",
    ),
    ({"slug": ""}, "flow slug '' must not be empty"),
    ({"slug": "f" * 129}, f"flow slug '{'f' * 129}' has 129 characters; at most 128 are allowed"),
    ({"version": 0}, "version must be an int from 1 to 2147483647, or 'dev', not 0"),
    ({"version": True}, "version must be an int from 1 to 2147483647, or 'dev', not True"),
    ({"version": "2"}, "version must be an int from 1 to 2147483647, or 'dev', not '2'"),
    ({"version": 2**31}, "version must be an int from 1 to 2147483647, or 'dev', not 2147483648"),
    ({"input_name": "config"}, "input_name 'config' is reserved for something else"),
    ({"input_name": "class"}, "input_name 'class' is a Python keyword, so no parameter could be named like it"),
    (
        {"input_name": "an order"},
        "input_name 'an order' must consist of letters, digits and underscores, not beginning with a digit",
    ),
    ({"input_name": 3}, "input_name 3 must be a str, not int"),
    ({"input": "Order"}, "input: pass the type itself, not its name 'Order'"),
    (
        {"input": Warehouse},
        "input: Warehouse: at $: JSON cannot carry Warehouse; use an attrs class, a dataclass, "
        "a TypedDict or a msgspec.Struct, or Resource[...] for a service",
    ),
    ({"time_out": 3}, "unknown option 'time_out'; did you mean 'timeout'?"),
    ({"run_timeout": 0}, "option 'run_timeout' must be more than 0 s, not 0 s"),
    ({"on_timeout": "skip"}, "option 'on_timeout' belongs to signals: pass it to flow.signal(…)"),
    (
        {"max_attempts": 0, "timeout": 0},
        "option 'max_attempts' must be from 1 to 10000, not 0; option 'timeout' must be more than 0 s, not 0 s",
    ),
    ({"inptu": Order}, "unknown option 'inptu'; did you mean 'input'?"),
    (
        {"non_retryable": (ValueError,)},
        "option 'non_retryable' belongs to single steps, not to a flow: pass it to @flow.step or @flow.map",
    ),
    (
        {"max_concurrency": 3},
        "option 'max_concurrency' belongs to maps: use @flow.map(over=…, max_concurrency=…), or leave it out",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_FLOWS)
def test_a_wrong_flow(arguments: dict[str, Any], message: str) -> None:
    """Everything that is wrong with a flow itself is said when it is made."""
    make: Any = Flow

    with pytest.raises(FlowDefinitionError) as raised:
        make(**{"slug": "fulfil", "version": 1, **arguments})

    slug = arguments.get("slug", "fulfil")

    assert f"flow {slug!r}: {message}" == str(raised.value)
