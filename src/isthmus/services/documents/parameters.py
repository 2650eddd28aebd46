"""What an operation takes from path, query, headers and cookies."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from isthmus.services.documents.schemas import Schemas, Use
from isthmus.services.rest.declared import DeclaredParameter, DeclaredRoute

__all__ = ["parameters_of", "shown"]

_ELSEWHERE = frozenset({"accept", "content-type", "authorization"})
"""Headers that OpenAPI tells in other places, and ignores here."""


def shown(route: DeclaredRoute) -> list[DeclaredParameter]:
    """Return the parameters that OpenAPI knows as such."""
    return [
        each
        for each in route.parameters
        if each.location != "header" or each.name.lower() not in _ELSEWHERE
    ]


def parameters_of(
    route: DeclaredRoute, schemas: Schemas, told: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the Parameter Objects; `told` is what the docstring says of each."""
    for each in shown(route):
        schema = _textual(schemas.of(Use(each.payload.type)))
        description = told.get(each.name, "") or schema.pop("description", "")
        if not each.required and each.default is not None:
            schema |= _default(each)
        said = {"name": each.name, "in": each.location, "description": description}
        yield {
            **{name: value for name, value in said.items() if value},
            **({"required": True} if each.required or each.location == "path" else {}),
            "schema": schema,
        }


def _default(parameter: DeclaredParameter) -> dict[str, Any]:
    try:
        return {"default": msgspec.to_builtins(parameter.default, str_keys=True)}
    except (TypeError, ValueError):
        return {}  # what text cannot say, nobody sends


def _textual(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without null: what is not there is not written at all."""
    choices = schema.get("anyOf", [])
    left = [each for each in choices if each != {"type": "null"}]
    if len(left) == len(choices):
        return dict(schema)
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **left[0]} if len(left) == 1 else {**rest, "anyOf": left}
