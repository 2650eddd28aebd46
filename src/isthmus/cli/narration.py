"""What a running app says of itself: signals that an operator wants to read, as log lines."""

import logging

from isthmus.handling.facts import (
    ConsumerStalled,
    HandlerTimedOut,
    MessageBuried,
    MessageRetried,
)
from isthmus.services.serving.facts import ServerListening
from isthmus.signals import Signals

__all__ = ["narrate"]

_log = logging.getLogger("isthmus")


def narrate(signals: Signals, *, serving: bool) -> None:
    """Log what happens; `serving`: the socket is this process' own, so it says where."""
    signals.listen(MessageRetried, _retried)
    signals.listen(MessageBuried, _buried)
    signals.listen(HandlerTimedOut, _timed_out)
    signals.listen(ConsumerStalled, _stalled)
    if serving:
        signals.listen(ServerListening, _listening)


def _listening(signal: ServerListening) -> None:
    _log.info("listening on %s", signal.address)


def _retried(signal: MessageRetried) -> None:
    _log.warning(
        "%s: message %s failed (attempt %d, again in %.1f s): %s",
        signal.address,
        signal.message,
        signal.attempt,
        signal.delay,
        signal.error,
    )


def _buried(signal: MessageBuried) -> None:
    _log.error(
        "%s: message %s is a dead letter: %s (isthmus dead-letters show %s %s)",
        signal.address,
        signal.message,
        signal.reason,
        signal.address,
        signal.message,
    )


def _timed_out(signal: HandlerTimedOut) -> None:
    _log.warning(
        "%s: message %s took longer than %g s and was cut",
        signal.address,
        signal.message,
        signal.timeout,
    )


def _stalled(signal: ConsumerStalled) -> None:
    _log.error("%s: waiting, the engine is out of reach: %s", signal.address, signal.error)
