"""An answer that is known already, given again; and one call for all who ask at once."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from isthmus.clock import Span
from isthmus.resilience.degraded import degrading, note_degraded
from isthmus.resilience.facts import PolicySignal, tell
from isthmus.resilience.flight import Answer, Flight, Flights, Slot, SyncFlight, SyncFlights
from isthmus.resilience.options import (
    INFINITE,
    Errors,
    error_test,
    refuse_unless_function,
    refuse_unless_whole,
    span_of,
)
from isthmus.resilience.outcome import trail
from isthmus.resilience.recent import Key, Recent, function_key, key_of
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of

__all__ = ["Cache", "RefreshFailed", "StaleServed"]


class StaleServed(PolicySignal, frozen=True, kw_only=True):
    """A call failed, and an answer that is past its time was given."""

    call: str
    age: float
    """Seconds since the answer was got."""
    error: str
    """Type of the error."""


class RefreshFailed(PolicySignal, frozen=True, kw_only=True):
    """An answer that is past its time could not be renewed behind its users' backs."""

    call: str
    error: str


class Kept:
    """An answer as it was got, be it an error."""

    __slots__ = ("at", "error", "failed", "ttl", "value")

    def __init__(self, value: Any, error: Exception | None, at: float, ttl: float) -> None:
        self.value, self.error, self.at, self.ttl = value, error, at, ttl
        self.failed = ""
        """Type of the error by which it could not be renewed; "" if that was not tried."""

    def answer(self) -> Any:
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.value


class Cache:
    """Keeps answers for `ttl` seconds, and makes one call for all who ask for the same at once.

    Who asks while the call is made waits for it; it goes on as long as anybody waits, whoever
    began it, and under that one's deadline. Errors are not kept, unless asked to, nor answers
    that are degraded. An answer is the same object for all: don't change it. Safe from any
    thread; each event loop makes its own calls.

    The same cache around two functions keeps their answers apart, and around one function in
    two policies it keeps the same. Methods of an object are told by their object. A lambda that
    is made anew for each call is another function each time, and finds nothing.

    Source: RFC 9111, and its stale-while-revalidate and stale-if-error, RFC 5861.
    """

    kind = "cache"

    def __init__(
        self,
        ttl: Span,
        *,
        stale: Span = 0.0,
        stale_if_error: Span = 0.0,
        key: Key | None = None,
        most: int = 1000,
        errors: Errors = (),
        negative: Span | None = None,
        name: str = "",
    ) -> None:
        """
        Args:
            ttl: Seconds that an answer is fresh. 0 up; 0: only those who ask at once share it.
            stale: Seconds after that in which it is given all the same, while a new one is got
                behind its users' backs; in a sync call, the first who comes gets the new one.
                0 up; default 0.
            stale_if_error: Seconds after `ttl` in which it is given if getting a new one
                failed; the answer is then degraded. 0 up; default 0.
            key: From a call's arguments to what is asked, as `lambda user: user.id`. Default:
                the arguments, all of them hashable.
            most: Answers kept, of what was asked for last. 1 up; default 1000.
            errors: Errors that are kept too, as answers: types, or what tells of each. Default:
                none.
            negative: Seconds that None, and errors, are kept. 0 up, 0: not at all; default:
                `ttl`.
            name: Of the part that is degraded by a stale answer. Default: the policy's, or the
                function's.

        Raises:
            ConfigError: One of them is out of its range.
        """
        refuse_unless_whole("Cache", "most", most, 1)
        refuse_unless_function("Cache", "key", key)
        self.ttl, self.stale = span_of("Cache", "ttl", ttl), span_of("Cache", "stale", stale)
        self.stale_if_error = span_of("Cache", "stale_if_error", stale_if_error)
        self._negative = None if negative is None else span_of("Cache", "negative", negative)
        self.most, self.name, self._key, self._errors = most, name, key, errors
        self._keeps = error_test("Cache", "errors", errors)
        self._key_of = key_of("Cache", key)
        self._spare = max(self.stale, self.stale_if_error)
        self._kept: Recent[Kept] = Recent(most)
        self._flights, self._sync_flights = Flights(), SyncFlights()

    def __repr__(self) -> str:
        said = [f"{self.ttl:g}"]
        said += [f"stale={self.stale:g}"] * bool(self.stale)
        said += [f"stale_if_error={self.stale_if_error:g}"] * bool(self.stale_if_error)
        said += [] if self._negative is None else [f"negative={self._negative:g}"]
        said += [f"most={self.most}"] * (self.most != 1000)
        said += [f"name={self.name!r}"] * bool(self.name)
        return f"Cache({', '.join(said)})"

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {
            "ttl": self.ttl,
            "stale": self.stale,
            "stale_if_error": self.stale_if_error,
            "key": self._key,
            "most": self.most,
            "errors": self._errors,
            "negative": self._negative,
            "name": self.name,
        }

    @property
    def negative(self) -> float:
        """Seconds that None, and errors, are kept."""
        return self.ttl if self._negative is None else self._negative

    def __len__(self) -> int:
        """Return how many answers are kept, fresh or not."""
        return len(self._kept)

    # -- by hand ------------------------------------------------------------------------------

    def forget(self, *args: Any, **kwargs: Any) -> None:
        """Forget the answer to a call with these arguments, of every function it is around. One
        that is being got is given to those who wait, and not kept."""
        key = self._key_of(args, kwargs)
        self._forget(lambda slot: slot[-1] == key)

    def clear(self) -> None:
        """Forget all answers."""
        self._forget(lambda _: True)

    def _forget(self, meant: Callable[[Slot], bool]) -> None:
        self._flights.void(meant)
        self._sync_flights.void(meant)
        self._kept.forget(meant)

    def adopt(self, other: "Cache") -> None:
        """Take the numbers of `other`, and keep the answers, for as long as they were to be.
        `key`, `errors` and `name` stay: they belong to the program."""
        self.ttl, self.stale, self.stale_if_error = other.ttl, other.stale, other.stale_if_error
        self._negative, self.most, self._spare = other._negative, other.most, other._spare
        self._kept.resize(other.most)

    async def close(self) -> None:
        """End what is being got behind users' backs, in this event loop."""
        await self._flights.end_behind(asyncio.get_running_loop())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # -- async --------------------------------------------------------------------------------

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        mine, now, name = function_key(at.fn or call), at.clock.now, name_of(call)
        kept, flights = self._kept, self._flights
        here = asyncio.get_running_loop

        async def fetch(flight: Flight, slot: Slot, args: Args, kwargs: Kwargs) -> Answer:
            try:
                with degrading() as parts:
                    value = await call(*args, **kwargs)
            except Exception as error:
                instead = self._failed(error, slot, name, at, flight)
                if instead is None:
                    raise
                return instead
            return self._got(Answer(value, parts), slot, now(), flight)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            slot = mine, self._key_of(args, kwargs)
            found = kept.get(slot)
            age = INFINITE if found is None else now() - found.at
            if found is not None and age < found.ttl:
                return self._again(found)
            fly = partial(fetch, slot=slot, args=args, kwargs=kwargs)
            if found is not None and age < found.ttl + self.stale and found.error is None:
                flights.begin_behind((here(), *slot), fly)
                self._spare_call()
                return self._give(Answer(found.value, self._why_stale(found, name, at)))
            return self._give(await flights.join((here(), *slot), fly))

        return guarded

    # -- sync ---------------------------------------------------------------------------------

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        mine, now, name = function_key(at.fn or call), at.clock.now, name_of(call)
        kept, flights = self._kept, self._sync_flights

        def fetch(flight: SyncFlight, slot: Slot, args: Args, kwargs: Kwargs) -> Answer:
            found = kept.get(slot)
            if found is not None and now() - found.at < found.ttl:  # got since it was looked for
                return Answer(self._again(found), {})
            try:
                with degrading() as parts:
                    value = call(*args, **kwargs)
            except Exception as error:
                instead = self._failed(error, slot, name, at, flight)
                if instead is None:
                    raise
                return instead
            return self._got(Answer(value, parts), slot, now(), flight)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            slot = mine, self._key_of(args, kwargs)
            found = kept.get(slot)
            age = INFINITE if found is None else now() - found.at
            if found is not None and age < found.ttl:
                return self._again(found)
            usable = found is not None and age < found.ttl + self.stale and found.error is None
            if found is not None and usable and slot in flights:
                self._spare_call()
                return self._give(Answer(found.value, self._why_stale(found, name, at)))
            fly = partial(fetch, slot=slot, args=args, kwargs=kwargs)
            return self._give(flights.join(slot, fly))

        return guarded

    # -- what came of a call ------------------------------------------------------------------

    def _again(self, kept: Kept) -> Any:
        """Return, or raise, what is kept, in place of a call."""
        self._spare_call()
        return kept.answer()

    def _spare_call(self) -> None:
        if told := trail.get():
            told.spared()
            told.ended(self.kind)

    def _got(self, answer: Answer, slot: Slot, now: float, flight: Flight | SyncFlight) -> Answer:
        if not answer.degraded and not flight.void:
            ttl = self.negative if answer.value is None else self.ttl
            self._keep(slot, Kept(answer.value, None, now, ttl))
        return answer

    def _failed(
        self, error: Exception, slot: Slot, call: str, at: Site, flight: Flight | SyncFlight
    ) -> Answer | None:
        """Return the answer there is in place of `error`, None if there is none."""
        now, kind = at.clock.now(), type(error).__name__
        if self._keeps(error):
            if not flight.void:
                self._keep(slot, Kept(None, error, now, self.negative))
            return None
        if flight.behind:
            tell(at.signals, RefreshFailed, policy=at.policy, call=call, error=kind)
        found = self._kept.get(slot)
        if found is None or found.error is not None:
            return None
        age = now - found.at
        if age >= found.ttl + self._spare:
            return None
        found.failed = kind
        if not flight.behind:
            tell(at.signals, StaleServed, policy=at.policy, call=call, age=age, error=kind)
        return Answer(found.value, self._why_stale(found, call, at), stands_in=True)

    def _keep(self, slot: Slot, kept: Kept) -> None:
        spare = 0.0 if kept.error is not None else self._spare
        if kept.ttl + spare > 0 and (kept.ttl > 0 or kept.value is not None):
            self._kept.put(slot, kept)

    def _why_stale(self, kept: Kept, call: str, at: Site) -> dict[str, str]:
        """Return how a stale answer is degraded: it is not, as long as renewing it goes well."""
        return {self.name or at.policy or call: kept.failed} if kept.failed else {}

    def _give(self, answer: Answer) -> Any:
        for part, reason in answer.degraded.items():
            note_degraded(part, reason)
        if answer.stands_in and (told := trail.get()):
            told.ended(self.kind)
        return answer.value


Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]
