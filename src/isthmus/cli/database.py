"""`isthmus database`: whose the store is."""

import click

from isthmus.cli.listing import echo_json
from isthmus.cli.target import Target, as_json, on_target
from isthmus.handling.ownership import Claim, claim_of, released
from isthmus.handling.roles import apply_roles, roles_for

__all__ = ["database"]

EXAMPLES = """
\b
Examples:
  isthmus database
  isthmus database release shop           the service has another name now
  isthmus database roles --app shop:app --engine postgresql://postgres@localhost/shop --apply
"""


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@as_json
@on_target
async def database(target: Target, *, as_json: bool) -> None:
    """Show which service owns the database, or which share it, and their tables."""
    if click.get_current_context().invoked_subcommand is not None:
        return None
    async with target.host() as host:
        claim = await claim_of(host)
    if as_json:
        return echo_json(claim)
    click.echo(_told(claim))


@database.command()
@click.argument("service")
@on_target
async def release(target: Target, service: str) -> None:
    """Forget that SERVICE opened it, so that another may; stop its processes first."""
    async with target.host() as host:
        await released(host, service)
    click.echo(f"{service} has let go of it; whoever opens it next is held to what it says")


@database.command()
@click.option("--apply", "applies", is_flag=True, help="Run them, in one transaction.")
@on_target
async def roles(target: Target, *, applies: bool) -> None:
    """Print the SQL that has roles of PostgreSQL enforce what the app says of its database:
    one for each service, which owns what is the service's. A superuser runs it."""
    declared = target.app.declarations.database
    assert declared is not None  # each App has one
    async with target.host() as host:
        statements = await roles_for(host, declared)
        if applies:
            await apply_roles(host, statements)
    for each in statements:
        click.echo(f"{each};")
    if applies:
        click.echo("-- done; a new role has no password yet: \\password ROLE in psql gives it one")


def _told(claim: Claim | None) -> str:
    if claim is None:
        return "nobody's yet: it is whose App opens it first"
    if not claim.shared:
        return f"{claim.services[0]}'s alone"
    owners = [f"  {table}  {owner}" for table, owner in sorted(claim.tables.items())]
    return "\n".join([f"shared by {', '.join(claim.services)}", *owners])
