"""Moving a group's positions: in a handler's own transaction where they can, else after it.

Only one move of a partition is under way at a time, so that a position never
steps back. Who cannot move it leaves a note of what is done.
"""

from collections.abc import Callable, Collection, Sequence

from isthmus.contracts import Member, StoreEngine, Transaction
from isthmus.errors import LeaseLostError, UnavailableError
from isthmus.handling.consuming.gathering import Gathering
from isthmus.streams.notes import Notes
from isthmus.streams.progress import Progress

__all__ = ["Positions"]


class Positions:
    """The positions of one member's partitions.

    `one_scope`: the log shares the store's transactions. `moved` is called when a
    partition's position has reached what is done; `broken` when it is not known
    whether it has, so that all has to be read again.
    """

    def __init__(
        self,
        store: StoreEngine,
        member: Member,
        notes: Notes,
        *,
        one_scope: bool,
        moved: Callable[[Progress], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._store, self._member, self._notes = store, member, notes
        self._one_scope, self._moved, self._broken = one_scope, moved, broken
        self._behind = Gathering(self._move)

    async def commit(self, tx: Transaction, progress: Progress, offsets: Sequence[int]) -> None:
        """Commit `tx` together with the fact that `offsets` are done.

        Raises:
            LeaseLostError: The partition is another's; nothing was written.
            ConflictError: Likewise, or they were done before.
            UnavailableError: It is not known whether it was written.
        """
        reach = None
        if self._one_scope and not progress.moving:
            reach = progress.reach(offsets)
        if reach is None:
            await self.note(progress, offsets, tx=tx)
            await tx.commit()
        else:
            await self._commit_moving(tx, progress, reach)
        self.finished(progress, offsets, noted=reach is None)

    async def note(self, progress: Progress, offsets: Sequence[int], *, tx: Transaction) -> None:
        """Have `tx` commit only if these are still ours to do, and note them as done."""
        if self._one_scope:
            self._require(progress)
            await self._member.guard([progress.partition], tx=tx)
        await self._notes.add(progress.partition, offsets, tx=tx)

    def finished(self, progress: Progress, offsets: Sequence[int], *, noted: bool = False) -> None:
        """These are done: let the position follow."""
        progress.finish(offsets, noted=noted)
        self._follow(progress)

    async def done(self) -> None:
        """Wait until every position has followed, or cannot."""
        await self._behind.done()

    def _follow(self, progress: Progress) -> None:
        if progress.behind and not progress.moving and not progress.lost:
            self._behind.add([progress])
        else:
            self._moved(progress)

    def _require(self, progress: Progress) -> None:
        """The engine fences by the epoch it knows now; ours must be that one."""
        if progress.lost or self._member.owned.get(progress.partition) != progress.epoch:
            raise LeaseLostError([progress.partition], what="partition")

    async def _commit_moving(self, tx: Transaction, progress: Progress, reach: int) -> None:
        progress.moving = True
        try:
            passed = progress.passed(reach)
            self._require(progress)
            await self._member.commit({progress.partition: reach}, tx=tx)
            if passed:
                await self._notes.remove(progress.partition, passed, tx=tx)
            await tx.commit()
            progress.moved(reach, passed)
        finally:
            progress.moving = False
            self._follow(progress)

    async def _move(self, behind: list[Progress]) -> None:
        moves = {
            each: (each.position, each.passed(each.position))
            for each in behind
            if each.behind and not each.moving and not each.lost
        }
        for progress in moves:
            progress.moving = True
        try:
            await self._put(moves)
        except LeaseLostError as error:
            _lose(moves, error)
        except UnavailableError as error:
            self._broken(error)
        else:
            for progress, (position, passed) in moves.items():
                progress.moved(position, passed)
        finally:
            for progress in moves:
                progress.moving = False
                self._follow(progress)

    async def _put(self, moves: dict[Progress, tuple[int, Collection[int]]]) -> None:
        for progress in moves:
            self._require(progress)
        positions = {each.partition: position for each, (position, _) in moves.items()}
        passed = {each.partition: passed for each, (_, passed) in moves.items() if passed}
        if not passed or not self._one_scope:
            await self._member.commit(positions)
            for partition, offsets in passed.items():
                await self._notes.remove(partition, offsets)
            return
        async with self._store.begin() as tx:
            await self._member.commit(positions, tx=tx)
            for partition, offsets in passed.items():
                await self._notes.remove(partition, offsets, tx=tx)


def _lose(moves: Collection[Progress], error: LeaseLostError) -> None:
    for progress in moves:
        if progress.partition in error.lost:
            progress.lost = True
