"""What is tortured: a queue, a topic with three subscriptions, and a keyed stream.

    orders ─► accept ─► topic accepted ─┬─► book ─► stream ledger ─► post
                                        ├─► count, in batches
                                        └─► mail, which writes nothing here

What is sent on has an id of its own each time, so that nothing downstream could
hide a message that left twice.
"""

import os
import random
import signal
import threading
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from isthmus import App, Record, Retry, Transaction
from isthmus.clock import SystemClock
from isthmus.handling.outbox import OUTBOX, RELAY, needs_outbox
from isthmus.messaging import Queue, Subscription
from isthmus.streams import Group
from isthmus.testing.torture import Witness

LEASE = 2.0
STAGES = {"accept": "", "book": "accept", "count": "accept", "mail": "accept", "post": "book"}
"""Each with the one before it."""
TABLES = {"accept": "accepted", "book": "booked", "count": "counted", "post": "posted"}
RAISING = {"accept": (77, 500), "book": (199, 1000), "count": (451, 1000), "post": (601, 1000)}
KILLING = {"accept": (1333, 4000), "book": (2666, 8000), "post": (3999, 16_000)}
"""Poison of each stage: every number with this rest, divided by that."""

draw = random.Random()
clock = SystemClock()


class Order(msgspec.Struct, frozen=True):
    number: int
    account: str


def order(number: int) -> Order:
    return Order(number, f"account-{number % 50}")


def poison(stage: str, numbers: Sequence[int]) -> set[int]:
    """Return which of `numbers` are dead letters of this stage."""
    return {each for each in numbers if _is(RAISING, stage, each) or _is(KILLING, stage, each)}


def _is(poison: dict[str, tuple[int, int]], stage: str, number: int) -> bool:
    rest, divisor = poison.get(stage, (-1, 1))
    return number % divisor == rest


async def suffer(stage: str, order: Order) -> None:
    """Do what goes wrong before an effect."""
    if _is(KILLING, stage, order.number):
        os.kill(os.getpid(), signal.SIGKILL)
    if _is(RAISING, stage, order.number):
        raise ValueError(f"{stage} can do nothing with {order.number}")
    if draw.random() < 0.2:
        await clock.sleep(draw.random() * 0.05)


async def falter() -> None:
    """Do what goes wrong after an effect: fail, or hang for longer than the lease."""
    if draw.random() < 0.02:
        raise RuntimeError("flaky")
    if draw.random() < 0.0005:
        threading.Event().wait(1.5 * LEASE)  # with the loop, as a blocking call does


app = App("ordeal", clock=clock)
app.migrations("tables")
orders = app.queue("orders", Order)
accepted = app.topic("accepted", Order)
ledger = app.stream("ledger", Order, key="account", partitions=4)
often = Retry(8, delay=0.05, cap=1)


@app.resource
async def witness() -> AsyncIterator[Witness]:
    connected = await Witness.to(int(os.environ["ORDEAL_RECORDER"]))
    yield connected
    connected.close()


@orders.handler(lease=LEASE, retry=often)
async def accept(order: Order, tx: Transaction, witness: Witness) -> None:
    await suffer("accept", order)
    await tx.execute("insert into accepted values (:number)", number=order.number)
    await witness.tell(f"accept {order.number}")
    await accepted.publish(order)
    await falter()


@accepted.subscription("book", lease=LEASE, retry=often)
async def book(order: Order, tx: Transaction, witness: Witness) -> None:
    await suffer("book", order)
    await witness.tell(f"book {order.number}")
    await ledger.append(order)
    await tx.execute("insert into booked values (:number)", number=order.number)
    await falter()


@accepted.subscription("count", batch=20, concurrency=4, lease=LEASE, retry=often)
async def count(batch: Sequence[Order], tx: Transaction, witness: Witness) -> None:
    for each in batch:
        await suffer("count", each)
        await witness.tell(f"count {each.number}")
    rows = [{"number": each.number} for each in batch]
    await tx.execute_many("insert into counted values (:number)", rows)
    await falter()


@accepted.subscription("mail", lease=LEASE, retry=often)
async def mail(order: Order, witness: Witness) -> None:
    await suffer("mail", order)
    await witness.tell(f"mail {order.number}")
    await falter()


def apart() -> bool:
    """Whether rows and messages lie apart: a relay that dies may append a record twice."""
    return os.environ.get("ISTHMUS_STORE") != os.environ.get("ISTHMUS_ENGINE")


@ledger.group("post", session=LEASE, retry=often, inbox=3600.0 if apart() else None)
async def post(order: Order, tx: Transaction, witness: Witness, record: Record) -> None:
    await suffer("post", order)
    await tx.execute(
        "insert into posted values (:number, :account, :place, :at)",
        number=order.number,
        account=order.account,
        place=str(record.partition),
        at=record.offset,
    )
    await witness.tell(f"post {order.number}")
    await falter()


def sources() -> Mapping[str, Queue[Order] | Subscription | Group]:
    """Return where each stage takes from."""
    topic = {name: accepted[name] for name in ("book", "count", "mail")}
    return {"accept": orders, **topic, "post": ledger["post"]}


async def left() -> Mapping[str, object]:
    """Return what waits, is held or parked, by stage."""
    found = dict[str, object]()
    for stage, source in sources().items():
        if isinstance(source, Group):
            behind = sum((await ledger.lag("post")).values())
            remaining = (behind, await source.parked())
        else:
            stats = await source.stats()
            remaining = (stats.ready, stats.leased, stats.delayed)
        if any(remaining):
            found[stage] = remaining
    host = app.declarations.host
    if needs_outbox(host) and (waiting := await host.letters.browse(OUTBOX, RELAY)):
        found["outbox"] = len(waiting)
    return found
