"""A service outside of the shop: it counts what reaches it, can't be talked out of it, and has
bad days.

    python provider.py PORT

Each POST has an Idempotency-Key. The first of a key has an effect; later ones are counted, and
answered as the first was. GET /estimates/ORDER says when it arrives. GET / tells all of it.

    curl -X PUT http://127.0.0.1:PORT/mood/failing

Failing, it does nothing and answers 503. Stalling, it does what it is asked, and answers when
nobody waits any more. Well, it does its work. With ?at=500, the mood comes with the 500th effect.
"""

import asyncio
import sys
import time
from collections import Counter

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

STALL = 3.0
"""Seconds that an answer takes while it stalls."""


class Provider:
    """What reached this process, by key, and the mood in which it was found."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.charged: dict[str, tuple[str, int]] = {}
        """By key: the order, and the cents of it."""
        self.answers: Counter[str] = Counter()
        self._mood, self._at = "well", 0
        self._since: float | None = None

    async def act(self, request: Request) -> JSONResponse:
        """Have the effect, unless the key had it already."""
        order = await request.json()
        key = request.headers.get("idempotency-key")
        if key is None:
            return JSONResponse({"error": "Idempotency-Key is missing"}, status_code=400)
        if (mood := self._feel()) == "failing":
            return _later()
        self.calls[key] += 1
        self.charged.setdefault(key, (order["id"], order["total"]))
        await _answer(mood)
        return JSONResponse({"key": key})

    async def estimate(self, request: Request) -> JSONResponse:
        """Tell when an order arrives; nothing is done."""
        if (mood := self._feel()) == "failing":
            return _later()
        await _answer(mood)
        return JSONResponse({"order": request.path_params["order"], "arrives": "tomorrow"})

    async def become(self, request: Request) -> JSONResponse:
        """Change the mood, now or with a later effect."""
        self._mood, self._since = request.path_params["mood"], None
        self._at = int(request.query_params.get("at", 0))
        return JSONResponse({"mood": self._mood, "at": self._at})

    async def report(self, _: Request) -> JSONResponse:
        """Tell what reached this process. "since" is when a call first found it in its mood."""
        orders = [order for order, _ in self.charged.values()]
        return JSONResponse(
            {
                "effects": len(orders),
                "twice": len(orders) - len(set(orders)),
                "total": sum(cents for _, cents in self.charged.values()),
                "repeats": sum(self.calls.values()) - len(self.calls),
                "failed": self.answers["failing"],
                "stalled": self.answers["stalling"],
                "since": self._since,
            }
        )

    def _feel(self) -> str:
        """Return the mood that this call finds."""
        mood = self._mood if len(self.charged) >= self._at else "well"
        if mood == self._mood and self._since is None:
            self._since = time.monotonic()
        self.answers[mood] += 1
        return mood


def _later() -> JSONResponse:
    return JSONResponse({"error": "not today"}, status_code=503, headers={"Retry-After": "1"})


async def _answer(mood: str) -> None:
    if mood == "stalling":
        await asyncio.sleep(STALL)


def service() -> Starlette:
    """Return a provider as an application."""
    provider = Provider()
    return Starlette(
        routes=[
            Route("/", provider.act, methods=["POST"]),
            Route("/", provider.report),
            Route("/estimates/{order}", provider.estimate),
            Route("/mood/{mood}", provider.become, methods=["PUT"]),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(service(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
