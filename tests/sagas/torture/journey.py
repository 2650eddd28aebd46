"""What is tortured: a saga of local and remote steps, branches, a sleep, and a child.

    reserve (row) ─► charge (told) ─► pack (row) | label (told) ─► sleep ─► bill (child) ─► ship

Every third one turns back at the end, and every eleventh has a charge that never answers. Rows have
no key that could hide a double; what is told outside is told under its idempotency key.

    python journey.py FILE START STOP STEP     starts sagas, and notes what was acknowledged
"""

import asyncio
import os
import random
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

from isthmus import App, Retry, Transaction
from isthmus.clock import SystemClock
from isthmus.errors import UnavailableError
from isthmus.handling.idempotency_key import IdempotencyKey
from isthmus.sagas import Compensate, Saga, Unknown
from isthmus.testing.torture import Witness

LEASE = 2.0
ABREAST = 16
draw = random.Random()
clock = SystemClock()
app = App("journey", clock=clock)
app.migrations("journeys")
often = Retry(20, delay=0.05, cap=0.5)


def turns_back(number: int) -> bool:
    return number % 3 == 1


def never_answers(number: int) -> bool:
    return number % 11 == 5


@app.resource
async def witness() -> AsyncIterator[Witness]:
    connected = await Witness.to(int(os.environ["JOURNEY_RECORDER"]))
    yield connected
    connected.close()


async def falter() -> None:
    """Do what goes wrong after an effect: wait, fail, or hang for longer than the lease."""
    chance = draw.random()
    if chance < 0.2:
        await clock.sleep(draw.random() * 0.05)
    elif chance < 0.24:
        raise RuntimeError("flaky")
    elif chance < 0.2403:
        threading.Event().wait(1.5 * LEASE)


async def write(tx: Transaction, what: str, number: int) -> None:
    await tx.execute("insert into done values (:what, :number)", what=what, number=number)
    await falter()


async def reserve(number: int, tx: Transaction) -> int:
    await write(tx, "reserve", number)
    return number


async def release(reserved: int, tx: Transaction) -> None:
    await write(tx, "release", reserved)


async def charge(number: int, witness: Witness, key: IdempotencyKey) -> str:
    await witness.tell(f"charge {number} {key}")
    if never_answers(number):
        raise ConnectionResetError("it never answered")
    await falter()
    return key


async def refund(charged: str | Unknown, witness: Witness) -> None:
    key = charged.key if isinstance(charged, Unknown) else charged
    await witness.tell(f"refund {key.split('/')[1]} {key}")
    await falter()


async def pack(number: int, tx: Transaction) -> None:
    await write(tx, "pack", number)


async def label(number: int, witness: Witness, key: IdempotencyKey) -> None:
    await witness.tell(f"label {number} {key}")
    await falter()


async def invoice(number: int, tx: Transaction) -> int:
    await write(tx, "invoice", number)
    return number


async def credit(number: int, tx: Transaction) -> None:
    await write(tx, "credit", number)


async def ship(number: int, tx: Transaction) -> None:
    await write(tx, "ship", number)


@app.saga("bill", lease=LEASE, retry=often, undo_retry=often)
async def bill(saga: Saga, number: int) -> int:
    return await saga.step(invoice, number, undo=credit)


@app.saga("fulfil", lease=LEASE, retry=often, undo_retry=often, timeout=600)
async def fulfil(saga: Saga, number: int) -> int:
    await saga.step(reserve, number, undo=release)
    usual = Retry(3, delay=0.05) if never_answers(number) else often
    await saga.step(charge, number, undo=refund, policy=usual)
    await saga.gather(saga.step(pack, number), saga.step(label, number))
    await saga.sleep(0.05)
    billed = await saga.run(bill, number)
    if turns_back(number):
        raise Compensate("turned back")
    await saga.step(ship, number)
    return billed


async def at_last(do: Callable[[], Awaitable[None]]) -> None:
    """Do it again while the server is away."""
    while True:
        try:
            return await do()
        except UnavailableError:
            await clock.sleep(0.05)


async def start(number: int) -> None:
    """Start one, and one of twenty twice; one of ten in a transaction."""
    for _ in range(1 + (draw.random() < 0.05)):
        if draw.random() < 0.1:
            async with app.transaction():
                await fulfil.start(number, id=str(number))
        else:
            await fulfil.start(number, id=str(number))


async def produce(file: Path, numbers: range) -> None:
    acknowledged = set(map(int, file.read_text().split())) if file.exists() else set[int]()
    left = [number for number in numbers if number not in acknowledged]
    notes = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    for begin in range(0, len(left), ABREAST):
        part = left[begin : begin + ABREAST]
        await asyncio.gather(*(at_last(partial(start, number)) for number in part))
        os.write(notes, "".join(f"{number}\n" for number in part).encode())
        await clock.sleep(0.1)


async def main(file: str, begin: str, stop: str, step: str) -> None:
    async with app:
        await produce(Path(file), range(int(begin), int(stop), int(step)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
