"""Double entry: what was sent on one side, what was handled and given up on the other."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from isthmus.contracts import Ack, Receiver
from isthmus.handling.consuming.sift import is_wanted
from isthmus.handling.consuming.subscription import DEAD
from isthmus.handling.host import Host
from isthmus.handling.model import Model
from isthmus.message import Message
from isthmus.messaging import DeclaredHandler
from isthmus.streams import DeclaredGroup
from isthmus.streams.lag import lag_of
from isthmus.testing.simulation.audit import Audit, knows_ids, unit_of
from isthmus.testing.simulation.world import World

__all__ = ["Balance", "Books"]

WITNESS = "isthmus.witness"
"""The subscription of every topic that sees all that is sent."""
PAGE = 1000
FOR_EVER = 1e9


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What the books say in the end."""

    lost: Sequence[str]
    twice: Sequence[str]
    handled: Mapping[str, int]
    dead: Mapping[str, Sequence[str]]


class Books:
    """Kept by a process that nothing befalls."""

    def __init__(self, world: World, audit: Audit, host: Host, model: Model) -> None:
        self._world, self._audit, self._host = world, audit, host
        self._handlers, self._groups = model.of(DeclaredHandler), model.of(DeclaredGroup)
        self._witnesses: dict[str, Receiver] = {}

    async def open(self) -> None:
        """Have everything witnessed that is sent from now on."""
        for topic in sorted({each.topic for each in self._handlers}):
            await self._host.queue.declare(topic, WITNESS)
            self._witnesses[topic] = await self._host.queue.receiver(
                topic, WITNESS, limit=1_000_000, lease=FOR_EVER
            )

    async def left(self) -> Mapping[str, int]:
        """Return what waits or is held, by subscription and group; nothing where none is."""
        left: dict[str, int] = {}
        for queue in (self._host.queue, self._host.letters):
            for topic, name in sorted(await queue.subscriptions()):
                if name not in {DEAD, WITNESS}:
                    stats = await queue.stats(topic, name)
                    left[f"{topic}/{name}"] = stats.ready + stats.leased + stats.delayed
        for group in self._groups:
            lags = await lag_of(self._host.log, group.stream, group.name.partition("/")[2])
            left[group.name] = sum(each.behind for each in lags.values())
        return {name: count for name, count in left.items() if count}

    async def balance(self) -> Balance:
        """Compare what was sent with what became of it."""
        sent = {handler.name: await self._sent(handler) for handler in self._handlers}
        sent |= {group.name: await self._appended(group) for group in self._groups}
        done = await self._audit.done(self._host.store)
        dead = {address: await self._dead(address) for address in sent}
        return Balance(
            lost=[
                f"{address} {each}"
                for address, units in sent.items()
                for each in units
                if not self._is_found(address, each, done, dead)
            ],
            twice=[
                f"{address} {each}"
                for address, counted in done.items()
                for each, times in counted.items()
                if times > 1
            ],
            handled={address: len(counted) for address, counted in done.items()},
            dead={address: letters for address, letters in dead.items() if letters},
        )

    def _is_found(
        self,
        address: str,
        unit: str,
        done: Mapping[str, Counter[str]],
        dead: Mapping[str, Collection[str]],
    ) -> bool:
        message = unit.rpartition(" ")[2]
        return (
            unit in done.get(address, ())
            or (address, unit) in self._audit.ran
            or message in dead[address]
        )

    async def _sent(self, handler: DeclaredHandler) -> Sequence[str]:
        messages = await self._witnessed(handler.topic)
        return [each.id for each in messages if is_wanted(each, handler.options.where)]

    async def _witnessed(self, topic: str) -> Sequence[Message]:
        """Return what was sent to a topic; a message that was sent twice is one."""
        seen: dict[str, Message] = {}
        while batch := await self._witnesses[topic].receive(PAGE, wait=0.0):
            await self._witnesses[topic].settle([Ack(each.receipt) for each in batch])
            seen.update({each.message.id: each.message for each in batch})
        return list(seen.values())

    async def _appended(self, group: DeclaredGroup) -> Sequence[str]:
        """Return what stands in a stream."""
        log, by_id = self._host.log, knows_ids(group)
        units: dict[str, None] = {}
        for partition, offset in sorted((await log.offsets(group.stream, at="first")).items()):
            after = offset
            while page := await log.read(group.stream, partition, offset=after, limit=PAGE):
                units |= dict.fromkeys(unit_of(record, by_id=by_id) for record in page)
                after = page[-1].offset + 1
        return list(units)

    async def _dead(self, address: str) -> Sequence[str]:
        letters, after = list[str](), ""
        while page := await self._host.letters.browse(
            f"{address}.dead", DEAD, after=after, limit=PAGE
        ):
            letters += [each.message.id for each in page]
            after = page[-1].place
        return letters
