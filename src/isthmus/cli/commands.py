"""A group of commands that are imported when they are asked for, with errors for people."""

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from isthmus.errors import IsthmusError

__all__ = ["Commands", "known"]


class Commands(click.Group):
    """Commands by name, each as "module:attribute"; the first line of help is given here,
    so that `isthmus --help` imports none of them."""

    def __init__(self, *args: Any, lazily: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazily = lazily

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self._lazily)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._lazily:
            return None
        module, _, name = self._lazily[cmd_name][0].partition(":")
        return getattr(import_module(module), name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self._lazily:
            hint = known(args[0], list(self._lazily), what="commands")
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in self._lazily.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IsthmusError as error:
            if ctx.params.get("traceback"):
                raise
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


def known(name: str, names: list[str], *, what: str) -> str:
    """Return what to say of `name`, which is none of `names`."""
    if close := get_close_matches(name, names, n=1):
        return f"did you mean {close[0]!r}?"
    return f"there are no {what}" if not names else f"{what}: {', '.join(sorted(names))}"
