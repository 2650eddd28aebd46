"""An answer made of parts that are got at once, of which some may be missing."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from isthmus.clock import Span
from isthmus.deadline import remaining
from isthmus.resilience.degraded import note_degraded
from isthmus.resilience.facts import PolicySignal, signals, tell
from isthmus.resilience.options import span_of
from isthmus.resilience.tasks import end

__all__ = ["OptionalPart", "PartLeftOut", "compose", "optional"]

T = TypeVar("T")

LEFT_OUT: Any = object()


class PartLeftOut(PolicySignal, frozen=True, kw_only=True):
    """An optional part of an answer could not be had."""

    policy: str = ""
    part: str
    error: str
    """Type of the error."""


class OptionalPart:
    """A part that the answer is worth giving without; made by `optional`."""

    __slots__ = ("else_", "name", "part", "within")

    def __init__(
        self, part: Awaitable[Any], *, else_: Any, name: str, within: float | None
    ) -> None:
        self.part, self.else_, self.name, self.within = part, else_, name, within

    async def get(self, name: str) -> Any:
        """Return the part; if it fails, or takes too long, what stands for it."""
        try:
            async with asyncio.timeout(self._patience()):
                return await self.part
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer goes without
            kind = type(error).__name__
            note_degraded(name, kind)
            tell(signals, PartLeftOut, part=name, error=kind)
            return self.else_

    def _patience(self) -> float | None:
        left = remaining()
        return min((span for span in (self.within, left) if span is not None), default=None)


def optional(
    part: Awaitable[Any],
    *,
    else_: Any = LEFT_OUT,
    name: str = "",
    within: Span | None = None,
) -> OptionalPart:
    """Mark a part of `compose` as one that may be missing.

    Args:
        part: What gets it, not awaited yet.
        else_: What stands for it. Default: nothing; the argument is left out, so that its own
            default holds.
        name: How it is named where the answer is told to be degraded. Default: as the argument.
        within: Most seconds to wait for it. Above 0; default None: as long as the caller's
            deadline leaves.

    Raises:
        ConfigError: `within` is out of its range.
    """
    span = None if within is None else span_of("optional", "within", within, above_0=True)
    return OptionalPart(part, else_=else_, name=name, within=span)


async def compose(into: Callable[..., T], /, **parts: Any) -> T:
    """Get all parts at once, and return `into` of them.

        page = await compose(Home, profile=profile(user), offers=optional(offers(user)))

    Parts are awaitables, or values as they are. One that fails fails the answer: the others are
    cancelled, and have ended when its error is raised. An `optional` one that fails is left out,
    and noted as degraded by its name.
    """
    jobs = {
        name: asyncio.ensure_future(_awaited(name, part))
        for name, part in parts.items()
        if isinstance(part, OptionalPart) or inspect.isawaitable(part)
    }
    try:
        await _all(jobs.values())
        values = {name: jobs[name].result() if name in jobs else parts[name] for name in parts}
    finally:
        await end(jobs.values())
        _close(parts.values())
    return into(**{name: value for name, value in values.items() if value is not LEFT_OUT})


async def _all(jobs: Any) -> None:
    """Wait until all are done, or one failed; then raise its error."""
    if not jobs:
        return
    done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_EXCEPTION)
    for job in jobs:
        if job in done:
            job.result()


async def _awaited(name: str, part: Any) -> Any:
    if isinstance(part, OptionalPart):
        return await part.get(part.name or name)
    return await part


def _close(parts: Any) -> None:
    """Close coroutines that were never begun, because all was cancelled before."""
    for part in parts:
        awaited = part.part if isinstance(part, OptionalPart) else part
        if inspect.iscoroutine(awaited):
            awaited.close()
