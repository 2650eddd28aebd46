"""What one commit of a saga writes: events, what follows from them, and what a step did."""

from collections.abc import Callable
from typing import Any, cast

from isthmus.contracts import Ack, Put, Receiver, Transaction
from isthmus.handling.unit import Unit
from isthmus.sagas import history as histories
from isthmus.sagas import index, mailbox
from isthmus.sagas.commands import Command
from isthmus.sagas.course import Course
from isthmus.sagas.events import Event, Stuck
from isthmus.sagas.family import Families, Family, split
from isthmus.sagas.history import History
from isthmus.sagas.index import Listed
from isthmus.sagas.mailbox import Letters
from isthmus.sagas.status import Status
from isthmus.signals import Signal

__all__ = ["Changes"]


class Changes:
    """Gathers them, and commits them together."""

    def __init__(self, family: Family, history: History, course: Course) -> None:
        self._family, self._history, self._course = family, history, course
        self._status = course.status if history.exists else ""
        self._clear()

    def _clear(self) -> None:
        self.events: list[Event] = []
        self._timers: list[float] = []
        self._told: list[tuple[str, Command]] = []
        self._mail: dict[str, Letters] = {}
        self._puts: dict[str, list[Put]] = {}
        self._signals: list[tuple[Callable[..., Signal], dict[str, Any]]] = []

    @property
    def any(self) -> bool:
        return bool(self.events or self._puts or self._told)

    def record(self, event: Event) -> None:
        """Have `event` be part of the history; it is from now on, here."""
        self.events.append(event)
        self._course.add(event)

    def wake_at(self, at: float) -> None:
        self._timers.append(at)

    def tell(self, key: str, command: Command) -> None:
        """Have another saga told something."""
        self._told.append((key, command))

    def put(self, space: str, puts: list[Put]) -> None:
        if puts:
            self._puts.setdefault(space, []).extend(puts)

    async def mail(self, place: str) -> Letters:
        """Return what is at a place of the mailbox; what is changed there is committed, too."""
        if place not in self._mail:
            self._mail[place] = await mailbox.look(self._family.store, place)
        return self._mail[place]

    def signal(self, kind: Callable[..., Signal], **words: Any) -> None:
        """Emit one of this kind, with these words of the saga, once this is committed."""
        if self._family.host.signals.active:
            self._signals.append((kind, words))

    async def commit(
        self, unit: Unit | None = None, *, receiver: Receiver | None = None, receipt: str = ""
    ) -> None:
        """Write all of it, in the transaction of `unit` if there is one; acknowledge `receipt`,
        if one is given.

        Raises:
            ConflictError: Nothing was written; read the history again.
            LeaseLostError: Likewise: another has the saga.
        """
        tx = self._family.store.begin() if unit is None else unit.begin()
        await self._stage(tx)
        if receiver is not None:
            await receiver.settle([Ack(receipt)], tx=tx)
        await tx.commit()
        self._told_all()

    async def _stage(self, tx: Transaction) -> None:
        family, course, key = self._family, self._course, self._history.key
        if self.events:
            put, status = self._history.append(self.events), course.status
            ended = course.ended is not None
            ttl = family.newest_options.retention if ended else None
            puts = [put] if ttl is None else self._history.ending(put, ttl)
            self.put(histories.SPACE, puts)
            if status != self._status:
                self.put(index.SPACE, self._listed(ttl))
            if ended and course.started.timeout_at:
                await family.disarm(key, tx=tx)
        if course.ended is not None:
            await self._wait_no_more()
        kept = family.newest_options.events_kept
        changed = [each for each in self._mail.values() if each.changed]
        self.put(mailbox.SPACE, [each.put(ttl=kept) for each in changed])
        await family.put(self._puts, tx=tx)
        for at in self._timers:
            await family.tell_later(key, at, tx=tx)
        for other, command in self._told:
            name, own = split(other)
            await family.host.kept(Families).of(name).tell(own, command, tx=tx)

    async def _wait_no_more(self) -> None:
        """Take it from the mailbox: it ended while it waited for something."""
        name, own = split(self._history.key)
        for position, waiting in self._course.waiting.items():
            if waiting.key and position not in self._course.outcomes:
                letters = await self.mail(mailbox.place(name, waiting.name, waiting.key))
                letters.no_more_waited_for_by(own)

    def _listed(self, ttl: float | None) -> list[Put]:
        course, (name, own) = self._course, split(self._history.key)
        detail = course.stuck.detail if course.stuck else ""
        if not detail and course.compensating is not None:
            detail = course.compensating.why
        listed = Listed(
            name=name,
            id=own,
            version=course.started.version,
            status=cast("Status", course.status),
            started_at=course.started.at,
            changed_at=course.events[-1].at,
            detail=detail,
        )
        return index.change(cast("Status", self._status or course.status), listed, ttl=ttl)

    def _told_all(self) -> None:
        signals, course = self._signals, self._course
        rests = course.ended is not None or isinstance(course.events[-1], Stuck)
        if self.events and rests:
            self._family.waiters.tell(self._history.key, course)
        self._status = course.status
        self._clear()
        if signals:
            name, own = split(self._history.key)
            for kind, words in signals:
                self._family.host.signals.emit(kind(saga=name, id=own, **words))
