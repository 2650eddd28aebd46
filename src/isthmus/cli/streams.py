"""`isthmus streams`: what they hold, and how far their groups have come."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime

import click
import msgspec

from isthmus.cli.commands import known
from isthmus.cli.listing import Columns, echo_json, listing
from isthmus.cli.target import Target, as_json, on_target
from isthmus.cli.wording import excerpt, moment, span
from isthmus.contracts import LogEngine, Record
from isthmus.errors import ConfigError, NotFoundError
from isthmus.handling.host import Host
from isthmus.streams.lag import Lag, lag_of
from isthmus.streams.place import Place, place
from isthmus.streams.reading import follow, history
from isthmus.streams.replay import To, offsets_at, replay

__all__ = ["streams"]

EXAMPLES = """
\b
Examples:
  isthmus streams
  isthmus streams groups ledger                      lag of each group, by partition
  isthmus streams read ledger --from 2026-11-01 --key acc-1
  isthmus streams tail ledger
  isthmus streams seek ledger/balances --to start    that group reads all of it again
  isthmus streams trim ledger --before 2026-01-01T00:00
\b
Places are: start, end, a time (local, unless it says otherwise), or offsets of
partitions, as 0:1200,3:80.
"""

_OFFSETS = re.compile(r"\d+:\d+(,\d+:\d+)*")


class _Row(msgspec.Struct, kw_only=True):
    name: str
    partitions: int
    offsets: int
    """Between the first that is kept and the end, over all partitions."""
    groups: Mapping[str, int]
    """Lag of each, over all partitions."""


class _GroupRow(msgspec.Struct, kw_only=True):
    group: str
    partition: int
    position: int
    end: int
    behind: int
    since: float | None


STREAMS: Columns[_Row] = {
    "STREAM": lambda row: row.name,
    "PARTITIONS": lambda row: row.partitions,
    "RECORDS": lambda row: row.offsets,
    "GROUPS (LAG)": lambda row: ", ".join(f"{n} ({lag})" for n, lag in row.groups.items()) or "-",
}

RECORDS: Columns[Record] = {
    "PARTITION": lambda row: row.partition,
    "OFFSET": lambda row: row.offset,
    "APPENDED": lambda row: moment(row.at),
    "KEY": lambda row: row.message.key or "-",
    "TYPE": lambda row: row.message.type or "-",
    "BODY": lambda row: excerpt(row.message.body),
}


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@as_json
@on_target
async def streams(target: Target, *, as_json: bool) -> None:
    """List streams and their groups; or read, tail, seek, trim with a command."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    async with target.host() as host:
        rows = [await _row(host.log, name) for name in sorted(await host.log.logs())]
    empty = "no streams yet: they appear when an app that declares some is run"
    listing(rows, STREAMS, as_json=as_json, empty=empty)


async def _row(log: LogEngine, name: str) -> _Row:
    first, ends = await log.offsets(name, at="first"), await log.offsets(name, at="end")
    lags = {group: await lag_of(log, name, group) for group in sorted(await log.groups(name))}
    return _Row(
        name=name,
        partitions=len(ends),
        offsets=sum(ends[partition] - first[partition] for partition in ends),
        groups={group: sum(each.behind for each in lag.values()) for group, lag in lags.items()},
    )


@streams.command()
@click.argument("stream")
@as_json
@on_target
async def groups(target: Target, stream: str, *, as_json: bool) -> None:
    """Show where the groups of STREAM are, partition by partition."""
    async with target.host() as host:
        await _require(host, stream)
        names, now = sorted(await host.log.groups(stream)), host.clock.now()
        lags = {name: await lag_of(host.log, stream, name) for name in names}
    rows = [_group_row(name, lag) for name in names for lag in lags[name].values()]
    columns: Columns[_GroupRow] = {
        "GROUP": lambda row: row.group,
        "PARTITION": lambda row: row.partition,
        "POSITION": lambda row: row.position,
        "END": lambda row: row.end,
        "BEHIND": lambda row: row.behind,
        "OLDEST": lambda row: "-" if row.since is None else span(now - row.since),
    }
    listing(rows, columns, as_json=as_json, empty=f"no group has read {stream} yet")


def _group_row(group: str, lag: Lag) -> _GroupRow:
    return _GroupRow(group=group, **msgspec.structs.asdict(lag))


@streams.command()
@click.argument("group")
@click.option("--to", "text", required=True, metavar="PLACE", help="start, end, time or offsets.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_target
async def seek(target: Target, group: str, *, text: str, yes: bool) -> None:
    """Have GROUP, as ledger/balances, read on from another place; no other group is disturbed."""
    to = _place(text)
    async with target.host() as host:
        of = await _group(host, group)
        if not yes:
            click.echo(_way(await lag_of(host.log, of.stream, of.group), await _at(host, of, to)))
            click.confirm(f"have {group} go on there?", abort=True)
        positions = await replay(host, of, to)
    click.echo(f"{group} goes on at {_offsets(positions)}")


@streams.command()
@click.argument("stream")
@click.option("--from", "text", default="start", metavar="PLACE", help="Where to begin; start.")
@click.option("--partition", type=click.IntRange(0), help="Only this one.")
@click.option("--key", help="Only records of this key.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@as_json
@on_target
async def read(
    target: Target,
    stream: str,
    *,
    text: str,
    partition: int | None,
    key: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Read records of STREAM; no group's position moves."""
    async with target.host() as host:
        await _require(host, stream)
        starts = _only(await offsets_at(host.log, stream, _place(text)), partition)
        ends = await host.log.offsets(stream, at="end")
        found = await _first(history(host.log, stream, starts, ends), key, limit)
    if as_json:
        return echo_json([_told(record) for record in found])
    listing(found, RECORDS, as_json=False, empty=f"no such records in {stream}")


@streams.command()
@click.argument("stream")
@click.option("--from", "text", default="end", metavar="PLACE", help="Where to begin; end.")
@click.option("--partition", type=click.IntRange(0), help="Only this one.")
@click.option("--key", help="Only records of this key.")
@as_json
@on_target
async def tail(
    target: Target,
    stream: str,
    *,
    text: str,
    partition: int | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Print records of STREAM as they come, one a line, until Ctrl-C."""
    async with target.host() as host:
        await _require(host, stream)
        starts = _only(await offsets_at(host.log, stream, _place(text)), partition)
        async with aclosing(follow(host.log, stream, starts)) as records:
            async for record in records:
                if key is None or record.message.key == key:
                    click.echo(_line(record, as_json=as_json))


@streams.command()
@click.argument("stream")
@click.option("--before", "text", required=True, metavar="PLACE", help="end, time or offsets.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_target
async def trim(target: Target, stream: str, *, text: str, yes: bool) -> None:
    """Drop the records of STREAM before a place, for good, whoever has not read them."""
    async with target.host() as host:
        await _require(host, stream)
        before = await offsets_at(host.log, stream, _place(text))
        first = await host.log.offsets(stream, at="first")
        count = sum(max(0, before[partition] - first[partition]) for partition in before)
        if not yes:
            click.confirm(f"drop {count} records of {stream} for good?", abort=True)
        await host.log.trim(stream, before)
    click.echo(f"{count} records dropped; {stream} begins at {_offsets(before)}")


# --- places ---------------------------------------------------------------------------------


def _place(text: str) -> To:
    """Read "start", "end", a time, or "0:1200,3:80".

    Raises:
        ConfigError: It is none of these.
    """
    if text in {"start", "end"}:
        return text
    if _OFFSETS.fullmatch(text):
        pairs = (pair.split(":") for pair in text.split(","))
        return {int(partition): int(offset) for partition, offset in pairs}
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no place: expected start, end, a time as 2026-11-01T12:00, "
            "or offsets of partitions as 0:1200,3:80"
        ) from error


async def _require(host: Host, stream: str) -> None:
    if stream not in (logs := await host.log.logs()):
        hint = known(stream, list(logs), what="streams")
        raise NotFoundError(f"no stream is called {stream!r}; {hint}")


async def _group(host: Host, address: str) -> Place:
    stream, slash, group = address.partition("/")
    if not slash:
        raise click.UsageError(f"which group of {stream}? Write {stream}/GROUP")
    await _require(host, stream)
    if group not in (names := await host.log.groups(stream)):
        hint = known(group, list(names), what="groups")
        raise NotFoundError(f"no group {group!r} ever read {stream!r}; {hint}")
    return place(stream, group)


async def _at(host: Host, of: Place, to: To) -> Mapping[int, int]:
    return await offsets_at(host.log, of.stream, to)


def _only(starts: Mapping[int, int], partition: int | None) -> Mapping[int, int]:
    if partition is None:
        return starts
    if partition not in starts:
        raise NotFoundError(f"no partition {partition}; there are 0 to {len(starts) - 1}")
    return {partition: starts[partition]}


def _way(lags: Mapping[int, Lag], positions: Mapping[int, int]) -> str:
    """Return how far a seek leads, for each partition."""
    steps = [(p, lags[p].position, to) for p, to in positions.items() if p in lags]
    return "\n".join(f"partition {p}: {was} -> {to} ({to - was:+})" for p, was, to in steps)


def _offsets(positions: Mapping[int, int]) -> str:
    return ", ".join(f"{partition}:{offset}" for partition, offset in sorted(positions.items()))


# --- records --------------------------------------------------------------------------------


async def _first(records: AsyncGenerator[Record], key: str | None, limit: int) -> Sequence[Record]:
    found = list[Record]()
    async with aclosing(records):
        async for record in records:
            if key is None or record.message.key == key:
                found.append(record)
            if len(found) == limit:
                break
    return found


def _told(record: Record) -> dict[str, object]:
    return {
        **record.message.cloudevent(),
        "partition": record.partition,
        "offset": record.offset,
        "appended_at": record.at,
        "body": record.message.body.decode(errors="replace"),
    }


def _line(record: Record, *, as_json: bool) -> bytes:
    if as_json:
        return msgspec.json.encode(_told(record))
    place = f"{moment(record.at)}  {record.partition}:{record.offset}  "
    return f"{place}{record.message.key or '-'}  ".encode() + record.message.body
