"""`isthmus new`: a starter project that runs."""

import re
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from isthmus.errors import ConfigError

__all__ = ["new"]

STARTER = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "app.py": "app.py.tmpl",
    "migrations/001_orders.sql": "001_orders.sql.tmpl",
    "tests/test_app.py": "test_app.py.tmpl",
    "README.md": "README.md.tmpl",
    ".gitignore": "gitignore.tmpl",
}
"""What is written, and the template that it comes from."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")


@click.command(epilog="\b\nExample:\n  isthmus new shop && cd shop && isthmus run")
@click.argument("name")
def new(name: str) -> None:
    """Make a starter project in the folder NAME: a queue, its handler, routes, a test."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r}: expected small letters, digits, - and _, as my-shop")
    folder = Path(name)
    if folder.exists():
        raise ConfigError(f"{folder} is there already; give another name, or move it away")
    for path, template in STARTER.items():
        _write(folder / path, template, name)
        click.echo(f"  {folder / path}")
    click.echo(f"\nnext: cd {name} && isthmus run    (its README.md says more)")


def _write(path: Path, template: str, name: str) -> None:
    text = files("isthmus.cli").joinpath("starter", template).read_text("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(text).substitute(name=name), "utf-8")
