"""What a running app says of itself: signals that an operator wants to read, as log lines."""

import logging

from isthmus.handling.facts import (
    ConsumerStalled,
    HandlerTimedOut,
    MessageBuried,
    MessageRetried,
)
from isthmus.sagas.facts import SagaCompensating, SagaStuck, StepFailed, StepRetried
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
    signals.listen(StepRetried, _step_retried)
    signals.listen(StepFailed, _step_failed)
    signals.listen(SagaCompensating, _turning_back)
    signals.listen(SagaStuck, _stuck)
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


def _step_retried(signal: StepRetried) -> None:
    _log.warning(
        "saga %s/%s: step %s failed (attempt %d, again in %.1f s): %s",
        signal.saga,
        signal.id,
        signal.step,
        signal.attempt,
        signal.delay,
        signal.error,
    )


def _step_failed(signal: StepFailed) -> None:
    _log.warning(
        "saga %s/%s: step %s failed for good: %s", signal.saga, signal.id, signal.step, signal.error
    )


def _turning_back(signal: SagaCompensating) -> None:
    _log.warning("saga %s/%s turns back: %s", signal.saga, signal.id, signal.why)


def _stuck(signal: SagaStuck) -> None:
    _log.error(
        "saga %s/%s is stuck (%s): %s (isthmus sagas show %s/%s)",
        signal.saga,
        signal.id,
        signal.reason,
        signal.detail,
        signal.saga,
        signal.id,
    )
