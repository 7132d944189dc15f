"""The options with which runs are chosen, the same for every command that has to do with many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import wraps

import click

from ...kernel import AnnotationValue
from ...ports.reading import RunFilter
from ...ports.statuses import RunStatus
from .annotation_words import annotation_values
from .command import Body
from .moments import moment

FILTERS = "--flow, --status, --key, --since, --before and --annotation"


def filter_options(command: Body) -> Body:
    """Add the options that `FILTERS` names; together they arrive as `chosen`."""

    @wraps(command)
    def with_chosen(
        *args: object,
        flow: str | None,
        statuses: Sequence[str],
        key: str | None,
        since: datetime | None,
        before: datetime | None,
        annotations: Mapping[str, AnnotationValue],
        **named: object,
    ) -> object:
        chosen = RunFilter(
            flow=flow,
            statuses=frozenset(map(RunStatus, statuses)) or None,
            key=key,
            created_from=since,
            created_before=before,
            annotations=annotations or None,
        )
        return command(*args, chosen=chosen, **named)

    options = (
        click.option("--flow", metavar="SLUG", help="Runs of this flow."),
        click.option(
            "--status",
            "statuses",
            type=click.Choice([str(status) for status in RunStatus]),
            multiple=True,
            help="Runs with this status; may be given several times.",
        ),
        click.option("--key", help="The run that was started with this key."),
        click.option(
            "--since",
            callback=moment,
            metavar="TIME",
            help="Created then or later: 2026-05-04T12:30 (UTC, or with a zone as in +02:00), or 2h for ago.",
        ),
        click.option("--before", callback=moment, metavar="TIME", help="Created before then."),
        click.option(
            "--annotation",
            "annotations",
            multiple=True,
            callback=annotation_values,
            metavar="KEY=VALUE",
            help="Runs that are annotated so; given several times, with all of it.",
        ),
    )
    decorated: Body = with_chosen
    for option in reversed(options):
        decorated = option(decorated)
    return decorated
