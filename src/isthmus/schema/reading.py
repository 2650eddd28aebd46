"""One program reads what another wrote, each by its own JSON Schema: where does it fail?"""

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, cast

from isthmus.errors import ConfigError

__all__ = ["Reading"]

_Schema = Mapping[str, Any]
_Pair = tuple[object, object]

_ANYTHING: _Schema = {}
_KINDS = {NoneType: "null", str: "string", bool: "boolean", int: "integer", float: "number"}
_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_MEDIA = "contentMediaType"
_UNKNOWN = ("allOf", "not", "if", "contains", "patternProperties", "dependentRequired")
_INSIDE = ("properties", "required", "items", "prefixItems", "additionalProperties")
_THE_SAME = ("pattern", "format", "contentEncoding", "multipleOf", "uniqueItems")


class Reading:
    """Compares all that the writer may write with all that the reader takes."""

    def __init__(self, written: _Schema, read: _Schema, *, writer: str, reader: str) -> None:
        self._written, self._read = written, read
        self._writer, self._reader = f"the {writer} version", f"the {reader} version"
        self._compared: set[_Pair] = set()

    def problems(self) -> Iterator[str]:
        """Yield each problem as "path: sentence"; paths as items[].sku, "payload" for the whole."""
        yield from self._value(self._written, self._read, "")

    def _value(self, written: Any, read: Any, path: str) -> Iterator[str]:
        if self._seen(written, read):
            return
        takes = _choices(read, self._read)
        for writes in _choices(written, self._written):
            yield from self._choice(writes, takes, path)

    def _seen(self, written: Any, read: Any) -> bool:
        """Return whether this pair was compared: references may lead in circles, without end."""
        if not _reference(written) and not _reference(read):
            return False
        pair = (_reference(written) or id(written), _reference(read) or id(read))
        known = pair in self._compared
        self._compared.add(pair)
        return known

    def _entered(self, writes: _Schema, takes: _Schema) -> bool:
        """Return whether the insides of these two were compared: of an anyOf, each choice may
        lead in circles."""
        pair = (_inside(writes), _inside(takes))
        if pair == ((), ()):
            return False
        known = pair in self._compared
        self._compared.add(pair)
        return known

    def _choice(self, writes: _Schema, takes: Sequence[_Schema], path: str) -> Iterator[str]:
        """Yield why none of `takes` fits, told by the one that was most likely meant."""
        kin = [choice for choice in takes if _is_kin(writes, choice)]
        if not kin:
            wanted = " or ".join(dict.fromkeys(map(_described, takes))) or "nothing"
            yield self._told(path, f"writes {_described(writes)}", f"takes {wanted}")
            return
        before = self._compared
        tries: list[tuple[list[str], set[_Pair]]] = []
        for choice in kin:
            self._compared = set(before)
            tries.append((list(self._same_kind(writes, choice, path)), self._compared))
            if not tries[-1][0]:
                return
        found, self._compared = min(tries, key=lambda each: len(each[0]))
        yield from found

    def _same_kind(self, writes: _Schema, takes: _Schema, path: str) -> Iterator[str]:
        if self._entered(writes, takes):
            return
        yield from self._values(writes, takes, path)
        yield from self._bounds(writes, takes, path)
        yield from self._object(writes, takes, path)
        yield from self._array(writes, takes, path)
        yield from self._unjudged(writes, takes, path)

    def _values(self, writes: _Schema, takes: _Schema, path: str) -> Iterator[str]:
        wanted = _enumerated(takes)
        if wanted is None:
            return
        given = _enumerated(writes)
        only = f"takes only {_listed(wanted)}"
        if given is None:
            yield self._told(path, f"writes any {_described(writes)}", only)
        elif more := [value for value in given if value not in wanted]:
            yield self._told(path, f"writes {_listed(more)} too", only)

    def _bounds(self, writes: _Schema, takes: _Schema, path: str) -> Iterator[str]:
        if _enumerated(takes) is not None:
            return  # its values say more
        for bound in (*_AT_LEAST, *_AT_MOST, *_THE_SAME):
            given, wanted = writes.get(bound), takes.get(bound)
            if wanted is not None and not _within(bound, given, wanted):
                had = f"has {bound} {given}" if given is not None else f"has no {bound}"
                yield self._told(path, had, f"wants {wanted}")
        if writes.get(_MEDIA) != takes.get(_MEDIA):
            one, other = (side.get(_MEDIA, "JSON") for side in (writes, takes))
            yield self._told(path, f"writes {one}", f"takes {other}")

    def _object(self, writes: _Schema, takes: _Schema, path: str) -> Iterator[str]:
        given, wanted = _properties(writes), _properties(takes)
        for name in takes.get("required", ()):
            if name not in writes.get("required", ()):
                had = "may leave it out" if name in given else "does not know it"
                yield self._told(f"{path}.{name}", had, "requires it")
        for name in given:
            rest = wanted.get(name, takes.get("additionalProperties", _ANYTHING))
            if rest is False:
                yield self._told(f"{path}.{name}", "writes it", "refuses unknown fields")
            else:
                yield from self._value(given[name], rest, f"{path}.{name}")
        yield from self._others(writes, takes, path)

    def _others(self, writes: _Schema, takes: _Schema, path: str) -> Iterator[str]:
        """Compare the values of what is a mapping on both sides."""
        given, wanted = (side.get("additionalProperties") for side in (writes, takes))
        if isinstance(given, Mapping) and isinstance(wanted, Mapping):
            yield from self._value(given, wanted, f"{path}.*")

    def _array(self, writes: _Schema, takes: _Schema, path: str) -> Iterator[str]:
        given, wanted = _places(writes), _places(takes)
        for index in range(max(len(given), len(wanted))):
            one, other = _place(writes, given, index), _place(takes, wanted, index)
            if one is not False:
                yield from self._value(one, other, f"{path}[{index}]")
        if isinstance(items := writes.get("items"), Mapping):
            yield from self._value(items, takes.get("items", _ANYTHING), f"{path}[]")

    def _unjudged(self, writes: _Schema, takes: _Schema, path: str) -> Iterator[str]:
        """Yield what this comparison knows nothing of, rather than pass it in silence."""
        for word in _UNKNOWN:
            if word in takes and takes[word] != writes.get(word):
                yield self._told(path, "may break it", f"has {word!r}, which is not compared here")

    def _told(self, path: str, writer: str, reader: str) -> str:
        where = path.removeprefix(".") or "payload"
        return f"{where}: {self._writer} {writer}, {self._reader} {reader}"


def _choices(schema: Any, document: _Schema) -> list[_Schema]:
    """Return the alternatives in `schema`, with references and lists of types spelt out."""
    if schema is True:
        return [_ANYTHING]
    if schema is False:
        return []
    if reference := _reference(schema):
        return _choices(_looked_up(reference, document), document)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return [choice for each in schema[word] for choice in _choices(each, document)]
    if len(schema.get("allOf", ())) == 1:
        return _choices(schema["allOf"][0], document)
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return _by_kind(schema)


def _by_kind(schema: _Schema) -> list[_Schema]:
    """Split an enumeration of values of several types, as Literal["all", 1, None]."""
    values = _enumerated(schema) or ()
    kinds = dict.fromkeys(map(_kind_of, values))
    if "type" in schema or len(kinds) < 2:
        return [schema]
    return [{"type": kind, "enum": [v for v in values if _kind_of(v) == kind]} for kind in kinds]


def _kind_of(value: Any) -> str:
    return _KINDS.get(cast("type[Any]", type(value)), "")


def _reference(schema: Any) -> str:
    return cast("dict[str, Any]", schema).get("$ref", "") if isinstance(schema, Mapping) else ""


def _inside(schema: _Schema) -> tuple[int, ...]:
    """Return what is the same wherever a document refers to a schema; () if it has no parts."""
    parts: list[object] = [schema.get(word) for word in _INSIDE]
    return tuple(id(part) for part in parts if not isinstance(part, bool | None))


def _looked_up(reference: str, document: _Schema) -> Any:
    found: Any = document
    try:
        for step in reference.removeprefix("#").split("/")[1:]:
            found = found[step.replace("~1", "/").replace("~0", "~")]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"the JSON Schema refers to {reference!r}, which it lacks") from error
    return found


def _is_kin(writes: _Schema, takes: _Schema) -> bool:
    """Return whether `takes` could be meant for `writes`: of its type, and of its tag."""
    kind, wanted = _kind(writes), _kind(takes)
    return (not wanted or kind == wanted or (kind, wanted) == ("integer", "number")) and all(
        _overlap(schema, _properties(takes).get(name, _ANYTHING))
        for name, schema in _properties(writes).items()
        if name in takes.get("required", ())
    )


def _overlap(one: Any, other: Any) -> bool:
    """Return whether two tags may have the same value; what is no tag may."""
    given, wanted = _tag(one), _tag(other)
    return given is None or wanted is None or any(value in wanted for value in given)


def _tag(schema: Any) -> Sequence[Any] | None:
    found = _enumerated(cast("_Schema", schema)) if isinstance(schema, Mapping) else None
    return found if found is not None and len(found) == 1 else None


def _kind(schema: _Schema) -> str:
    if "type" in schema:
        return schema["type"]
    return next(map(_kind_of, _enumerated(schema) or ()), "")


def _enumerated(schema: _Schema) -> Sequence[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _within(bound: str, given: Any, wanted: Any) -> bool:
    if given is None:
        return not wanted and bound in {"minLength", "minItems", "minProperties", "uniqueItems"}
    if bound in _AT_LEAST:
        return given >= wanted
    if bound in _AT_MOST:
        return given <= wanted
    return given % wanted == 0 if bound == "multipleOf" else given == wanted


def _properties(schema: _Schema) -> Mapping[str, Any]:
    return schema.get("properties", _ANYTHING)


def _places(schema: _Schema) -> Sequence[Any]:
    return schema.get("prefixItems", ())


def _place(schema: _Schema, places: Sequence[Any], index: int) -> Any:
    return places[index] if index < len(places) else schema.get("items", not places)


def _described(schema: _Schema) -> str:
    if (values := _enumerated(schema)) is not None:
        return _listed(values)
    kind = schema.get("title") if schema.get("type") == "object" else None
    return kind or schema.get("type") or "anything"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join("null" if value is None else repr(value) for value in values)
