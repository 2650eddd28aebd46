"""A consumer group, to look at, to mend, and to have read again."""

from collections.abc import Mapping

from isthmus.errors import ConfigError, UnsupportedError
from isthmus.handling.consuming.dead_letters import DeadLetters
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.controls import pause, paused, resume
from isthmus.streams.lag import Lag, lag_of
from isthmus.streams.options import GroupOptions
from isthmus.streams.parked import beside_the_rows
from isthmus.streams.place import Place
from isthmus.streams.replay import To, replay

__all__ = ["Group"]


class Group:
    """One group of one stream: its own positions, its own parked and dead records."""

    def __init__(self, of: Place, options: GroupOptions, declared: Declarations) -> None:
        self.address = of.address
        self._of, self._options, self._declared = of, options, declared
        self._host: Host | None = None
        self._letters: DeadLetters | None = None
        declared.open_with(self._bind)

    @property
    def dead_letters(self) -> DeadLetters:
        """Records given up. Replayed, they are handled beside the stream: what follows
        them with their key does not wait for them."""
        assert self._open is not None
        assert self._letters is not None
        return self._letters

    async def lag(self) -> Mapping[int, Lag]:
        """How far it is behind in each partition."""
        return await lag_of(self._open.log, self._of.stream, self._of.group)

    async def seek(self, to: To) -> Mapping[int, int]:
        """Read on from elsewhere: "start", "end", a moment, or an offset for each of
        some partitions; return the new positions.

        Whoever reads starts there within moments; what they were handling is not
        committed. Other groups are not disturbed. Records handled before are handled
        again; those that are parked, or dead letters, stay where they are.
        """
        return await replay(self._open, self._of, to)

    async def parked(self) -> int:
        """How many records wait aside because one of their key failed."""
        stats = await beside_the_rows(self._open).queue.stats(self._of.topic, self._of.name)
        return stats.ready + stats.delayed + stats.leased

    async def pause(self) -> None:
        """Have no process begin a record until `resume`; within about a second."""
        await pause(self._open.store, self.address)

    async def resume(self) -> None:
        """Undo `pause`."""
        await resume(self._open.store, self.address)

    async def is_paused(self) -> bool:
        return self.address in await paused(self._open.store)

    async def _bind(self, host: Host) -> None:
        view = beside_the_rows(host)
        if not view.queue.capabilities.ordered:
            scheme = host.settings.engine.partition(":")[0]
            raise UnsupportedError(
                f"group {self.address!r} parks failed records in an ordered queue, and "
                f"{scheme}:// has none; give the App a store that has: sqlite:///file.db"
            )
        await view.queue.declare(self._of.topic, self._of.name, ordered=True)
        letters = DeadLetters(view, self._of)
        await letters.open(
            retention=self._options.dead_retention, max_length=self._options.dead_length
        )
        self._host, self._letters = host, letters

    @property
    def _open(self) -> Host:
        if self._host is None:
            self._declared.host  # noqa: B018 - raises, saying how to open
            raise ConfigError(f"{self.address!r} was declared after the App opened")
        return self._host
