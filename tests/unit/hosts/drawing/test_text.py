"""The drawing in a terminal."""

from __future__ import annotations

import pytest

from fairlead.hosts.drawing import chart_of, draw_text
from fairlead.hosts.drawing.characters import columns
from fairlead.hosts.drawing.text import Style, draw_runs
from fairlead.kernel.plan import StepPlan
from tests.support.drawn_plans import INGEST, MAIL, plan, random_plan, when

PICTURE = """\
ingest_document  version 2 · 6 steps

                         ╔═══════╗
                         ║ input ║
                         ╚═══╤═══╝
                             │
                             ▼
                         ╭───────╮
                         │ fetch │
                         ╰───┬───╯
               ╭┄┄┄┄┄┄┄┄┄┄┄┄┄┤
               ┆             ▼
               ┆  ┏━━━━━━━━━━━━━━━━━━━━━┓
               ┆  ┃        read         ┃
               ┆  ┃ each of fetch.pages ┃
               ┆  ┃   (20 at a time)    ┃
               ┆  ┃   (10 % may fail)   ┃
               ┆  ┗┳━━━━━━━━━━━━━━━━━━━┳┛
               ┆   ┗━━━━━━━━━┯━━━━━━━━━┛
               ┆             ├┄┄┄┄┄┄╮
               ├┄┄┄┄┄┄┄┄┄┄┄╮ │      ┆
               ┆           ▼ ▼      ┆
               ┆         ╭───────╮  ┆
               ┆         │ judge │  ┆
               ┆         ╰───┬───╯  ┆
             ╭─┆─────────────┴──────┆───────────────╮
             │ ┆ ╭┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄╯               │
             ▼ ┆ ┆                                  ▼
┌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┆╌┆╌╌╌╌╌╌╌╌╌╌╌╌┐     ┌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐
╎ when judge.verdict = "good" ╎     ╎ unless judge.verdict = "good" ╎
╎              ┆ ┆            ╎     ╎  ╭─────────────────────────╮  ╎
╎              ▼ ▼            ╎     ╎  │  when judge.pages = 7   │  ╎
╎         ╭─────────╮         ╎     ╎  ├─────────────────────────┤  ╎
╎         │ publish │         ╎     ╎  │       quarantine        │  ╎
╎         ╰────┬────╯         ╎     ╎  │ (unmet: the run fails)  │  ╎
╎              │              ╎     ╎  ╰─────────────────────────╯  ╎
╎              ▼              ╎     └╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘
╎        ╭───────────╮        ╎
╎        │ announce  │        ╎
╎        ╰───────────╯        ╎
└╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘
"""

WAITS = """\
send_mail  version 1 · 5 steps

                            ╔═══════╗
                            ║ input ║
                            ╚═══╤═══╝
                                │
                                ▼
                            ╭───────╮
                            │ draft │
                            ╰───┬───╯
               ╭────────────────┴────────────────╮
               ▼                                 ▼
╭┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈╮   ╭┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈╮
┊  when draft.risk = "high"   ┊   ┊           evening           ┊
├─────────────────────────────┤   ┊ sleeps until draft.send_at  ┊
┊          approval           ┊   ╰┈┈┈┈┈┈┈┈┈┈┈┈┈┈┬┈┈┈┈┈┈┈┈┈┈┈┈┈┈╯
┊     waits for a signal      ┊                  │
┊ (within 3 d, else skipped)  ┊                  │
╰┈┈┈┈┈┈┈┈┈┈┈┈┈┈┬┈┈┈┈┈┈┈┈┈┈┈┈┈┈╯                  │
               ╰────────────────╮                │
                                │ ╭──────────────╯
                                ▼ ▼
                            ╭───────╮
                            │ send  │
                            ╰───┬───╯
                                │
                                ▼
                    ╭┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈╮
                    ┊       cool_down       ┊
                    ┊ sleeps for 1 h 30 min ┊
                    ╰┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈╯
"""

WAITS_IN_ASCII = r"""send_mail  version 1 - 5 steps

                            +-------+
                            | input |
                            +---+---+
                                |
                                v
                            +-------+
                            | draft |
                            +---+---+
               +----------------+----------------+
               v                                 v
+.............................+   +.............................+
:  when draft.risk = "high"   :   :           evening           :
+-----------------------------+   : sleeps until draft.send_at  :
:          approval           :   +..............+..............+
:     waits for a signal      :                  |
: (within 3 d, else skipped)  :                  |
+..............+..............+                  |
               +----------------+                |
                                | +--------------+
                                v v
                            +-------+
                            | send  |
                            +---+---+
                                |
                                v
                    +.......................+
                    :       cool_down       :
                    : sleeps for 1 h 30 min :
                    +.......................+
"""

ASCII = r"""flow  version 1 - 2 steps

         +-------+
         | input |
         +---+---+
             |
             v
           +---+
           | a |
           +-+-+
             |
             v
+-------------------------+
| when a = "gr\xf6\xdfe"  |
+-------------------------+
|            b            |
+-------------------------+
"""


def test_a_flow_in_box_characters() -> None:
    """Steps, a map with a further card, branches in frames, edges with arrows, dotted where they add no order."""
    assert draw_text(chart_of(INGEST)) == PICTURE


def test_what_waits_is_dotted() -> None:
    """Signals and sleeps, in box characters and in plain ones."""
    assert draw_text(chart_of(MAIL)) == WAITS
    assert draw_text(chart_of(MAIL), ascii_only=True) == WAITS_IN_ASCII


def test_a_flow_in_ascii() -> None:
    """Where the terminal has nothing else, the same picture in plain characters; text is escaped."""
    flow = plan(StepPlan(slug="a"), StepPlan(slug="b", dependencies=("a",), condition=when("a", "größe")))

    assert draw_text(chart_of(flow), ascii_only=True) == ASCII


@pytest.mark.parametrize("seed", range(20))
def test_it_is_a_rectangle_of_characters(seed: int) -> None:
    """No line ends in spaces, ASCII means ASCII, and both have the same edges."""
    chart = chart_of(random_plan(seed, 1 + seed))
    lines = draw_text(chart).splitlines()

    assert [line for line in lines if line != line.rstrip()] == []
    assert draw_text(chart, ascii_only=True).isascii()
    assert sum(line.count("▼") for line in lines) > 0


def test_wide_characters_take_two_columns() -> None:
    """Borders stay in line around text of any script."""
    flow = plan(StepPlan(slug="a"), StepPlan(slug="b", dependencies=("a",), condition=when("a", "日本語")))
    lines = draw_text(chart_of(flow)).splitlines()[-5:]

    assert len({columns(line) for line in lines}) == 1


def test_runs_say_what_is_what() -> None:
    """For a terminal with colours: together the runs are the text, and conditions, titles and edges are told apart."""
    runs = draw_runs(chart_of(INGEST))
    styles = {run.text.strip(): run.style for line in runs for run in line}

    assert "\n".join("".join(run.text for run in line) for line in runs) + "\n" == draw_text(chart_of(INGEST))
    assert styles["publish"] is Style.TITLE
    assert styles['when judge.verdict = "good"'] is Style.CONDITION
    assert styles["each of fetch.pages"] is Style.DETAIL
    assert {Style.EDGE, Style.IMPLIED, Style.MAP, Style.INPUT} <= set(styles.values())
