"""`isthmus openapi` and `isthmus asyncapi`: the documents that an app gives of itself."""

from pathlib import Path
from typing import Any

import click
import msgspec

from isthmus.cli.locate import locate
from isthmus.errors import ConfigError

__all__ = ["asyncapi", "openapi"]

_SPEC = click.argument("spec", metavar="[MODULE:APP]", required=False)
_NAMED = click.option("--app", "named", metavar="MODULE:APP", help="The same, by its option.")
_OUT = click.option("--out", type=click.Path(path_type=Path), help="File to write; else stdout.")


@click.command(
    epilog="\b\nExamples:\n  isthmus openapi shop:app\n  isthmus openapi --out openapi.json"
)
@_SPEC
@_NAMED
@_OUT
def openapi(spec: str | None, named: str | None, out: Path | None) -> None:
    """Write the OpenAPI 3.1 document of an app's routes, as JSON."""
    from isthmus.services.documents import about_in, openapi

    app = locate(spec or named)
    model = app.describe()
    _write(openapi(model, title=about_in(model).title or app.name), out)


@click.command(
    epilog="\b\nExamples:\n  isthmus asyncapi shop:app\n  isthmus asyncapi --out asyncapi.json"
)
@_SPEC
@_NAMED
@_OUT
def asyncapi(spec: str | None, named: str | None, out: Path | None) -> None:
    """Write the AsyncAPI 3 document of an app's queues, topics and streams, as JSON."""
    from isthmus.services.documents import about_in, asyncapi

    app = locate(spec or named)
    model, engine = app.describe(), app.settings.engine
    _write(asyncapi(model, title=about_in(model).title or app.name, engine=engine), out)


def _write(document: dict[str, Any], out: Path | None) -> None:
    text = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    if out is None:
        return click.echo(text, nl=False)
    try:
        out.write_bytes(text)
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}") from error
    click.echo(f"wrote {out}", err=True)
    return None
