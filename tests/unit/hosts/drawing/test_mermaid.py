"""The Mermaid diagram, which others draw."""

from __future__ import annotations

from fairlead.hosts.drawing import chart_of, draw_mermaid
from fairlead.kernel.plan import StepPlan
from tests.support.drawn_plans import INGEST, MAIL, plan, when


def test_a_flow_as_mermaid() -> None:
    """Maps, branches as subgraphs, conditions and policies in words, edges that add no order dotted."""
    assert draw_mermaid(chart_of(INGEST)) == (
        """---
title: ingest_document, version 2 · 6 steps
---
flowchart TD
    run_input(["input"]):::input
    step_fetch["fetch"]
    step_read[["read<br/>each of fetch.pages<br/>(20 at a time)<br/>(10 % may fail)"]]:::map
    step_judge["judge"]
    subgraph branch_1 ["when judge.verdict = #34;good#34;"]
        step_publish["publish"]
        step_announce["announce"]
    end
    subgraph branch_2 ["unless judge.verdict = #34;good#34;"]
        step_quarantine["when judge.pages = 7<br/>quarantine<br/>(unmet: the run fails)"]
    end
    run_input --> step_fetch
    step_fetch --> step_read
    step_fetch -.-> step_judge
    step_read --> step_judge
    step_fetch -.-> step_publish
    step_read -.-> step_publish
    step_judge --> branch_1
    step_publish --> step_announce
    step_judge --> branch_2
    classDef input fill:#4338ca,stroke:#4338ca,color:#ffffff
    classDef map stroke:#0d9488,stroke-width:2px
"""
    )


def test_what_waits_has_a_form_of_its_own() -> None:
    """Signals and sleeps are hexagons, whose style is there where they are."""
    lines = draw_mermaid(chart_of(MAIL)).splitlines()

    assert '    step_cool_down{{"cool_down<br/>sleeps for 1 h 30 min"}}:::wait' in lines
    assert (
        '    step_approval{{"when draft.risk = #34;high#34;<br/>approval<br/>waits for a signal<br/>'
        '(within 3 d, else skipped)"}}:::wait'
    ) in lines
    assert lines[-1] == "    classDef wait stroke:#c026d3,stroke-width:2px,stroke-dasharray:4 4"


def test_words_of_mermaid_and_of_html_stay_words() -> None:
    """A step may be called `end`; a value may hold quotes, entities, tags, brackets and backquotes."""
    hostile = '<b>&quot;#"`]}|'
    drawn = draw_mermaid(
        chart_of(
            plan(StepPlan(slug="end"), StepPlan(slug="graph", dependencies=("end",), condition=when("end", hostile)))
        )
    )
    line = next(line for line in drawn.splitlines() if line.startswith("    step_graph"))

    assert "    step_end --> step_graph" in drawn.splitlines()
    said = line.removeprefix('    step_graph["').removesuffix('"]')
    assert not set('<>&"`[]{}|\\') & set(said.replace("<br/>", ""))
