"""Settlements and extensions: what a holder says about its deliveries.

A receipt is `token.id`. It is live if the message's row lies in the range of the
lease with this token, or is a single with this token; else it is stale, and
whatever is said about it changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from isthmus.clock import Clock
from isthmus.contracts import Ack, Nack, Outcome
from isthmus.engines.sqlite.connection import Connection
from isthmus.engines.sqlite.held import Held
from isthmus.engines.sqlite.lanes import channel_of, let_next, ready_after
from isthmus.engines.sqlite.leases import Range, Receipt
from isthmus.engines.sqlite.packing import merge_headers
from isthmus.errors import LeaseLostError

__all__ = ["Extension", "Settlement", "settle"]

_ACK_SINGLE = (
    "DELETE FROM isthmus_single WHERE id = ? AND token = ? AND token <> 0 RETURNING lane, key"
)
_NACK_SINGLE = """
UPDATE isthmus_single SET token = 0, ready_at = ?, attempt = attempt + ? WHERE id = ? AND token = ? AND token <> 0
"""
_EXTEND_SINGLE = (
    "UPDATE isthmus_single SET ready_at = ?, span = ? WHERE id = ? AND token = ? AND token <> 0"
)
_PACKED = "SELECT packed FROM isthmus_single WHERE id = ?"
_REPACK = "UPDATE isthmus_single SET packed = ? WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one call of `settle` says."""

    sub: int
    outcomes: Sequence[Outcome]
    clock: Clock
    whole: bool
    """If a receipt is stale, nothing of it may be done."""
    held: Held


Said = dict[int, tuple[int, Outcome]]
"""What is said about ids under one token, each with the settlement that says it."""


def settle(db: Connection, settlements: Sequence[Settlement]) -> list[list[str]]:
    """Do them together, and return what is stale in each; the first word counts.

    Raises:
        LeaseLostError: There is something stale in one that is whole.
    """
    lost: list[list[str]] = [[] for _ in settlements]
    for token, said in _by_token(settlements, lost).items():
        acks = [id_ for id_, (_, outcome) in said.items() if type(outcome) is Ack]
        stale = _ack(db, token, acks, said, settlements) if acks else []
        if len(acks) < len(said):
            stale += _nack_all(db, token, said, settlements)
        for id_ in stale:
            number, outcome = said[id_]
            lost[number].append(outcome.receipt)
    for settlement, stale in zip(settlements, lost, strict=True):
        if stale and settlement.whole:
            raise LeaseLostError(stale)
        if settlement.held.wanted:
            db.wake(channel_of(settlement.sub))
    return lost


def _by_token(settlements: Sequence[Settlement], lost: Sequence[list[str]]) -> Mapping[int, Said]:
    """Sort what is said; what says nothing, or a second time, is lost."""
    leases: dict[str, Said] = defaultdict(dict)
    for number, settlement in enumerate(settlements):
        for outcome in settlement.outcomes:
            token, _, id_ = outcome.receipt.partition(".")
            try:
                said, place = leases[token], int(id_, 16)
            except ValueError:
                lost[number].append(outcome.receipt)
                continue
            if place in said:
                lost[number].append(outcome.receipt)
            else:
                said[place] = number, outcome
    return {_number(token): said for token, said in leases.items()}


def _number(token: str) -> int:
    try:
        return int(token, 16)
    except ValueError:
        return 0


def _ack(
    db: Connection,
    token: int,
    ids: Sequence[int],
    said: Said,
    settlements: Sequence[Settlement],
) -> list[int]:
    """Return those that are stale."""
    range_ = Range.find(db, token)
    done = range_.delete(db, ids) if range_ else set[int]()
    if len(done) == len(ids):
        return []
    stale: list[int] = []
    for id_ in ids:
        if id_ in done:
            continue
        gone = db.execute(_ACK_SINGLE, (id_, token)).fetchall()
        if not gone:
            stale.append(id_)
        elif gone[0][1]:
            let_next(db, *gone[0])
            db.wake(channel_of(settlements[said[id_][0]].sub))
    return stale


def _nack_all(
    db: Connection, token: int, said: Said, settlements: Sequence[Settlement]
) -> list[int]:
    """Return those that are stale."""
    return [
        id_
        for id_, (number, outcome) in said.items()
        if isinstance(outcome, Nack)
        and not _nack(db, Receipt(token, id_), outcome, settlements[number])
    ]


def _nack(db: Connection, receipt: Receipt, nack: Nack, by: Settlement) -> bool:
    """Return whether the receipt is live."""
    ready_at = ready_after(nack.delay, by.clock.now())
    if not _give_back(db, receipt, ready_at, counted=nack.counted):
        return False
    if nack.headers:
        (packed,) = db.execute(_PACKED, (receipt.id,)).fetchone()
        db.execute(_REPACK, (merge_headers(packed, nack.headers), receipt.id))
    db.wake(channel_of(by.sub))
    return True


def _give_back(db: Connection, receipt: Receipt, ready_at: float, *, counted: bool) -> bool:
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
