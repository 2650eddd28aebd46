"""What goes on from what is handled here to what is sent from here: trace, correlation, cause.

All that follows from one beginning has one correlation, which is the beginning's own id: a
message without the header begins anew. The cause is the message or request in whose handling
another was made, so that the causes of one correlation are a tree.

Source: CloudEvents, extension "correlation" (correlationid, causationid).
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from isthmus.contracts import Delivery, Record
from isthmus.errors import ConfigError
from isthmus.handling.unit import current
from isthmus.message import CAUSATION, CORRELATION, TRACEPARENT, TRACESTATE

__all__ = ["carried", "correlated", "correlation_id", "trace"]

Brought = Mapping[str, str] | Callable[[], Mapping[str, str]]

trace: ContextVar[Brought] = ContextVar("isthmus-trace", default={})  # noqa: B039
"""What a request that is served here brought along: W3C trace context, correlation, and its id
as the cause; or what reads that, the first time that it is asked for."""

_named: ContextVar[str] = ContextVar("isthmus-correlated", default="")


def carried() -> Mapping[str, str]:
    """Return the headers that a message made here has of itself; do not change it."""
    unit = current.get()
    if unit is None or not unit.batch:
        found = trace.get()
        if callable(found):
            found = found()
            trace.set(found)
    else:
        found = unit.carried
        if found is None:
            found = unit.carried = _following(unit.batch)
    name = _named.get()
    return {**found, CORRELATION: name} if name else found


def correlation_id() -> str:
    """Return what is handled here belongs to, and so will all that is sent; "" where a message
    would begin anew, as outside of handlers."""
    return carried().get(CORRELATION, "")


@contextmanager
def correlated(id: str) -> Generator[None]:
    """Have all that is sent inside belong to `id`, as "order-7", and what follows from it.

    Raises:
        ConfigError: `id` is empty, or no text.
    """
    if not isinstance(id, str) or not id:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"correlated({id!r}): expected a text that names what belongs together")
    token = _named.set(id)
    try:
        yield
    finally:
        _named.reset(token)


def _following(batch: Sequence[Delivery | Record]) -> Mapping[str, str]:
    """Of several that belong together the last is the cause; of several that do not, none is."""
    first, last = batch[0].message, batch[-1].message
    headers, correlation = first.headers, first.correlation_id
    found: dict[str, str] = {}
    if len(batch) == 1 or all(each.message.correlation_id == correlation for each in batch):
        found = {CORRELATION: correlation, CAUSATION: last.id}
    if headers:
        found |= {name: headers[name] for name in _TRACE if name in headers}
    return found


_TRACE = (TRACEPARENT, TRACESTATE)
