"""`isthmus settings`: what holds here, where it was said, and what is wrong with it."""

import sys

import click

from isthmus.cli.listing import listing
from isthmus.cli.locate import locate
from isthmus.cli.target import as_json
from isthmus.settings import Found

__all__ = ["settings"]

EXAMPLES = """
\b
Examples:
  isthmus settings shop:app           all of them, and where each is from
  isthmus settings shop:app --said    only those that were said somewhere
"""


@click.command(epilog=EXAMPLES)
@click.argument("spec", metavar="[MODULE:APP]", required=False)
@click.option("--app", "named", metavar="MODULE:APP", help="The same, as other commands take it.")
@click.option("--said", is_flag=True, help="Leave out what is as it is by default.")
@as_json
def settings(spec: str | None, named: str | None, said: bool, as_json: bool) -> None:  # noqa: FBT001
    """Show the settings of an app, and where each is from; secrets stay hidden.

    Ends with status 1 if some cannot be used, naming all of them.
    """
    report = locate(spec or named).settings_report()
    rows = [each for each in report.found if not said or each.origin != "default"]
    columns = {"setting": _name, "value": _value, "from": _origin}
    listing(rows, columns, as_json=as_json, empty="all settings are as they are by default")
    if report.faults:
        click.echo("\nsettings that cannot be used:", err=True)
        for fault in report.faults:
            click.echo(f"  {fault}", err=True)
        sys.exit(1)


def _name(found: Found) -> str:
    return found.name


def _value(found: Found) -> str:
    return found.value or "?"


def _origin(found: Found) -> str:
    return found.origin or f"nowhere; {found.variable} says it"
