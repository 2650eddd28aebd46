"""What is done with the bodies of each operation in each older version; made once."""

from typing import NamedTuple

from isthmus.services.versioning.operations import Operations
from isthmus.services.versioning.requests import Upgrade
from isthmus.versions import Versions
from isthmus.versions.change import Lead
from isthmus.versions.operation import Operation

__all__ = ["Way", "Ways"]


class Way(NamedTuple):
    """Each is None where nothing is done."""

    upgrade: Upgrade | None
    down: Lead | None


class Ways:
    """Made when the layer is: what cannot be led is refused before the first request."""

    def __init__(self, versions: Versions, operations: Operations, *, limit: int) -> None:
        """Raises ConfigError for a union whose members cannot be told apart."""
        self._made: dict[tuple[str, str], Way] = {}
        for version in versions.names.all[1:]:
            for operation in operations:
                way = _way(versions, operation, version, limit)
                if way != (None, None):
                    self._made[str(operation), version] = way

    def of(self, operation: Operation | None, version: str) -> Way | None:
        """Return None where nothing is to be done."""
        return None if operation is None else self._made.get((str(operation), version))


def _way(versions: Versions, operation: Operation, version: str, limit: int) -> Way:
    up, down = versions.migration_of(operation, version)
    if up is None:
        return Way(None, down)
    check = versions.check_of(operation, version)
    return Way(Upgrade(up, check, version, limit), down)
