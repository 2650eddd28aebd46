"""What the supervisor promises of processes that do not behave."""

import asyncio
import logging
import re
import signal
import sys
from typing import Any, Self

import pytest

from isthmus.cli.patience import Patience
from isthmus.cli.supervisor import GRACE, HOPELESS, UNOPENED, Supervisor


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


async def test_for_a_worker_that_keeps_dying_another_is_started_ever_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dying = supervisor("raise SystemExit(3)")
    async with Told("another is started in 1 s"):
        running = asyncio.create_task(dying.run())
    dying.give_up()
    assert await running == 1
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert re.match(r"worker 1 \(pid \d+\) ended with status 3 after ", told[0])
    assert told[0].endswith("another is started in 0.5 s")


async def test_a_worker_that_says_it_is_hopeless_ends_all() -> None:
    hopeless = f"import os, sys; sys.exit({HOPELESS} if os.environ['ISTHMUS_SUPERVISED'] == '2'"
    waits = " else sys.stdin.read())"
    assert await supervisor(hopeless + waits, workers=3).run() == 1


WORDS = "import os, sys; os.write(0, b'error: no pool'); "


async def test_an_app_that_no_worker_can_open_at_first_is_given_up_and_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await supervisor(f"{WORDS}sys.exit({UNOPENED})", workers=2).run() == 1
    assert capsys.readouterr().err == "error: no pool\n"


async def test_a_worker_that_cannot_open_while_another_lives_is_tried_again() -> None:
    fails = f"{WORDS}sys.exit({UNOPENED} if os.environ['ISTHMUS_SUPERVISED'] == '1'"
    one_of_two = supervisor(f"{fails} else sys.stdin.read())", workers=2)
    async with Told("could not open the app"), Told("another is started in 1 s"):
        running = asyncio.create_task(one_of_two.run())
    assert not one_of_two.stopping.is_set()
    one_of_two.give_up()
    await running


async def test_a_worker_that_does_not_end_in_its_time_is_killed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "isthmus.supervisor")
    stubborn = supervisor("import signal; signal.pause()", drain=0.1 - GRACE)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # and so in the child
    try:
        async with Told("started"):
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
