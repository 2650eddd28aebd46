"""Showing rows: aligned text for people, JSON for programs."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
import msgspec

__all__ = ["echo_json", "listing"]

T = TypeVar("T")

Columns = Mapping[str, Callable[[T], object]]
"""Titles, and what stands under them; numbers are set to the right."""


def listing(rows: Sequence[T], columns: Columns[T], *, as_json: bool, empty: str) -> None:
    """Print `rows`; `empty` is what a person reads when there are none."""
    if as_json:
        return echo_json(rows)
    if not rows:
        return click.echo(empty)
    cells = [[value(row) for value in columns.values()] for row in rows]
    if sys.stdout.isatty() and _rich(list(columns), cells):
        return None
    return _plain(list(columns), cells)


def echo_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _plain(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    texts = [titles, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(titles))]
    right = [isinstance(cell, int | float) for cell in rows[0]]
    for row in texts:
        set_ = (
            text.rjust(width) if at_right else text.ljust(width)
            for text, width, at_right in zip(row, widths, right, strict=True)
        )
        click.echo("  ".join(set_).rstrip())


def _rich(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Print a table with rich, if it is installed."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for title, cell in zip(titles, rows[0], strict=True):
        table.add_column(title, justify="right" if isinstance(cell, int | float) else "left")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)
    return True
