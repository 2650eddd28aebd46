"""Which partitions a member has, from taking each over to losing or releasing it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from isthmus.contracts import Member
from isthmus.errors import IsthmusError
from isthmus.handling.consuming.gathering import Gathering
from isthmus.handling.host import Host
from isthmus.streams.facts import PartitionsLost, PartitionsTaken
from isthmus.streams.notes import Notes
from isthmus.streams.parking import Parking
from isthmus.streams.place import Place
from isthmus.streams.progress import Progress
from isthmus.streams.replay import until_no_replay_begins
from isthmus.streams.suspects import Suspects

__all__ = ["Tenure"]


class Tenure:
    """The partitions of one member.

    `dropped` is called for each that is lost, or that another wants: what waits of it
    is not to be begun. `broken` is called when it is not known whether one was released.
    """

    def __init__(
        self,
        host: Host,
        of: Place,
        member: Member,
        *,
        notes: Notes,
        suspects: Suspects,
        parking: Parking,
        dropped: Callable[[Progress], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._host, self._of, self._member = host, of, member
        self._notes, self._suspects, self._parking = notes, suspects, parking
        self._dropped, self._broken = dropped, broken
        self._had: dict[int, Progress] = {}
        self._releases = Gathering(self._release)

    def __iter__(self) -> Iterator[Progress]:
        return iter(list(self._had.values()))

    def of(self, partition: int) -> Progress | None:
        """Return the progress of a partition that is to be read on, if it is."""
        progress = self._had.get(partition)
        return None if progress is None or progress.leaving else progress

    async def adjust(self) -> None:
        """Follow what the last `read` of the member found: take over, lose, leave."""
        owned = self._member.owned
        for progress in self:
            if owned.get(progress.partition) != progress.epoch:
                self._lose(progress)
        if new := {p: epoch for p, epoch in owned.items() if p not in self._had}:
            await self._take_over(new)
        for partition in self._member.revoking:
            if (progress := self.of(partition)) is not None:
                self._leave(progress)

    def release_if_done(self, progress: Progress) -> None:
        """Hand a partition over that another waits for, once nothing of it is under way."""
        if progress.leaving and not (progress.released or progress.lost or progress.busy):
            progress.released = True
            self._releases.add([progress])

    async def end(self) -> None:
        """Finish handing over, and leave the rest in peace."""
        await self._releases.done()
        with suppress(IsthmusError):  # else the next one counts a death that was none
            await self._suspects.leave(list(self._had))

    async def outlive(self) -> None:
        """The membership breaks, not the process: no death is to be counted for it."""
        kept = [each.partition for each in self if not each.lost]
        self.forsake()
        with suppress(IsthmusError):
            await self._suspects.leave(kept)

    def forsake(self) -> None:
        """Have nothing more of any of them committed."""
        for progress in self:
            progress.lost = True

    async def _take_over(self, new: Mapping[int, int]) -> None:
        await until_no_replay_begins(self._host, self._of)
        await self._suspects.take(new)
        for partition, epoch in new.items():
            handled = await self._notes.load(partition)
            self._had[partition] = Progress(partition, epoch, handled=handled)
        await self._parking.load()
        self._tell(PartitionsTaken, new)

    def _lose(self, progress: Progress) -> None:
        """Another has it: nothing of it can commit here."""
        progress.lost = True
        del self._had[progress.partition]
        self._dropped(progress)
        self._tell(PartitionsLost, [progress.partition])

    def _leave(self, progress: Progress) -> None:
        """Another wants it: what runs is finished first."""
        progress.leaving = True
        self._dropped(progress)
        self.release_if_done(progress)

    async def _release(self, left: Sequence[Progress]) -> None:
        partitions = [progress.partition for progress in left]
        try:
            await self._suspects.leave(partitions)
            await self._member.release(partitions)
        except IsthmusError as error:
            return self._broken(error)
        for progress in left:
            if self._had.get(progress.partition) is progress:
                del self._had[progress.partition]

    def _tell(
        self, kind: type[PartitionsTaken] | type[PartitionsLost], partitions: Collection[int]
    ) -> None:
        if self._host.signals.active:
            self._host.signals.emit(
                kind(address=self._of.address, partitions=tuple(sorted(partitions)))
            )
