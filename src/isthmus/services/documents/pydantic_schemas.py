"""The JSON Schemas of pydantic's models: the one file of this room that imports it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from isthmus.services.documents.attributes import attribute_docs

__all__ = ["pydantic_schemas"]

TEMPLATE = "#/components/schemas/{model}"


def pydantic_schemas(
    uses: Sequence[tuple[Any, bool]],
) -> tuple[Sequence[dict[str, Any]], Mapping[str, Any]]:
    """Return the schemas of types, each with whether it is given out, and those of the models
    that they refer to, by name."""
    asked = list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]]()
    for place, (type_, out) in enumerate(uses):
        asked.append((place, "serialization" if out else "validation", TypeAdapter(type_)))
    made, document = TypeAdapter.json_schemas(asked, by_alias=True, ref_template=TEMPLATE)
    components = document.get("$defs", {})
    schemas = [made[place, mode] for place, mode, _ in asked]
    for model in {model for type_, _ in uses for model in _models(type_, set())}:
        for name in (model.__name__, f"{model.__name__}-Input", f"{model.__name__}-Output"):
            _describe(components.get(name, {}), model)
    return schemas, components


def _models(type_: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    """Yield the models in a type, and in their fields."""
    for argument in getattr(type_, "__args__", ()):
        yield from _models(argument, seen)
    if isinstance(type_, type) and issubclass(type_, BaseModel) and type_ not in seen:
        seen.add(type_)
        yield type_
        for field in type_.model_fields.values():
            yield from _models(field.annotation, seen)


def _describe(component: dict[str, Any], model: type[BaseModel]) -> None:
    docs, fields = attribute_docs(model), model.model_fields
    for name, doc in docs.items():
        if name not in fields:
            continue
        field = fields[name]
        properties: dict[str, dict[str, Any]] = component.get("properties", {})
        if schema := properties.get(field.serialization_alias or name):
            schema.setdefault("description", doc)
