"""One attempt at a record, or at a batch: handled and committed, or failed."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from isthmus.contracts import Nack, Record, Transaction
from isthmus.errors import ConflictError, IsthmusError, LeaseLostError, TimedOutError
from isthmus.handling.calling.handler import Failed, Invoke
from isthmus.handling.consuming.inbox import Inbox
from isthmus.handling.consuming.intermission import LOOK, Intermission
from isthmus.handling.consuming.refusals import refusal
from isthmus.handling.facts import (
    DuplicateSkipped,
    HandlerConflicted,
    HandlerSucceeded,
    HandlerTimedOut,
)
from isthmus.handling.host import Host
from isthmus.handling.unit import PATIENCE, Unit, current, uncommitted
from isthmus.streams.desk import Desk, GroupStoppedError
from isthmus.streams.lanes import Run
from isthmus.streams.notes import Notes
from isthmus.streams.options import GroupOptions
from isthmus.streams.parking import Parking
from isthmus.streams.place import Place
from isthmus.streams.positions import Positions

__all__ = ["Attempts"]


class Attempts:
    """How the records of one member are handled.

    Once `ended` is set, nothing is tried again. `broken` is called when it is not
    known whether something was written, so that all has to be read again; `stopped`
    when a record failed for good and `on_error` is "stop".
    """

    def __init__(
        self,
        host: Host,
        of: Place,
        options: GroupOptions,
        invoke: Invoke,
        *,
        positions: Positions,
        parking: Parking,
        notes: Notes,
        desk: Desk,
        intermission: Intermission,
        ended: asyncio.Event,
        broken: Callable[[Exception], None],
        stopped: Callable[[Exception], None],
    ) -> None:
        self._of, self._timeout, self._invoke = of, options.timeout, invoke
        self._store, self._signals, self._clock = host.store, host.signals, host.clock
        self._positions, self._parking, self._notes, self._desk = positions, parking, notes, desk
        self._intermission = intermission
        self._ended, self._broken, self._stopped = ended, broken, stopped
        self._inbox = None
        if options.inbox is not None:
            self._inbox = Inbox(host.store, of.inbox, retention=options.inbox)

    async def attempt(self, run: Run) -> None:
        """Handle `run`; whatever comes of it, it is done, parked, given up, or it
        will be read again by whoever has the partition then."""
        try:
            await self._attempt(run, run.records)
        except IsthmusError as error:
            self._give_up(run, error)
        finally:
            if self._intermission.on:
                self._intermission.passed(run)

    async def too_late(self, run: Run) -> None:
        """Fail a run that was cut because it took too long, record by record."""
        error = TimedOutError(
            f"the handler of {self._of.address!r} did not return in {self._timeout:g} s; "
            "give it a larger timeout=, or less to do"
        )
        try:
            for record in run.records:
                self._tell_late(record)
                await self._fail(run, record, error, attempt=1)
        except IsthmusError as failed:
            self._give_up(run, failed)

    async def bury(self, run: Run, reason: str) -> None:
        """Give the records of `run` up without an attempt."""
        try:
            for record in run.records:
                await self._desk.bury(record, run.progress, reason)
                self._positions.finished(run.progress, (record.offset,), noted=True)
        except IsthmusError as error:
            self._give_up(run, error)

    async def _attempt(self, run: Run, records: Sequence[Record], *, attempt: int = 1) -> None:
        conflicts = 1
        while not self._intermission.on or await self._may_begin(run):
            if self._inbox is not None:
                records = await self._without_duplicates(run, records, self._inbox)
            direct, followers = await self._parking.sort(records)
            unit = Unit(self._store, conflicts, direct)
            unit.seal = partial(self._seal, run)
            current.set(unit)
            try:
                failed = await self._handle(run, direct)
                if unit.sealed and not isinstance(failed, Exception):
                    failed = failed if await self._is_noted(run, direct) else uncommitted()
                if not isinstance(failed, Exception):
                    return await self._complete(run, unit, direct, followers, failed, attempt)
            except ConflictError as error:
                await unit.undo()
                if self._notes.refused(error):
                    return await self._done_before(run, records)
                self._tell_conflict(records)
                failed = error
                if conflicts < PATIENCE:
                    conflicts += 1
                    continue
            except BaseException:
                await unit.undo()
                raise
            await unit.undo()
            if (delay := self._intermission.refused(failed)) is None:
                return await self._fail_all(run, records, failed, attempt)
            await self._stand(run, delay)
            if self._is_over(run):
                return None

    async def _may_begin(self, run: Run) -> bool:
        """Wait, with the record at its place, until a circuit that was open may be tried."""
        return await self._intermission.turn(run, stop=partial(self._is_over, run))

    async def _stand(self, run: Run, delay: float) -> None:
        """Wait for so long, or until others are to have the partition."""
        until = self._clock.now() + delay
        while (left := until - self._clock.now()) > 0 and not self._is_over(run):
            await self._clock.wait(self._ended, min(left, LOOK))

    def _is_over(self, run: Run) -> bool:
        return self._ended.is_set() or run.progress.lost or run.progress.leaving

    async def _without_duplicates(
        self, run: Run, records: Sequence[Record], inbox: Inbox
    ) -> Sequence[Record]:
        """Pass over those whose ids were handled, or are in `records` twice."""
        seen = set(await inbox.seen([record.message.id for record in records]))
        wanted, passed = list[Record](), list[Record]()
        for record in records:
            (passed if record.message.id in seen else wanted).append(record)
            seen.add(record.message.id)
        if passed:
            self._positions.finished(run.progress, _offsets(passed))
            self._tell_duplicates(passed)
        return wanted

    async def _handle(self, run: Run, records: Sequence[Record]) -> Failed | Exception | None:
        """Call the handler; return what failed: all with one error, some, or nothing."""
        if not records:
            return None
        run.since = self._clock.now()
        try:
            failed = await self._invoke([record.message for record in records])
        except ConflictError:
            raise
        except Exception as error:  # noqa: BLE001 - it is the user's, and dealt with as a value
            return error
        finally:
            run.since = None
        if failed and len(records) == 1 and refusal(failed[0]) is not None:
            return failed[0]
        return _overtaken(records, failed) if failed else None

    async def _complete(
        self,
        run: Run,
        unit: Unit,
        direct: Sequence[Record],
        followers: Sequence[Record],
        failed: Failed | None,
        attempt: int,
    ) -> None:
        done = [r for i, r in enumerate(direct) if i not in failed] if failed else direct
        if unit.sealed:
            await self._complete_sealed(run, unit, done, followers)
            await self._unseal(run, [direct[index] for index in failed or ()])
        elif unit.tx is None and not followers and self._inbox is None:
            self._positions.finished(run.progress, _offsets(done))
        else:
            tx = unit.begin()
            if self._inbox is not None:
                await self._inbox.note([record.message.id for record in done], tx=tx)
            if followers:
                await self._parking.follow(followers, tx=tx)
            await self._positions.commit(tx, run.progress, _offsets(done, followers))
        if self._signals.active:
            for fact in unit.facts:
                self._signals.emit(fact)
            self._tell_success(done, attempt)
        for index, error in (failed or {}).items():
            await self._fail(run, direct[index], error, attempt=attempt)

    async def _seal(self, run: Run, unit: Unit, tx: Transaction) -> None:
        """Note in the user's own transaction that the records are handled."""
        if unit.sealed:
            return
        records = [record for record in unit.batch if isinstance(record, Record)]
        await self._positions.note(run.progress, _offsets(records), tx=tx)
        if self._inbox is not None:
            await self._inbox.note([record.message.id for record in records], tx=tx)

    async def _is_noted(self, run: Run, records: Sequence[Record]) -> bool:
        """Whether the user's transaction, with the notes in it, was committed."""
        offsets = _offsets(records)
        return len(await self._notes.seen(run.progress.partition, offsets)) == len(offsets)

    async def _complete_sealed(
        self, run: Run, unit: Unit, done: Sequence[Record], followers: Sequence[Record]
    ) -> None:
        """The user's transaction has the notes: commit what else there is."""
        if followers:
            tx = unit.begin()
            await self._parking.follow(followers, tx=tx)
            await self._positions.note(run.progress, _offsets(followers), tx=tx)
        if unit.tx is not None:
            await unit.tx.commit()
        self._positions.finished(run.progress, _offsets(done, followers), noted=True)

    async def _unseal(self, run: Run, records: Sequence[Record]) -> None:
        """Forget that these, which failed, were noted with the others of their batch."""
        if records:
            await self._notes.remove(run.progress.partition, _offsets(records))
            if self._inbox is not None:
                await self._inbox.forget([record.message.id for record in records])

    async def _fail_all(
        self, run: Run, records: Sequence[Record], error: Exception, attempt: int
    ) -> None:
        """Fail a record; take a batch apart first, to find which of it fails."""
        if len(records) == 1:
            return await self._fail(run, records[0], error, attempt=attempt)
        for record in records:
            await self._attempt(run, [record])

    async def _fail(self, run: Run, record: Record, error: Exception, *, attempt: int) -> None:
        if (delay := self._intermission.refused(error)) is not None:
            return await self._again(run, record, Nack("", delay, counted=False), attempt)
        if self._intermission.on:
            self._intermission.passed(run)
        try:
            again = await self._desk.fail(record, run.progress, error, attempt=attempt)
        except ConflictError as conflict:
            if self._notes.refused(conflict):
                return await self._done_before(run, [record])
            raise
        if again is None:
            return self._positions.finished(run.progress, (record.offset,), noted=True)
        await self._again(run, record, again, attempt)

    async def _again(self, run: Run, record: Record, how: Nack, attempt: int) -> None:
        """Try once more where it is, unless the time has come to leave it to others."""
        if await self._clock.wait(self._ended, how.delay):
            return
        message = record.message.with_headers(how.headers)
        once_more = msgspec.structs.replace(record, message=message)
        await self._attempt(run, [once_more], attempt=attempt + how.counted)

    async def _done_before(self, run: Run, records: Sequence[Record]) -> None:
        """A former owner was first with some of these; find out with which."""
        if len(records) > 1:
            for record in records:
                await self._attempt(run, [record])
            return
        await self._parking.load()  # maybe it was parked
        self._positions.finished(run.progress, _offsets(records), noted=True)
        self._tell_duplicates(records)

    def _give_up(self, run: Run, error: IsthmusError) -> None:
        if isinstance(error, LeaseLostError):
            run.progress.lost = True
        elif isinstance(error, GroupStoppedError):
            self._stopped(error)
        else:
            self._broken(error)

    def _tell_conflict(self, records: Sequence[Record]) -> None:
        if self._signals.active:
            for record in records:
                message = record.message.id
                self._signals.emit(HandlerConflicted(address=self._of.address, message=message))

    def _tell_duplicates(self, records: Sequence[Record]) -> None:
        if self._signals.active:
            for record in records:
                message = record.message.id
                self._signals.emit(DuplicateSkipped(address=self._of.address, message=message))

    def _tell_late(self, record: Record) -> None:
        message = record.message.id
        self._signals.emit(
            HandlerTimedOut(address=self._of.address, message=message, timeout=self._timeout)
        )

    def _tell_success(self, records: Sequence[Record], attempt: int) -> None:
        for record in records:
            self._signals.emit(
                HandlerSucceeded(
                    address=self._of.address, message=record.message.id, attempt=attempt
                )
            )


def _offsets(records: Sequence[Record], more: Sequence[Record] = ()) -> Sequence[int]:
    """Return the offsets, ascending."""
    if len(records) == 1 and not more:
        return (records[0].offset,)
    offsets = [record.offset for record in records]
    return sorted([*offsets, *(record.offset for record in more)]) if more else offsets


def _overtaken(records: Sequence[Record], failed: Failed) -> Failed | Exception:
    """Return `failed`; or its first error for all, if a record was handled though one
    before it, of its key, failed: then each has to be handled alone."""
    keys = set[str]()
    for index, record in enumerate(records):
        if index in failed:
            keys.add(record.message.key)
        elif record.message.key and record.message.key in keys:
            return next(iter(failed.values()))
    return failed
