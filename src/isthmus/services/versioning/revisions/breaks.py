"""What clients of one revision of an API would trip over in the next.

A request is written by old clients and read by the new service; an answer is
written by the new service and read by old clients. Schemas are compared by
`isthmus.schema.incompatibilities`, which knows who reads what. Added to that are
fields that are gone: of answers even those that were optional, and of requests
those that would be ignored now.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from isthmus.schema import incompatibilities
from isthmus.services.versioning.revisions.document import Document, Node, OperationAt

__all__ = ["Break", "breaks"]

_LONGEST = 500
"""Characters of a path; lists of lists of themselves have no end."""


class Break(msgspec.Struct, frozen=True):
    """One thing that breaks."""

    operation: str
    """As "POST /orders"."""
    where: str
    """Which part: "request", "response 200", "query limit", "operation"."""
    told: str
    """A sentence without its beginning: what, and how."""

    def __str__(self) -> str:
        return f"{self.operation}: {self.where}: {self.told}"


def breaks(old: Any, new: Any) -> list[Break]:
    """Return what breaks between two OpenAPI 3.1 documents, as JSON has them; empty if every
    request that fits the old one fits the new, and every answer of the new one the old.

    Answers that are no success (400 and up) are not compared: clients treat them alike.

    Raises:
        ConfigError: One of them is no such document, or refers to what it lacks.
    """
    compared = _Comparison(Document(old, name="old"), Document(new, name="new"))
    return list(dict.fromkeys(compared.all()))


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new

    def all(self) -> Iterator[Break]:
        for was, now in self._pairs("paths"):
            if now is None:
                yield Break(was.name, "operation", "it is gone")
            else:
                yield from self._operation(was, now)
        for was, now in self._pairs("webhooks"):
            if now is None:
                yield Break(was.name, "webhook", "it is gone")
            else:
                yield from self._webhook(was, now)

    def _pairs(self, where: str) -> Iterator[tuple[OperationAt, OperationAt | None]]:
        there = {each.key: each for each in self._new.operations(where)}
        for was in self._old.operations(where):
            yield was, there.get(was.key)

    def _operation(self, was: OperationAt, now: OperationAt) -> Iterator[Break]:
        if self._new.is_guarded(now.node) and not self._old.is_guarded(was.node):
            yield Break(was.name, "security", "it needs credentials now")
        yield from self._parameters(was, now)
        yield from self._request(was, now)
        yield from self._responses(was, now)

    # --- requests -----------------------------------------------------------------------------

    def _parameters(self, was: OperationAt, now: OperationAt) -> Iterator[Break]:
        for key, one in was.parameters.items():
            where, other = _named(one), now.parameters.get(key)
            if other is None:
                yield Break(was.name, where, "it is gone, and would be ignored")
                continue
            if other.get("required") and not one.get("required"):
                yield Break(was.name, where, "it is required now")
            for told in self._read_by_new(_media(one), _media(other)):
                yield Break(was.name, where, told)
        for key, other in now.parameters.items():
            if key not in was.parameters and other.get("required"):
                yield Break(was.name, _named(other), "it is new, and required")

    def _request(self, was: OperationAt, now: OperationAt) -> Iterator[Break]:
        one = self._old.followed(was.node.get("requestBody", {}))
        other = self._new.followed(now.node.get("requestBody", {}))
        if other.get("required") and not one.get("required"):
            yield Break(was.name, "request", "a body is required now")
        if one and not other:
            yield Break(was.name, "request", "it takes no body any more")
            return
        kinds: Node = other.get("content", {})
        for kind, media in one.get("content", {}).items():
            if (taken := _of_kind(kinds, kind)) is None:
                yield Break(was.name, "request", f"it does not take {kind} any more")
                continue
            for told in self._read_by_new(media, taken, fields=True):
                yield Break(was.name, "request", told)

    def _read_by_new(self, one: Node, other: Node, *, fields: bool = False) -> Iterator[str]:
        written, read = self._old.schema(one), self._new.schema(other)
        yield from incompatibilities(written, read, mode="backward")
        if fields:
            for path in _Gone(self._old, self._new).fields(written, read, ""):
                yield f"{path}: it is gone, and would be ignored"

    # --- answers ------------------------------------------------------------------------------

    def _responses(self, was: OperationAt, now: OperationAt) -> Iterator[Break]:
        there = now.node.get("responses", {})
        for status, response in was.node.get("responses", {}).items():
            if status[:1] in {"4", "5"} or status == "default":
                continue
            if status not in there:
                yield Break(was.name, f"response {status}", "it is gone")
                continue
            one, other = self._old.followed(response), self._new.followed(there[status])
            for told in self._response(one, other):
                yield Break(was.name, f"response {status}", told)

    def _response(self, one: Node, other: Node) -> Iterator[str]:
        kinds: Node = other.get("content", {})
        for kind, media in one.get("content", {}).items():
            given = _of_kind(kinds, kind)
            if given is None:
                yield f"it is not given as {kind} any more"
            else:
                yield from self._read_by_old(media, given)
        headers = {name.lower() for name in other.get("headers", {})}
        for name in one.get("headers", {}):
            if name.lower() not in headers:
                yield f"the header {name} is gone"

    def _read_by_old(self, one: Node, other: Node) -> Iterator[str]:
        read, written = self._old.schema(one), self._new.schema(other)
        found = incompatibilities(read, written, mode="forward")
        told = {each.partition(": ")[0] for each in found}
        yield from found
        for path in _Gone(self._old, self._new).fields(read, written, ""):
            if path not in told:
                yield f"{path}: it is gone"

    def _webhook(self, was: OperationAt, now: OperationAt) -> Iterator[Break]:
        """Its body is written by the new service, and read by old receivers."""
        one = self._old.followed(was.node.get("requestBody", {}))
        other = self._new.followed(now.node.get("requestBody", {}))
        for told in self._response(one, other):
            yield Break(was.name, "webhook", told)


class _Gone:
    """Which fields of old schemas the new ones have no more."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[frozenset[int], frozenset[int]]] = set()

    def fields(self, old: Any, new: Any, path: str) -> Iterator[str]:
        """Yield their paths, as "items[].sku"."""
        had, has = _choices(self._old, old), _choices(self._new, new)
        pair = _identity(had), _identity(has)
        if pair in self._seen or len(path) > _LONGEST:
            return  # schemas may refer to themselves
        if pair != (frozenset(), frozenset()):
            self._seen.add(pair)
        yield from self._properties(had, has, path)
        ours, theirs = _parts(had, "items"), _parts(has, "items")
        if ours and theirs:
            yield from self.fields({"anyOf": ours}, {"anyOf": theirs}, f"{path}[]")

    def _properties(self, had: list[Node], has: list[Node], path: str) -> Iterator[str]:
        then, now = _properties(had), _properties(has)
        if not now and not any(each.get("type") == "object" for each in has):
            return  # it is no object any more, which is told elsewhere
        open_ = any(isinstance(each.get("additionalProperties"), Mapping) for each in has)
        for name, schema in then.items():
            at = f"{path}.{name}".removeprefix(".")
            if name in now:
                yield from self.fields({"anyOf": schema}, {"anyOf": now[name]}, at)
            elif not open_:
                yield at


def _choices(document: Document, schema: Any, depth: int = 0) -> list[Node]:
    """Return all that a value may be, or is at once: what is inside of anyOf and its like."""
    node = document.followed(schema)
    found = [node]
    if depth < 20:
        for word in ("anyOf", "oneOf", "allOf"):
            for each in node.get(word, ()):
                found += _choices(document, each, depth + 1)
    return found


def _identity(choices: list[Node]) -> frozenset[int]:
    """Return what tells objects of a document apart: where their properties are kept."""
    return frozenset(id(each["properties"]) for each in choices if "properties" in each)


def _properties(choices: list[Node]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for each in choices:
        for name, schema in each.get("properties", {}).items():
            found.setdefault(name, []).append(schema)
    return found


def _parts(choices: list[Node], word: str) -> list[Any]:
    return [each[word] for each in choices if isinstance(each.get(word), Mapping)]


def _media(parameter: Node) -> Node:
    """Return where a parameter's schema is: in it, or in its one media type."""
    for media in parameter.get("content", {}).values():
        return cast("Node", media)
    return parameter


def _named(parameter: Node) -> str:
    return f"{parameter.get('in', '')} {parameter.get('name', '')}"


def _of_kind(kinds: Node, kind: str) -> Node | None:
    """Return what is said of a media type, be it by a pattern, as "application/*"."""
    for name in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if name in kinds:
            return kinds[name]
    return None
