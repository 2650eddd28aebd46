"""What documents call operations: the same, however many are declared later."""

import re
from collections.abc import Iterable

from isthmus.services.rest.declared import DeclaredRoute

__all__ = ["operation_ids", "plain_path"]

_CONVERTED = re.compile(r"{([^{}:]+):[^{}]+}")


def operation_ids(routes: Iterable[DeclaredRoute]) -> dict[str, str]:
    """Return the operation's id of each route, by the route's name: that of its function; of
    several functions of one name the first has it, the others add where they are."""
    ids = dict[str, str]()
    taken = set[str]()
    for route in routes:
        for candidate in _candidates(route):
            if candidate not in taken:
                taken.add(candidate)
                ids[route.name] = candidate
                break
    return ids


def plain_path(path: str) -> str:
    """Return "/files/{name:path}" as "/files/{name}"."""
    return _CONVERTED.sub(r"{\1}", path)


def _candidates(route: DeclaredRoute) -> Iterable[str]:
    name = _word(route.function.rpartition(":")[2].rpartition(".")[2]) or "operation"
    placed = f"{name}_{route.method.lower()}_{_word(route.path)}".rstrip("_")
    yield name
    yield placed
    number = 2
    while True:
        yield f"{placed}_{number}"
        number += 1


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
