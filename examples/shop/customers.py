"""The customers: what they order, how often they press the button, and how they mistype."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp

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
) -> Counter[int]:
    """Send all requests over HTTP; return how often each status was answered.

    A customer whose connection breaks presses the button again.
    """
    answers: Counter[int] = Counter()
    requests = iter(basket.requests)
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(_customer(http, url, requests, answers, sent))
    return answers


async def _customer(
    http: aiohttp.ClientSession,
    url: str,
    requests: Iterator[dict[str, Any]],
    answers: Counter[int],
    sent: Callable[[], object],
) -> None:
    for request in requests:
        answers[await _press(http, url, request)] += 1
        sent()


async def _press(http: aiohttp.ClientSession, url: str, request: dict[str, Any]) -> int:
    for pause in (0.05, 0.2, 0.5, 1, 2, 4):
        try:
            async with http.post(url, json=request) as answer:
                if answer.status < 500:
                    return answer.status
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(pause)
    return 0
