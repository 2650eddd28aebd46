"""An answer of less worth in place of an error, and marked as such."""

import inspect
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from isthmus.clock import Span
from isthmus.errors import ConfigError
from isthmus.resilience.degraded import degrading, note_degraded
from isthmus.resilience.facts import PolicySignal, tell
from isthmus.resilience.options import Errors, error_test, refuse_unless_whole, span_of
from isthmus.resilience.outcome import trail
from isthmus.resilience.recent import Key, Recent, function_key, key_of
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of

__all__ = ["Fallback", "FellBack", "LastKnownGood"]

HOUR = 3600.0


class FellBack(PolicySignal, frozen=True, kw_only=True):
    """A call failed, and something else was given in place of its answer."""

    call: str
    instead: str
    """What was given: "value", "call" or "last known good"."""
    error: str
    """Type of the error."""


class Known(NamedTuple):
    value: Any
    at: float


class LastKnownGood:
    """The last good answer to each question, to be given in place of an error.

    One object may be in several policies; each function's answers are kept apart, methods being
    told by their object. An answer that was itself degraded is not remembered.
    """

    def __init__(
        self, max_age: Span | None = HOUR, *, key: Key | None = None, most: int = 1000
    ) -> None:
        """
        Args:
            max_age: Seconds after which an answer is no longer good enough. Above 0; default
                3600; None: it always is.
            key: From a call's arguments to the question it asks, as `lambda user: user.id`.
                Default: the arguments, all of them hashable.
            most: Answers kept, of the questions asked last. 1 up; default 1000.

        Raises:
            ConfigError: One of them is out of its range.
        """
        if max_age is not None:
            max_age = span_of("LastKnownGood", "max_age", max_age, above_0=True)
        refuse_unless_whole("LastKnownGood", "most", most, 1)
        self.max_age, self.most = max_age, most
        self.key_of = key_of("LastKnownGood", key)
        self._known: Recent[Known] = Recent(most)

    def __repr__(self) -> str:
        return f"LastKnownGood({self.max_age!r}, most={self.most})"

    def remember(self, question: Hashable, value: Any, now: float) -> None:
        self._known.put(question, Known(value, now))

    def recall(self, question: Hashable, now: float) -> Known | None:
        """Return the answer as it is known, None if none is, or none good enough."""
        known = self._known.get(question)
        if known is None or (self.max_age is not None and now - known.at > self.max_age):
            return None
        return known

    def clear(self) -> None:
        """Forget all answers."""
        self._known.clear()


class Fallback:
    """Gives something else when the call fails, and notes that the answer is degraded.

    Outermost, it covers what the policies inside of it refuse as well.
    """

    kind = "fallback"

    def __init__(
        self,
        instead: Any,
        *,
        on: Errors = Exception,
        arguments: bool = False,
        name: str = "",
    ) -> None:
        """
        Args:
            instead: What to give: a LastKnownGood; a function, async or not, called with the
                error; or any other value, which is given as it is, each time the same object
                (`lambda _: []` makes a new one).
            on: Errors it covers: types, or what tells of each. Default: every Exception but
                ConfigError. A cancelled call is never covered.
            arguments: Whether a function is given the call's arguments too, after the error.
                Default False.
            name: Of the part that is then degraded. Default: the policy's, or the function's.

        Raises:
            ConfigError: One of them is not what was expected.
        """
        if instead is LastKnownGood:
            raise ConfigError("Fallback(LastKnownGood): expected one, as LastKnownGood()")
        self.instead, self.name, self.arguments = instead, name, arguments
        self._on, self._covers = on, error_test("Fallback", "on", on)
        if arguments and (not callable(instead) or isinstance(instead, LastKnownGood)):
            raise ConfigError(
                f"Fallback({instead!r}, arguments=True): expected a function to give them to"
            )

    def __repr__(self) -> str:
        return f"Fallback({_said(self.instead)})"

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {
            "instead": self.instead,
            "on": self._on,
            "arguments": self.arguments,
            "name": self.name,
        }

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        if isinstance(self.instead, LastKnownGood):
            return self._around_known(self.instead, call, at)
        covers, name = self._covers, name_of(call)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return await call(*args, **kwargs)
            except Exception as error:
                if not covers(error):
                    raise
                given = self._given(error, args, kwargs)
                if inspect.isawaitable(given):
                    given = await given
                self._tell(error, name, at)
                return given

        return guarded

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        if isinstance(self.instead, LastKnownGood):
            return self._around_known_sync(self.instead, call, at)
        covers, name = self._covers, name_of(call)
        if inspect.iscoroutinefunction(self.instead):
            raise self._not_awaited(None, name)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return call(*args, **kwargs)
            except Exception as error:
                if not covers(error):
                    raise
                given = self._given(error, args, kwargs)
                if inspect.isawaitable(given):
                    raise self._not_awaited(given, name) from error
                self._tell(error, name, at)
                return given

        return guarded

    def _not_awaited(self, given: object, call: str) -> ConfigError:
        if inspect.iscoroutine(given):
            given.close()
        return ConfigError(
            f"{self!r} is async, and {call} is not: it can't await; make both async, or neither"
        )

    def _given(self, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not callable(self.instead):
            return self.instead
        return self.instead(error, *args, **kwargs) if self.arguments else self.instead(error)

    def _around_known(self, memory: LastKnownGood, call: AsyncCall, at: Site) -> AsyncCall:
        mine, now, name = function_key(at.fn or call), at.clock.now, name_of(call)
        question_of = memory.key_of

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            question = mine, question_of(args, kwargs)
            try:
                with degrading() as parts:
                    value = await call(*args, **kwargs)
            except Exception as error:
                known = self._known(error, memory, question, name, at)
                if known is None:
                    raise
                return known.value
            if not parts:
                memory.remember(question, value, now())
            return value

        return guarded

    def _around_known_sync(self, memory: LastKnownGood, call: SyncCall, at: Site) -> SyncCall:
        mine, now, name = function_key(at.fn or call), at.clock.now, name_of(call)
        question_of = memory.key_of

        def guarded(*args: Any, **kwargs: Any) -> Any:
            question = mine, question_of(args, kwargs)
            try:
                with degrading() as parts:
                    value = call(*args, **kwargs)
            except Exception as error:
                known = self._known(error, memory, question, name, at)
                if known is None:
                    raise
                return known.value
            if not parts:
                memory.remember(question, value, now())
            return value

        return guarded

    def _known(
        self, error: Exception, memory: LastKnownGood, question: Hashable, call: str, at: Site
    ) -> Known | None:
        """Return the last good answer to give in place of `error`, None if there is none."""
        known = memory.recall(question, at.clock.now()) if self._covers(error) else None
        if known is not None:
            self._tell(error, call, at)
        return known

    def _tell(self, error: Exception, call: str, at: Site) -> None:
        kind = type(error).__name__
        note_degraded(self.name or at.policy or call, kind)
        if told := trail.get():
            told.ended(self.kind)
        instead = "call" if callable(self.instead) else "value"
        if isinstance(self.instead, LastKnownGood):
            instead = "last known good"
        tell(at.signals, FellBack, policy=at.policy, call=call, instead=instead, error=kind)


def _said(instead: Callable[..., object] | object) -> str:
    """Name what is given without showing its content, which may be anybody's."""
    if isinstance(instead, LastKnownGood):
        return repr(instead)
    return name_of(instead) if callable(instead) else type(instead).__name__
