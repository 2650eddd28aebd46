"""A handler that blocks the event loop: its process says so, and ends; its message, too."""

import signal
from typing import Any

import pytest

APP = """
    import os, threading
    from isthmus import App

    app = App("shop", engine="sqlite:///shop.db")
    orders = app.queue("orders", str)

    @orders.handler(lease=1)
    async def accept(order: str) -> None:
        if order == "blocks":
            threading.Event().wait()
"""


@pytest.fixture
def shop(empty: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    empty.write("shop.py", APP)
    monkeypatch.setenv("ISTHMUS_APP", "shop:app")
    monkeypatch.setenv("ISTHMUS_BLOCKED", "1")
    return empty


def left(shop: Any) -> tuple[int, int]:
    """Return how many orders wait or are held, and how many are dead letters."""
    [queue] = [row for row in shop.json("queues") if row["name"] == "orders"]
    return queue["ready"] + queue["leased"] + queue["delayed"], queue["dead"]


def test_a_process_whose_loop_is_blocked_says_where_and_ends(shop: Any) -> None:
    running = shop.start("run")
    running.ready()
    shop("queues", "send", "orders", '"blocks"')
    running.until("the event loop stands still for 1.0 s")
    running.until("in accept")
    running.until("must not block: write it as def")
    assert running.wait() == -signal.SIGKILL
    assert left(shop) == (1, 0)


@pytest.mark.torture
def test_a_message_that_blocks_every_process_is_a_dead_letter_and_no_other_is(shop: Any) -> None:
    running = shop.start("run", "--workers", "2")
    running.ready(workers=2)
    for order in ("one", "blocks", "another"):
        sent = shop("queues", "send", "orders", f'"{order}"', "--id", order)
        assert sent.exit_code == 0, sent.output
    running.until("blocks is a dead letter: killed its process")
    assert running.stop() == 0
    assert left(shop) == (0, 1)


def test_a_loop_that_turns_is_left_alone(shop: Any) -> None:
    running = shop.start("run")
    running.ready()
    shop("queues", "send", "orders", '"fine"')
    assert running.stop() == 0
