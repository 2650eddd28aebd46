"""Which operation a request is for: its method and path, among those that carry versions."""

import re
from collections.abc import Iterable, Iterator, Sequence

from starlette.routing import compile_path

from isthmus.errors import ConfigError
from isthmus.versions import Versions
from isthmus.versions.operation import Operation, operation_at

__all__ = ["Operations"]


class Operations:
    """The routes of an App, and what the table says of mounted applications."""

    def __init__(
        self, versions: Versions, routes: Iterable[Operation], *, below: Sequence[str]
    ) -> None:
        """`below`: where applications are whose operations are not known; [""] is everywhere.

        Raises:
            ConfigError: A change, or an operation of the table, is of none of these.
        """
        known = {str(each): each for each in routes}
        changed = {each.operation for each in versions.changes if each.operation}
        foreign = versions.operations | {name: operation_at(name) for name in changed}
        for name, one in {**foreign, **versions.operations}.items():
            if name not in known:
                known[name] = _foreign(one, known, below)
            elif name in versions.operations:
                raise ConfigError(f"{name} is a route, whose types are known: take it away")
        self._all = list(known.values())
        self._static: dict[tuple[str, str], int] = {}
        self._patterns: list[tuple[int, str, re.Pattern[str]]] = []
        for place, one in enumerate(self._all):
            self._add(place, one)

    def find(self, method: str, path: str) -> Operation | None:
        """Return what a request for `path`, without its version, is for: the first declared
        that fits. GET stands for HEAD."""
        method = "GET" if method == "HEAD" else method
        found = self._static.get((method, path))
        for place, other, pattern in self._patterns:
            if found is not None and place > found:
                break
            if other == method and pattern.match(path):
                return self._all[place]
        return None if found is None else self._all[found]

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._all)

    def _add(self, place: int, one: Operation) -> None:
        if "{" not in one.path:
            self._static[one.method, one.path] = place
            return
        try:
            pattern = compile_path(one.path)[0]
        except (AssertionError, ValueError) as error:
            raise ConfigError(f"{one}: {error}") from error
        self._patterns.append((place, one.method, pattern))


def _foreign(one: Operation, known: Iterable[str], below: Sequence[str]) -> Operation:
    if any(one.path == home or one.path.startswith(f"{home}/") for home in below):
        return one
    raise ConfigError(
        f"the table of versions tells of {one}, which is neither a route ({', '.join(known)}) nor "
        f"below a mount that is versioned: app.versions(..., mounts=[...])"
    )
