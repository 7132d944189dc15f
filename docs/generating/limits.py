"""The page of limits: every bound that a user can meet, as the code has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from .page import head, text
from .sources import constant_texts, defining

_LIMITS = {
    "Flows": (
        ("kernel", "NAME_LENGTH_MAX", "characters of a slug"),
        ("kernel", "VERSION_MAX", "the largest version"),
        ("kernel", "MAX_ATTEMPTS_MAX", "`max_attempts`"),
        ("kernel", "MAX_CONCURRENCY_MAX", "`max_concurrency`"),
        ("kernel", "MAP_WINDOW_MAX", "unfinished tasks of one map at a time"),
        ("kernel", "DURATION_MAX", "any duration"),
        ("kernel", "CHECK_AFTER_LEAST_S", "seconds of `check_after` at least"),
    ),
    "Payloads": (
        ("kernel", "PAYLOAD_SIZE_BYTES_MAX", "bytes of one payload as JSON"),
        ("kernel", "STREAM_SIZE_BYTES_MAX", "bytes of an array that is made element by element"),
        ("kernel", "INLINE_BYTES_MAX", "bytes of a payload that stands in its row, unless `inline_bytes_max` says so"),
        ("kernel", "CONFIG_SIZE_BYTES_MAX", "bytes of the settings of a run"),
        ("kernel", "DEPTH_MAX", "levels of nesting"),
        ("kernel", "INTEGER_DIGITS_MAX", "digits of an integer"),
        ("kernel", "MESSAGE_LENGTH_MAX", "characters of a recorded error's message"),
        ("kernel", "TRACEBACK_LENGTH_MAX", "characters of its traceback"),
    ),
    "Starting and reading": (
        ("kernel", "KEY_LENGTH_MAX", "characters of a key"),
        ("kernel", "PRIORITY_MAX", "a priority, up or down"),
        ("kernel", "START_BATCH_MAX", "runs in one `start_many`"),
        ("kernel", "RUNS_PER_PAGE_MAX", "runs in one page of `runs`"),
    ),
    "Schedules": (
        ("kernel", "SCHEDULE_NAME_LENGTH_MAX", "characters of a schedule's name"),
        ("kernel", "CRON_LENGTH_MAX", "characters of a cron expression"),
        ("kernel", "ON_TIME", "by how much a tick may be late without having been missed"),
        ("kernel", "CATCH_UP_MAX", 'missed ticks that `catch_up="all"` fires'),
        ("kernel", "FAILURES_MAX", "failures in a row of a scheduled command, unless it may be a matter of time"),
        ("kernel", "RETRY_DELAY_MAX", "between two tries"),
    ),
    "Events": (
        ("ports", "SINKS_MAX", "sinks of one store, subscribers included"),
        ("kernel", "PUBLISH_TIMEOUT", "for one call of a sink"),
        ("kernel", "PUBLISHED_TOGETHER_MAX", "events in one call of a sink"),
        ("kernel", "ATTEMPTS_MAX", "attempts of an event before it is a dead letter"),
        ("kernel", "RETRY_DELAY_MAX_S", "seconds between two of them"),
        ("kernel", "REFUSED_IN_A_ROW_MAX", "runs that a sink refuses one after the other before it is paused"),
        ("kernel", "PAUSE_MAX_S", "seconds of such a pause"),
        ("kernel", "REPLAYS_PER_SHARD_MAX", "dead letters of a shard replayed in one flush"),
    ),
    "Notes": (
        ("kernel", "LOG_MESSAGE_LENGTH_MAX", "characters of a log entry's message"),
        ("kernel", "LOG_FIELD_LENGTH_MAX", "bytes of one field of a log entry"),
        ("kernel", "LOG_FIELDS_BYTES_MAX", "bytes of all its fields"),
        ("hosts", "LOG_ENTRIES_MAX", "log entries of one attempt"),
        ("hosts", "LOG_WAITING_MAX", "entries of one attempt that wait to be written"),
        ("hosts", "LOG_WAITING_BYTES_MAX", "bytes of them"),
        ("kernel", "LOG_PAGE_MAX", "entries in one `run.logs()`"),
        ("kernel", "PROGRESS_MESSAGE_LENGTH_MAX", "characters of a message of progress"),
        ("kernel", "PROGRESS_MAX", "tasks in `run.progress()`"),
        ("kernel", "ANNOTATIONS_MAX", "annotations of one run"),
        ("kernel", "ANNOTATION_KEY_LENGTH_MAX", "characters of an annotation's key"),
        ("kernel", "ANNOTATION_LENGTH_MAX", "characters of its text"),
        ("kernel", "ANNOTATION_NUMBER_MAX", "a whole number, up or down"),
        ("hosts", "NOTES_PATIENCE_S", "seconds that an outcome waits for what its attempt noted"),
    ),
    "Hosts": (
        ("hosts.node", "CONCURRENCY_MAX", "`concurrency` of a `NodeHost`"),
        ("hosts.serverless", "CONCURRENCY_MAX", "`concurrency` of a call of `ServerlessHost`"),
        ("hosts.serverless", "JOBS_MAX", "`max_jobs` of one call"),
        ("hosts", "WORKER_ID_LENGTH_MAX", "characters of a worker id"),
        ("kernel", "SETTLE_BATCH_MAX", "outcomes recorded in one transaction"),
        ("kernel", "CLOCK_SKEW_MAX", "by how much hosts' clocks may differ"),
    ),
    "Ports": (
        ("ports", "KEY_LENGTH_MAX", "characters of a blob's key"),
        ("ports", "SEGMENT_LENGTH_MAX", "characters of it between two slashes"),
        ("ports", "OUTBOX_SHARDS", "shards of the outbox"),
    ),
}


def limits_page() -> str:
    """Every limit by what it bounds."""
    return text([*head("Limits", "the constants of that name"), *_INTRODUCTION, *_tables()])


_INTRODUCTION = (
    "Every queue, batch, retry, payload and fan-out has a bound. What goes past one is refused with an error that",
    "names it, before anything is stored. The limits of options are [with the options](options.md).",
    "",
)


def _tables() -> Iterator[str]:
    for title, limits in _LIMITS.items():
        yield from (f"## {title}", "", "| at most | of what | why |", "|---|---|---|")
        for place, name, what in limits:
            module = defining(place, name)
            yield f"| {_shown(getattr(module, name))} | {what} | {constant_texts(module)[name]} |"
        yield ""


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.days:,} days" if value.days else f"{value.seconds} s"
    if isinstance(value, int) and value >= 1 << 20 and value % (1 << 20) == 0:
        return f"{value >> 20:,} MiB"
    return f"{value:,}" if isinstance(value, int) else str(value)
