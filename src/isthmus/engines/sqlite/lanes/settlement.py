"""Settlements and extensions: what a holder says about its deliveries.

A receipt is `token.id`. It is live if the message's row lies in the range of the
lease with this token, or is a single with this token; else it is stale, and
whatever is said about it changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from isthmus.clock import Clock
from isthmus.contracts import Ack, Nack, Outcome
from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.database.rows import find
from isthmus.engines.sqlite.lanes.held import Held
from isthmus.engines.sqlite.lanes.lanes import channel_of, let_next, ready_after
from isthmus.engines.sqlite.lanes.leases import Range, Receipt, hex_number
from isthmus.engines.sqlite.packing import merge_headers
from isthmus.errors import LeaseLostError

__all__ = ["Extension", "Settlement", "settle"]

_ACK_SINGLES = "DELETE FROM isthmus_single WHERE token = ? AND token <> 0 AND id IN"
_NACK_SINGLE = """
UPDATE isthmus_single SET token = 0, ready_at = ?, attempt = attempt + ?
WHERE id = ? AND token = ? AND token <> 0
"""
_EXTEND_SINGLE = (
    "UPDATE isthmus_single SET ready_at = ?, span = ? WHERE id = ? AND token = ? AND token <> 0"
)
_PACKED = "SELECT packed FROM isthmus_single WHERE id = ?"
_REPACK = "UPDATE isthmus_single SET packed = ? WHERE id = ?"


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What one call of `settle` says."""

    sub: int
    outcomes: Sequence[Outcome]
    clock: Clock
    whole: bool
    """If a receipt is stale, nothing of it may be done."""
    held: Held


def settle(db: Connection, settlements: Sequence[Settlement]) -> list[list[str]]:
    """Do them together, and return what is stale in each; the first word counts.

    Raises:
        LeaseLostError: There is something stale in one that is whole.
    """
    lost = _Round(db, settlements).run()
    for settlement, stale in zip(settlements, lost, strict=True):
        if stale and settlement.whole:
            raise LeaseLostError(stale)
        if settlement.held.wanted:
            db.wake(channel_of(settlement.sub))
    return lost


Word = tuple[int, int, Outcome]
"""What is said of one message: by which settlement, in which place of it, and what."""


class _Round:
    """Settlements that are done together: all that is said of one lease at once."""

    def __init__(self, db: Connection, settlements: Sequence[Settlement]) -> None:
        self._db, self._settlements = db, settlements
        self._lost: list[list[int]] = [[] for _ in settlements]  # places
        self._words: dict[str, dict[int, Word]] = defaultdict(dict)  # token -> id -> word

    def run(self) -> list[list[str]]:
        """Return the stale receipts of each settlement."""
        self._listen()
        for token, words in self._words.items():
            self._settle(hex_number(token), words)
        return [
            [settlement.outcomes[place].receipt for place in sorted(places)]
            for settlement, places in zip(self._settlements, self._lost, strict=True)
        ]

    def _listen(self) -> None:
        for number, settlement in enumerate(self._settlements):
            for place, outcome in enumerate(settlement.outcomes):
                token, _, id_ = outcome.receipt.partition(".")
                words = self._words[token]
                try:
                    message = int(id_, 16)
                except ValueError:
                    message = 0  # which is no id
                if message in words:
                    self._lost[number].append(place)
                else:
                    words[message] = number, place, outcome

    def _settle(self, token: int, words: Mapping[int, Word]) -> None:
        acks = [id_ for id_, (_, _, outcome) in words.items() if type(outcome) is Ack]
        for id_ in self._ack(token, acks, words) if acks else ():
            self._lose(words[id_])
        if len(acks) < len(words):
            for id_, word in words.items():
                if isinstance(word[2], Nack) and not self._nack(Receipt(token, id_), word):
                    self._lose(word)

    def _lose(self, word: Word) -> None:
        number, place, _ = word
        self._lost[number].append(place)

    def _ack(self, token: int, ids: Sequence[int], words: Mapping[int, Word]) -> list[int]:
        """Return those that are stale."""
        range_ = Range.find(self._db, token)
        done = range_.delete(self._db, ids) if range_ else set[int]()
        if len(done) == len(ids):
            return []
        gone = done | self._ack_singles(token, [id_ for id_ in ids if id_ not in done], words)
        return [id_ for id_ in ids if id_ not in gone]

    def _ack_singles(self, token: int, ids: Sequence[int], words: Mapping[int, Word]) -> set[int]:
        """Return those that were there."""
        rows = find(
            self._db, _ACK_SINGLES, ids, parameters=(token,), then="RETURNING id, lane, key"
        )
        keys: dict[int, list[str]] = defaultdict(list)
        for id_, lane, key in rows:
            if key:
                keys[lane].append(key)
                self._wake(words[id_])
        for lane, which in keys.items():
            let_next(self._db, lane, which)
        return {id_ for id_, _, _ in rows}

    def _nack(self, receipt: Receipt, word: Word) -> bool:
        number, _, nack = word
        assert isinstance(nack, Nack)
        ready_at = ready_after(nack.delay, self._settlements[number].clock.now())
        if not _give_back(self._db, receipt, ready_at, counted=nack.counted):
            return False
        if nack.headers:
            (packed,) = self._db.execute(_PACKED, (receipt.id,)).fetchone()
            self._db.execute(_REPACK, (merge_headers(packed, nack.headers), receipt.id))
        self._wake(word)
        return True

    def _wake(self, word: Word) -> None:
        self._db.wake(channel_of(self._settlements[word[0]].sub))


def _give_back(db: Connection, receipt: Receipt, ready_at: float, *, counted: bool) -> bool:
    """Return whether the receipt is live."""
    token, id_ = receipt
    range_ = Range.find(db, token)
    if range_ and range_.single_out(
        db, id_, ready_at=ready_at, attempt=range_.attempt + counted, token=0, span=0.0
    ):
        return True
    return db.execute(_NACK_SINGLE, (ready_at, counted, id_, token)).rowcount > 0


@dataclass(frozen=True, slots=True)
class Extension:
    """Hold deliveries for `span` from `now` on; return the stale receipts."""

    receipts: Sequence[str]
    now: float
    span: float

    def __call__(self, db: Connection) -> list[str]:
        tokens: dict[int, set[int]] = defaultdict(set)
        for token, id_ in map(Receipt.read, self.receipts):
            tokens[token].add(id_)
        lost: set[Receipt] = set()
        for token, ids in tokens.items():
            rest = self._extend_range(db, token, ids)
            lost |= {Receipt(token, id_) for id_ in rest if not self._extend(db, token, id_)}
        return [receipt for receipt in self.receipts if Receipt.read(receipt) in lost]

    def _extend_range(self, db: Connection, token: int, ids: set[int]) -> Iterable[int]:
        """Extend the range if all that is left of it is meant; return what is not in it."""
        range_ = Range.find(db, token)
        there = range_.ids(db) if range_ else set[int]()
        if range_ is None or not there <= ids:
            return ids
        range_.extend(db, now=self.now, span=self.span)
        return ids - there

    def _extend(self, db: Connection, token: int, id_: int) -> bool:
        range_ = Range.find(db, token)
        until, span = self.now + self.span, self.span
        if range_ and range_.single_out(
            db, id_, ready_at=until, attempt=range_.attempt, token=token, span=span
        ):
            return True
        return db.execute(_EXTEND_SINGLE, (until, span, id_, token)).rowcount > 0
