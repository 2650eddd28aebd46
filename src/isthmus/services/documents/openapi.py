"""The OpenAPI 3.1 document of what an App declares.

Source: OpenAPI Specification 3.1.0; JSON Schema 2020-12.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from isthmus.handling.model import Model
from isthmus.services.documents.about import DeclaredAbout, about_in
from isthmus.services.documents.headers import PARAMETERS, headers, parameters
from isthmus.services.documents.naming import operation_ids, plain_path
from isthmus.services.documents.operations import Operation
from isthmus.services.documents.problems import Problem, problems
from isthmus.services.documents.schemas import AsOf, Schemas, Use, as_it_is
from isthmus.services.rest.declared import DeclaredRoute

__all__ = ["openapi"]


def openapi(
    model: Model,
    *,
    title: str = "",
    version: str = "",
    description: str = "",
    servers: Sequence[str] = (),
    as_of: AsOf = as_it_is,
) -> dict[str, Any]:
    """Return the document of all routes in `model` that are not hidden, as JSON values.

    What is not given is what `app.about` said. `servers` are URLs, "" is where the document
    lies. `as_of` is asked which type to show in place of each that a route names, to tell of an
    older version. Mounted applications tell of themselves.
    """
    known = about_in(
        model, title=title, version=version, description=description, servers=tuple(servers)
    )
    operations = _operations(model, guarded=bool(known.security))
    schemas = Schemas(
        [Use(Problem, "out"), *(use for each in operations for use in each.uses())], as_of=as_of
    )
    document: dict[str, Any] = {"openapi": "3.1.0", "info": _info(known)}
    if known.servers:
        document["servers"] = [{"url": url} for url in known.servers]
    document["paths"] = _paths(operations, schemas)
    document["components"] = _components(operations, schemas, known)
    if known.security:
        document["security"] = [{each.name: list[str]()} for each in known.security]
    if tags := _tags(operations):
        document["tags"] = tags
    return msgspec.json.decode(msgspec.json.encode(document))  # no tuples, no enums: JSON


def _info(known: DeclaredAbout) -> dict[str, Any]:
    info = {"title": known.title or "API", "version": known.version}
    return {**info, "description": known.description} if known.description else info


def _operations(model: Model, *, guarded: bool) -> list[Operation]:
    routes = model.of(DeclaredRoute)
    ids = operation_ids(routes)
    return [
        Operation(route, id=ids[route.name], guarded=guarded)
        for route in routes
        if not route.options.hidden
    ]


def _paths(operations: Iterable[Operation], schemas: Schemas) -> dict[str, Any]:
    """Return the Path Items; of two routes that differ only in how a parameter is converted,
    the first, which is the one that answers."""
    paths = dict[str, dict[str, Any]]()
    for each in operations:
        item = paths.setdefault(plain_path(each.route.path), {})
        item.setdefault(each.route.method.lower(), each.document(schemas))
    return paths


def _components(
    operations: Sequence[Operation], schemas: Schemas, known: DeclaredAbout
) -> dict[str, Any]:
    statuses = {status for each in operations for status in each.problems}
    answered = {name for each in operations for name in each.headers}
    asked = {name for each in operations for name in each.parameters}
    components: dict[str, Any] = {
        "schemas": schemas.components,
        "responses": problems(sorted(statuses), schemas.problem),
        "headers": headers({"X-Request-ID", *answered}),
        "parameters": parameters({*list(PARAMETERS)[:2], *asked}),
    }
    if known.security:
        components["securitySchemes"] = {each.name: each.document() for each in known.security}
    return components


def _tags(operations: Iterable[Operation]) -> list[Mapping[str, str]]:
    """Return the tags in the order in which routes name them."""
    names = dict.fromkeys(tag for each in operations for tag in each.route.options.tags)
    return [{"name": name} for name in names]
