"""Many callers who each wait for their call before they make another."""

import asyncio
import time
from collections.abc import Awaitable, Callable

__all__ = ["rate"]


async def rate(call: Callable[[int], Awaitable[object]], numbers: range, *, callers: int) -> float:
    """Make a call for each of the numbers; return how many were made in a second."""
    left = iter(numbers)

    async def caller() -> None:
        for number in left:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return len(numbers) / (time.perf_counter() - began)
