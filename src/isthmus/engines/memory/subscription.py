"""The messages of one subscription: who is next, who is held, who waits."""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from isthmus.contracts import Ack, Delivery, Outcome, QueueStats, Waiting
from isthmus.engines.memory.changes import Changes
from isthmus.engines.memory.transaction import Undo
from isthmus.message import Message

__all__ = ["Slot", "Subscription"]

_receipts = itertools.count(1)


@dataclass(slots=True, eq=False)
class Slot:
    """One message of one subscription."""

    number: int
    """Its place in the order of sending."""
    message: Message
    sent_at: float
    ready_at: float
    """When it may be handed out: the end of its delay, or of its lease; 0 for
    at once, so that a clock that steps back holds up nothing."""
    attempt: int = 1
    lapses: int = 0
    receipt: str = ""
    lease: float = 0.0

    def is_leased(self, now: float) -> bool:
        return bool(self.receipt) and self.ready_at > now

    def has_lapsed(self, now: float) -> bool:
        return bool(self.receipt) and self.ready_at <= now

    def hand_out(self, *, lease: float, now: float) -> Delivery:
        if self.receipt:
            self.attempt += 1
            self.lapses += 1
        self.receipt, self.lease, self.ready_at = f"m{next(_receipts)}", lease, now + lease
        return Delivery(self.message, self.receipt, self.attempt, self.lapses)


class Subscription:
    """Slots by number, and two heaps of numbers: those due, those due later.

    A heap's entry is a hint: it counts if the slot still says the same.
    """

    def __init__(self, *, ordered: bool) -> None:
        self.ordered = ordered
        self.retention: float | None = None
        self.max_length: int | None = None
        self.changes = Changes()
        self._slots: dict[int, Slot] = {}  # ascending
        self._count = itertools.count(1)
        self._by_id: dict[str, set[int]] = {}
        self._lines: dict[str, list[int]] = {}  # of each key, a heap; if ordered
        self._ready: list[tuple[int, int]] = []  # (-priority, number)
        self._later: list[tuple[float, int]] = []  # (ready_at, number)
        self._seen_at = 0.0

    # --- sending

    def add(self, messages: Iterable[Message], *, delay: float, now: float) -> Undo:
        ready_at = _after(delay, now)
        slots = [Slot(next(self._count), message, now, ready_at) for message in messages]
        for slot in slots:
            self._put(slot)
        self.changes.note()
        return lambda: self._drop_all(slots)

    def _put(self, slot: Slot) -> None:
        self._slots[slot.number] = slot
        self._by_id.setdefault(slot.message.id, set()).add(slot.number)
        if self._line_of(slot):
            heapq.heappush(self._lines.setdefault(slot.message.key, []), slot.number)
        self._schedule(slot)

    def _line_of(self, slot: Slot) -> str:
        return slot.message.key if self.ordered else ""

    def _schedule(self, slot: Slot) -> None:
        heapq.heappush(self._later, (slot.ready_at, slot.number))

    # --- receiving

    def claim(self, limit: int, *, lease: float, now: float) -> list[tuple[int, Delivery]]:
        """Lease at most `limit`; return them with their numbers."""
        self._look(now)
        taken: list[tuple[int, Delivery]] = []
        while self._ready and len(taken) < limit:
            slot = self._slots.get(heapq.heappop(self._ready)[1])
            if slot is not None and self._is_next(slot, now):
                taken.append((slot.number, slot.hand_out(lease=lease, now=now)))
                self._schedule(slot)
        return taken

    def _look(self, now: float) -> None:
        """Move what has become due, by this clock, among the ready."""
        if now < self._seen_at:
            self._cut_leases(now)
        self._seen_at = now
        while self._later and self._later[0][0] <= now:
            ready_at, number = heapq.heappop(self._later)
            slot = self._slots.get(number)
            if slot is not None and slot.ready_at == ready_at:
                priority = 0 if self.ordered else slot.message.priority
                heapq.heappush(self._ready, (-priority, number))

    def _cut_leases(self, now: float) -> None:
        """The clock went back: no lease lasts longer than it was given for."""
        for slot in self._slots.values():
            if slot.receipt and slot.ready_at > now + slot.lease:
                slot.ready_at = now + slot.lease
                self._schedule(slot)

    def _is_next(self, slot: Slot, now: float) -> bool:
        if slot.ready_at > now:  # the clock went back
            self._schedule(slot)
            return False
        return not self._line_of(slot) or self._head(slot.message.key) == slot.number

    def _head(self, key: str) -> int:
        """The number of the first of this key; 0 if there is none."""
        line = self._lines.get(key, [])
        while line and line[0] not in self._slots:
            heapq.heappop(line)
        if not line:
            self._lines.pop(key, None)
        return line[0] if line else 0

    def next_due(self, now: float) -> float:
        """When something that waits or is held becomes due; inf for never."""
        self._look(now)
        return self._later[0][0] if self._later else float("inf")

    # --- settling

    def held(self, number: int, receipt: str) -> Slot | None:
        """The slot, if this receipt is not stale."""
        slot = self._slots.get(number)
        return slot if slot is not None and slot.receipt == receipt else None

    def extend(self, slot: Slot, *, lease: float, now: float) -> None:
        slot.lease, slot.ready_at = lease, now + lease
        self._schedule(slot)

    def end(self, slot: Slot, outcome: Outcome, *, now: float) -> Undo:
        before = replace(slot)
        if isinstance(outcome, Ack):
            self._drop(slot)
        else:
            slot.receipt, slot.ready_at = "", _after(outcome.delay, now)
            slot.attempt += outcome.counted
            slot.message = slot.message.with_headers(outcome.headers)
            self._schedule(slot)
        self.changes.note()
        return lambda: self._restore([before])

    def _drop(self, slot: Slot) -> None:
        del self._slots[slot.number]
        numbers = self._by_id[slot.message.id]
        numbers.discard(slot.number)
        if not numbers:
            del self._by_id[slot.message.id]
        if self._line_of(slot) and (head := self._head(slot.message.key)):
            self._schedule(self._slots[head])

    def _drop_all(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            self._drop(slot)

    def _restore(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            self._put(slot)
        self._slots = dict(sorted(self._slots.items()))

    # --- looking after

    def remove(self, ids: Iterable[str], *, now: float) -> tuple[int, Undo]:
        numbers = {number for each in ids for number in self._by_id.get(each, ())}
        return self._drop_free([self._slots[number] for number in sorted(numbers)], now)

    def purge(self, *, now: float) -> int:
        return self._drop_free(list(self._slots.values()), now)[0]

    def shorten(self, limit: int, *, now: float) -> int:
        """Drop what retention and length let go, at most `limit`."""
        return self._drop_free(list(itertools.islice(self._outdated(now), limit)), now)[0]

    def _drop_free(self, slots: Sequence[Slot], now: float) -> tuple[int, Undo]:
        self._look(now)
        free = [slot for slot in slots if not slot.is_leased(now)]
        self._drop_all(free)
        if free:
            self.changes.note()
        return len(free), lambda: self._restore(free)

    def _outdated(self, now: float) -> Iterator[Slot]:
        """Those beyond `max_length` or `retention`, oldest first, that nobody holds."""
        surplus = 0 if self.max_length is None else len(self._slots) - self.max_length
        for rank, slot in enumerate(self._slots.values()):
            aged = self.retention is not None and slot.sent_at + self.retention <= now
            if rank >= surplus and not aged:
                return
            if not slot.is_leased(now):
                yield slot

    def stats(self, now: float) -> QueueStats:
        self._look(now)
        leased = delayed = 0
        oldest_at = 0.0
        for slot in self._slots.values():
            if slot.ready_at <= now:
                oldest_at = oldest_at or slot.sent_at
            elif slot.receipt:
                leased += 1
            else:
                delayed += 1
        ready = len(self._slots) - leased - delayed
        return QueueStats(ready=ready, leased=leased, delayed=delayed, oldest_at=oldest_at)

    def browse(self, after: int, limit: int, *, now: float) -> list[Waiting]:
        self._look(now)
        beyond = (slot for number, slot in self._slots.items() if number > after)
        return [_seen(slot, now) for slot in itertools.islice(beyond, limit)]


def _after(delay: float, now: float) -> float:
    return now + delay if delay > 0 else 0.0


def _seen(slot: Slot, now: float) -> Waiting:
    return Waiting(
        message=slot.message,
        place=f"{slot.number:016d}",
        sent_at=slot.sent_at,
        ready_at=slot.ready_at or slot.sent_at,
        attempt=slot.attempt + slot.has_lapsed(now),
        leased=slot.is_leased(now),
    )
