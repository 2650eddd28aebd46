"""An OpenAPI 3.1 document, its references followed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from isthmus.errors import ConfigError

__all__ = ["Document", "Node", "OperationAt"]

Node = Mapping[str, Any]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_PARAMETER = re.compile(r"\{[^}]*\}")
_DEEPEST = 50


class OperationAt(NamedTuple):
    """One operation; two of equal `key` are the same, whatever their parameters are called."""

    key: str
    name: str
    """As "POST /orders/{id}"."""
    node: Node
    parameters: Mapping[tuple[str, str], Node]
    """By place and name; those of the path by their number, which is what counts there."""


class Document:
    """One revision of an API."""

    def __init__(self, document: Any, *, name: str) -> None:
        """Raises ConfigError if it is no OpenAPI document of version 3.1 or later."""
        known: Node = cast("Node", document) if isinstance(document, Mapping) else {}
        version: Any = known.get("openapi", "")
        if not isinstance(version, str) or not re.match(r"3\.([1-9]|\d\d)", version):
            found = f"is OpenAPI {version}" if version else "is no OpenAPI document"
            raise ConfigError(f"the {name} revision {found}; expected OpenAPI 3.1")
        self._document, self.name = known, name

    def followed(self, node: Any) -> Node:
        """Return what `node` refers to, or itself.

        Raises:
            ConfigError: It refers to what the document lacks, or in a circle.
        """
        for _ in range(_DEEPEST):
            if not isinstance(node, Mapping) or "$ref" not in node:
                return cast("Node", node) if isinstance(node, Mapping) else {}
            node = self._at(cast("Node", node)["$ref"])
        raise ConfigError(f"the {self.name} revision has a reference that leads in a circle")

    def schema(self, media: Node) -> Node:
        """Return the schema of a body or a parameter, as a document that stands alone."""
        schema: Any = media.get("schema", {})
        schema = {} if schema is True else {"not": {}} if schema is False else schema
        return {**schema, "components": self._document.get("components", {})}

    def operations(self, where: str = "paths") -> Iterator[OperationAt]:
        """Yield the operations of "paths", or of "webhooks"."""
        for path, item in self.followed(self._document.get(where, {})).items():
            shared = self.followed(item)
            for method in _METHODS:
                if method in shared:
                    yield self._operation(path, method, shared)

    def is_guarded(self, operation: Node) -> bool:
        """Return whether nobody may call it without credentials."""
        ways = operation.get("security", self._document.get("security", ()))
        return bool(ways) and {} not in ways

    def _operation(self, path: str, method: str, item: Node) -> OperationAt:
        node, places = cast("Node", item[method]), _PARAMETER.findall(path)
        parameters: dict[tuple[str, str], Node] = {}
        for each in (*item.get("parameters", ()), *node.get("parameters", ())):
            one = self.followed(each)
            place, name = one.get("in", ""), one.get("name", "")
            if place == "path" and f"{{{name}}}" in places:
                parameters[place, str(places.index(f"{{{name}}}"))] = one
            else:
                parameters[place, name.lower() if place == "header" else name] = one
        key = f"{method} {_PARAMETER.sub('{}', path)}"
        return OperationAt(key, f"{method.upper()} {path}", node, parameters)

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise ConfigError(
                f"the {self.name} revision refers to {reference!r}, which is another document; "
                "bundle them into one"
            )
        found: Any = self._document
        try:
            for step in reference.removeprefix("#").split("/")[1:]:
                found = found[step.replace("~1", "/").replace("~0", "~")]
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f"the {self.name} revision refers to {reference!r}, which it lacks"
            ) from error
        return found
