"""A subscriber that takes some of a topic's types is given those, and no others."""

from collections.abc import Callable, Sequence
from typing import Any, Union, get_args

from isthmus.handling.calling.signature import Signature
from isthmus.schema import Schema, UnionSchema, schema_of
from isthmus.schema.kinds import members_of

__all__ = ["narrowed", "type_names"]


def narrowed(schema: Schema[Any], function: Callable[..., Any]) -> Schema[Any]:
    """Return the part of a topic's schema that a parameter of `function` is annotated
    with: all of it, unless the annotation names fewer of its types."""
    if isinstance(schema, UnionSchema):
        carried = {member.type for member in schema.members}
        for parameter in Signature(function).parameters:
            wanted = _wanted(parameter.annotation)
            if wanted and carried > set(wanted):
                return schema_of(Union[tuple(wanted)])  # noqa: UP007 - made at run time
    return schema


def type_names(schema: Schema[Any]) -> Sequence[str]:
    """Return what messages of `schema` have as their `type`."""
    if isinstance(schema, UnionSchema):
        return [member.name for member in schema.members]
    return [schema.name]


def _wanted(annotation: Any) -> Sequence[Any]:
    """Return the types in `Placed | Cancelled`, or in a list or batch of them."""
    if members := members_of(annotation):
        return members
    inner = get_args(annotation)
    return _wanted(inner[0]) if len(inner) == 1 else (annotation,)
