"""The JSON Schemas (2020-12) of all types that a document names, each class written once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, cast, get_args, get_origin

import msgspec
from msgspec.inspect import multi_type_info

from isthmus.schema.kinds import is_model, is_pydantic, members_of, type_name
from isthmus.services.documents.classes import completed
from isthmus.services.documents.problems import Problem

__all__ = ["HOME", "AsOf", "Schemas", "Use", "as_it_is"]

HOME = "#/components/schemas/"
"""Where both documents keep the schemas of classes."""

AsOf = Callable[[Any], Any]
"""Says which type a document shows in place of another: that of an older version."""


class Use(NamedTuple):
    """A type, and which way its values go: what is left out on the way in has its default on
    the way out."""

    type: Any
    way: Literal["in", "out"] = "in"


def as_it_is(type_: Any) -> Any:
    return type_


class Schemas:
    """Schemas by use. Classes of one name are told apart by their modules, or by a number."""

    def __init__(self, uses: Iterable[Use], *, as_of: AsOf = as_it_is) -> None:
        self._as_of = as_of
        self._schemas = dict[Use, dict[str, Any]]()
        self.components = dict[str, Any]()
        """The schemas of classes, by name."""
        parts = list(dict.fromkeys(part for use in uses for part in self._parts(use)))
        self._add_plain([use for use in parts if not is_pydantic(use.type)])
        self._add_pydantic([use for use in parts if is_pydantic(use.type)])
        self.components = dict(sorted(self.components.items()))

    def of(self, use: Use) -> dict[str, Any]:
        """Return the schema of a use that was named at the beginning."""
        found = [self._schemas[part] for part in self._parts(use)]
        return dict(found[0]) if len(found) == 1 else {"anyOf": found}

    @property
    def problem(self) -> dict[str, Any]:
        """The schema of problems, which every document of HTTP names."""
        return self.of(Use(Problem, "out"))

    def _parts(self, use: Use) -> Sequence[Use]:
        """Return the members of a choice of classes, which may be of different libraries."""
        type_ = replaced(use.type, self._as_of)
        members = members_of(type_)
        if members and all(map(is_model, members)) and not _tagged(members):
            return [Use(member, use.way) for member in members]
        return [Use(type_, use.way)]

    def _add_plain(self, uses: Sequence[Use]) -> None:
        types = [use.type for use in uses]
        made, components = msgspec.json.schema_components(
            types, schema_hook=_unknown, ref_template=HOME + "{name}"
        )
        infos = multi_type_info(types)
        completed(infos, made, components, home=HOME)
        self._schemas |= zip(uses, made, strict=True)
        self.components |= components

    def _add_pydantic(self, uses: Sequence[Use]) -> None:
        if not uses:
            return
        from isthmus.services.documents.pydantic_schemas import pydantic_schemas

        made, components = pydantic_schemas([(use.type, use.way == "out") for use in uses])
        names = {name: self._free(name, schema) for name, schema in components.items()}
        moved = {HOME + old: HOME + new for old, new in names.items() if old != new}
        self.components |= {names[old]: _moved(each, moved) for old, each in components.items()}
        self._schemas |= zip(uses, (_moved(each, moved) for each in made), strict=True)

    def _free(self, name: str, schema: Any) -> str:
        """Return `name`, or one with a number if another class has it."""
        number, free = 1, name
        while self.components.get(free, schema) != schema:
            number += 1
            free = f"{name}_{number}"
        return free


def replaced(type_: Any, as_of: AsOf) -> Any:
    """Return `type_` with all that it is made of as `as_of` shows it: list[Order] as well."""
    if as_of is as_it_is or type_ is Ellipsis:
        return type_
    if get_origin(type_) is Annotated:
        inner, *marks = get_args(type_)
        return Annotated[replaced(inner, as_of), *marks]
    whole = as_of(type_)
    arguments = get_args(whole)
    if whole is not type_ or not arguments or get_origin(whole) is Literal:
        return whole
    shown = tuple(replaced(each, as_of) for each in arguments)
    return whole if shown == arguments else _made_of(whole, shown)


def _made_of(type_: Any, arguments: tuple[Any, ...]) -> Any:
    if members_of(type_):
        return Union[arguments]  # noqa: UP007 - made at run time
    origin: Any = get_origin(type_)
    return origin[arguments]


def _tagged(members: Sequence[Any]) -> bool:
    """Return whether msgspec itself tells the members of a choice apart."""
    configs = [getattr(each, "__struct_config__", None) for each in members]
    tags = [getattr(config, "tag", None) for config in configs]
    return None not in tags and len(set(tags)) == len(tags)


def _unknown(type_: Any) -> dict[str, Any]:
    """Tell what no library has a schema of: anything that is called so."""
    return {"title": type_name(type_)}


def _moved(schema: Any, names: Mapping[str, str]) -> Any:
    if not names:
        return schema
    if isinstance(schema, dict):
        parts = cast("dict[str, Any]", schema)
        return {key: _moved(part, names) for key, part in parts.items()}
    if isinstance(schema, list):
        return [_moved(part, names) for part in cast("list[Any]", schema)]
    return names.get(schema, schema) if isinstance(schema, str) else schema
