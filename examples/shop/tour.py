"""The tour: sagas in two styles, event-sourced orders and what is read of them, shown on real
processes that are really killed.

    make tour        or: python examples/shop/tour.py [--orders 30] [--payments adyenlike] [--keep]

Says what happens, where it is told, and which command shows it. At the end all books are held
against each other. Exits 1 if they do not agree.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from guided import crowd, flows, sagas, views
from guided.guide import Guide
from guided.reckoning import reckon
from guided.service import WORKERS, Fulfilment
from guided.visitor import Visitor

HERE = Path(__file__).parent
PROVIDERS = ("stripelike", "adyenlike")


async def guided_tour(folder: Path, *, orders: int, provider: str, keep: bool) -> bool:
    """Show everything once; return whether all books agree."""
    began = time.monotonic()
    print(f"starting the fulfilment service: {WORKERS} workers; outside, {provider} payments")
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        Fulfilment(folder, provider=provider) as service,
        aiohttp.ClientSession(timeout=timeout) as http,
    ):
        os.environ |= service.environment
        from fulfilment.app import app  # the environment says where it runs

        guide, visitor = Guide(service.engine, folder), Visitor(service, http)
        guide.say(f"export ISTHMUS_ENGINE={service.engine}")
        async with app:
            await flows.lost_parcel(visitor)
            await sagas.completed(guide, visitor)
            await sagas.compensated(guide, visitor)
            await sagas.killed(guide, visitor)
            await sagas.stuck(guide, visitor)
            await flows.choreographed(guide, visitor)
            await crowd.crowd(guide, visitor, orders)
            await views.read_models(guide, visitor)
            await views.rebuilt(guide, visitor)
            await crowd.all_ended(visitor)
            await flows.timed_out(guide, visitor)
            right = await reckon(guide, visitor)
        verdict = "nothing lost, nothing done twice" if right else "IT DOES NOT ADD UP"
        print(f"\n   {verdict}, in {time.monotonic() - began:.0f} s")
        if keep:
            print(f"\n   it goes on at {service.url}/docs until Ctrl-C, and the commands work")
            await service.ended()
    return right


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="A tour of the shop's data patterns.")
    parser.add_argument("--orders", type=int, default=30, help="orders of the crowd, per style")
    parser.add_argument("--payments", choices=PROVIDERS, default="stripelike")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C afterwards")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isthmus-tour-") as folder:
        tour = guided_tour(
            Path(folder), orders=chosen.orders, provider=chosen.payments, keep=chosen.keep
        )
        sys.exit(0 if asyncio.run(tour) else 1)


if __name__ == "__main__":
    os.chdir(HERE)
    main()
