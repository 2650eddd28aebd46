"""Sends the orders of one share, and notes what was acknowledged. Killed, it is begun anew.

    python producer.py FILE START STOP STEP RATE

What stands in FILE was acknowledged, and is not sent again: it must be there.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

from ordeal import app, clock, order, orders

from isthmus.errors import UnavailableError

ABREAST = 32
"""Orders that are sent at once."""


async def produce(file: Path, numbers: range, rate: float) -> None:
    acknowledged = set(map(int, file.read_text().split())) if file.exists() else set[int]()
    left = [number for number in numbers if number not in acknowledged]
    notes = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    for start in range(0, len(left), ABREAST):
        part = left[start : start + ABREAST]
        await asyncio.gather(*(send(number) for number in part))
        os.write(notes, "".join(f"{number}\n" for number in part).encode())
        await clock.sleep(len(part) / rate)


async def send(number: int) -> None:
    """Send an order, and one of twenty twice."""
    for _ in range(1 + (random.random() < 0.05)):
        await at_last(number)


async def at_last(number: int) -> None:
    """Do it again while the server is away, under the same id."""
    while True:
        try:
            await orders.send(order(number), id=f"order-{number}")
        except UnavailableError:
            await clock.sleep(0.05)
        else:
            return


async def main(file: str, start: str, stop: str, step: str, rate: str) -> None:
    async with app:
        await produce(Path(file), range(int(start), int(stop), int(step)), float(rate))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
