"""`isthmus describe`: all that an app declares."""

from itertools import groupby

import click
import msgspec

from isthmus.cli.listing import echo_json
from isthmus.cli.locate import locate
from isthmus.cli.target import as_json
from isthmus.handling.model import Declared, Model

__all__ = ["describe"]


_AT_LENGTH = {"name", "options", "parameters", "doc"}
"""What is told as JSON, and not on a line."""


@click.command(
    epilog="\b\nExamples:\n  isthmus describe shop:app\n  isthmus describe --json | jq '.queue'"
)
@click.argument("spec", metavar="[MODULE:APP]", required=False)
@click.option("--app", "named", metavar="MODULE:APP", help="The same, as other commands take it.")
@as_json
def describe(spec: str | None, named: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Show all that an app declares: queues, handlers, topics, streams, routes ..."""
    model = locate(spec or named).describe()
    if as_json:
        return echo_json(_by_kind(model))
    if not list(model):
        return click.echo("this app declares nothing yet; see `isthmus new`")
    for kind, records in _by_kind(model).items():
        click.echo(f"{kind}")
        for record in records:
            click.echo(f"  {record['name']}{_details(record)}")


def _by_kind(model: Model) -> dict[str, list[dict[str, object]]]:
    ordered = sorted(model, key=lambda record: record.kind)
    return {
        kind: [_fields(record) for record in records]
        for kind, records in groupby(ordered, lambda record: record.kind)
    }


def _fields(record: Declared) -> dict[str, object]:
    return msgspec.to_builtins(record, enc_hook=str, str_keys=True)


def _details(record: dict[str, object]) -> str:
    """What differs from nothing, in short."""
    said = [
        f"{name} {value}"
        for name, value in record.items()
        if name not in {"name", "options", "parameters", "doc"}
        and value not in (None, "", False, [], {})
    ]
    return f"  ({', '.join(said)})" if said else ""
