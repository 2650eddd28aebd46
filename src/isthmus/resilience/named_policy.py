"""A policy whose strategies may be others from one call to the next, and keep their state."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self, Unpack
from weakref import WeakSet

from isthmus.resilience.advice import refuse_what_cannot_work
from isthmus.resilience.makers import key_of
from isthmus.resilience.policy import Policy, PolicyWords, for_operation
from isthmus.resilience.strategy import AsyncCall, Site, Strategy, SyncCall

__all__ = ["NamedPolicy"]

Call = Callable[..., Any]


class NamedPolicy(Policy):
    """A policy of a registry: what it guards follows when its options change."""

    def __init__(self, *strategies: Strategy, **words: Unpack[PolicyWords]) -> None:
        super().__init__(*strategies, **words)
        self._as_written = words.get("as_written", False)
        self._first = _numbered(self.strategies)
        self._version = 0
        self._operations: tuple[str, ...] = ()
        self._views: WeakSet[NamedPolicy] = WeakSet([self])

    def refuse(self, strategies: Sequence[Strategy]) -> None:
        """Raises ConfigError if these cannot work here."""
        if not self._as_written:
            refuse_what_cannot_work(strategies)

    def become(self, strategies: Iterable[Strategy]) -> None:
        """Go by other strategies from the next call on. One of a kind that was there keeps its
        state: a breaker stays open, and who holds a permit holds it.

        Raises:
            ConfigError: The order cannot work; nothing has changed.
        """
        wanted = tuple(strategies)
        self.refuse(wanted)
        past = {**self._first, **_numbered(self.strategies)}
        kept = tuple(_kept(past.get(key), one) for key, one in _numbered(wanted).items())
        for view in tuple(self._views):
            view._take(kept)

    def for_(self, *operations: str) -> Self:
        twin = super().for_(*operations)
        twin._operations = operations
        return twin

    def _take(self, strategies: tuple[Strategy, ...]) -> None:
        self._strategies = for_operation(strategies, self._operations)
        self._version += 1
        self._chains.clear()

    def _twin(self) -> Self:
        twin = super()._twin()
        self._views.add(twin)
        return twin

    def _bound(
        self,
        fn: Call,
        is_async: bool,  # noqa: FBT001
        *,
        lasts: bool = True,
        told: bool = False,
    ) -> Call:
        return self._following(
            partial(super()._bound, fn, is_async, lasts=lasts, told=told), is_async=is_async
        )

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        return self._following(partial(super().around, call, at), is_async=True)

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        return self._following(partial(super().around_sync, call, at), is_async=False)

    def _following(self, bind: Callable[[], Call], *, is_async: bool) -> Call:
        """Return what `bind` returns, and after a change what it returns then."""
        chain, version = bind(), self._version

        def current() -> Call:
            nonlocal chain, version
            if version != self._version:
                now = self._version
                chain, version = bind(), now
            return chain

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            return await current()(*args, **kwargs)

        def guarded_sync(*args: Any, **kwargs: Any) -> Any:
            return current()(*args, **kwargs)

        return guarded if is_async else guarded_sync


def _numbered(strategies: Iterable[Strategy]) -> dict[tuple[str, int], Strategy]:
    """Return strategies by how they are called, and the how manieth they are of that name."""
    seen = Counter[str]()
    found: dict[tuple[str, int], Strategy] = {}
    for one in strategies:
        key = key_of(one)
        found[key, seen[key]] = one
        seen[key] += 1
    return found


def _kept(past: Strategy | None, wanted: Strategy) -> Strategy:
    """Return the strategy that is to be, with the state of the one that was."""
    if past is None or past is wanted or type(past) is not type(wanted):
        return wanted
    if _alike(past, wanted):
        return past
    adopt = getattr(past, "adopt", None)
    if adopt is None:
        return wanted
    adopt(wanted)
    return past


def _alike(one: Strategy, other: Strategy) -> bool:
    """Return whether both were made with the same options."""
    mine, theirs = (getattr(strategy, "options", None) for strategy in (one, other))
    if mine is None or theirs is None:
        return False
    try:
        return bool(mine() == theirs())
    except Exception:  # noqa: BLE001 - whatever comparing a user's values may raise
        return False
