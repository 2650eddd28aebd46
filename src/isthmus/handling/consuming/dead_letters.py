"""Dead letters: messages that could not be handled, with all that went wrong.

They lie in a queue of their own in the store's scope, keep body, headers and
every failure, and go back where they came from, or elsewhere, when a person
says so.
"""

from collections.abc import AsyncIterator, Sequence

import msgspec

from isthmus.contracts import QueueEngine, StoreEngine, Tx, Waiting
from isthmus.deadline import HEADER as DEADLINE
from isthmus.errors import NotFoundError
from isthmus.handling.consuming.failures import MARKS, REASON, Failure, failures
from isthmus.handling.consuming.subscription import DEAD, Subscription
from isthmus.handling.host import Host
from isthmus.handling.requests import MARKS as ASKED
from isthmus.handling.unit import repeat
from isthmus.message import Message

__all__ = ["ONLY", "DeadLetter", "DeadLetters"]

ONLY = "isthmus-only"
"""Header of a replayed message: the one subscription it is for; others let it pass."""

PAGE = 200


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message that was given up, and why."""

    message: Message
    reason: str
    failures: Sequence[Failure]
    buried_at: float
    place: str
    """Where the next page begins, as `after`."""


class DeadLetters:
    """The dead letters of one subscription."""

    def __init__(self, host: Host, of: Subscription) -> None:
        self._of = of
        self._letters: QueueEngine = host.letters
        self._queue: QueueEngine = host.queue
        self._store: StoreEngine = host.store
        self._one = host.letters.capabilities.scope == host.queue.capabilities.scope

    async def open(self, *, retention: float | None, max_length: int | None) -> None:
        """Declare where they lie, and how long and how many are kept."""
        await self._letters.declare(self._of.dead, DEAD, retention=retention, max_length=max_length)

    async def count(self) -> int:
        stats = await self._letters.stats(self._of.dead, DEAD)
        return stats.ready + stats.delayed + stats.leased

    async def list(
        self, *, after: str = "", limit: int = 100, search: str = ""
    ) -> Sequence[DeadLetter]:
        """Return the letters beyond `after`, oldest first, at most `limit`; those
        that have `search` (any case) in body, id, key, type, reason or an error."""
        found: list[DeadLetter] = []
        async for letter in self._from(after):
            if matches(letter, search):
                found.append(letter)
            if len(found) == limit:
                break
        return found

    async def show(self, id: str) -> DeadLetter:
        """Raises NotFoundError."""
        async for letter in self._from(""):
            if letter.message.id == id:
                return letter
        raise NotFoundError(f"no dead letter of {self._of.address!r} has the id {id!r}")

    async def replay(self, ids: Sequence[str] | None = None, *, to: str | None = None) -> int:
        """Send letters again, all there are now or those with these `ids`, to the
        subscription they died in, or to the queue `to`; return how many went.

        Where one database has both, leaving and being sent are one transaction;
        elsewhere a letter is sent first, so that a crash may send it twice,
        under its id. Its failures are forgotten: it has all attempts again.

        Raises:
            NotFoundError: There is no queue called `to`; nothing was sent.
        """
        if to is not None and (to, to) not in await self._queue.subscriptions():
            raise NotFoundError(f"no queue is called {to!r}; `isthmus queues` lists them")
        wanted = None if ids is None else set(ids)
        letters = [letter.message async for letter in self._from("")]
        chosen = [letter for letter in letters if wanted is None or letter.id in wanted]
        for start in range(0, len(chosen), PAGE):
            await self._send_again(chosen[start : start + PAGE], to)
        return len(chosen)

    async def drop(self, ids: Sequence[str] | None = None) -> int:
        """Forget letters for good, all or those with these `ids`; return how many."""
        if ids is None:
            return await self._letters.purge(self._of.dead, DEAD)
        return await self._letters.remove(self._of.dead, DEAD, ids)

    async def _from(self, after: str) -> AsyncIterator[DeadLetter]:
        while page := await self._letters.browse(self._of.dead, DEAD, after=after, limit=PAGE):
            for waiting in page:
                yield _letter(waiting)
            after = page[-1].place

    async def _send_again(self, letters: Sequence[Message], to: str | None) -> None:
        again = [self._freed(letter, to) for letter in letters]
        if self._one:
            await repeat(self._store, lambda tx: self._move(again, to, tx))
        else:
            await self._move(again, to, None)

    def _freed(self, letter: Message, to: str | None) -> Message:
        # it is worth something yet, though nobody waits for its answer any more
        message = letter.without_headers((*MARKS, *ASKED, DEADLINE))
        shared = to is None and self._of.topic != self._of.name
        return message.with_headers({ONLY: self._of.name}) if shared else message

    async def _move(self, messages: Sequence[Message], to: str | None, tx: Tx) -> None:
        await self._queue.send(to or self._of.topic, messages, tx=tx)
        await self._letters.remove(self._of.dead, DEAD, [m.id for m in messages], tx=tx)


def matches(letter: DeadLetter, search: str) -> bool:
    """Whether `search` is part of anything a person would look for in `letter`."""
    if not search:
        return True
    message = letter.message
    told = [message.id, message.key, message.type, letter.reason]
    told += [failure.error for failure in letter.failures]
    told.append(message.body.decode(errors="replace"))
    return any(search.casefold() in text.casefold() for text in told)


def _letter(waiting: Waiting) -> DeadLetter:
    message = waiting.message
    return DeadLetter(
        message=message,
        reason=message.headers.get(REASON, ""),
        failures=failures(message),
        buried_at=waiting.sent_at,
        place=waiting.place,
    )
