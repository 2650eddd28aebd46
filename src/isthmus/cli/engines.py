"""`isthmus engines`: which are installed, and what each can."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import msgspec

from isthmus.cli.listing import Columns, listing
from isthmus.cli.target import as_json
from isthmus.connect import connect, schemes
from isthmus.contracts import Engine
from isthmus.errors import IsthmusError
from isthmus.url import redacted

__all__ = ["engines"]

EXAMPLES = """
\b
Examples:
  isthmus engines
  isthmus engines --json
  isthmus engines --engine sqlite:///shop.db?durability=normal
"""


class _Row(msgspec.Struct, kw_only=True):
    engine: str
    queue: dict[str, Any] | None = None
    log: dict[str, Any] | None = None
    store: dict[str, Any] | None = None
    note: str = ""


COLUMNS: Columns[_Row] = {
    "ENGINE": lambda row: row.engine,
    "QUEUES": lambda row: _told(row.queue),
    "STREAMS": lambda row: _told(row.log),
    "STORE": lambda row: _told(row.store),
    "": lambda row: row.note,
}


@click.command(epilog=EXAMPLES)
@click.option("--engine", metavar="URL", help="The one behind this URL, as it is there.")
@as_json
def engines(engine: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Show the installed engines and what each can."""
    rows = asyncio.run(_asked(engine, redacted(engine)) if engine else _installed())
    listing(rows, COLUMNS, as_json=as_json, empty="no engine is installed")


async def _installed() -> Sequence[_Row]:
    rows = list[_Row]()
    with TemporaryDirectory() as folder:
        local = {"memory": "memory://", "sqlite": f"sqlite:///{Path(folder, 'asked.db')}"}
        for scheme in schemes():
            if scheme in local:
                rows += await _asked(local[scheme], f"{scheme}://")
            else:
                note = f"ask it: isthmus engines --engine {scheme}://..."
                rows.append(_Row(engine=f"{scheme}://", note=note))
    return rows


async def _asked(url: str, title: str) -> Sequence[_Row]:
    try:
        engine = await connect(url)
    except IsthmusError as error:
        return [_Row(engine=title, note=str(error))]
    try:
        return [_capabilities(engine, title)]
    finally:
        await engine.aclose()


def _capabilities(engine: Engine, title: str) -> _Row:
    rooms = {"queue": engine.queue, "log": engine.log, "store": engine.store}
    can = {
        name: msgspec.to_builtins(room.capabilities)
        for name, room in rooms.items()
        if room is not None
    }
    return _Row(engine=title, **can)


def _told(capabilities: dict[str, Any] | None) -> str:
    """Return what a contract's capabilities are, but for sizes and its scope."""
    if capabilities is None:
        return "no"
    said = [f"durable={capabilities['durable']}"]
    for name, value in capabilities.items():
        if value is True:
            said.append(name)
        elif isinstance(value, str) and value and name in {"sql", "isolation"}:
            said.append(value)
    return ", ".join(said)
