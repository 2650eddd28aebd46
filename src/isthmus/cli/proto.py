"""`isthmus proto`: the .proto of an app's gRPC services, and the numbers that never change."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import click

from isthmus.cli.locate import locate
from isthmus.errors import ConfigError
from isthmus.services.rpc.declared import DeclaredService
from isthmus.services.rpc.interface import Interface
from isthmus.services.rpc.needed import require_grpc
from isthmus.services.rpc.service import interface_of

__all__ = ["proto"]

EXAMPLES = """
\b
Examples:
  isthmus proto shop:app                   show the .proto; write what is new to proto.lock
  isthmus proto shop:app --out protos      write the files, for buf and protoc
  isthmus proto shop:app --out protos --check      change nothing; fail if something would
\b
Commit proto.lock: servers and stubs take their field numbers from it. Its place is beside the
module of the service's class, or in its package.
"""
BUF = "# For buf: in version 2, a file may say which rule it does not keep.\nversion: v2\n"


@click.command(epilog=EXAMPLES)
@click.argument("spec", metavar="[MODULE:APP]", required=False)
@click.option("--app", "named", metavar="MODULE:APP", help="The same, as other commands take it.")
@click.option("--lock", type=click.Path(path_type=Path), help="Lock file, if not the one beside.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write the files here.")
@click.option("--check", is_flag=True, help="Write nothing; status 1 if something would change.")
def proto(
    spec: str | None,
    named: str | None,
    lock: Path | None,
    out: Path | None,
    check: bool,  # noqa: FBT001
) -> None:
    """Write the .proto of an app's gRPC services, and keep their field numbers."""
    interfaces = _interfaces(spec or named)
    from isthmus.services.rpc.contract.writing import written

    made = written(interfaces, lock=lock)
    stale = list[str]()
    for each in made.locks:
        for change in each.changes:
            click.echo(f"{each.path.name}: {change}", err=True)
        for name in each.unseen:
            click.echo(
                f"{name} will not find {each.path}: move it beside the module, or name it in the "
                "class: lock=...",
                err=True,
            )
        stale += _kept(each.path, each.text, check=check)
    if out is None:
        click.echo("\n".join(made.protos.values()), nl=False)
    else:
        for name, text in made.protos.items():
            stale += _kept(out / name, text, check=check)
        if not _has_buf(out):
            stale += _kept(out / "buf.yaml", BUF, check=check)
    if check and stale:
        listed = "\n".join(f"  {path}" for path in stale)
        click.echo(f"out of date; run the same without --check, and commit:\n{listed}", err=True)
        sys.exit(1)


def _interfaces(spec: str | None) -> Sequence[Interface]:
    """Return the services whose .proto is ours to write."""
    records = locate(spec).describe().of(DeclaredService)
    require_grpc()
    found = [interface_of(_imported(record.interface)) for record in records]
    ours = [each for each in found if each.proto is None]
    if not ours:
        raise ConfigError(
            "this app serves no gRPC service of a class of its own; app.serve(...) declares one"
        )
    return ours


def _imported(place: str) -> Any:
    module, _, name = place.partition(":")
    return reduce(getattr, name.split("."), importlib.import_module(module))


def _kept(path: Path, text: str, *, check: bool) -> Iterator[str]:
    """Write a file unless it is so already; yield its path if it was not."""
    if path.is_file() and path.read_text("utf-8") == text:
        return
    yield str(path)
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        click.echo(f"wrote {path}", err=True)


def _has_buf(folder: Path) -> bool:
    places = (folder.resolve(), *folder.resolve().parents)
    return any((place / "buf.yaml").is_file() for place in places)
