"""`isthmus queues`: what waits, and what may be done about it."""

import sys

import click
import msgspec

from isthmus.cli.commands import known
from isthmus.cli.listing import Columns, echo_json, listing
from isthmus.cli.places import dead_of, place_of, places
from isthmus.cli.target import Target, as_json, on_target
from isthmus.cli.wording import excerpt, moment, span
from isthmus.contracts import Waiting
from isthmus.errors import NotFoundError
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.declarations import Declarations
from isthmus.handling.envelope import Envelope
from isthmus.handling.host import Host
from isthmus.handling.running.controls import pause, paused, resume
from isthmus.message import Message
from isthmus.messaging import DeclaredQueue
from isthmus.schema import Schema
from isthmus.schema.wire import Wire

__all__ = ["queues"]

EXAMPLES = """
\b
Examples:
  isthmus queues --engine sqlite:///shop.db
  isthmus queues peek orders
  isthmus queues pause order-accepted/mail
  isthmus queues send orders '{"id": "a-1", "total": 100}' --id a-1
"""


class _Row(msgspec.Struct, kw_only=True):
    name: str
    ready: int
    leased: int
    delayed: int
    oldest: float | None
    """Age of the oldest that is ready, in seconds."""
    dead: int
    paused: bool


COLUMNS: Columns[_Row] = {
    "QUEUE": lambda row: row.name,
    "READY": lambda row: row.ready,
    "LEASED": lambda row: row.leased,
    "DELAYED": lambda row: row.delayed,
    "OLDEST": lambda row: "-" if row.oldest is None else span(row.oldest),
    "DEAD": lambda row: row.dead,
    "": lambda row: "paused" if row.paused else "",
}

WAITING: Columns[Waiting] = {
    "ID": lambda row: row.message.id,
    "SENT": lambda row: moment(row.sent_at),
    "ATTEMPT": lambda row: row.attempt,
    "STATE": lambda row: "leased" if row.leased else "waiting",
    "READY": lambda row: moment(row.ready_at),
    "KEY": lambda row: row.message.key or "-",
    "BODY": lambda row: excerpt(row.message.body),
}


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@click.option("--all", "internal", is_flag=True, help="Those that isthmus keeps for itself, too.")
@as_json
@on_target
async def queues(target: Target, *, internal: bool, as_json: bool) -> None:
    """List queues and subscriptions; or pause, peek, send ... with a command."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    async with target.host() as host:
        stopped = await paused(host.store)
        found = await places(host, internal=internal)
        rows = [await _row(host, place, place.address in stopped) for place in found]
    empty = "no queues yet: they appear when an app that declares some is run"
    listing(rows, COLUMNS, as_json=as_json, empty=empty)


async def _row(host: Host, place: Subscription, stopped: bool) -> _Row:  # noqa: FBT001
    stats = await host.queue.stats(place.topic, place.name)
    age = host.clock.now() - stats.oldest_at if stats.oldest_at else None
    return _Row(
        name=place.address,
        ready=stats.ready,
        leased=stats.leased,
        delayed=stats.delayed,
        oldest=age,
        dead=await dead_of(host, place),
        paused=stopped,
    )


@queues.command("pause")
@click.argument("name")
@on_target
async def pause_(target: Target, name: str) -> None:
    """Have no process begin a message of NAME until it is resumed."""
    async with target.host(wanted=name) as host:
        place = await place_of(host, name)
        await pause(host.store, place.address)
    click.echo(f"{place.address} is paused within a second; isthmus queues resume {name}")


@queues.command("resume")
@click.argument("name")
@on_target
async def resume_(target: Target, name: str) -> None:
    """Undo pause."""
    async with target.host(wanted=name) as host:
        place = await place_of(host, name)
        await resume(host.store, place.address)
    click.echo(f"{place.address} goes on within a second")


@queues.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True)
@click.option("--body", is_flag=True, help="Print bodies whole, one per line, and nothing else.")
@as_json
@on_target
async def peek(target: Target, name: str, *, limit: int, body: bool, as_json: bool) -> None:
    """Look at the first messages of NAME without taking them."""
    async with target.host(wanted=name) as host:
        place = await place_of(host, name)
        found = await host.queue.browse(place.topic, place.name, limit=limit)
    if body:
        for waiting in found:
            click.echo(waiting.message.body)
    elif as_json:
        echo_json([_told(waiting) for waiting in found])
    else:
        listing(found, WAITING, as_json=False, empty=f"{name} is empty")


@queues.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_target
async def purge(target: Target, name: str, *, yes: bool) -> None:
    """Drop all messages of NAME that nobody holds, for good."""
    async with target.host(wanted=name) as host:
        place = await place_of(host, name)
        stats = await host.queue.stats(place.topic, place.name)
        count = stats.ready + stats.delayed
        if not yes:
            click.confirm(f"drop {count} messages of {name} for good?", abort=True)
        gone = await host.queue.purge(place.topic, place.name)
    click.echo(f"{gone} messages dropped from {name}")


@queues.command()
@click.argument("name")
@click.argument("payload", metavar="JSON")
@click.option("--id", "id_", help="The message's id; the same twice is one message in effect.")
@click.option("--key", default="", help="What keeps its order with others of the same key.")
@click.option("--delay", type=float, default=0.0, metavar="SECONDS", help="Not handed out before.")
@on_target
async def send(
    target: Target, name: str, payload: str, *, id_: str | None, key: str, delay: float
) -> None:
    """Send one message to the queue NAME; JSON of '-' is read from stdin.

    The app is needed: its schema says what the queue takes.
    """
    schema = _schema_of(target.app.declarations, name)
    body = sys.stdin.buffer.read() if payload == "-" else payload.encode()
    value = Wire(schema, place=name, format="json").read(Message(body=body))
    async with target.host() as host:
        envelope = Envelope(
            Wire(schema, place=name),
            of=f"queue {name!r}",
            source=f"{target.app.name}/cli",
            clock=host.clock,
        )
        message = envelope.message(value, id=id_, key=key)
        await host.queue.send(name, [message], delay=delay)
    click.echo(message.id)


def _schema_of(declared: Declarations, name: str) -> Schema[object]:
    records = declared.model.of(DeclaredQueue)
    for record in records:
        if record.name == name:
            return record.payload
    names = [record.name for record in records]
    hint = known(name, names, what="queues in this app")
    raise NotFoundError(f"the app declares no queue {name!r}; {hint}")


def _told(waiting: Waiting) -> dict[str, object]:
    message = waiting.message
    return {
        **message.cloudevent(),
        "sent_at": waiting.sent_at,
        "ready_at": waiting.ready_at,
        "attempt": waiting.attempt,
        "leased": waiting.leased,
        "body": message.body.decode(errors="replace"),
    }
