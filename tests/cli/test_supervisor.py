"""What the supervisor promises of processes that do not behave."""

import asyncio
import logging
import signal
import sys
from typing import Any, Self

import pytest

from isthmus.cli.patience import Patience
from isthmus.cli.supervisor import GRACE, HOPELESS, Supervisor


def supervisor(code: str, **options: Any) -> Supervisor:
    given = {"workers": 1, "drain": 0.0, "listener": None, **options}
    return Supervisor([sys.executable, "-c", code], **given)


class Told(logging.Handler):
    """Waits for a log line."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part, self._seen = part, asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self._part in record.getMessage():
            self._seen.set()

    async def __aenter__(self) -> Self:
        logging.getLogger("isthmus.supervisor").addHandler(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._seen.wait()
        logging.getLogger("isthmus.supervisor").removeHandler(self)


async def test_a_worker_that_keeps_dying_is_begun_again_ever_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dying = supervisor("raise SystemExit(3)")
    async with Told("begun again in 1 s"):
        running = asyncio.create_task(dying.run())
    dying.give_up()
    assert await running == 1
    told = [record.getMessage() for record in caplog.records]
    assert "worker 1 ended with status 3" in told[0]
    assert told[0].endswith("begun again in 0.5 s")


async def test_a_worker_that_says_it_is_hopeless_ends_all() -> None:
    hopeless = f"import os, sys; sys.exit({HOPELESS} if os.environ['ISTHMUS_SUPERVISED'] == '2'"
    waits = " else sys.stdin.read())"
    assert await supervisor(hopeless + waits, workers=3).run() == 1


async def test_a_worker_that_does_not_end_in_its_time_is_killed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "isthmus.supervisor")
    stubborn = supervisor("import signal; signal.pause()", drain=0.1 - GRACE)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # and so in the child
    try:
        async with Told("worker 1 is process"):
            running = asyncio.create_task(stubborn.run())
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    async with Told("did not end in time and is killed"):
        stubborn.give_up()
    assert await running == 1


def test_the_echo_of_a_signal_is_no_second_one() -> None:
    patience = Patience()
    assert not patience.is_over(10.0)
    assert not patience.is_over(10.9)
    assert patience.is_over(11.1)
