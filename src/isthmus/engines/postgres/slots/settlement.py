"""What a holder says about its deliveries.

A receipt names the slot, and the claim that took it; it is live while the slot says the same.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from isthmus.contracts import Ack, Outcome
from isthmus.engines.postgres.database.steps import Call, Function
from isthmus.engines.postgres.packing import pack_headers

__all__ = ["Line", "Receipt", "Settlement"]

_SETTLE = Function.of(
    "settle",
    "int[]",
    "bigint[]",
    "bigint[]",
    "float8[]",
    "int[]",
    "text[]",
    "text[]",
    "boolean",
    "float8",
)


class Receipt(NamedTuple):
    seq: int
    token: int

    def __str__(self) -> str:
        return f"{self.seq:x}.{self.token:x}"

    @classmethod
    def read(cls, receipt: str) -> "Receipt":
        """What never was a receipt is one that is stale."""
        seq, _, token = receipt.partition(".")
        try:
            found = cls(int(seq, 16), int(token, 16))
        except ValueError:
            return _STALE
        return found if 0 < found.seq < 1 << 63 and 0 < found.token < 1 << 63 else _STALE


_STALE = Receipt(-1, 0)


class Line(NamedTuple):
    """A subscription, as far as its deliveries are concerned."""

    sub: int
    ordered: bool
    channel: int

    def woken_by(self, outcome: Outcome) -> int | None:
        """What is given back may be handed out; what is done may let the next of its key be."""
        return self.channel if self.ordered or not isinstance(outcome, Ack) else None


class Said(NamedTuple):
    """One outcome, of a message of this subscription; who is to look then, if anybody."""

    sub: int
    channel: int | None
    outcome: Outcome


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """Outcomes; if it is `whole`, none of them comes true where one is stale."""

    said: Sequence[Said]
    whole: bool

    @classmethod
    def of(cls, line: Line, outcomes: Sequence[Outcome], *, whole: bool) -> "Settlement":
        return cls([Said(line.sub, line.woken_by(each), each) for each in outcomes], whole)

    @property
    def channels(self) -> Collection[int]:
        return {each.channel for each in self.said if each.channel is not None}

    @property
    def writes(self) -> Collection[tuple[str, str]]:
        return ()

    def call(self, now: float) -> Call:
        outcomes = [each.outcome for each in self.said]
        receipts = _first_of_each([outcome.receipt for outcome in outcomes])
        return _SETTLE.call(
            [each.sub for each in self.said],
            [receipt.seq for receipt in receipts],
            [receipt.token for receipt in receipts],
            [None if isinstance(each, Ack) else max(0.0, each.delay) for each in outcomes],
            [0 if isinstance(each, Ack) else int(each.counted) for each in outcomes],
            [
                None if isinstance(each, Ack) or not each.headers else pack_headers(each.headers)
                for each in outcomes
            ],
            [outcome.receipt for outcome in outcomes],
            self.whole,
            now,
        )

    @classmethod
    def merged(cls, steps: "Sequence[Settlement]") -> "Sequence[Settlement]":
        whole = all(step.whole for step in steps)
        return [cls([each for step in steps for each in step.said], whole)]


def _first_of_each(receipts: Sequence[str]) -> list[Receipt]:
    """Read them; the first word about a delivery counts, later ones are stale."""
    read, seen = list[Receipt](), set[Receipt]()
    for receipt in map(Receipt.read, receipts):
        read.append(_STALE if receipt in seen else receipt)
        seen.add(receipt)
    return read
