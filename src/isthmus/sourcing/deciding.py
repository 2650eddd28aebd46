"""A command is decided: the state is loaded, events are made of both, and appended if the
state was the newest; if not, it is loaded and decided again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from isthmus.contracts import LogEngine, StoreEngine, Transaction
from isthmus.errors import ConflictError
from isthmus.handling.unit import PATIENCE, Unit
from isthmus.message import Message
from isthmus.sourcing.decider import Decider
from isthmus.sourcing.done import Done, Outcome, refuse_reuse
from isthmus.sourcing.events import Events
from isthmus.sourcing.handled import Handled
from isthmus.sourcing.living import Live
from isthmus.sourcing.seals import Seals
from isthmus.sourcing.snapshots import Snapshots
from isthmus.sourcing.states import States
from isthmus.sourcing.turns import Turns

__all__ = ["Asked", "Deciding"]


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One command, and what its events are to say."""

    key: str
    command: Any
    body: bytes
    """The command, as bytes that no other has."""
    id: str | None
    headers: Mapping[str, str]


class _Decided(msgspec.Struct, frozen=True, gc=False):
    """What a command comes to, if `before` is still the newest state."""

    before: Live
    after: Live
    events: Sequence[Any]
    messages: Sequence[Message]


class _Staged(NamedTuple):
    """What a transaction has in hand that is not committed."""

    states: dict[str, Live]
    handled: dict[tuple[str, str], tuple[bytes, Handled[Any]]]


class Deciding:
    """Handles the commands of one aggregate type."""

    def __init__(
        self,
        log: LogEngine,
        store: StoreEngine,
        name: str,
        *,
        decider: Decider[Any],
        events: Events,
        states: States,
        snapshots: Snapshots,
        seals: Seals,
        done: Done[Outcome],
    ) -> None:
        self._log, self._store, self._name = log, store, name
        self._decider, self._events, self._states = decider, events, states
        self._snapshots, self._seals, self._done = snapshots, seals, done
        self._turns = Turns()
        self._staged: WeakKeyDictionary[Transaction, _Staged] = WeakKeyDictionary()

    # --- in a transaction of its own ----------------------------------------------------------

    async def alone(self, asked: Asked) -> Handled[Any]:
        """Decide and append.

        Raises:
            ConflictError: 50 times another was first; nothing was appended.
        """
        if not self._turns.take(asked.key):
            await self._turns.wait(asked.key)
        try:
            return await self._in_turn(asked)
        finally:
            self._turns.give(asked.key)

    async def _in_turn(self, asked: Asked) -> Handled[Any]:
        if self._seals.needed:
            await self._states.attend()
        known = self._states.known(asked.key)
        if known is not None and (handled := await self._at_once(asked, known)) is not None:
            return handled
        for attempt in range(1, PATIENCE):
            try:
                return await self._freshly(asked, attempt)
            except ConflictError as error:
                if self._done.refused(error) and (first := await self._first(asked)):
                    return first
        return await self._freshly(asked, PATIENCE)

    async def _at_once(self, asked: Asked, known: Live) -> Handled[Any] | None:
        """Decide on a state that may be old: only if it is the newest will events be appended,
        and what comes to none, or to a refusal, is decided again."""
        try:
            decided = self._decided(asked, known)
        except Exception:  # noqa: BLE001 - raised again, if the newest state refuses it too
            return None
        if not decided.events:
            return None
        try:
            return await self._append(asked, decided, attempt=1)
        except ConflictError as error:
            return await self._first(asked) if self._done.refused(error) else None

    async def _freshly(self, asked: Asked, attempt: int) -> Handled[Any]:
        live = await self._states.load(asked.key)
        try:
            decided = self._decided(asked, live)
        except Exception:
            if first := await self._first(asked):
                return first
            raise
        return await self._append(asked, decided, attempt=attempt)

    async def _append(self, asked: Asked, decided: _Decided, *, attempt: int) -> Handled[Any]:
        if asked.id is not None or self._is_more(decided):
            async with self._store.begin(attempt=attempt) as tx:
                await self._stage(asked, decided, tx=tx)
        elif decided.messages:
            expected = {asked.key: decided.before.version}
            await self._log.append(self._name, decided.messages, expected=expected)
        self._states.keep(asked.key, decided.after)
        return _handled(asked, decided)

    async def _first(self, asked: Asked) -> Handled[Any] | None:
        """Return what came of the command when its id was handled before."""
        if asked.id is None:
            return None
        found = await self._done.find(
            _place(asked.key) + asked.id, asked.body, of=_place(asked.key)
        )
        if found is None:
            return None
        after = found.version - found.events
        page = await self._log.history(self._name, asked.key, after=after, limit=found.events)
        page = await self._events.opened(page) if found.events else ()
        events = [self._events.value(record) for record in page]
        return Handled(key=asked.key, version=found.version, events=events, repeated=True)

    # --- in the caller's transaction ----------------------------------------------------------

    async def within(self, unit: Unit, asked: Asked) -> Handled[Any]:
        """Decide, and append when the unit commits; if another was first, its commit fails."""
        tx = unit.begin()
        staged = self._staged.setdefault(tx, _Staged({}, {}))
        if first := await self._first_within(staged, asked):
            return first
        live = staged.states.get(asked.key) or await self._states.load(asked.key)
        decided = self._decided(asked, live)
        await self._stage(asked, decided, tx=tx)
        staged.states[asked.key] = decided.after
        handled = _handled(asked, decided)
        if asked.id is not None:
            staged.handled[asked.key, asked.id] = asked.body, handled
        return handled

    def staged(self, unit: Unit, key: str) -> Live | None:
        """Return the state that an aggregate will have when the unit commits."""
        found = None if unit.tx is None else self._staged.get(unit.tx)
        return found and found.states.get(key)

    async def _first_within(self, staged: _Staged, asked: Asked) -> Handled[Any] | None:
        if asked.id is None:
            return None
        if (known := staged.handled.get((asked.key, asked.id))) is not None:
            body, handled = known
            return _again(handled) if body == asked.body else refuse_reuse(asked.id)
        return await self._first(asked)

    # --- both ---------------------------------------------------------------------------------

    def _decided(self, asked: Asked, live: Live) -> _Decided:
        events = self._decider.decide(live.state, asked.command)
        if not events:
            return _Decided(live, live, (), ())
        messages, read = self._events.written(asked.key, events, asked.headers)
        after = self._decider.evolved(live.state, read)
        return _Decided(live, Live(after, live.version + len(read)), read, messages)

    def _is_more(self, decided: _Decided) -> bool:
        """Whether other entries are to be written with the events."""
        return self._snapshots.due(decided.before, decided.after) or self._seals.touches(
            decided.messages
        )

    async def _stage(self, asked: Asked, decided: _Decided, *, tx: Transaction) -> None:
        expected = {asked.key: decided.before.version}
        messages = await self._seals.seal(asked.key, decided.messages, decided.events, tx=tx)
        await self._log.append(self._name, messages, expected=expected, tx=tx)
        if asked.id is not None:
            outcome = Outcome(decided.after.version, len(decided.events))
            await self._done.note(_place(asked.key) + asked.id, asked.body, outcome, tx=tx)
        if self._snapshots.due(decided.before, decided.after):
            await self._snapshots.put(asked.key, decided.after, tx=tx)


def _handled(asked: Asked, decided: _Decided) -> Handled[Any]:
    return Handled(key=asked.key, version=decided.after.version, events=decided.events)


def _again(handled: Handled[Any]) -> Handled[Any]:
    return Handled(key=handled.key, version=handled.version, events=handled.events, repeated=True)


def _place(key: str) -> str:
    """Return how the ids of one aggregate's commands begin; of no other's, whatever is in it."""
    return f"{len(key)}:{key}/"
