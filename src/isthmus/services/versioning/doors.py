"""Declaring an API's versions: what stands behind `app.versions`."""

from collections.abc import Sequence

from starlette.types import ASGIApp

from isthmus.errors import ConfigError
from isthmus.handling.calling.translations import Translations
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.documents.pages import Documents
from isthmus.services.rest.route import Route
from isthmus.services.serving.site import Site
from isthmus.services.versioning.declared import DeclaredVersions
from isthmus.services.versioning.layer import LIMIT, Versioned
from isthmus.services.versioning.reader import Choice, Place
from isthmus.services.versioning.readers import Readers
from isthmus.services.versioning.uri import Uri
from isthmus.versions import Versions
from isthmus.versions.operation import Operation

__all__ = ["OPEN", "versions"]

OPEN = ("/healthz", "/readyz", "/docs", "/openapi.json", "/asyncapi.json")
"""Paths of a site that have no versions."""


def versions(
    declared: Declarations,
    *names: str | Versions,
    by: Place | Choice | None = None,
    default: str | None = None,
    except_: Sequence[str] = (),
    mounts: Sequence[str] = (),
    limit: int = LIMIT,
) -> Versions:
    """Have all routes of an App, and the `mounts` named, served in several versions.

    Raises:
        ConfigError: The names or an option cannot be meant, or the App has versions already.
    """
    table = _table(names)
    places = Uri() if by is None else by
    readers = Readers(places, table.names, default=default)

    def worn(app: ASGIApp, site: Site, host: Host) -> Versioned:
        return Versioned(
            app,
            table,
            by=places,
            default=default,
            except_=(*OPEN, *except_, *_unversioned(site, mounts)),
            limit=limit,
            operations=map(_operation, site.routes),
            below=mounts,
            clock=host.clock,
            signals=host.signals,
        )

    async def opening(_: Host) -> None:
        declared.shared(Site).wear("versions", worn)
        declared.shared(Translations).add(table.translator)
        _document(declared.shared(Documents), table, readers)

    by_ = [repr(reader) for reader in readers.all]
    declared.declare(DeclaredVersions(name="api", table=table, by=by_, default=default or ""))
    declared.open_with(opening)
    return table


def _table(names: Sequence[str | Versions]) -> Versions:
    if len(names) == 1 and isinstance(names[0], Versions):
        return names[0]
    if any(isinstance(name, Versions) for name in names):
        raise ConfigError("versions() takes names, newest first, or one Versions that has them")
    return Versions(*map(str, names))


def _document(documents: Documents, table: Versions, readers: Readers) -> None:
    """Have each version's document be read, with the paths that it is served below."""
    uris = [reader for reader in readers.all if isinstance(reader, Uri)]
    documents.newest = table.names.head
    for name in table.names.all:
        documents.versions[name] = table.as_of(name)
        for uri in uris:
            documents.below[name] = f"{uri.prefix}/{name}"


def _operation(route: Route) -> Operation:
    body, gives = route.endpoint.parameters.body, route.endpoint.answer.schema
    return Operation(
        route.method,
        route.path,
        takes=None if body is None else body.schema.type,
        gives=None if gives is None else gives.type,
    )


def _unversioned(site: Site, mounts: Sequence[str]) -> Sequence[str]:
    """Return the mounts that are not named; raises ConfigError if a name is no mount's."""
    known = [mount.path for mount in site.mounts]
    for path in mounts:
        if path not in known:
            there = ", ".join(known) or "none"
            raise ConfigError(f"versions(mounts={list(mounts)}): mounts are: {there}")
    return [path for path in known if path not in mounts]
