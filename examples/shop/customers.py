"""The customers: what they order, how often they press the button, how they mistype, and what
they look at."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from isthmus.resilience import degraded_in

SKUS = ("lamp", "chair", "desk", "shelf", "rug")
POISON = "cursed-mirror"


class Basket:
    """What will be ordered: the same for the same seed."""

    def __init__(self, orders: int, *, seed: int = 7) -> None:
        draw = random.Random(seed)
        self.good = [_order(n, draw, draw.choice(SKUS)) for n in range(orders)]
        self.poison = [_order(orders + n, draw, POISON) for n in range(max(1, orders // 200))]
        self.twice = draw.sample(self.good, orders // 10)
        self.malformed = [_broken(n, draw) for n in range(orders // 20)]
        self.requests = [*self.good, *self.poison, *self.twice, *self.malformed]
        draw.shuffle(self.requests)
        self.watched = {order["id"] for order in draw.sample(self.good, orders // 5)}
        """Orders whose page is looked at, each time they are sent."""
        self.looks = sum(request["id"] in self.watched for request in self.requests)


@dataclass(frozen=True)
class Answers:
    """What the customers were answered."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    """How often each HTTP status was the answer to an order."""
    pages: Counter[str] = field(default_factory=Counter[str])
    """Pages of orders, by what was missing in them; "" for those that were whole."""


def _order(n: int, draw: random.Random, sku: str) -> dict[str, Any]:
    account = f"acc-{draw.randrange(40)}"
    return {"id": f"order-{n}", "account": account, "sku": sku, "total": draw.randrange(100, 9000)}


def _broken(n: int, draw: random.Random) -> dict[str, Any]:
    order = _order(n, draw, "lamp") | {"id": f"broken-{n}"}
    match n % 3:
        case 0:
            return order | {"total": "a lot"}
        case 1:
            return order | {"total": -1}
        case _:
            return {"id": order["id"]}


async def send(
    basket: Basket, url: str, *, concurrency: int, sent: Callable[[], object]
) -> Answers:
    """Send all requests over HTTP, and look at pages; return what was answered.

    A customer whose connection breaks presses the button again.
    """
    answers = Answers()
    requests = iter(basket.requests)
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(_customer(http, url, requests, basket, answers, sent))
    return answers


async def _customer(
    http: aiohttp.ClientSession,
    url: str,
    requests: Iterator[dict[str, Any]],
    basket: Basket,
    answers: Answers,
    sent: Callable[[], object],
) -> None:
    for request in requests:
        status, _ = await _press(http, "POST", url, json=request)
        answers.statuses[status] += 1
        if request["id"] in basket.watched:
            _, missing = await _press(http, "GET", f"{url}/{request['id']}")
            answers.pages[missing] += 1
        sent()


async def _press(
    http: aiohttp.ClientSession, method: str, url: str, **content: Any
) -> tuple[int, str]:
    """Return the status of the answer, and which of its parts are degraded."""
    for pause in (0.05, 0.2, 0.5, 1, 2, 4):
        try:
            async with http.request(method, url, **content) as answer:
                if answer.status < 500:
                    return answer.status, ", ".join(degraded_in(answer.headers))
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(pause)
    return 0, "all of it"
