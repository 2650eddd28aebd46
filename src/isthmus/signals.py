"""Every observable fact is one frozen Signal, told to whoever listens for its kind.

Rooms define their signals where they emit them. Metrics, traces, logs, the console
and the tests are listeners. Hot code asks before it builds one:

    if signals.active and signals.wanted(Handled):
        signals.emit(Handled(queue="orders", took=0.003))
"""

import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from isthmus.errors import ConfigError

__all__ = ["Signal", "Signals"]

_log = logging.getLogger("isthmus.signals")

S = TypeVar("S", bound="Signal")
_Listener = Callable[[Any], object]
_Entry = tuple[type["Signal"], _Listener]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that was observed, past tense. Listening to a kind hears its subclasses too."""


class Signals:
    """Who listens for what. Safe from any thread; listeners run in the emitter's, in the order
    they came, and have to be quick: what waits or works belongs in a task of their own."""

    def __init__(self) -> None:
        self.active = False
        """Whether anybody listens for anything: one attribute, for hot code to test."""
        self._entries: tuple[_Entry, ...] = ()
        self._heard: dict[type[Signal], tuple[_Listener, ...]] = {}
        self._lock = threading.Lock()

    def listen(self, kind: type[S], listener: Callable[[S], object]) -> Callable[[], None]:
        """Call `listener` with every signal of `kind`; return what ends that.

        Ending twice is ending once. A listener that came twice is called twice.

        Raises:
            ConfigError: `listener` is a coroutine function: nobody would await it.
        """
        if inspect.iscoroutinefunction(listener):
            raise ConfigError(
                f"listener {listener.__qualname__!r} is async, and a signal waits for nobody; "
                "write it as def, and hand slow work to a task or a queue"
            )
        entry: _Entry = (kind, listener)
        with self._lock:
            self._become((*self._entries, entry))
        return lambda: self._leave(entry)

    def wanted(self, kind: type[Signal]) -> bool:
        """Return whether anybody would hear a signal of `kind`; a dict lookup."""
        return self.active and bool(self._listeners_of(kind))

    def emit(self, signal: Signal) -> None:
        """Tell everybody who listens. A listener that raises is logged; the others still hear."""
        if not self.active:
            return
        for listener in self._listeners_of(type(signal)):
            try:
                listener(signal)
            except Exception:  # noqa: BLE001
                _log.exception("listener %r failed on %r", listener, signal)

    def _listeners_of(self, kind: type[Signal]) -> tuple[_Listener, ...]:
        heard = (
            self._heard
        )  # taken first: a change meanwhile leaves this answer in a dict of the past
        found = heard.get(kind)
        if found is None:
            found = tuple(call for wanted, call in self._entries if issubclass(kind, wanted))
            heard[kind] = found
        return found

    def _leave(self, entry: _Entry) -> None:
        with self._lock:
            self._become(tuple(other for other in self._entries if other is not entry))

    def _become(self, entries: tuple[_Entry, ...]) -> None:
        self._entries, self._heard, self.active = entries, {}, bool(entries)
