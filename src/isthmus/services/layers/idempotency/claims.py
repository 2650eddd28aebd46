"""Who works on a key, and the answer that is kept of it.

A key is one entry of the store, and goes from free to claimed to answered:

    free ──claim──► claimed ──settle, with what the request did──► answered ──retention──► gone
     ▲                 │ ▲
     └───release───────┘ └─ claim, once the lease is over

Each step asks for the version that the last one left. An entry is never deleted, so that no
version comes twice: whoever was overtaken, however late, cannot commit.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from isthmus.clock import Clock
from isthmus.contracts import Entry, Put, StoreEngine, Transaction
from isthmus.errors import ConflictError, IsthmusError
from isthmus.message import new_id

__all__ = ["Claim", "Claims", "KeptAnswer", "OtherRequestError", "StillRunningError"]

SPACE = "idempotency"
ROUNDS = 20
"""Times that a key is looked at again, as others were quicker to change it."""


class StillRunningError(IsthmusError):
    """The first request of this key is being worked on."""


class OtherRequestError(IsthmusError):
    """The key was that of another request."""


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it was sent, and is sent again."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class _Record(msgspec.Struct, frozen=True, array_like=True):
    """What an entry holds."""

    fingerprint: str
    holder: str = ""
    until: float = 0.0
    """Unix seconds; a claim of the past is none."""
    answer: KeptAnswer | None = None


class Claims:
    """The keys in one store."""

    def __init__(self, store: StoreEngine, clock: Clock, *, lease: float, retention: float) -> None:
        self.store, self.clock = store, clock
        self.lease, self.retention = lease, retention

    async def take(self, place: str, fingerprint: str) -> "Claim | KeptAnswer":
        """Return the answer that is kept, or the claim to make it.

        Raises:
            OtherRequestError: The key is that of a request with another fingerprint.
            StillRunningError: Another holds the claim.
        """
        for _ in range(ROUNDS):
            entry = (await self.store.get(SPACE, [place])).get(place)
            if entry is not None:
                found = _record(entry)
                if found.fingerprint != fingerprint:
                    raise OtherRequestError(f"{place} is of another request")
                if found.answer is not None:
                    return found.answer
                if self._is_held(found):
                    break
            claim = Claim(self, place, fingerprint, entry.version if entry else 0)
            with contextlib.suppress(ConflictError):
                await claim.extend()
                return claim
        raise StillRunningError(f"{place} is being worked on")

    async def put(
        self, place: str, record: _Record, *, over: int, tx: Transaction | None = None
    ) -> None:
        """Raises ConflictError if the entry is not at version `over`."""
        value = msgspec.msgpack.encode(record)
        await self.store.put(SPACE, [Put(place, value, over, self.retention)], tx=tx)

    def _is_held(self, record: _Record) -> bool:
        """Return whether a claim is in force; a clock that was set back makes none last longer."""
        return 0 < record.until - self.clock.now() <= self.lease * 1.5


class Claim:
    """The right to answer the request of one key, while it is extended."""

    def __init__(self, claims: Claims, place: str, fingerprint: str, version: int) -> None:
        self._claims, self._place, self._fingerprint = claims, place, fingerprint
        self._version, self._holder = version, new_id()
        self._changing = asyncio.Lock()
        self._settling = False
        self.kept = False
        """Whether the answer is there: to be set when what it was settled with is committed."""

    async def extend(self) -> None:
        """Hold it for a whole lease from now; while it is being settled, do nothing.

        Raises:
            ConflictError: Another has it.
        """
        async with self._changing:
            if not self._settling:
                until = self._claims.clock.now() + self._claims.lease
                await self._put(_Record(self._fingerprint, self._holder, until))

    async def keep(self) -> None:
        """Extend it again and again, until cancelled, or until another has it."""
        while True:
            await self._claims.clock.sleep(self._claims.lease / 3)
            try:
                await self.extend()
            except ConflictError:
                return
            except IsthmusError:
                continue  # out of reach: it may be there again before the lease is over

    async def begin(self) -> None:
        """Work under it, maybe once more, as what was settled did not commit.

        Raises:
            StillRunningError: Another has taken it over.
        """
        if not self._settling:
            return
        self._settling = False
        claims = self._claims
        entry = (await claims.store.get(SPACE, [self._place])).get(self._place)
        if entry is None or _record(entry).holder != self._holder:
            raise StillRunningError(f"{self._place} was taken over")

    async def settle(self, answer: KeptAnswer, *, tx: Transaction | None) -> None:
        """Keep the answer: with `tx`, if that commits, and only then if nobody took over."""
        async with self._changing:
            self._settling = True
            record = _Record(self._fingerprint, answer=answer)
            await self._claims.put(self._place, record, over=self._version, tx=tx)

    async def release(self) -> None:
        """Let the next have it at once, unless an answer is kept; what cannot be reached ends with
        its lease."""
        if self.kept:
            return
        async with self._changing:
            self._settling = True
            with contextlib.suppress(IsthmusError):
                await self._put(_Record(self._fingerprint))

    async def _put(self, record: _Record) -> None:
        await self._claims.put(self._place, record, over=self._version)
        self._version += 1


def _record(entry: Entry) -> _Record:
    return msgspec.msgpack.decode(entry.value, type=_Record)
