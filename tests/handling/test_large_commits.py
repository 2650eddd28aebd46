"""A consumer whose commits are slow settles many at once, and takes more afterwards."""

import asyncio
from typing import Any

import pytest

from isthmus import App
from isthmus.handling.consuming.inbox import Inbox

MANY, WAITING = 3_000, 1_100
"""How many there are; and how many are handled before the first commit ends: more than a consumer
lets wait before it takes no more."""


async def test_a_consumer_takes_more_once_a_large_commit_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, handled, first_ends = App("shop"), 0, asyncio.Event()
    queue, note = app.queue("numbers", int), Inbox.note

    async def slowly(self: Inbox, *words: Any, **more: Any) -> None:
        await first_ends.wait()
        await note(self, *words, **more)

    monkeypatch.setattr(Inbox, "note", slowly)

    @queue.handler()
    async def handle(_: int) -> None:
        nonlocal handled
        handled += 1
        if handled == WAITING:
            first_ends.set()

    async with app.test() as t:
        await queue.send_many(range(MANY))
        await t.settle()
    assert handled == MANY
