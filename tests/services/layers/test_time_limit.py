"""How an application is ended that works beside a task that listens for its client's end."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from isthmus.services import Problem
from isthmus.services.layers import time_limit
from isthmus.services.layers.time_limit import TimeLimit

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b""}


class Beside:
    """As Django has it: work in one task, the end of the client in another."""

    def __init__(self, work: Any) -> None:
        self._work = work
        self.heard = list[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listening = asyncio.create_task(self._listen(receive))
        working = asyncio.create_task(self._work(send))
        await asyncio.wait([listening, working], return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, working):
            task.cancel()
        await asyncio.gather(listening, working, return_exceptions=True)

    async def _listen(self, receive: Receive) -> None:
        self.heard.append((await receive())["type"])


async def ask(application: Any) -> list[Message]:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    sent = list[Message]()

    async def send(event: Message) -> None:
        sent.append(event)

    limited = TimeLimit(application, seconds=0.02, foreign=True)
    async with asyncio.timeout(20):
        await limited({"type": "http"}, receive, send)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    return sent


async def test_it_is_told_that_its_client_is_gone_and_ends_its_work() -> None:
    cancelled = asyncio.Event()

    async def work(_: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    application = Beside(work)
    with pytest.raises(Problem) as raised:
        await ask(application)
    assert raised.value.status == 504
    assert application.heard == ["http.disconnect"]
    assert cancelled.is_set()


async def test_one_that_will_not_hear_is_cancelled_after_a_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_limit, "GRACE", 0.02)

    async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
        listening = asyncio.create_task(receive())  # pyright: ignore[reportArgumentType]
        await asyncio.Event().wait()
        await listening

    with pytest.raises(Problem) as raised:
        await ask(deaf)
    assert raised.value.status == 504


async def test_what_it_answers_within_the_grace_is_sent() -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await asyncio.create_task(receive()))["type"] == "http.disconnect"  # pyright: ignore[reportArgumentType]
        assert (await receive())["type"] == "http.disconnect"
        await send(START)
        await send(END)

    assert await ask(late) == [START, END]


async def test_whoever_reads_in_its_own_task_is_cancelled_at_once() -> None:
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    with pytest.raises(Problem) as raised:
        await ask(reading)
    assert raised.value.status == 504


async def test_a_listener_that_others_cancel_hears_nothing() -> None:
    ended = list[bool]()

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        listening = asyncio.create_task(receive())  # pyright: ignore[reportArgumentType]
        await asyncio.wait([listening], timeout=0)
        listening.cancel()
        await asyncio.wait([listening])
        ended.append(listening.cancelled())
        await send(START)

    assert await ask(work) == [START]
    assert ended == [True]
