"""Where secrets come from that neither the environment nor files hold: a vault, a cloud."""

import inspect
import queue
import threading
import time
from collections.abc import Awaitable, Sequence
from importlib import import_module
from typing import Any, Protocol

from isthmus.errors import ConfigError

__all__ = ["Answer", "SecretSource", "ask", "source_named", "told"]

AT_ONCE = 8
"""Most look-ups under way."""
WITHIN = 10.0
"""Seconds in which all of them have to be answered."""
SAID = 200
"""Characters of an error that are repeated."""


class SecretSource(Protocol):
    """Knows secrets by the names of their variables."""

    def lookup(self, name: str, /) -> str | Awaitable[str | None] | None:
        """Return the secret called `name`, as "SHOP_STRIPE_KEY"; None if it is not there.

        Called in threads of their own, up to 8 at once, before anything is opened; if it is
        async, each call has an event loop of its own. All have 10 seconds together.
        """
        ...


Answer = str | Exception | None


def ask(source: SecretSource, names: Sequence[str], *, within: float = WITHIN) -> dict[str, Answer]:
    """Look up all `names`; an error, and being too late, is the answer to that name."""
    left: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
    for name in names:
        left.put(name)
    for _ in range(min(AT_ONCE, len(names))):
        threading.Thread(target=_work, args=(source, left, done), daemon=True).start()
    late = TimeoutError(f"no answer within {within:g} s")
    answers: dict[str, Answer] = dict.fromkeys(names, late)
    end = time.monotonic() + within
    for _ in names:
        try:
            name, answer = done.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        answers[name] = answer
    return answers


def _work(
    source: SecretSource,
    left: "queue.SimpleQueue[str]",
    done: "queue.SimpleQueue[tuple[str, Answer]]",
) -> None:
    while True:
        try:
            name = left.get_nowait()
        except queue.Empty:
            return
        done.put((name, _answer(source, name)))


def _answer(source: SecretSource, name: str) -> Answer:
    try:
        found: Any = source.lookup(name)
        if inspect.isawaitable(found):
            import asyncio

            found = asyncio.run(_awaited(found))
        if found is None or isinstance(found, str):
            return found
        return TypeError(f"expected a text or None, got {type(found).__name__}")
    except Exception as error:  # noqa: BLE001 - whatever the user's source raises
        return error


async def _awaited(found: Awaitable[Any]) -> Any:
    return await found


def told(error: Exception) -> str:
    """Return an error of a source in a line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:SAID]


def source_named(name: str) -> SecretSource:
    """Return the source that settings name, as "shop.vault:source": an object with `lookup`, or
    a class or function that makes one.

    Raises:
        ConfigError: There is none.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(f"secret_source = {name!r}: expected module:object, as shop.vault:source")
    try:
        found: Any = getattr(import_module(module), attribute)
        made = found() if isinstance(found, type) or not hasattr(found, "lookup") else found
    except Exception as error:
        raise ConfigError(f"secret_source = {name!r} cannot be had: {told(error)}") from error
    if not callable(getattr(made, "lookup", None)):
        raise ConfigError(f"secret_source = {name!r}: {type(made).__name__} has no lookup(name)")
    return made
