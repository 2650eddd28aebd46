"""Sagas as a person looks after them, by name and id, whichever App they belong to."""

from collections.abc import Sequence
from typing import Any

from isthmus.errors import NotFoundError
from isthmus.handling.host import Host
from isthmus.sagas import index
from isthmus.sagas.checking import check
from isthmus.sagas.errors import NotDeterministicError
from isthmus.sagas.family import Families, require_id, split
from isthmus.sagas.handle import Handle
from isthmus.sagas.history import load
from isthmus.sagas.index import Listed
from isthmus.sagas.kept import Kept
from isthmus.sagas.status import Status

__all__ = ["Sagas"]

PAGE = 500
GOING: tuple[Status, ...] = ("running", "compensating", "stuck")


class Sagas:
    """All sagas of a store."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def list(
        self,
        *,
        status: Status,
        name: str = "",
        search: str = "",
        after: str = "",
        limit: int = 100,
    ) -> Sequence[Listed]:
        """Return sagas of a status, and of a name unless it is "", by name and id; from the first
        beyond `after`, as "fulfil/A-1", on. `search`: only those that have this text in name, id,
        or what they are stuck at or compensate for, in letters of any case."""
        return await index.listed(
            self._host.store, status=status, name=name, search=search, after=after, limit=limit
        )

    def handle(self, key: str) -> Handle[Any]:
        """Return a handle on the saga called `key`, as "fulfil/A-1"; its result is plain.

        Raises:
            NotFoundError: `key` is none.
        """
        name, own = split(key)
        if not own:
            raise NotFoundError(f'{key!r} is no saga: write name and id, as "fulfil/A-1"')
        family = self._host.kept(Families).of(name)
        result = family.newest.result if family.versions else Kept(Any, what="the result")
        return Handle(family, require_id(own), result)

    async def astray(self) -> "dict[str, str]":
        """Play every saga that has not ended against the code of this process; return those that
        would not go on, and why. Sagas of names that are not declared here are left out."""
        found = dict[str, str]()
        for status in GOING:
            after = ""
            while page := await self.list(status=status, after=after, limit=PAGE):
                for each in page:
                    key = after = f"{each.name}/{each.id}"
                    if fault := await self._fault(key):
                        found[key] = fault
        return found

    async def _fault(self, key: str) -> str:
        family = self._host.kept(Families).of(split(key)[0])
        history = await load(self._host.store, key)
        if not family.versions or not history.exists:
            return ""
        events = history.events()
        version = getattr(events[0], "version", 0)
        if version not in family.versions:
            return f"version {version} is not registered"
        try:
            check(family.versions[version], key, events)
        except NotDeterministicError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - of the saga's function: it is what is asked for
            return f"{type(error).__name__}: {error}"
        return ""
