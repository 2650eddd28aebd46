"""The record of a route, read from its endpoint."""

import inspect
from collections.abc import Sequence
from typing import Any

from isthmus.handling.calling.signature import NOTHING
from isthmus.schema import schema_of
from isthmus.services.rest.declared import DeclaredParameter, DeclaredRoute
from isthmus.services.rest.endpoint import Endpoint
from isthmus.services.rest.forms import FormPayload
from isthmus.services.rest.options import RouteOptions

__all__ = ["record_of"]


def record_of(endpoint: Endpoint, method: str, path: str, options: RouteOptions) -> DeclaredRoute:
    """Return what the model says of a route."""
    body, answer, function = endpoint.parameters.body, endpoint.answer, endpoint.function
    return DeclaredRoute(
        name=f"{method} {path}",
        method=method,
        path=path,
        status=answer.status,
        deadline=options.deadline,
        takes=None if body is None else body.schema,
        takes_nothing=body is not None and not body.required,
        form=isinstance(body, FormPayload),
        gives=answer.schema,
        gives_nothing=answer.empty,
        streams=answer.kind if answer.stream is not None else "",
        parameters=_parameters(endpoint),
        transactional=endpoint.works,
        reads=endpoint.asks,
        function=f"{function.__module__}:{function.__qualname__}",
        doc=inspect.getdoc(function) or "",
        options=options,
    )


def _parameters(endpoint: Endpoint) -> Sequence[DeclaredParameter]:
    """Return each once, though several functions take it; then it is required if one of
    them requires it."""
    found = dict[tuple[str, str], DeclaredParameter]()
    for text in endpoint.parameters.texts:
        one = _parameter(text.name, text.location, text.type, text.default)
        place = (one.location, one.name.lower() if one.location == "header" else one.name)
        if place not in found or (one.required and not found[place].required):
            found[place] = one
    return tuple(found.values())


def _parameter(name: str, location: str, type_: Any, default: Any) -> DeclaredParameter:
    required = default is NOTHING
    return DeclaredParameter(
        name=name,
        location=location,
        payload=schema_of(type_),
        required=required,
        default=None if required else default,
    )
