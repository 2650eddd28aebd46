"""`isthmus api`: revisions of an API compared, and what its versions changed."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from isthmus.cli.commands import Commands
from isthmus.cli.listing import echo_json
from isthmus.cli.locate import locate
from isthmus.cli.target import as_json
from isthmus.errors import ConfigError

__all__ = ["api", "changelog", "diff"]


@click.group(
    cls=Commands,
    lazily={
        "diff": ("isthmus.cli.api:diff", "Tell what breaks between two OpenAPI documents."),
        "changelog": ("isthmus.cli.api:changelog", "Tell what each version of an API changed."),
    },
)
def api() -> None:
    """Compare revisions of an API; tell what its versions changed."""


@click.command(
    epilog="\b\nExamples:\n  isthmus api diff released.json openapi.json\n"
    "  curl -s https://shop.example/openapi.json | isthmus api diff - openapi.json --json"
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@as_json
def diff(old: str, new: str, as_json: bool) -> None:  # noqa: FBT001
    """Tell what clients of OLD would trip over in NEW: two OpenAPI 3.1 documents as JSON
    files, "-" for the standard input. Exits with 1 if there is anything, for CI."""
    from isthmus.services.versioning.revisions import breaks

    if old == new == "-":
        raise ConfigError("one of both may be -, the other is a file")
    found = breaks(_document(old), _document(new))
    if as_json:
        echo_json(found)
    else:
        for each in found:
            click.echo(str(each))
        click.echo(_sum(len(found)), err=True)
    if found:
        sys.exit(1)


@click.command(
    epilog="\b\nExamples:\n  isthmus api changelog shop:app > API-CHANGELOG.md\n"
    "  isthmus api changelog shop:app --json"
)
@click.argument("spec", metavar="[MODULE:APP]", required=False)
@click.option("--app", "named", metavar="MODULE:APP", help="The same, as other commands take it.")
@as_json
def changelog(spec: str | None, named: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Tell what each version of an app's API changed, in the words of its changes."""
    from isthmus.services.versioning import DeclaredVersions

    records = locate(spec or named).describe().of(DeclaredVersions)
    if not records:
        raise ConfigError('this app has no versions; declare them: app.versions("v2", "v1")')
    table = records[0].table
    if as_json:
        echo_json(table.changelog())
    else:
        click.echo(table.markdown(), nl=False)


def _document(name: str) -> Any:
    """Read one document; raises ConfigError if there is none."""
    try:
        text = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return msgspec.json.decode(text)
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror or error}") from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ConfigError(f"{name} is no JSON: {error}") from error


def _sum(count: int) -> str:
    if not count:
        return "nothing breaks"
    return f"{count} thing{'s' * (count > 1)} break{'s' * (count == 1)} for clients of the old one"
