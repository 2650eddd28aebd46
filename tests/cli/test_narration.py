"""What a running app says in its log of sagas that do not go well."""

import logging

import pytest

from isthmus.cli.narration import narrate
from isthmus.sagas.facts import SagaCompensating, SagaStuck, StepFailed, StepRetried
from isthmus.signals import Signal, Signals


@pytest.mark.parametrize(
    ("signal", "level", "told"),
    [
        (
            StepRetried(saga="fulfil", id="A", step="charge", attempt=2, delay=1.5, error="late"),
            logging.WARNING,
            "saga fulfil/A: step charge failed (attempt 2, again in 1.5 s): late",
        ),
        (
            StepFailed(saga="fulfil", id="A", step="charge", error="refused"),
            logging.WARNING,
            "saga fulfil/A: step charge failed for good: refused",
        ),
        (
            SagaCompensating(saga="fulfil", id="A", why="refused"),
            logging.WARNING,
            "saga fulfil/A turns back: refused",
        ),
        (
            SagaStuck(saga="fulfil", id="A", reason="failed", detail="KeyError: 'x'"),
            logging.ERROR,
            "saga fulfil/A is stuck (failed): KeyError: 'x' (isthmus sagas show fulfil/A)",
        ),
    ],
)
def test_it_is_told_with_the_way_to_see_more(
    caplog: pytest.LogCaptureFixture, signal: Signal, level: int, told: str
) -> None:
    signals = Signals()
    narrate(signals, serving=False)
    signals.emit(signal)
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (level, told)
