"""The queue that carries the ticks of one schedule."""

from collections.abc import Sequence

from isthmus.handling.consuming.dead_letters import DeadLetters
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.host import Host
from isthmus.handling.outbox import Sender
from isthmus.handling.schedules.schedule import Tick
from isthmus.message import Message
from isthmus.schema import schema_of

__all__ = ["TICK", "Ticks"]

TICK = schema_of(Tick)

MONTH, MANY = 30 * 86400.0, 10_000
"""For how long, and how many, dead ticks are kept."""


class Ticks:
    """Ordered, where the engine can: a run that takes longer than the interval delays the
    next one, in whichever process."""

    def __init__(self, host: Host, name: str) -> None:
        self._host, self._name, self._of = host, name, self.subscription(name)
        self._sender = Sender(host, self._of.topic)

    @staticmethod
    def subscription(name: str) -> Subscription:
        topic = f"isthmus.schedule.{name}"
        return Subscription(topic=topic, name=topic, ordered=True)

    async def open(self) -> None:
        """Declare the queue and its dead letters."""
        queue, of = self._host.queue, self._of
        await queue.declare(of.topic, of.name, ordered=queue.capabilities.ordered)
        await DeadLetters(self._host, of).open(retention=MONTH, max_length=MANY)

    async def send(self, ticks: Sequence[Tick]) -> None:
        """Send them; inside a unit of work, when it commits. The same tick twice is one."""
        now = self._host.clock.now()
        await self._sender.send([self._message(tick, now) for tick in ticks])

    def _message(self, tick: Tick, now: float) -> Message:
        return Message(
            body=TICK.encode(tick),
            id=f"{self._name}@{tick.due_at}",
            type=TICK.name,
            source=self._host.name,
            time=now,
            key=self._name,
        )
