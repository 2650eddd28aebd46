"""`isthmus sagas`: which run, which are stuck and at what, and what becomes of them."""

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args

import click
import msgspec

from isthmus.cli.listing import Columns, echo_json, listing
from isthmus.cli.target import Target, as_json, on_target
from isthmus.cli.timeline import timeline
from isthmus.cli.wording import excerpt, moment
from isthmus.sagas import Handle, Listed, Sagas, SagaStatus, Status

__all__ = ["sagas"]

EXAMPLES = """
\b
Examples:
  isthmus sagas                                     how many there are, by status
  isthmus sagas list --status stuck
  isthmus sagas list --name fulfil --search "bank is shut"
  isthmus sagas show fulfil/A-1                     all that happened to it
  isthmus sagas resume fulfil/A-1 fulfil/A-2
  isthmus sagas cancel fulfil/A-1 --why "customer left"
  isthmus sagas export fulfil/A-1 tests/histories/A-1.json
  isthmus sagas check --app shop:app                would they go on with this code?
"""

MOST = 1_000_000
STATUSES: tuple[Status, ...] = get_args(Status)
GOING: tuple[Status, ...] = ("stuck", "compensating", "running")


class _Count(msgspec.Struct):
    name: str
    status: str
    count: int


COUNTS: Columns[_Count] = {
    "SAGA": lambda row: row.name,
    "STATUS": lambda row: row.status,
    "COUNT": lambda row: row.count,
}
LISTED: Columns[Listed] = {
    "SAGA": lambda row: f"{row.name}/{row.id}",
    "VERSION": lambda row: row.version,
    "STATUS": lambda row: row.status,
    "STARTED": lambda row: moment(row.started_at),
    "SINCE": lambda row: moment(row.changed_at),
    "WHY": lambda row: excerpt(row.detail.encode()),
}


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@as_json
@on_target
async def sagas(target: Target, *, as_json: bool) -> None:
    """Count sagas; or list, show, retry, resume, cancel, compensate them with a command."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    counts = Counter[tuple[str, str]]()
    async with target.host() as host:
        for status in STATUSES:
            found = await Sagas(host).list(status=status, limit=MOST)
            counts.update((each.name, each.status) for each in found)
    rows = [_Count(name, status, count) for (name, status), count in sorted(counts.items())]
    listing(rows, COUNTS, as_json=as_json, empty="no sagas")


@sagas.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only these; else all but the ended.")
@click.option("--name", default="", metavar="SAGA", help="Only sagas of this name.")
@click.option("--search", default="", metavar="TEXT", help="In name, id, or what it is stuck at.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@as_json
@on_target
async def list_(
    target: Target, *, status: Status | None, name: str, search: str, limit: int, as_json: bool
) -> None:
    """List sagas, those that are stuck first."""
    found = list[Listed]()
    async with target.host() as host:
        for each in (status,) if status else GOING:
            left = limit - len(found)
            found += await Sagas(host).list(status=each, name=name, search=search, limit=left)
    listing(found, LISTED, as_json=as_json, empty="no such sagas")


@sagas.command()
@click.argument("key", metavar="SAGA/ID")
@as_json
@on_target
async def show(target: Target, key: str, *, as_json: bool) -> None:
    """Show one saga: how it stands, and all that happened to it."""
    async with target.host() as host:
        handle = Sagas(host).handle(key)
        status, recorded = await handle.status(), await handle.recorded()
    if as_json:
        events = msgspec.json.decode(recorded.json())["events"]
        return echo_json({**msgspec.to_builtins(status), "events": events})
    _tell(status)
    for line in timeline(recorded.events):
        click.echo(line)


def _tell(status: SagaStatus) -> None:
    told = {
        "saga": f"{status.name}/{status.id}, version {status.version}",
        "status": status.status + (f": {status.reason}" if status.reason else ""),
        "why": status.error,
        "waits for": "; ".join(status.waits_for),
        "started": moment(status.started_at),
        "steps done": status.steps,
    }
    for title, value in told.items():
        if value != "":
            click.echo(f"{title:11} {value}")
    click.echo()


def _on_some(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("keys", metavar="SAGA/ID...", nargs=-1, required=True)(command)


@sagas.command()
@_on_some
@on_target
async def resume(target: Target, keys: Sequence[str]) -> None:
    """Have stuck sagas try again what they are stuck at."""
    await _each(target, keys, lambda handle: handle.resume(), "is told to go on")


@sagas.command()
@_on_some
@on_target
async def retry(target: Target, keys: Sequence[str]) -> None:
    """Have sagas that wait for the next attempt at a step make it now."""
    await _each(target, keys, lambda handle: handle.resume(), "tries again now")


@sagas.command()
@_on_some
@click.option("--why", default="cancelled", show_default=True, help="What is told of it.")
@on_target
async def cancel(target: Target, keys: Sequence[str], *, why: str) -> None:
    """Have sagas undo what they did, and end; those that have ended stay as they are."""
    await _each(target, keys, lambda handle: handle.cancel(why), "is told to turn back")


@sagas.command()
@_on_some
@click.option("--why", default="taken back", show_default=True, help="What is told of it.")
@on_target
async def compensate(target: Target, keys: Sequence[str], *, why: str) -> None:
    """Have sagas undo what they did, completed ones too."""
    await _each(target, keys, lambda handle: handle.compensate(why), "is told to take all back")


async def _each(
    target: Target,
    keys: Sequence[str],
    told: Callable[[Handle[Any]], Awaitable[None]],
    what: str,
) -> None:
    async with target.host() as host:
        for key in keys:
            await told(Sagas(host).handle(key))
            click.echo(f"{key} {what}")


@sagas.command()
@click.argument("key", metavar="SAGA/ID")
@click.argument("file", type=click.Path(dir_okay=False, writable=True))
@on_target
async def export(target: Target, key: str, file: str) -> None:
    """Write a saga's history to FILE, for isthmus.testing.replay."""
    async with target.host() as host:
        recorded = await Sagas(host).handle(key).recorded()
    recorded.write(file)
    click.echo(f"{file} has {len(recorded.events)} events of {key}")


@sagas.command()
@as_json
@on_target
async def check(target: Target, *, as_json: bool) -> None:
    """Play every saga that has not ended against an app's code; nothing is done. Exits with 1 if
    one would not go on: for CI, before a release."""
    app = target.app
    async with app:
        astray = await Sagas(app.declarations.host).astray()
    if as_json:
        echo_json(astray)
    else:
        for key, fault in astray.items():
            click.echo(f"{key}: {fault}")
        click.echo(f"{len(astray)} would not go on" if astray else "all would go on", err=True)
    if astray:
        sys.exit(1)
