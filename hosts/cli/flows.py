"""`fairlead flows`: what flows are, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .command import DatabaseChoice, FairleadCommand, common_options, kernel_option
from .exit_codes import ExitCode
from .output import print_json, print_table
from .program import NamingGroup

FORMATS = ("terminal", "svg", "mermaid")

SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "terminal", "": "terminal"}
"""The format of a drawing by the end of its file's name."""

FINGERPRINT_SHOWN = 12
"""Characters of a fingerprint that are shown in tables."""


@click.group(cls=NamingGroup, short_help="Look at flows: list, show, graph, check, schema.")
def flows() -> None:
    """Look at flows: what they consist of, drawn or in words, and whether they are right. Nothing is run.

    \b
    fairlead flows list --kernel myapp.flows:kernel
    fairlead flows graph fulfil_order --kernel myapp.flows:kernel --output fulfil_order.svg
    fairlead flows check --kernel myapp.flows:kernel
    """


flow_option = kernel_option("the flow")

flow_argument = click.argument("flow", required=False)

version_option = click.option(
    "--version", metavar="VERSION", help="Of the flow's versions this one. Default: the newest."
)


@flows.command("list", cls=FairleadCommand, short_help="List the flows of a kernel.")
@flow_option
@common_options
def list_command(target: str, as_json: bool) -> None:
    """List the flows of a kernel, with their versions and fingerprints.

    \b
    fairlead flows list --kernel myapp.flows:kernel
    """
    from .flow_sources import flows_at
    from .flow_words import flow_json

    found = flows_at(target)
    if as_json:
        print_json({"flows": [flow_json(flow) for flow in found]})
    elif found:
        rows = [
            (flow.slug, flow.version, str(len(flow.steps)), flow.shape.fingerprint[:FINGERPRINT_SHOWN])
            for flow in found
        ]
        print_table(["FLOW", ">VERSION", ">STEPS", "FINGERPRINT"], rows)
    else:
        click.echo("no flows")


@flows.command("show", cls=FairleadCommand, short_help="Show a flow: its input, and what each step does when.")
@flow_argument
@flow_option
@version_option
@common_options
def show_command(flow: str | None, target: str, version: str | None, as_json: bool) -> None:
    """Show FLOW: its input, its steps, what each reads and gives, conditions and policies in words, and options.

    FLOW may be left out where there is only one.

    \b
    fairlead flows show fulfil_order --kernel myapp.flows:kernel
    fairlead flows show --kernel myapp.flows:fulfil --json
    """
    from ..drawing.words import duration_words
    from .flow_sources import one_flow
    from .flow_words import flow_details_json, input_fields, step_lines

    found = one_flow(target, flow, version)
    if as_json:
        print_json(flow_details_json(found))
        return
    click.echo(f"flow {click.style(found.slug, bold=True)} (version {found.version})")
    click.echo(f"  fingerprint  {found.shape.fingerprint}")
    click.echo(f"  input        {found.input_name}: {found.input_schema.name}")
    fields = list(input_fields(found.input_schema))
    widest = max((len(name) for name, _, _ in fields), default=0)
    for name, kind, required in fields:
        click.echo(f"               {name:{widest}}  {kind}{'' if required else ', has a default'}")
    if found.plan.run_timeout_s is not None:
        click.echo(f"  run timeout  {duration_words(found.plan.run_timeout_s)}, then a run fails")
    if found.plan.retention_s is not None:
        click.echo(f"  retention    {duration_words(found.plan.retention_s)} after a run's end, then it is removed")
    for step in found.steps.values():
        click.echo(f"\n{step.kind} {click.style(step.slug, bold=True)}")
        for label, words in step_lines(found, step):
            click.echo(f"  {label:11}  {words}")


@flows.command("graph", cls=FairleadCommand, short_help="Draw a flow: in the terminal, as SVG, as Mermaid.")
@flow_argument
@flow_option
@version_option
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Default: as the name of --output says (.svg, .mmd, .txt); for the terminal without one.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the drawing there instead of to stdout.",
)
@common_options
def graph_command(
    flow: str | None, target: str, version: str | None, form: str | None, output: Path | None, as_json: bool
) -> None:
    """Draw FLOW: steps as boxes below what they depend on, maps as stacks, signals and sleeps as dotted boxes, branches
    as frames, conditions in words.

    FLOW may be left out where there is only one. A line that only brings data to a step that waits for other reasons
    anyway is drawn faint.

    \b
    fairlead flows graph fulfil_order --kernel myapp.flows:kernel
    fairlead flows graph fulfil_order --kernel myapp.flows:kernel --output fulfil_order.svg
    fairlead flows graph fulfil_order --kernel myapp.flows:kernel --format mermaid
    """
    from ..drawing import chart_of, draw_mermaid, draw_svg, draw_text
    from .flow_sources import one_flow

    if form is None:
        form = "terminal" if output is None else _format_of(output)
    chart = chart_of(one_flow(target, flow, version))
    draw = {"svg": draw_svg, "mermaid": draw_mermaid, "terminal": draw_text}[form]
    if output is not None:
        output.write_text(draw(chart), encoding="utf-8")
        if as_json:
            print_json({"flow": chart.title, "format": form, "file": str(output)})
        else:
            click.echo(f"{output}: {form} drawing of flow {chart.title}")
    elif as_json:
        print_json({"flow": chart.title, "format": form, "drawing": draw(chart)})
    elif form == "terminal":
        from .flow_picture import print_picture

        print_picture(chart)
    else:
        click.echo(draw(chart), nl=False)


def _format_of(output: Path) -> str:
    try:
        return SUFFIXES[output.suffix.lower()]
    except KeyError:
        known = ".svg (SVG), .mmd (Mermaid) or .txt (as in the terminal)"
        message = (
            f"--output: a drawing cannot be a {output.suffix} file; name one that ends in {known}, or give --format"
        )
        raise click.UsageError(message) from None


@flows.command("schema", cls=FairleadCommand, short_help="Print a flow's types as JSON Schema.")
@flow_argument
@flow_option
@version_option
@common_options
def schema_command(flow: str | None, target: str, version: str | None, as_json: bool) -> None:
    """Print the types of FLOW as JSON Schema: of its input, and of each step's output and config.

    FLOW may be left out where there is only one. What is printed is JSON with and without --json, with it in one line.

    \b
    fairlead flows schema fulfil_order --kernel myapp.flows:kernel > fulfil_order.schema.json
    """
    from .flow_sources import one_flow

    print_json(one_flow(target, flow, version).json_schema(), indented=not as_json)


@flows.command("check", cls=FairleadCommand, short_help="Check flows, as CI should: every error, with its place.")
@click.option(
    "--kernel",
    "targets",
    metavar="MODULE:KERNEL",
    required=True,
    multiple=True,
    help="A kernel, or a flow; may be given several times.",
)
@click.option("--database", metavar="URL", help="Compare the shapes with those that are registered there.")
@click.option(
    "--data-folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Compare them with those of the embedded PostgreSQL that keeps its data there.",
)
@click.option("--schema", metavar="NAME", help="The schema that Fairlead's tables are in. Default: fairlead.")
@common_options
@click.pass_context
def check_command(
    ctx: click.Context,
    /,
    targets: Sequence[str],
    database: str | None,
    data_folder: Path | None,
    schema: str | None,
    as_json: bool,
) -> None:
    """Import and seal flows, and tell everything that is wrong with their definitions, each error with file and line.

    With --database the shapes are also compared with those registered there: whatever differs would keep a worker from
    starting, and needs a new version of the flow. Nothing is written, and without it no database is looked at. The exit
    code is 0 where all is well, and 2 where it is not.

    \b
    fairlead flows check --kernel myapp.flows:kernel
    fairlead flows check --kernel myapp.flows:kernel --database postgresql://user:password@host/app
    """
    from .flow_checks import check_targets, shape_problems
    from .flow_words import flow_json

    if schema is not None and database is None and data_folder is None:
        raise click.UsageError("--schema says where in a database the tables are; give --database or --data-folder too")
    if database is not None and data_folder is not None:
        raise click.UsageError("--database and --data-folder name two databases; give one of them")
    checked = check_targets(targets)
    problems = list(dict.fromkeys(problem for each in checked.values() for problem in each.problems))
    if database is not None or data_folder is not None:
        from .reading import read

        choice = DatabaseChoice(url=database, folder=data_folder, schema=schema)
        problems += read(choice, lambda kernel: shape_problems(checked, kernel.ports.persistence))
    found = list(dict.fromkeys(flow for each in checked.values() for flow in each.flows))
    if as_json:
        from attrs import asdict

        print_json({"flows": [flow_json(flow) for flow in found], "problems": [asdict(each) for each in problems]})
    else:
        for problem in problems:
            click.echo(str(problem), err=True)
        if not problems:
            click.echo(f"{len(found)} flow{'' if len(found) == 1 else 's'}: all is well")
    if problems:
        ctx.exit(ExitCode.USAGE)
