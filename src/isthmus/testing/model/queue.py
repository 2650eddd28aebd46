"""Random calls on two queues."""

from collections.abc import Sequence
from typing import Any
from unittest import TestCase

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from msgspec.structs import replace

from isthmus.contracts import Ack, Delivery, Engine, Nack, Outcome, QueueEngine, Receiver
from isthmus.message import Message
from isthmus.testing.model.machine import Machine, test_case, transactions
from isthmus.testing.model.twins import OpenEmpty, Side

__all__ = ["queue_model"]

SUBSCRIPTIONS = (("orders", "billing"), ("orders", "line"), ("returns", "billing"))
LIMITS: dict[str, Any] = {"retention": 60.0, "max_length": 12}
LEASES = (10.0, 20.0)

messages = st.lists(
    st.builds(
        Message,
        body=st.sampled_from([b"", b"a", b"b"]),
        key=st.sampled_from(["", "k", "l"]),
        priority=st.sampled_from([0, 0, 1, -1]),
        headers=st.sampled_from([{}, {"x": "1"}]),
    ),
    max_size=4,
)
spots = st.sampled_from(SUBSCRIPTIONS)
delays = st.sampled_from([0.0, 0.0, 5.0, 10.0])
nacks = st.builds(
    Nack,
    receipt=st.just(""),
    delay=delays,
    headers=st.sampled_from([{}, {"x": "2"}, {"y": "2"}]),
    counted=st.booleans(),
)
outcomes = st.one_of(st.just(Ack("")), nacks)
maybe_tx = st.one_of(st.none(), st.none(), transactions)


class QueueSide(Side):
    """A queue whose deliveries are known by number, in the order they came."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.receivers: dict[tuple[str, str, float], Receiver] = {}
        self.deliveries: list[tuple[Receiver, str]] = []

    @property
    def queue(self) -> QueueEngine:
        assert self.engine.queue is not None
        return self.engine.queue

    def number_of(self, lost: object) -> int:
        return [receipt for _, receipt in self.deliveries].index(str(lost))

    async def open(self) -> None:
        for topic, subscription in SUBSCRIPTIONS:
            ordered = subscription == "line" and self.queue.capabilities.ordered
            limits = LIMITS if topic == "returns" else {}
            await self.queue.declare(topic, subscription, ordered=ordered, **limits)
            for lease in LEASES:
                self.receivers[topic, subscription, lease] = await self.queue.receiver(
                    topic, subscription, limit=4, lease=lease
                )

    async def take(self, at: tuple[str, str, float], limit: int) -> list[Any]:
        """Take until `limit`, or until there is no more."""
        receiver, taken = self.receivers[at], list[Delivery]()
        while len(taken) < limit and (more := await receiver.receive(limit - len(taken), wait=0)):
            taken += more
        self.deliveries += [(receiver, delivery.receipt) for delivery in taken]
        return [(each.message, each.attempt, each.lapses) for each in taken]

    async def settle(self, numbers: Sequence[int], ends: Sequence[Outcome], tx: int | None) -> None:
        receiver = self.deliveries[numbers[0]][0]
        settled = [
            replace(end, receipt=self.deliveries[number][1])
            for number, end in zip(numbers, ends, strict=False)
        ]
        await receiver.settle(settled, tx=self.tx(tx))

    async def extend(self, numbers: Sequence[int]) -> None:
        receiver = self.deliveries[numbers[0]][0]
        await receiver.extend([self.deliveries[number][1] for number in numbers])

    async def look(self, topic: str, subscription: str, now: float) -> Any:
        stats = await self.queue.stats(topic, subscription)
        seen = await self.queue.browse(topic, subscription, limit=1000)
        lying = [
            (each.message.id, each.message, each.sent_at, each.attempt, each.leased)
            + ((each.ready_at,) if each.ready_at > max(now, each.sent_at) else ())
            for each in seen
        ]
        return (stats.ready, stats.leased, stats.delayed), sorted(lying, key=str)


class QueueMachine(Machine):
    side = QueueSide

    def __init__(self) -> None:
        super().__init__()
        self._receiver_of: list[tuple[str, str, float]] = []
        self._ids: list[str] = []

    @initialize()
    def open(self) -> None:
        self.ask(lambda side: side.open())

    @rule(topic=st.sampled_from(["orders", "returns"]), sent=messages, delay=delays, tx=maybe_tx)
    def send(self, topic: str, sent: list[Message], delay: float, tx: int | None) -> None:
        self._ids += [message.id for message in sent]
        self.ask(lambda side: side.queue.send(topic, sent, delay=delay, tx=side.tx(tx)))

    @rule(spot=spots, lease=st.sampled_from(LEASES), limit=st.integers(1, 5))
    def receive(self, spot: tuple[str, str], lease: float, limit: int) -> None:
        taken = self.ask(lambda side: side.take((*spot, lease), limit))
        self._receiver_of += [(*spot, lease)] * len(taken)

    def _some(self, data: st.DataObject) -> list[int]:
        """Some deliveries of one receiver, settled ones too."""
        at = data.draw(st.sampled_from(sorted(set(self._receiver_of))))
        its = [number for number, each in enumerate(self._receiver_of) if each == at][-6:]
        return data.draw(st.lists(st.sampled_from(its), min_size=1, max_size=4))

    @rule(data=st.data(), ends=st.lists(outcomes, min_size=4, max_size=4), tx=maybe_tx)
    def settle(self, data: st.DataObject, ends: list[Outcome], tx: int | None) -> None:
        if self._receiver_of:
            numbers = self._some(data)
            self.ask(lambda side: side.settle(numbers, ends, tx))

    def any_call(self, data: st.DataObject, tx: int | None) -> None:
        match data.draw(st.sampled_from(["send", "settle", "settle", "remove"])):
            case "send":
                self.send("orders", data.draw(messages), data.draw(delays), tx)
            case "settle":
                ends = data.draw(st.lists(outcomes, min_size=4, max_size=4))
                self.settle(data, ends, tx)
            case _:
                self.remove(data, data.draw(spots), tx)

    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        if self._receiver_of:
            numbers = self._some(data)
            self.ask(lambda side: side.extend(numbers))

    @rule(data=st.data(), spot=spots, tx=maybe_tx)
    def remove(self, data: st.DataObject, spot: tuple[str, str], tx: int | None) -> None:
        if self._ids:
            ids = data.draw(st.lists(st.sampled_from(self._ids[-8:]), max_size=3, unique=True))
            self.ask(lambda side: side.queue.remove(*spot, ids, tx=side.tx(tx)))

    @rule(spot=spots)
    def purge(self, spot: tuple[str, str]) -> None:
        self.ask(lambda side: side.queue.purge(*spot))

    @rule()
    def maintain(self) -> None:
        self.ask(lambda side: side.queue.maintain())

    @rule(seconds=st.sampled_from([3.0, 30.0]))
    def clock_steps_back(self, seconds: float) -> None:
        self.twins.clock.set_back(seconds)

    @invariant()
    def lie_the_same(self) -> None:
        now = self.twins.clock.now()

        async def looked(side: QueueSide) -> Any:
            return [await side.look(*spot, now) for spot in SUBSCRIPTIONS]

        self.ask(looked)


def queue_model(open_empty: OpenEmpty, *, runs: int = 60, steps: int = 30) -> type[TestCase]:
    """A test case that makes the same random calls on an engine's queue and on memory's.

    Args:
        open_empty: Opens the engine, on an empty database, on the clock it is given.
        runs: Sequences of calls that are tried.
        steps: Calls in each, at most.
    """
    return test_case(QueueMachine, open_empty, runs=runs, steps=steps)
