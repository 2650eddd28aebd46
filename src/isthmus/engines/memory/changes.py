"""What wakes those who wait for something to change."""

import asyncio

__all__ = ["Changes"]


class Changes:
    """An event that happens again and again: wait for the `next`, look first."""

    def __init__(self) -> None:
        self.next = asyncio.Event()

    def note(self) -> None:
        self.next.set()
        self.next = asyncio.Event()
