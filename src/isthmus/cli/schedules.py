"""`isthmus schedules`: what runs when, and whether it shall."""

import click

from isthmus.cli.listing import Columns, listing
from isthmus.cli.target import Target, as_json, on_target
from isthmus.cli.wording import moment
from isthmus.handling.schedules import trigger
from isthmus.handling.schedules.timetable import Standing, Timetable

__all__ = ["schedules"]

EXAMPLES = """
\b
Examples:
  isthmus schedules
  isthmus schedules pause nightly
  isthmus schedules trigger nightly       run it once, now
"""

COLUMNS: Columns[Standing] = {
    "SCHEDULE": lambda row: row.name,
    "TIMING": lambda row: row.definition,
    "LAST": lambda row: moment(row.last_at),
    "NEXT": lambda row: "paused" if row.paused else moment(row.due_at),
}


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@as_json
@on_target
async def schedules(target: Target, *, as_json: bool) -> None:
    """List schedules, with their last and next runs; or pause, resume, trigger one."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    async with target.host() as host:
        rows = await Timetable(host.store).all()
    empty = "no schedules yet: they appear when an app that declares some is run"
    listing(rows, COLUMNS, as_json=as_json, empty=empty)


@schedules.command()
@click.argument("name")
@on_target
async def pause(target: Target, name: str) -> None:
    """Have NAME not run until it is resumed; what is due meanwhile is passed over."""
    async with target.host() as host:
        await Timetable(host.store).pause(name)
    click.echo(f"{name} is paused; undo it with: isthmus schedules resume {name}")


@schedules.command()
@click.argument("name")
@on_target
async def resume(target: Target, name: str) -> None:
    """Have NAME run again, from its next moment on."""
    async with target.host() as host:
        await Timetable(host.store).resume(name)
    click.echo(f"{name} runs again from its next moment on, known within half a minute")


@schedules.command("trigger")
@click.argument("name")
@on_target
async def trigger_(target: Target, name: str) -> None:
    """Have NAME run once, now, by whichever process is free."""
    async with target.host() as host:
        await trigger(host, name)
    click.echo(f"{name} runs as soon as a process takes it")
