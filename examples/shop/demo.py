"""The demonstration: real processes, real orders, two workers killed, payments failing and
stalling, nothing lost.

    make demo        or: python examples/shop/demo.py [--orders 2000] [--keep]
                         [--payments adyenlike]

Starts the shop (three worker processes), a payment service, a mail service and a courier,
and sends the orders over HTTP. Meanwhile it kills a worker with SIGKILL twice, and has
services fail, stall and recover. Waits until all is settled, and prints what came of it.
Exits 1 if a number does not add up.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from customers import Basket, send
from outcome import Outcome
from processes import WORKERS, Shop
from progress import Progress
from tally import tally
from trouble import trouble

HERE = Path(__file__).parent
PROVIDERS = ("stripelike", "adyenlike")
ORDER = '{"id": "1", "account": "me", "sku": "lamp", "total": 4200}'


async def demonstrate(orders: int, folder: Path, *, provider: str) -> Outcome:
    """Run the whole story once; return what came of it."""
    basket = Basket(orders)
    print(f"starting the shop: {WORKERS} workers; outside, {provider} payments, mail, a courier")
    async with Shop(folder, provider=provider) as shop:
        began = time.monotonic()
        with Progress("orders sent", len(basket.requests)) as sent:
            meanwhile = asyncio.create_task(trouble(shop, sent, orders))
            answers = await send(basket, shop.url, concurrency=32, sent=sent.step)
            sending = time.monotonic() - began
            await meanwhile
        counted = await tally(shop, len(basket.good), began)
        return Outcome(basket, answers, sending, shop.killed, counted)


async def keep(folder: Path, *, provider: str) -> None:
    """Run the shop until Ctrl-C."""
    async with Shop(folder, provider=provider) as shop:
        print(f"the shop takes orders at {shop.url}; Ctrl-C ends it")
        print(f"  curl --json '{ORDER}' {shop.url}")
        print(f"  isthmus queues --engine {shop.engine}")
        print(f"  curl -X PUT {shop.payments}/mood/failing   # or stalling, or well")
        await shop.ended()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="The shop, demonstrated.")
    parser.add_argument("--orders", type=int, default=2000, help="good orders to send")
    parser.add_argument("--payments", choices=PROVIDERS, default="stripelike")
    parser.add_argument("--keep", action="store_true", help="only run the shop, until Ctrl-C")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isthmus-shop-") as folder:
        if chosen.keep:
            asyncio.run(keep(Path(folder), provider=chosen.payments))
            return
        outcome = asyncio.run(demonstrate(chosen.orders, Path(folder), provider=chosen.payments))
    print(outcome.table())
    sys.exit(0 if outcome.adds_up else 1)


if __name__ == "__main__":
    os.chdir(HERE)
    main()
