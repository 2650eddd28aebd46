"""`isthmus projections`: how far read models are; and building them anew."""

import click
import msgspec

from isthmus.cli.listing import Columns, listing
from isthmus.cli.target import Target, as_json, on_target
from isthmus.errors import TimedOutError
from isthmus.handling.host import Host
from isthmus.sourcing.generation import Generation, Standing, group_of
from isthmus.sourcing.house import house
from isthmus.sourcing.standings import Standings
from isthmus.sourcing.switching import ask, parked_of

__all__ = ["projections"]

EXAMPLES = """
\b
Examples:
  isthmus projections
  isthmus projections rebuild balances           beside the one that is read
  isthmus projections rebuild balances --wait 600
"""

LOOK = 0.5
"""Seconds between two looks whether it is built."""


class _Row(msgspec.Struct, kw_only=True):
    name: str
    aggregate: str
    generation: int
    version: int
    behind: int
    parked: int
    building: int | None
    """The generation that is built to take its place."""
    building_behind: int | None


COLUMNS: Columns[_Row] = {
    "PROJECTION": lambda row: row.name,
    "OF": lambda row: row.aggregate,
    "GENERATION": lambda row: row.generation,
    "VERSION": lambda row: row.version,
    "BEHIND": lambda row: row.behind,
    "PARKED": lambda row: row.parked,
    "BUILDING": lambda row: (
        "-" if row.building is None else f"{row.building} ({row.building_behind} behind)"
    ),
}


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@as_json
@on_target
async def projections(target: Target, *, as_json: bool) -> None:
    """List projections, and how far they are; or have one built anew."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    async with target.host() as host:
        home = house(host, "of a projection")
        found = await Standings(home.store).all()
        rows = [await _row(home, name, standing) for name, standing in found.items()]
    empty = "no projections yet: they appear when an app that declares some is run"
    listing(rows, COLUMNS, as_json=as_json, empty=empty)


async def _row(home: Host, name: str, standing: Standing) -> _Row:
    live, building = standing.live, standing.building
    return _Row(
        name=name,
        aggregate=standing.log,
        generation=live.number,
        version=live.version,
        behind=await _behind(home, name, standing.log, live),
        parked=await parked_of(home, group_of(standing.log, name, live.number)),
        building=building and building.number,
        building_behind=building and await _behind(home, name, standing.log, building),
    )


async def _behind(home: Host, name: str, log: str, generation: Generation) -> int:
    group = group_of(log, name, generation.number).group
    positions = await home.log.positions(log, group)
    first, ends = await home.log.offsets(log, at="first"), await home.log.offsets(log, at="end")
    return sum(max(0, ends[p] - max(positions.get(p, 0), first[p])) for p in ends)


@projections.command()
@click.argument("name")
@click.option("--wait", type=float, default=0.0, metavar="SECONDS", help="Until it is switched.")
@on_target
async def rebuild(target: Target, name: str, *, wait: float) -> None:
    """Have NAME built anew from the first event, by whoever runs it; then it takes the place of
    the one that is read."""
    async with target.host() as host:
        standings = Standings(house(host, name).store)
        before = await standings.get(name)
        await ask(standings, name)
        click.echo(f"{name} is built anew by the processes that run it: isthmus projections")
        if wait:
            await _switched(host, standings, name, before, within=wait)
            click.echo(f"{name} is switched")


async def _switched(
    host: Host, standings: Standings, name: str, before: Standing, *, within: float
) -> None:
    until = host.clock.now() + within
    while (await standings.get(name)).live.number <= before.latest:
        if host.clock.now() >= until:
            raise TimedOutError(
                f"{name} is not switched after {within:g} s; it goes on: isthmus projections"
            )
        await host.clock.sleep(LOOK)
