"""Where names depart from what buf's STANDARD rules want: they are the user's, and stay.

The generated file says so where it does, in the way that buf reads (from version 2 of its
configuration on).
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from isthmus.services.rpc.contract.descriptors import File

__all__ = ["Lint"]

_VERSIONED = re.compile(r"([a-z0-9_]+\.)*v[1-9]\d*((alpha|beta)\d*|p\d+(alpha|beta)\d*|test\w*)?")
_PASCAL = re.compile(r"([A-Z][a-z0-9]*)+")
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_UPPER = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


class Lint:
    """Names the rules that each part of one file does not keep to."""

    def __init__(self, file: File) -> None:
        methods = [method for service in file.service for method in service.method]
        sides = [side for each in methods for side in {each.input_type, each.output_type}]
        self._uses = Counter(sides)

    def package(self, name: str) -> Sequence[str]:
        found = ["PACKAGE_LOWER_SNAKE_CASE"] * (not all(map(_SNAKE.fullmatch, name.split("."))))
        return found + ["PACKAGE_VERSION_SUFFIX"] * (_VERSIONED.fullmatch(name) is None)

    def service(self, name: str) -> Sequence[str]:
        found = ["SERVICE_PASCAL_CASE"] * (_PASCAL.fullmatch(name) is None)
        return found + ["SERVICE_SUFFIX"] * (not name.endswith("Service"))

    def rpc(self, service: str, method: Any) -> Sequence[str]:
        found = ["RPC_PASCAL_CASE"] * (_PASCAL.fullmatch(method.name) is None)
        for side, ending in ((method.input_type, "Request"), (method.output_type, "Response")):
            name, wanted = side.rpartition(".")[2], f"{method.name}{ending}"
            if name not in {wanted, f"{service}{wanted}"}:
                found.append(f"RPC_{ending.upper()}_STANDARD_NAME")
        sides = {method.input_type, method.output_type}
        if len(sides) == 1 or any(self._uses[side] > 1 for side in sides):
            found.append("RPC_REQUEST_RESPONSE_UNIQUE")
        return found

    def message(self, name: str) -> Sequence[str]:
        return ["MESSAGE_PASCAL_CASE"] * (_PASCAL.fullmatch(name) is None)

    def field(self, name: str) -> Sequence[str]:
        return ["FIELD_LOWER_SNAKE_CASE"] * (_SNAKE.fullmatch(name) is None)

    def oneof(self, name: str) -> Sequence[str]:
        return ["ONEOF_LOWER_SNAKE_CASE"] * (_SNAKE.fullmatch(name) is None)

    def enum(self, name: str) -> Sequence[str]:
        return ["ENUM_PASCAL_CASE"] * (_PASCAL.fullmatch(name) is None)

    def value(self, value: Any) -> Sequence[str]:
        found = ["ENUM_VALUE_UPPER_SNAKE_CASE"] * (_UPPER.fullmatch(value.name) is None)
        ends = value.number != 0 or value.name.endswith("_UNSPECIFIED")
        return found + ["ENUM_ZERO_VALUE_SUFFIX"] * (not ends)
