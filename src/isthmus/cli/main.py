"""`isthmus`, and what it says of itself."""

import click

from isthmus import __version__
from isthmus.cli.commands import Commands

__all__ = ["main"]

COMMANDS = {
    "new": ("isthmus.cli.new:new", "Make a starter project that runs."),
    "run": ("isthmus.cli.run:run", "Run an app: serve HTTP, consume, relay, schedule."),
    "queues": ("isthmus.cli.queues:queues", "See queues and subscriptions; pause, peek, send."),
    "flows": ("isthmus.cli.flows:flows", "See flows of events through services, each as one."),
    "dead-letters": (
        "isthmus.cli.dead_letters:dead_letters",
        "See, search, replay and drop what could not be handled.",
    ),
    "streams": ("isthmus.cli.streams:streams", "See streams and lag; read, seek, trim."),
    "database": ("isthmus.cli.database:database", "See whose the database is; release it."),
    "sagas": ("isthmus.cli.sagas:sagas", "See sagas; show, resume, cancel, compensate them."),
    "projections": (
        "isthmus.cli.projections:projections",
        "See how far projections are; build one anew.",
    ),
    "events": ("isthmus.cli.events:events", "Copy the events of an aggregate out, and in."),
    "schedules": ("isthmus.cli.schedules:schedules", "See schedules; pause, resume, trigger."),
    "api": ("isthmus.cli.api:api", "Compare revisions of an API; tell what versions changed."),
    "settings": ("isthmus.cli.settings:settings", "Show settings, and where each is from."),
    "proto": ("isthmus.cli.proto:proto", "Write the .proto of gRPC services; keep their numbers."),
    "describe": ("isthmus.cli.describe:describe", "Show all that an app declares."),
    "openapi": ("isthmus.cli.documents:openapi", "Write the OpenAPI document of its routes."),
    "asyncapi": ("isthmus.cli.documents:asyncapi", "Write the AsyncAPI document of its messages."),
    "engines": ("isthmus.cli.engines:engines", "Show the installed engines and what they can."),
}

EXAMPLES = """
\b
First steps:
  isthmus new shop && cd shop     make a project
  isthmus run                     run it; Ctrl-C ends it, losing nothing
  isthmus queues                  see what waits
\b
Which app? The argument or --app (shop:app), else $ISTHMUS_APP, else
app = "shop:app" under [tool.isthmus] in ./pyproject.toml.
"""


@click.group(
    cls=Commands,
    lazily=COMMANDS,
    invoke_without_command=True,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="isthmus")
@click.option("--traceback", is_flag=True, help="Show where an error was raised.")
@click.pass_context
def main(ctx: click.Context, traceback: bool) -> None:  # noqa: ARG001, FBT001 - read by Commands
    """Connect services, systems and external APIs, losing nothing between them."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
