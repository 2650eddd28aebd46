"""`isthmus flows`: choreographed sagas, each as one, whichever services had a part in it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

import click
import msgspec

from isthmus.cli.listing import Columns, echo_json, listing
from isthmus.cli.target import Target, as_json, on_target
from isthmus.cli.wording import moment, span
from isthmus.flows import Branch, Flows, FlowStatus, Listed, Status

__all__ = ["drawn", "flows"]

EXAMPLES = """
\b
Examples:
  isthmus flows                                  how many there are, by status
  isthmus flows list --status timed_out
  isthmus flows list --name fulfilment
  isthmus flows show fulfilment/order-7          all that happened, by what caused what
"""

MOST = 1_000_000
STATUSES: tuple[Status, ...] = get_args(Status)
UNUSUAL: tuple[Status, ...] = ("timed_out", "failed", "compensating", "running")


class _Count(msgspec.Struct):
    name: str
    status: str
    count: int


COUNTS: Columns[_Count] = {
    "FLOW": lambda row: row.name,
    "STATUS": lambda row: row.status,
    "COUNT": lambda row: row.count,
}
LISTED: Columns[Listed] = {
    "FLOW": lambda row: f"{row.flow}/{row.key}",
    "STATUS": lambda row: row.status,
    "BEGUN": lambda row: moment(row.begun_at),
    "SINCE": lambda row: moment(row.changed_at),
    "WHY": lambda row: row.reason,
}


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@as_json
@on_target
async def flows(target: Target, *, as_json: bool) -> None:
    """Count flows by status; or list them, or show one, with a command."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    counts = Counter[tuple[str, str]]()
    async with target.host() as host:
        for status in STATUSES:
            found = await Flows(host).list(status=status, limit=MOST)
            counts.update((each.flow, each.status) for each in found)
    rows = [_Count(name, status, count) for (name, status), count in sorted(counts.items())]
    listing(rows, COUNTS, as_json=as_json, empty="no flows")


@flows.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only these; else all but completed.")
@click.option("--name", default="", metavar="FLOW", help="Only flows of this name.")
@click.option("--after", default="", metavar="FLOW/KEY", help="From the first beyond it.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@as_json
@on_target
async def list_(
    target: Target, *, status: Status | None, name: str, after: str, limit: int, as_json: bool
) -> None:
    """List flows, those first that did not go as expected."""
    found = list[Listed]()
    async with target.host() as host:
        for each in (status,) if status else UNUSUAL:
            found += await Flows(host).list(status=each, flow=name, after=after, limit=limit)
    listing(found[:limit], LISTED, as_json=as_json, empty="no such flows")


@flows.command()
@click.argument("key", metavar="FLOW/KEY")
@as_json
@on_target
async def show(target: Target, key: str, *, as_json: bool) -> None:
    """Show one flow: how it stands, and what happened in which service, by what caused what."""
    async with target.host() as host:
        status = await Flows(host).status(key)
    if as_json:
        return echo_json(status)
    for line in (*_told(status), "", *drawn(status)):
        click.echo(line)


def _told(status: FlowStatus) -> Iterator[str]:
    told = {
        "flow": f"{status.flow}/{status.key}",
        "status": status.status,
        "why": status.reason,
        "correlation": status.correlation,
        "begun": moment(status.begun_at),
        "ended": moment(status.ended_at) if status.ended_at else "",
        "waits for": "; ".join(
            f"{name} until {moment(at)}" for name, at in status.waits_for.items()
        ),
        "repeated": f"{status.dropped} more events" if status.dropped else "",
    }
    for title, value in told.items():
        if value:
            yield f"{title:12} {value}"


def drawn(status: FlowStatus) -> Sequence[str]:
    """Return the timeline as a tree: "─" leads from a cause to its effect, "┄" from an event to
    one that is only declared to follow it."""
    rows = list(_rows(status.tree, "", root=True))
    width = max((len(text) for text, _ in rows), default=0)
    begun = min((branch.seen.at for _, branch in rows), default=0.0)
    return [f"{text:{width}}  {_place(branch, begun)}" for text, branch in rows]


def _rows(
    branches: Sequence[Branch], indent: str, *, root: bool = False
) -> Iterator[tuple[str, Branch]]:
    for place, branch in enumerate(branches, start=1):
        last = place == len(branches)
        line = "─" if branch.caused else "┄"
        mark = "" if root else f"{'└' if last else '├'}{line} "
        yield f"{indent}{mark}{branch.seen.event}", branch
        below = "" if root else f"{indent}{'   ' if last else '│  '}"
        yield from _rows(branch.then, below)


def _place(branch: Branch, begun: float) -> str:
    seen = branch.seen
    words = [moment(seen.at), f"+{span(seen.at - begun)}".rjust(8), seen.source or "-", seen.id]
    if seen.compensates:
        words.append("(compensates)")
    if seen.late:
        words.append("(late)")
    return "  ".join(words)
