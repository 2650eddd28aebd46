"""`isthmus events`: copies of event stores."""

import sys
from pathlib import Path

import click

from isthmus.cli.target import Target, on_target
from isthmus.sourcing.exporting import Progress, export
from isthmus.sourcing.house import house
from isthmus.sourcing.importing import import_events

__all__ = ["events"]

EXAMPLES = """
\b
Examples:
  isthmus events export account account.jsonl      all events of that aggregate
  isthmus events import account account.jsonl --engine sqlite:///other.db
  isthmus streams read account --key acc-1          the history of one
\b
Both go on where they were when they are broken off.
"""

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(epilog=EXAMPLES)
def events() -> None:
    """Copy the events of an aggregate type into a file, and from there into a store."""


@events.command("export")
@click.argument("aggregate")
@click.argument("file", type=FILE)
@click.option("--keys", is_flag=True, help="The keys of personal data too.")
@on_target
async def export_(target: Target, aggregate: str, file: Path, *, keys: bool) -> None:
    """Copy the events of AGGREGATE into FILE, a line of JSON each."""
    async with target.host() as host:
        home = house(host, aggregate)
        count = await export(home, aggregate, file, keys=keys, progress=_progress())
    click.echo(f"{file} has {count} events of {aggregate}")


@events.command("import")
@click.argument("aggregate")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@on_target
async def import_(target: Target, aggregate: str, file: Path) -> None:
    """Take the events in FILE into AGGREGATE; those that are there already are passed over."""
    async with target.host() as host:
        done = await import_events(house(host, aggregate), aggregate, file, progress=_progress())
    click.echo(f"{done.added} events added, {done.passed} were there")


def _progress() -> Progress | None:
    """Tell a person at a terminal how far it is."""
    if not sys.stderr.isatty():
        return None
    return lambda count: click.echo(f"\r{count} events", err=True, nl=False)
