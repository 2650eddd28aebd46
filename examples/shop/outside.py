"""What each service outside of the shop has: books of what reached it, that can't be talked out
of it, and bad days.

Each POST has an Idempotency-Key. The first of a key has an effect; later ones are counted, and
answered as the first was. GET / tells all of it.

    curl -X PUT http://127.0.0.1:PORT/mood/failing

Failing, it does nothing and answers 503. Stalling, it does what it is asked, and answers when
nobody waits any more. Well, it does its work. With ?at=500, the mood comes with the 500th effect.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

__all__ = ["Answer", "Outside", "RefusedError", "refused", "serve"]

STALL = 3.0
"""Seconds that an answer takes while it stalls."""


class Answer(NamedTuple):
    """What a key was answered, and what was done for it."""

    content: Any
    status: int = 200
    effect: tuple[str, int] | None = None
    """The order, and the cents of it; None if nothing was done."""
    back: tuple[str, int] | None = None
    """What was given back: the order, and the cents of it."""
    asked: object = None
    """What it was asked, to tell when a key is used for something else."""


class RefusedError(Exception):
    """A request that is answered as an error."""

    def __init__(self, content: Any, status: int) -> None:
        super().__init__(content)
        self.answer = Answer(content, status)


class Outside:
    """What reached this process, by key, and the mood in which it was found."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.answers: dict[str, Answer] = {}
        self.effects: list[tuple[str, int]] = []
        """What was done, in order: each order, and its cents."""
        self.backs: list[tuple[str, int]] = []
        """What was given back, in order."""
        self.moods: Counter[str] = Counter()
        self._mood, self._at = "well", 0
        self._since: float | None = None

    def routes(self) -> Sequence[Route]:
        """What all of them answer."""
        return [
            Route("/", self.report),
            Route("/books", self.books),
            Route("/mood/{mood}", self.become, methods=["PUT"]),
        ]

    async def once(self, key: str, answer: Callable[[], Answer]) -> Answer | None:
        """Have the effect, unless the key had it already; None on a bad day."""
        if (mood := self.feel()) == "failing":
            return None
        self.calls[key] += 1
        if key not in self.answers:
            self.answers[key] = made = answer()
            self.effects += [made.effect] if made.effect else []
            self.backs += [made.back] if made.back else []
        await self.stall(mood)
        return self.answers[key]

    async def once_for(
        self, request: Request, asked: object, act: Callable[[], Answer], *, reused: RefusedError
    ) -> Answer | None:
        """Do so by the key of a request; `reused` is raised if it was of another request."""
        said = (request.url.path, asked)

        def answer() -> Answer:
            try:
                return act()._replace(asked=said)
            except RefusedError as refused:
                return refused.answer._replace(asked=said)

        answered = await self.once(request.headers.get("idempotency-key", repr(said)), answer)
        if answered is not None and answered.asked != said:
            raise reused
        return answered

    async def stall(self, mood: str) -> None:
        if mood == "stalling":
            await asyncio.sleep(STALL)

    async def become(self, request: Request) -> JSONResponse:
        """Change the mood, now or with a later effect."""
        self._mood, self._since = request.path_params["mood"], None
        self._at = int(request.query_params.get("at", 0))
        return JSONResponse({"mood": self._mood, "at": self._at})

    async def report(self, _: Request) -> JSONResponse:
        """Tell what reached this process. "since" is when a call first found it in its mood."""
        orders = [order for order, _ in self.effects]
        return JSONResponse(
            {
                "effects": len(orders),
                "twice": len(orders) - len(set(orders)),
                "total": sum(cents for _, cents in self.effects),
                "repeats": sum(self.calls.values()) - len(self.calls),
                "failed": self.moods["failing"],
                "stalled": self.moods["stalling"],
                "since": self._since,
            }
        )

    async def books(self, _: Request) -> JSONResponse:
        """Tell what was done and given back, an order and its cents each, and what was asked."""
        return JSONResponse({"done": self.effects, "back": self.backs, "calls": dict(self.calls)})

    def feel(self) -> str:
        """Return the mood that this call finds."""
        mood = self._mood if len(self.effects) >= self._at else "well"
        if mood == self._mood and self._since is None:
            self._since = time.monotonic()
        self.moods[mood] += 1
        return mood


async def refused(_: Request, error: Exception) -> JSONResponse:
    """Answer a RefusedError."""
    assert isinstance(error, RefusedError)
    return JSONResponse(error.answer.content, error.answer.status)


def serve(service: Starlette) -> None:
    """Serve it on the port that the command line names."""
    uvicorn.run(service, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
