"""What people type for times, and how results are written down."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner
from freezegun import freeze_time

from fairlead.hosts.cli.database import without_password
from fairlead.hosts.cli.moments import cursor, moment, write_cursor
from fairlead.hosts.cli.output import print_table, printable, shown_seconds, shown_size
from fairlead.ports.reading import RunCursor

CONTEXT = click.Context(click.Command("x"))
OPTION = click.Option(["--since"])


@freeze_time("2026-05-04 12:00:00", real_asyncio=True)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", "2026-05-04T11:58:30+00:00"),
        ("15m", "2026-05-04T11:45:00+00:00"),
        ("2h", "2026-05-04T10:00:00+00:00"),
        ("7d", "2026-04-27T12:00:00+00:00"),
        ("1w", "2026-04-27T12:00:00+00:00"),
        ("2026-05-01", "2026-05-01T00:00:00+00:00"),
        ("2026-05-01T08:30", "2026-05-01T08:30:00+00:00"),
        ("2026-05-01T08:30+02:00", "2026-05-01T06:30:00+00:00"),
    ],
)
def test_moments_are_times_or_how_long_ago(text: str, expected: str) -> None:
    """ISO 8601, UTC unless it says otherwise, or a number and a unit."""
    found = moment(CONTEXT, OPTION, text)

    assert found is not None
    assert found.isoformat() == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "-2h", "999999999w", "2026-13-01"])
def test_other_moments_are_refused(text: str) -> None:
    """With both forms as examples."""
    with pytest.raises(click.BadParameter, match=r"2026-05-04T12:30.*15m, 2h, 7d"):
        moment(CONTEXT, OPTION, text)


def test_a_cursor_comes_back_from_its_text() -> None:
    """To the microsecond, or pages would overlap."""
    created_at = moment(CONTEXT, OPTION, "2026-05-01T08:30:00.123456")
    assert created_at is not None
    wanted = RunCursor(created_at, "01a1fa92-ec1b-75cc-81fc-41a37d9b0bf2")

    assert cursor(CONTEXT, OPTION, write_cursor(wanted)) == wanted
    assert write_cursor(None) is None


@pytest.mark.parametrize("text", ["x", "2026-05-01/x", "/01a1fa92-ec1b-75cc-81fc-41a37d9b0bf2"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """It says where to take one from."""
    with pytest.raises(click.BadParameter, match="copy it from the page before"):
        cursor(CONTEXT, OPTION, text)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.00 s"), (9.994, "9.99 s"), (12.34, "12.3 s"), (59.6, "59.6 s"), (187, "3:07 min"), (7387, "2:03:07 h")],
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    """As precise as one wants to know."""
    assert shown_seconds(seconds) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"), [(0, "0 B"), (999, "999 B"), (4_200, "4.2 KB"), (1_300_000_000, "1.3 GB")]
)
def test_sizes_are_short(size_bytes: int, shown: str) -> None:
    """In decimal units."""
    assert shown_size(size_bytes) == shown


def test_a_table_is_aligned_and_plain_where_there_is_no_terminal() -> None:
    """Numbers to the right, no colour codes, no blanks at the ends of lines."""

    @click.command()
    def command() -> None:
        print_table(["NAME", ">FILES", "STATUS", "NOTE"], [("a", "1,200", "failed", ""), ("longer", "7", "x", "y")])

    assert CliRunner().invoke(command).output.splitlines() == [
        "NAME    FILES  STATUS  NOTE",
        "a       1,200  failed",
        "longer      7  x       y",
    ]


def test_a_terminal_sees_statuses_in_colour() -> None:
    """The same text, with codes around what stands for a status."""

    @click.command()
    def command() -> None:
        print_table(["STATUS"], [("failed",)])

    output = CliRunner().invoke(command, color=True).output

    assert "\x1b[31mfailed" in output
    assert click.unstyle(output) == "STATUS\nfailed\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db?x=1", "postgresql://me:***@host:5432/db?x=1"),
        ("postgresql://me:secr@et:[@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@a:1,b:2/db?user=x", "postgresql://me@a:1,b:2/db?user=x"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql:///db?password=secret&host=a%40b", "postgresql:///db?password=***&host=a%40b"),
        ("postgresql://host/db?user=me&sslpassword=secret", "postgresql://host/db?user=me&sslpassword=***"),
        ("postgresql://host/db?passfile=/me", "postgresql://host/db?passfile=/me"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    """The rest of the URL is, wherever the password stands in it."""
    assert without_password(url) == shown


def test_text_of_others_commands_no_terminal() -> None:
    """Escape sequences, bells and carriage returns of an error's message are marks; text of any script stays."""
    assert printable("größe 日本 →\nnext") == "größe 日本 →\nnext"
    assert printable("\x1b[31mred\x07\r\x9b2J") == "\ufffd[31mred\ufffd\ufffd\ufffd2J"
