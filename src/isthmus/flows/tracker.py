"""What one event, or one that is missing, does to a flow: all in one transaction.

event ──► take ──► see  ──────────────► go on ──► save, timers
timer ──► take ──► miss ──► compensate ─► go on ──► save, timers
"""

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.contracts import Transaction
from isthmus.flows.compensation import Compensation
from isthmus.flows.course import Course
from isthmus.flows.facts import FlowAdvanced, FlowEnded, FlowEventLate, FlowTimedOut
from isthmus.flows.followed import Followed
from isthmus.flows.instance import Instance
from isthmus.flows.ledger import Held, Ledger
from isthmus.flows.plan import Expected, Plan
from isthmus.flows.status import Seen
from isthmus.flows.timers import Due, Timers
from isthmus.handling.host import Host
from isthmus.message import CAUSATION, CORRELATION, Message
from isthmus.signals import Signal

__all__ = ["Tracker"]


class Tracker:
    """One declared flow in an open App."""

    def __init__(
        self, host: Host, plan: Plan, events: Mapping[str, Followed], *, retention: float
    ) -> None:
        self.host, self.plan, self._retention = host, plan, retention
        self._events = events
        self.ledger, self.timers = Ledger(host.store, plan.name), Timers(host, plan.name)

    async def saw(
        self, event: Followed, message: Message, key: str, *, tx: Transaction
    ) -> Sequence[Signal]:
        """Go on with an event; return what is to be told once `tx` is committed. One that was
        seen before does nothing."""
        held = await self.ledger.take(key, tx=tx)
        instance = held.instance
        if instance.has_seen(message.id):
            return ()
        now = self.host.clock.now()
        seen = instance.see(self._seen(event.name, message, now), self.plan, now=now)
        if not instance.correlation or event.name in self.plan.begins:
            instance.correlation = message.correlation_id
        if self.plan.has_compensations and not instance.has_ended:
            await self._keep(instance, event.name, message, tx)
        await self._save(held, tx)
        return self._told(held, seen)

    async def missed(self, due: Due, *, tx: Transaction) -> Sequence[Signal]:
        """Find that something did not come in time, and publish what compensates.

        Raises:
            Exception: What a function raises that makes a compensation event.
        """
        held = await self.ledger.take(due.key, tx=tx)
        instance = held.instance
        if instance.waiting.get(due.name) != due.at:
            return ()
        before = instance.told(self.plan.name)
        expected = instance.miss(due.name, self.plan, at=due.at)
        if expected is None:
            return await self._went_on(held, tx)
        course = Course(due.key, due.name, before, await self._messages(instance))
        made = [await self._compensate(instance, course, expected, by) for by in expected.otherwise]
        timed_out = FlowTimedOut(
            flow=self.plan.name,
            key=due.key,
            missing=due.name,
            compensations=tuple(seen.event for seen in made if seen),
        )
        return (timed_out, *await self._went_on(held, tx))

    async def _went_on(self, held: Held, tx: Transaction) -> Sequence[Signal]:
        held.instance.go_on(self.plan, now=self.host.clock.now())
        await self._save(held, tx)
        return self._ended(held)

    # --- compensation events ----------------------------------------------------------------

    async def _compensate(
        self,
        instance: Instance,
        course: Course,
        expected: Expected,
        by: Compensation[Any],
    ) -> Seen | None:
        """Publish the event that one function makes, unless it makes none."""
        value = by(course)
        if value is None:
            return None
        now, cause = self.host.clock.now(), self._cause(instance, expected)
        headers = {CORRELATION: instance.correlation, CAUSATION: cause}
        id_ = await by.topic.publish(value, key=instance.key, headers=headers)
        seen = Seen(
            event=by.event,
            id=id_,
            type=by.topic.schema.member(value).name,
            at=now,
            seen_at=now,
            source=self.host.source,
            causation=cause,
            follows=expected.after or tuple(self.plan.begins),
            compensates=True,
        )
        instance.compensate(seen, now=now)
        return seen

    async def _messages(self, instance: Instance) -> Mapping[str, Message]:
        """Return what the events carried that were seen, so that it can be read."""
        events = sorted({each.event for each in instance.seen} & set(self._events))
        found = await self.ledger.messages(instance.key, events)
        for event, message in found.items():
            await self._events[event].topic.wire.fetch([message])
        return found

    @staticmethod
    def _cause(instance: Instance, expected: Expected) -> str:
        """Return the id of the event that the missing one had to follow."""
        for each in instance.seen:
            if each.event in expected.after:
                return each.id
        return instance.seen[0].id if instance.seen else ""

    # --- what is written, and told ----------------------------------------------------------

    def _seen(self, event: str, message: Message, now: float) -> Seen:
        return Seen(
            event=event,
            id=message.id,
            type=message.type,
            at=message.time or now,
            seen_at=now,
            source=message.source,
            causation=message.causation_id,
            follows=self.plan.follows(event),
        )

    async def _keep(
        self, instance: Instance, event: str, message: Message, tx: Transaction
    ) -> None:
        if sum(each.event == event for each in instance.seen) == 1:
            ttl = self._retention + self.plan.longest
            await self.ledger.keep(instance.key, event, message, ttl=ttl, tx=tx)

    async def _save(self, held: Held, tx: Transaction) -> None:
        instance = held.instance
        await self.timers.change(instance.key, held.waiting, instance.waiting, tx=tx)
        await self.ledger.save(held, ttl=self._left(instance), tx=tx)
        if instance.has_ended and self.plan.has_compensations:
            events = sorted({each.event for each in instance.seen})
            await self.ledger.drop(instance.key, events, tx=tx)

    def _left(self, instance: Instance) -> float | None:
        """Return the seconds for which it is still kept; None as long as it goes on."""
        if instance.status == "early":
            return self._retention
        if not instance.has_ended:
            return None
        return max(1.0, instance.ended_at + self._retention - self.host.clock.now())

    def _told(self, held: Held, seen: Seen) -> Sequence[Signal]:
        kind = FlowEventLate if seen.late else FlowAdvanced
        instance = held.instance
        told = kind(
            flow=self.plan.name,
            key=instance.key,
            event=seen.event,
            message=seen.id,
            status=instance.status,
        )
        return (told, *self._ended(held))

    def _ended(self, held: Held) -> Sequence[Signal]:
        instance = held.instance
        if not instance.has_ended or held.status == instance.status:
            return ()
        ended = FlowEnded(
            flow=self.plan.name,
            key=instance.key,
            status=instance.status,
            took=instance.ended_at - instance.begun_at,
            reason=instance.reason,
        )
        return (ended,)
