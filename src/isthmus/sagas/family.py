"""All versions of one saga in an open App, and the way to its queue."""

from collections.abc import Mapping
from functools import cached_property
from weakref import WeakKeyDictionary

from isthmus.contracts import Put, QueueEngine, StoreEngine, Transaction
from isthmus.errors import ConfigError, UnsupportedError
from isthmus.handling.host import Host
from isthmus.message import Message
from isthmus.sagas.commands import Advance, Command, message
from isthmus.sagas.history import History, load
from isthmus.sagas.options import SagaOptions
from isthmus.sagas.recipe import Recipe
from isthmus.sagas.waiters import Waiters

__all__ = ["Families", "Family", "key_of", "require_id", "split"]

FRESH = 1000
"""Histories of sagas that were just started here, and remembered."""
RUN, TIMERS = "run", "timers"
"""Subscriptions: what sagas are told, one thing after the other; and what is due later."""


class Families:
    """The sagas of an open App, by name. One for a Host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._families: dict[str, Family] = {}

    def of(self, name: str) -> "Family":
        """Return the versions of a saga; of none, for what belongs to another service."""
        if name not in self._families:
            self._families[name] = Family(self._host, name)
        return self._families[name]

    @property
    def names(self) -> list[str]:
        return [name for name, family in self._families.items() if family.versions]


class Family:
    """One saga: its versions, its queue, its timers."""

    def __init__(self, host: Host, name: str) -> None:
        self.host, self.name = host, name
        self.versions: dict[int, Recipe] = {}
        self.newest_options = SagaOptions()
        """What holds for all versions together: that of the newest."""
        self.topic, self.timers = f"isthmus.saga.{name}", f"isthmus.saga-timers.{name}"
        self.waiters = host.kept(Waiters)
        self.driven: set[str] = set()
        """The sagas that this process has in hand."""
        self._fresh: dict[str, History] = {}
        """By the id of the message that tells the saga to begin."""
        self._begun: dict[str, str] = {}
        """Those ids, by the saga's key."""
        self.starting: WeakKeyDictionary[Transaction, set[str]] = WeakKeyDictionary()
        """What is started by transactions that have not ended: the store doesn't show it yet."""

    @property
    def newest(self) -> Recipe:
        return self.versions[max(self.versions)]

    @cached_property
    def store(self) -> StoreEngine:
        return self.host.store

    @cached_property
    def queue(self) -> QueueEngine:
        return self.host.letters

    def keep(self, history: History, told: str) -> None:
        """Remember a history that is just being written here, by the id of the message that is
        sent by the same commit: who has that message knows that this is the history, and need
        not read it. If somebody wrote more of it meanwhile, its version tells."""
        if len(self._fresh) >= FRESH:
            self.forget(next(iter(self._fresh)))
        self._fresh[told], self._begun[history.key] = history, told

    def forget(self, told: str) -> History | None:
        """Return what was remembered by that id, if anything was."""
        history = self._fresh.pop(told, None)
        if history is not None and self._begun.get(history.key) == told:
            del self._begun[history.key]
        return history

    def is_at_hand(self, key: str) -> bool:
        """Whether a saga is being driven here, or will be in a moment, perhaps: when it rests, who
        waits here is told."""
        return key in self._begun or key in self.driven

    async def history(self, told: Message, *, again: bool) -> History:
        """Return the history of the saga that is told something; as the store has it, if it is
        read `again`."""
        fresh = self.forget(told.id)
        return fresh if fresh is not None and not again else await load(self.store, told.key)

    async def add(self, recipe: Recipe) -> None:
        """Have one more version of it run here."""
        if not self.versions:
            await self._open()
        self.versions[recipe.version] = recipe
        self.newest_options = self.newest.options

    async def _open(self) -> None:
        """Declare its queue.

        Raises:
            UnsupportedError: The store has no queues that can carry it.
        """
        able = self.queue.capabilities
        if able.scope != self.store.capabilities.scope or not able.scope or not able.ordered:
            raise UnsupportedError(
                f"saga {self.name!r} needs a store with queues of its own that keep an order by "
                "key, so that a step and its record are one commit: sqlite:// or postgresql://"
            )
        await self.queue.declare(self.topic, RUN, ordered=True)
        await self.queue.declare(self.timers, TIMERS)

    async def tell(self, id: str, command: Command, *, tx: Transaction | None) -> str:
        """Tell a saga something, and return the message's id; it heeds it after all that it was
        told before."""
        told = message(key_of(self.name, id), command, at=self.host.clock.now())
        await self.queue.send(self.topic, [told], tx=tx)
        return told.id

    async def tell_later(self, key: str, at: float, *, tx: Transaction) -> None:
        """Have a saga go on at a moment."""
        now = self.host.clock.now()
        told = message(key, Advance(), at=now)
        await self.queue.send(self.timers, [told], delay=max(0.0, at - now), tx=tx)

    async def alarm(self, key: str, at: float, *, tx: Transaction) -> None:
        """Have a saga go on at its timeout; `disarm` takes it back."""
        now = self.host.clock.now()
        told = Message(body=message(key, Advance(), at=now).body, id=_alarm(key), key=key, time=now)
        await self.queue.send(self.timers, [told], delay=max(0.0, at - now), tx=tx)

    async def disarm(self, key: str, *, tx: Transaction) -> None:
        await self.queue.remove(self.timers, TIMERS, [_alarm(key)], tx=tx)

    async def put(self, puts: Mapping[str, list[Put]], *, tx: Transaction) -> None:
        """Stage changes of the store, by space."""
        for space, changes in puts.items():
            await self.store.put(space, changes, tx=tx)


def key_of(name: str, id: str) -> str:
    """Return what a saga is called by the store: "fulfil/A-1"."""
    return f"{name}/{id}"


def split(key: str) -> tuple[str, str]:
    """Return name and id."""
    name, _, own = key.partition("/")
    return name, own


def require_id(id: object) -> str:
    """Return `id`, or raise ConfigError saying how ids are written."""
    if not isinstance(id, str) or not 1 <= len(id) <= 200 or not id.isprintable():
        raise ConfigError(f"id={id!r}: expected 1 to 200 printable characters, as an order's id")
    return id


def _alarm(key: str) -> str:
    return f"timeout:{key}"
