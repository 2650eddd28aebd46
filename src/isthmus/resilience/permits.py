"""Who may run, and who waits for it, first come first served: pure, and knows no thread."""

from collections import deque

__all__ = ["Permits", "Waiter"]


class Waiter:
    """Somebody's place in the queue. Its owner learns from `given` whether it may run."""

    __slots__ = ("given",)

    def __init__(self) -> None:
        self.given = False

    def wake(self) -> None:
        """Tell the owner that its permit is there. Called once, outside of any lock."""


class Permits:
    """At most `limit` run at once, and at most `queue` wait.

    Law: `running` is the number of permits taken and not given back, never more than `limit`
    was when the last was taken; nobody waits while one is free.
    """

    __slots__ = ("limit", "queue", "running", "waiting")

    def __init__(self, limit: int, queue: int) -> None:
        self.limit, self.queue = limit, queue
        self.running = 0
        self.waiting: deque[Waiter] = deque()

    def take(self) -> bool:
        """Take a permit if one is free."""
        if self.running >= self.limit:
            return False
        self.running += 1
        return True

    def join(self, waiter: Waiter) -> bool:
        """Wait in line; return False if it is too long."""
        if len(self.waiting) >= self.queue:
            return False
        self.waiting.append(waiter)
        return True

    def leave(self, waiter: Waiter) -> list[Waiter]:
        """Give up waiting. A permit given in the meantime goes on: return who is to be woken."""
        if waiter.given:
            return self.give_back()
        self.waiting.remove(waiter)
        return []

    def give_back(self) -> list[Waiter]:
        """Give back a permit; return who has it now, and is to be woken."""
        self.running -= 1
        return self._hand_out()

    def resize(self, limit: int) -> list[Waiter]:
        """Let `limit` run; return who may now, and is to be woken. Who runs goes on."""
        self.limit = limit
        return self._hand_out()

    def _hand_out(self) -> list[Waiter]:
        given: list[Waiter] = []
        while self.waiting and self.running < self.limit:
            waiter = self.waiting.popleft()
            waiter.given = True
            self.running += 1
            given.append(waiter)
        return given
