"""One after the other, by key, in this process: whoever would only meet a conflict waits."""

import asyncio
from collections import deque

__all__ = ["Turns"]


class Turns:
    """Like a lock for each key; nothing is kept of keys that nobody has."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def take(self, key: str) -> bool:
        """Have the turn of a key, until `give`, if nobody has it; return whether that is so."""
        if key in self._waiting:
            return False
        self._waiting[key] = deque()
        return True

    async def wait(self, key: str) -> None:
        """Have the turn of a key that somebody has, once who came before has given it back."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting[key].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(key)  # it came, and is not wanted any more
            raise

    def give(self, key: str) -> None:
        """Give the turn to the one that has waited longest."""
        waiting = self._waiting[key]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                return turn.set_result(None)
        del self._waiting[key]
