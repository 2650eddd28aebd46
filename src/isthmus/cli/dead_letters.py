"""`isthmus dead-letters`: what could not be handled, why, and what becomes of it."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from isthmus.cli.buried import buried, letters_of
from isthmus.cli.listing import Columns, echo_json, listing
from isthmus.cli.target import Target, as_json, on_target
from isthmus.cli.wording import excerpt, moment
from isthmus.handling.consuming.dead_letters import DeadLetter, DeadLetters

__all__ = ["dead_letters"]

EXAMPLES = """
\b
Examples:
  isthmus dead-letters                                  where there are some
  isthmus dead-letters list orders --search timeout
  isthmus dead-letters show orders a-1                  every failure, with its traceback
  isthmus dead-letters replay orders a-1 a-2
  isthmus dead-letters replay order-accepted/mail --all --to mail-by-hand
  isthmus dead-letters drop orders --search "no such sku"
"""

PREVIEW = 10
"""Letters shown before it is asked what to do with them."""

MOST = 1_000_000


class _Place(msgspec.Struct):
    name: str
    dead: int


PLACES: Columns[_Place] = {"QUEUE": lambda row: row.name, "DEAD": lambda row: row.dead}

LETTERS: Columns[DeadLetter] = {
    "ID": lambda row: row.message.id,
    "BURIED": lambda row: moment(row.buried_at),
    "FAILURES": lambda row: len(row.failures),
    "REASON": lambda row: excerpt(_why(row).encode()),
    "BODY": lambda row: excerpt(row.message.body, most=40),
}


@click.group("dead-letters", invoke_without_command=True, epilog=EXAMPLES)
@as_json
@on_target
async def dead_letters(target: Target, *, as_json: bool) -> None:
    """List where dead letters lie; or show, search, replay, drop them with a command."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    async with target.host() as host:
        places = await buried(host)
        rows = [_Place(name, await letters.count()) for name, letters in places.items()]
    rows = [row for row in rows if row.dead]
    listing(rows, PLACES, as_json=as_json, empty="no dead letters")


@dead_letters.command("list")
@click.argument("name")
@click.option("--search", default="", metavar="TEXT", help="In body, id, key, reason or errors.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@as_json
@on_target
async def list_(target: Target, name: str, *, search: str, limit: int, as_json: bool) -> None:
    """List the dead letters of NAME, oldest first."""
    async with target.host(wanted=name) as host:
        letters = await letters_of(host, name)
        found = await letters.list(search=search, limit=limit)
        count = await letters.count()
    _show(found, as_json=as_json, empty=f"no dead letters of {name}")
    if not as_json and not search and count > len(found):
        click.echo(f"... {count - len(found)} more; --limit {count} shows all")


@dead_letters.command()
@click.argument("text")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@as_json
@on_target
async def search(target: Target, text: str, *, limit: int, as_json: bool) -> None:
    """Search all dead letters for TEXT: in body, id, key, type, reason and errors."""
    async with target.host() as host:
        found = {
            name: await letters.list(search=text, limit=limit)
            for name, letters in (await buried(host)).items()
        }
    if as_json:
        rows = [{"queue": name, **_told(each)} for name, some in found.items() for each in some]
        return echo_json(rows)
    hits = {name: some for name, some in found.items() if some}
    if not hits:
        click.echo(f"no dead letter has {text!r} in it")
    for name, some in hits.items():
        click.echo(f"{name}:")
        _show(some, as_json=False, empty="")


@dead_letters.command()
@click.argument("name")
@click.argument("id_", metavar="ID")
@as_json
@on_target
async def show(target: Target, name: str, id_: str, *, as_json: bool) -> None:
    """Show one dead letter whole, with every failure it had."""
    async with target.host() as host:
        letter = await (await letters_of(host, name)).show(id_)
    if as_json:
        return echo_json(_told(letter))
    for title, value in letter.message.cloudevent().items():
        if not title.startswith("isthmus-"):
            click.echo(f"{title:16} {value}")
    click.echo(f"{'buried':16} {moment(letter.buried_at)}")
    click.echo(f"{'reason':16} {letter.reason}")
    click.echo(f"{'body':16} {letter.message.body.decode(errors='replace')}")
    for failure in letter.failures:
        click.echo(f"\nattempt {failure.attempt}, {moment(failure.at)}: {failure.error}")
        click.echo(failure.traceback.rstrip())


def _chosen(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the ways to choose letters."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--search", default="", metavar="TEXT", help="Those that have TEXT."),
        click.option("--all", "every", is_flag=True, help="All there are."),
        click.argument("ids", metavar="[ID]...", nargs=-1),
        click.argument("name"),
    ):
        command = option(command)
    return command


@dead_letters.command()
@_chosen
@click.option("--to", metavar="QUEUE", help="Another queue than the one they died in.")
@on_target
async def replay(
    target: Target,
    name: str,
    ids: Sequence[str],
    *,
    every: bool,
    search: str,
    yes: bool,
    to: str | None,
) -> None:
    """Send dead letters of NAME again: those with ID, with --search, or --all."""
    async with target.host(wanted=name) as host:
        letters = await letters_of(host, name)
        chosen = await _choose(letters, name, ids, every=every, search=search)
        where = to or name
        _ask(chosen, f"send {len(chosen)} again to {where}?", yes=yes)
        count = await letters.replay([letter.message.id for letter in chosen], to=to)
    click.echo(f"{count} sent again to {where}")


@dead_letters.command()
@_chosen
@on_target
async def drop(
    target: Target, name: str, ids: Sequence[str], *, every: bool, search: str, yes: bool
) -> None:
    """Forget dead letters of NAME for good: those with ID, with --search, or --all."""
    async with target.host(wanted=name) as host:
        letters = await letters_of(host, name)
        chosen = await _choose(letters, name, ids, every=every, search=search)
        _ask(chosen, f"drop {len(chosen)} of {name} for good?", yes=yes)
        count = await letters.drop([letter.message.id for letter in chosen])
    click.echo(f"{count} dropped from {name}")


async def _choose(
    letters: DeadLetters, name: str, ids: Sequence[str], *, every: bool, search: str
) -> Sequence[DeadLetter]:
    if bool(ids) + every + bool(search) != 1:
        raise click.UsageError("which? Name them by ID, or by --search TEXT, or say --all")
    if ids:
        return [await letters.show(each) for each in ids]
    chosen = await letters.list(search=search, limit=MOST)
    if not chosen:
        click.echo(f"no dead letters of {name}" + (f" have {search!r} in them" if search else ""))
        sys.exit(0)
    return chosen


def _ask(chosen: Sequence[DeadLetter], question: str, *, yes: bool) -> None:
    if yes:
        return
    listing(chosen[:PREVIEW], LETTERS, as_json=False, empty="")
    if len(chosen) > PREVIEW:
        click.echo(f"... and {len(chosen) - PREVIEW} more")
    click.confirm(question, abort=True)


def _show(letters: Sequence[DeadLetter], *, as_json: bool, empty: str) -> None:
    if as_json:
        return echo_json([_told(letter) for letter in letters])
    listing(letters, LETTERS, as_json=False, empty=empty)


def _why(letter: DeadLetter) -> str:
    """Return the reason, with the last error where the reason only counts."""
    if letter.reason.startswith("failed ") and letter.failures:
        return f"{letter.reason}: {letter.failures[-1].error}"
    return letter.reason


def _told(letter: DeadLetter) -> dict[str, Any]:
    message = letter.message
    return {
        **{k: v for k, v in message.cloudevent().items() if not k.startswith("isthmus-")},
        "reason": letter.reason,
        "buried_at": letter.buried_at,
        "failures": msgspec.to_builtins(letter.failures),
        "body": message.body.decode(errors="replace"),
    }
