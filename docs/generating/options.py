"""The page of options."""

from __future__ import annotations

from fairlead.kernel.definition.options import OPTIONS, WAITING, Option, Scope

from .page import head


def options_page() -> str:
    """Every option of flows and of every kind of step."""
    rows = [_row(name, option) for table in (OPTIONS, WAITING) for name, option in table.items()]
    return "\n".join(
        [
            *head("Options", "kernel/definition/options.py"),
            "A step's option wins over its flow's, which wins over the default. Durations are `timedelta`s or seconds;",
            "their defaults are seconds.",
            "",
            "| option | meaning | values | default | of |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(name: str, option: Option) -> str:
    default = "" if option.default in (None, ()) else f"`{option.default}`"
    scopes = ", ".join(scope.value for scope in Scope if scope in option.scopes)
    return f"| `{name}` | {option.meaning} | {option.bounds} | {default} | {scopes} |"
