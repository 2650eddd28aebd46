"""What goes wrong meanwhile: workers are killed, and services outside have bad days."""

import asyncio
from typing import Any

import aiohttp
from processes import Shop
from progress import Progress

KILLS = (0.3, 0.6)
"""How much of the orders are sent when a worker is killed."""

FAILING, STALLING = 0.2, 0.5
"""How much of the orders are paid when the payment service begins to fail, and to stall."""

COURIER_FAILS, COURIER_RECOVERS = 0.3, 0.7
"""How much of the orders are sent when the courier does."""

PATIENCE = 30.0
"""Seconds after which a bad day ends, though no circuit has opened."""


async def trouble(shop: Shop, sent: Progress, orders: int) -> None:
    """Make all the trouble there is, and return when it is over."""
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        group.create_task(kill_workers(shop, sent))
        group.create_task(trouble_the_courier(http, shop, sent))
        group.create_task(trouble_payments(http, shop, sent, orders))


async def kill_workers(shop: Shop, sent: Progress) -> None:
    """Kill one worker, as a power cut would, each time the mark is reached."""
    for share in KILLS:
        await sent.reached(share)
        pid = shop.kill_a_worker()
        sent.note(f"killed worker {pid} with SIGKILL")


async def trouble_the_courier(http: aiohttp.ClientSession, shop: Shop, sent: Progress) -> None:
    """Have the courier fail for a while."""
    await sent.reached(COURIER_FAILS)
    await become(http, shop.courier, "failing")
    sent.note("the courier answers 503")
    await sent.reached(COURIER_RECOVERS)
    await become(http, shop.courier, "well")
    sent.note("the courier is well again")


async def trouble_payments(
    http: aiohttp.ClientSession, shop: Shop, sent: Progress, orders: int
) -> None:
    """Have the payment service fail, then stall; each time until that opened a circuit, and
    spared it a call."""
    for mood, share, told in (
        ("failing", FAILING, "answers 503"),
        ("stalling", STALLING, "does what it is asked, and answers too late"),
    ):
        await become(http, shop.payments, mood, at=round(share * orders))
        try:
            async with asyncio.timeout(PATIENCE):
                since = await found_so(http, shop.payments)
                sent.note(f"the payment service {told}")
                await shop.diary.circuit_opened("payments", since)
        except TimeoutError:
            sent.note("no circuit opened")
        await become(http, shop.payments, "well")
        sent.note("the payment service is well again")


async def become(http: aiohttp.ClientSession, service: str, mood: str, *, at: int = 0) -> None:
    """Have a service change its mood with its effect number `at`."""
    async with http.put(f"{service}/mood/{mood}", params={"at": at}) as answer:
        answer.raise_for_status()


async def found_so(http: aiohttp.ClientSession, service: str) -> float:
    """Wait until a call finds a service in the mood it was told; return when that was."""
    while (since := (await report(http, service))["since"]) is None:
        await asyncio.sleep(0.05)
    return since


async def report(http: aiohttp.ClientSession, service: str) -> dict[str, Any]:
    """Ask a service what reached it."""
    async with http.get(service) as answer:
        return await answer.json()
