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

    To run is to take something out of `free`, and to be done is to put it back, and to `settle`
    if `pressed`. That needs no lock, as a deque's `pop` and `append` are of one piece; the rest
    is for one thread at a time. Law: nobody is lost between the two, as who waits looks into
    `free` once more after it has been seen, and who is done looks for who waits after it gave
    back.
    """

    __slots__ = ("_owed", "free", "limit", "pressed", "queue", "waiting")

    def __init__(self, limit: int, queue: int) -> None:
        self.limit, self.queue = limit, queue
        self.free: deque[None] = deque([None] * limit)
        self.waiting: deque[Waiter] = deque()
        self.pressed = False
        """Whether who is done has to `settle`."""
        self._owed = 0  # permits out that are no more, once they come back

    @property
    def running(self) -> int:
        """How many permits are out."""
        return self.limit + self._owed - len(self.free)

    def join(self, waiter: Waiter) -> tuple[bool, list[Waiter]]:
        """Take a permit, or wait in line; return False if it is too long, and who is to be
        woken."""
        self.waiting.append(waiter)
        given = self.settle()
        joined = waiter.given or len(self.waiting) <= self.queue
        if not joined:
            self.waiting.remove(waiter)
            self.pressed = bool(self._owed or self.waiting)
        return joined, given

    def leave(self, waiter: Waiter) -> list[Waiter]:
        """Give up waiting. A permit given in the meantime goes on: return who is to be woken.
        Leaving twice is leaving once."""
        if waiter.given:
            waiter.given = False
            self.free.append(None)
        elif waiter in self.waiting:
            self.waiting.remove(waiter)
        return self.settle()

    def resize(self, limit: int) -> list[Waiter]:
        """Let `limit` run; return who may now, and is to be woken. Who runs goes on."""
        more = limit - self.limit
        self.limit = limit
        self._owed -= more
        if self._owed < 0:
            self.free.extend([None] * -self._owed)
            self._owed = 0
        return self.settle()

    def settle(self) -> list[Waiter]:
        """Withdraw what is owed and hand out what is free; return who is to be woken."""
        self.pressed = True  # first: who gives back from now on looks here
        given: list[Waiter] = []
        while (self._owed or self.waiting) and self._take():
            if self._owed:
                self._owed -= 1
            else:
                waiter = self.waiting.popleft()
                waiter.given = True
                given.append(waiter)
        self.pressed = bool(self._owed or self.waiting)
        return given

    def _take(self) -> bool:
        try:
            self.free.pop()
        except IndexError:
            return False
        return True
