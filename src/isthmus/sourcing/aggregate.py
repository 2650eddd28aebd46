"""Aggregates: what is decided becomes events, and events become what is."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, Generic, TypeVar

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError
from isthmus.handling.address import checked
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.unit import current
from isthmus.schema import schema_of
from isthmus.sourcing.decider import Decider
from isthmus.sourcing.deciding import Asked
from isthmus.sourcing.declared import DeclaredAggregate
from isthmus.sourcing.events import Events
from isthmus.sourcing.exporting import export
from isthmus.sourcing.feed import Feed
from isthmus.sourcing.handled import Handled
from isthmus.sourcing.importing import Imported, import_events
from isthmus.sourcing.metadata import headers_of
from isthmus.sourcing.opened import Opened, open_aggregate
from isthmus.sourcing.recorded import Recorded
from isthmus.streams.replay import To, moment

__all__ = ["Aggregate"]

S = TypeVar("S")

MONTH = 30 * 86400.0


class Aggregate(Generic[S]):
    """All aggregates of one type `S`, each with an id of its own, as "acc-1".

    `S` is frozen, with `decide(command)`, which returns events or raises what the caller is
    told, and `evolve(event)`, which returns the next state; both are pure. Made by
    `app.aggregate`.

    Raises:
        ConfigError: The type cannot be one, an option is out of range, or the name is taken.
    """

    def __init__(
        self,
        name: str,
        state: type[S],
        declared: Declarations,
        *,
        initial: S | None = None,
        partitions: int = 1,
        snapshot_every: int | None = None,
        keep_ids: Span = MONTH,
        cache: int = 10_000,
    ) -> None:
        self.name = checked(name, what="aggregate")
        self.decider: Decider[S] = Decider(state, initial=initial)
        self._declared, self._cache = declared, _at_least("cache", cache, 0)
        self._limits = DeclaredAggregate(
            name=name,
            state=schema_of(state),
            commands=self.decider.commands,
            events=self.decider.events,
            partitions=_at_least("partitions", partitions, 1),
            snapshot_every=(
                None if snapshot_every is None else _at_least("snapshot_every", snapshot_every, 1)
            ),
            keep_ids=_at_least("keep_ids", seconds(keep_ids), 1.0),
        )
        self._opened: Opened | None = None
        declared.declare(self._limits)
        declared.open_with(self._bind)

    # --- deciding ---------------------------------------------------------------------------

    async def handle(
        self,
        key: str,
        command: Any,
        *,
        id: str | None = None,
        who: str = "",
        why: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Handled[Any]:
        """Decide a command, and append what happens: all of it, or nothing.

        Inside a transaction it is part of that. Under an `id` that was handled before, within
        `keep_ids` seconds, nothing happens again, and what came of it then is returned.
        `who` and `why` are kept with the events, and can be said for many commands by `acting`.

        Raises:
            SchemaError: It is no command of this aggregate, or a part does not fit its type;
                likewise an event. Nothing was appended.
            IdReusedError: The id was another command's; nothing was appended.
            ConflictError: 50 times another was first; nothing was appended. Inside a
                transaction its commit says so, the first time.
            UnavailableError: It may have been appended: handle it again under the same id.
            Exception: What `decide` raised, unchanged; nothing was appended.
        """
        opened = self._open
        if not (isinstance(key, str) and key):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"aggregate {self.name!r}: key={key!r}, expected text, as 'acc-1'")
        said = headers_of(command=id or "", who=who, why=why, headers=headers)
        whole, body = self.decider.checked(command)
        if opened.seals.needed:  # not even a fingerprint of a person's data is kept
            body = type(whole).__qualname__.encode()
        asked = Asked(key, whole, body, id, said)
        if (unit := current.get()) is not None:
            return await opened.deciding.within(unit, asked)
        return await opened.deciding.alone(asked)

    # --- looking ----------------------------------------------------------------------------

    async def load(
        self, key: str, *, version: int | None = None, at: datetime | float | None = None
    ) -> S:
        """Return the state: as it is now, as it was at a `version`, or at a moment.

        An aggregate of which nothing happened is as it begins. In a transaction, what is
        loaded must still be so when that commits, or it is run again.
        """
        opened, unit = self._open, current.get()
        if version is not None or at is not None:
            last = inf if at is None else moment(at)
            found = await opened.states.load_at(
                key, version=inf if version is None else version, at=last
            )
            return found.state
        if unit is None:
            return (await opened.states.load(key)).state
        if (staged := opened.deciding.staged(unit, key)) is not None:
            return staged.state
        return (await opened.states.load(key, tx=unit.begin())).state

    async def version(self, key: str) -> int:
        """Return the version it has now; 0 if nothing happened yet."""
        return (await self._open.states.load(key)).version

    async def history(self, key: str, *, after: int = 0) -> AsyncGenerator[Recorded[Any]]:
        """Yield the events of one aggregate, those after a version."""
        opened = self._open
        async for page in opened.states.pages(key, after=after):
            for record in page:
                yield opened.events.recorded(record)

    def read(self, *, start: To = "start", follow: bool = False) -> Feed:
        """Return the events of all aggregates, to iterate over: those that are there, or,
        to `follow`, without end.

        `start` is "start", "end", a moment, or the `position` of another feed. Events of one
        aggregate are in order; with one partition, all are, in the order of their commits.
        """
        opened = self._open
        return Feed(opened.log, self.name, opened.events, start=start, follow=follow)

    # --- copying ----------------------------------------------------------------------------

    async def export_events(self, path: Path | str, *, keys: bool = False) -> int:
        """Copy all events into a file, a line of JSON each; return how many it has. Broken off,
        it goes on where it was. `keys`: those of personal data too. Raises as
        `isthmus.sourcing.exporting.export`."""
        return await export(self._open.host, self.name, Path(path), keys=keys)

    async def import_events(self, path: Path | str) -> Imported:
        """Take in the events of such a file, each once, at its version. Raises as
        `isthmus.sourcing.importing.import_events`."""
        return await import_events(self._open.host, self.name, Path(path))

    # --- forgetting -------------------------------------------------------------------------

    async def forget(self, subject: str) -> bool:
        """Delete the key of a person's data: fields that are marked `Personal` read as their
        defaults from now on, everywhere. Return whether there was a key.

        `subject` is the aggregate's id, unless the mark says otherwise. What projections wrote
        stays until they write it again: rebuild them. Copies of the database still have the key.
        """
        return await self._open.seals.keys.forget(subject)

    @property
    def home(self) -> Host:
        """The open process, as event stores see it: with the log of the store's own engine."""
        return self._open.host

    @property
    def events(self) -> Events:
        """What reads events while the App is open."""
        return self._open.events

    # --- opening ----------------------------------------------------------------------------

    async def _bind(self, host: Host) -> None:
        self._opened = await open_aggregate(host, self._limits, self.decider, cache=self._cache)

    @property
    def _open(self) -> Opened:
        if self._opened is None or self._declared.opened is None:
            self._declared.host  # noqa: B018 - raises, saying how to open
            raise ConfigError(f"aggregate {self.name!r} was declared after the App opened")
        return self._opened


N = TypeVar("N", int, float)


def _at_least(name: str, value: N, least: N) -> N:
    if value < least:
        raise ConfigError(f"{name}={value!r} is out of range: {least} or more")
    return value
