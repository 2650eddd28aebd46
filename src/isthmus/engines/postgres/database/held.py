"""What tells that a transaction is held for long."""

import asyncio
import logging

from isthmus.signals import Signal, Signals

__all__ = ["LONG", "TransactionHeld", "Watch"]

_log = logging.getLogger("isthmus.postgres")

LONG = 1.0
"""Seconds after which a transaction that has begun is told of."""


class TransactionHeld(Signal, frozen=True, kw_only=True):
    """A transaction has held its locks and its connection for over a second, and still does."""

    scope: str
    began_with: str
    """Its first statement, without values."""


class Watch:
    """Tells once, if it is not ended before."""

    def __init__(self, signals: Signals, scope: str, statement: str) -> None:
        self._signals, self._scope, self._statement = signals, scope, statement[:200]
        self._due = asyncio.get_running_loop().call_later(LONG, self._tell)

    def _tell(self) -> None:
        _log.warning(
            "a transaction is held for over %g s, with its locks and its connection; do what is "
            "slow before its first statement, which was: %s",
            LONG,
            self._statement,
        )
        if self._signals.wanted(TransactionHeld):
            held = TransactionHeld(scope=self._scope, began_with=self._statement)
            self._signals.emit(held)

    def end(self) -> None:
        self._due.cancel()
