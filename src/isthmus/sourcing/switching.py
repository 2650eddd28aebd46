"""How one generation takes the place of another.

    live 1 ─────────────────────────────────────► stops ─► retired ─► dropped
    building 2   ─ reads all events anew ─► as far as 1 ─► overtakes ─► live

Every move is one transaction with the entry that says where the projection stands, so that any
process makes the next one, whoever died at the last. What is read is never behind what was
read before: the live generation stops, and the other passes it, before readers are switched.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import msgspec

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError, NotFoundError, StatementError
from isthmus.handling.consuming.subscription import DEAD
from isthmus.handling.host import Host
from isthmus.sourcing.facts import GenerationBegun, GenerationSwitched
from isthmus.sourcing.generation import Generation, Retired, Standing, group_of
from isthmus.sourcing.read_model import ReadModel
from isthmus.sourcing.standings import Change, Standings
from isthmus.streams.place import Place

__all__ = ["Switching", "ask", "parked_of"]

_log = logging.getLogger("isthmus.projections")

PATIENCE = 30.0
"""Seconds after which the live generation goes on, if it was not overtaken."""
PAGE, TRIES = 1000, 3
GRACE = 60.0
"""Seconds for which what was read before the switch is kept for who still reads it."""


class Switching:
    """The moves of one projection, as one version of the code makes them."""

    def __init__(
        self,
        host: Host,
        name: str,
        *,
        log: str,
        version: int,
        models: Sequence[ReadModel],
        notice: float,
    ) -> None:
        """`notice`: seconds until every process has surely seen a move."""
        self._host, self._name, self._log, self._version = host, name, log, version
        self._models, self._notice = models, notice
        self._definition = "; ".join(model.definition for model in models)
        self.standings = Standings(host.store)

    async def find(self) -> Standing | None:
        return await self.standings.find(self._name)

    async def begin(self) -> None:
        """Make what this version writes into, if it is new: at first, or beside an older one.

        Raises:
            ConfigError: Of this version there is another definition.
        """
        await self._make(self._begun)

    async def ask(self) -> None:
        """Have it built anew by whoever runs it."""
        await ask(self.standings, self._name)

    async def start_anew(self) -> None:
        """Begin what was asked for."""
        found = await self._make(self._anew)
        if found is not None and found.building is not None:
            number = found.building.number
            _log.info("projection %s: generation %d is being built", self._name, number)
            self._host.signals.emit(GenerationBegun(projection=self._name, generation=number))

    async def advance(self, standing: Standing) -> None:
        """Make the next move of a building, if it is time for it."""
        building, old = standing.building, standing.live
        if building is None or not await self._passed(building.number, old.number):
            return await self._give_up(standing)
        if not standing.switching_at:
            await self._change(standing, switching_at=self._host.clock.now())
        elif self._host.clock.now() - standing.switching_at >= self._notice:
            found = await self.standings.change(self._name, partial(self._switched, building))
            if found is not None and found.live == building:
                self._tell_switched(building.number)

    def _tell_switched(self, number: int) -> None:
        _log.info("projection %s: generation %d is live", self._name, number)
        self._host.signals.emit(GenerationSwitched(projection=self._name, generation=number))

    async def clear(self, standing: Standing) -> None:
        """Drop what nobody reads any more."""
        now = self._host.clock.now()
        for retired in standing.retired:
            if now - retired.at >= GRACE:
                for model in self._models:
                    await model.clear(retired.number, host=self._host)
                of = self.group(retired.number)
                await self._host.letters.undeclare(of.topic, of.name)
                await self._host.letters.undeclare(of.dead, DEAD)
                await self.standings.change(self._name, partial(_without, retired.number))

    async def _make(self, change: Change) -> Standing | None:
        """Make tables; who was second, and so was refused, looks again what is there."""
        for _ in range(TRIES - 1):
            with suppress(StatementError):
                return await self.standings.change(self._name, change)
        return await self.standings.change(self._name, change)

    # --- each move --------------------------------------------------------------------------

    async def _begun(self, standing: Standing | None, tx: Transaction) -> Standing | None:
        if standing is None:
            live = self._generation(1)
            await self._create(live, tx=tx)
            for model in self._models:
                await model.switch(1, tx=tx)
            return Standing(log=self._log, live=live)
        newest = standing.building or standing.live
        if self._version > newest.version:
            return await self._building(standing, tx)
        for known in (standing.live, standing.building):
            if known is not None and known.version == self._version:
                self._require_same(known)
        return None

    async def _anew(self, standing: Standing | None, tx: Transaction) -> Standing | None:
        if standing is None or not standing.asked:
            return None
        return await self._building(standing, tx)

    async def _building(self, standing: Standing, tx: Transaction) -> Standing:
        building = self._generation(standing.latest + 1)
        await self._create(building, tx=tx)
        retired = list(standing.retired)
        if standing.building is not None:
            retired.append(Retired(standing.building.number, self._host.clock.now()))
        return msgspec.structs.replace(
            standing,
            building=building,
            latest=building.number,
            asked=False,
            switching_at=0.0,
            retired=retired,
        )

    async def _switched(
        self, building: Generation, standing: Standing | None, tx: Transaction
    ) -> Standing | None:
        if standing is None or standing.building != building or not standing.switching_at:
            return None
        for model in self._models:
            await model.switch(building.number, tx=tx)
        retired = [*standing.retired, Retired(standing.live.number, self._host.clock.now())]
        return msgspec.structs.replace(
            standing, live=building, building=None, switching_at=0.0, retired=retired
        )

    async def _give_up(self, standing: Standing) -> None:
        """Have the live one go on, if the other does not pass it."""
        since = standing.switching_at
        if since and self._host.clock.now() - since >= PATIENCE:
            await self._change(standing, switching_at=0.0)

    async def _change(self, seen: Standing, *, switching_at: float) -> None:
        async def change(standing: Standing | None, _: Transaction) -> Standing | None:
            if standing is None or standing != seen:
                return None
            return msgspec.structs.replace(standing, switching_at=switching_at)

        await self.standings.change(self._name, change)

    # --- what they look at --------------------------------------------------------------------

    async def _passed(self, building: int, live: int) -> bool:
        """Whether the new one is as far as the old one, and copes as well."""
        new, old = self.group(building), self.group(live)
        log = self._host.log
        ahead, behind = (
            await log.positions(self._log, new.group),
            await log.positions(self._log, old.group),
        )
        if any(ahead.get(partition, 0) < offset for partition, offset in behind.items()):
            return False
        if not behind:  # the old one never read
            ends = await log.offsets(self._log, at="end")
            if any(ahead.get(partition, 0) < offset for partition, offset in ends.items()):
                return False
        return await self._waiting(new) <= await self._waiting(old)

    async def _waiting(self, of: Place) -> set[str]:
        """Return the aggregates of which an event is parked."""
        found, after = set[str](), ""
        while page := await self._host.store.scan(of.marks, after=after, limit=PAGE):
            found.update(key for key, _ in page)
            after = page[-1][0]
        return found

    def group(self, number: int) -> Place:
        return group_of(self._log, self._name, number)

    def _generation(self, number: int) -> Generation:
        return Generation(number, self._version, self._definition, self._host.clock.now())

    async def _create(self, generation: Generation, *, tx: Transaction) -> None:
        for model in self._models:
            await model.create(generation.number, tx=tx)

    def _require_same(self, known: Generation) -> None:
        if known.definition != self._definition:
            raise ConfigError(
                f"projection {self._name!r} was built as [{known.definition}], and is declared "
                f"as [{self._definition}]; say version={known.version + 1}, and it is built anew "
                "beside the one that is read"
            )


async def parked_of(host: Host, of: Place) -> int:
    """Return how many events wait, parked."""
    try:
        stats = await host.letters.stats(of.topic, of.name)
    except NotFoundError:
        return 0  # it was never run
    return stats.ready + stats.delayed + stats.leased


async def ask(standings: Standings, name: str) -> None:
    """Have a projection built anew by whoever runs it; NotFoundError if there is none."""
    await standings.get(name)
    await standings.change(name, partial(_asked, name))


async def _asked(name: str, standing: Standing | None, _: Transaction) -> Standing:
    if standing is None:
        raise NotFoundError(f"projection {name!r} was never opened: run the App once")
    return msgspec.structs.replace(standing, asked=True)


async def _without(number: int, standing: Standing | None, _: Transaction) -> Standing | None:
    if standing is None:
        return None
    left = [each for each in standing.retired if each.number != number]
    return msgspec.structs.replace(standing, retired=left)
