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
        self._static: dict[tuple[str, str], Operation] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Operation]] = []
        for one in self._all:
            self._add(one)

    def find(self, method: str, path: str) -> Operation | None:
        """Return what a request for `path`, without its version, is for: one without parameters
        before those with some, which are tried in their order. GET stands for HEAD."""
        method = "GET" if method == "HEAD" else method
        if (found := self._static.get((method, path))) is not None:
            return found
        for other, pattern, one in self._patterns:
            if other == method and pattern.match(path):
                return one
        return None

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._all)

    def _add(self, one: Operation) -> None:
        if "{" not in one.path:
            self._static[one.method, one.path] = one
            return
        try:
            pattern = compile_path(one.path)[0]
        except (AssertionError, ValueError) as error:
            raise ConfigError(f"{one}: {error}") from error
        self._patterns.append((one.method, pattern, one))


def _foreign(one: Operation, known: Iterable[str], below: Sequence[str]) -> Operation:
    if any(one.path == home or one.path.startswith(f"{home}/") for home in below):
        return one
    raise ConfigError(
        f"the table of versions tells of {one}, which is neither a route ({', '.join(known)}) nor "
        f"below a mount that is versioned: app.versions(..., mounts=[...])"
    )
