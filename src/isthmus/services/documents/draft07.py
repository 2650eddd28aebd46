"""JSON Schema 2020-12 as AsyncAPI's own schemas say it: a superset of draft 07."""

from typing import Any, cast

__all__ = ["as_draft_07"]


def as_draft_07(schema: Any) -> Any:
    """Return `schema` with what was written otherwise then: places of a tuple, what stands beside
    a reference, which property tells the members of a choice apart."""
    if isinstance(schema, list):
        return [as_draft_07(part) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    said = cast("dict[str, Any]", schema)
    parts = {name: _part(name, part) for name, part in said.items()}
    if "prefixItems" in parts:
        parts["additionalItems"] = parts.pop("items", True)
        parts["items"] = parts.pop("prefixItems")
    if isinstance(parts.get("discriminator"), dict):
        del parts["discriminator"]  # of OpenAPI; what it says, the members' tags say too
    if "$ref" in parts and len(parts) > 1:
        return {"allOf": [{"$ref": parts.pop("$ref")}], **parts}
    return parts


def _part(name: str, part: Any) -> Any:
    """Translate what is schemas, and leave values be."""
    if name in {"default", "const", "enum", "examples", "discriminator", "required"}:
        return part
    if name in {"properties", "patternProperties", "$defs"}:
        return {key: as_draft_07(each) for key, each in part.items()}
    return as_draft_07(part)
