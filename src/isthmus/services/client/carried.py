"""What travels along with every request: trace, deadline, and the id by which logs find it."""

from collections.abc import Mapping

from multidict import CIMultiDict

from isthmus.deadline import deadline_headers
from isthmus.handling.envelope import trace
from isthmus.handling.unit import current
from isthmus.message import TRACEPARENT, TRACESTATE, new_id
from isthmus.services.layers.request_id import request_id

__all__ = ["REQUEST_ID", "carry", "id_here"]

REQUEST_ID = "x-request-id"


def id_here() -> str:
    """Return the id of the request that is served here, else a new one."""
    return request_id.get() or new_id()


def carry(headers: CIMultiDict[str]) -> None:
    """Add trace context and deadline to `headers`, as far as any are in force."""
    context = _trace()
    if context:
        for name in (TRACEPARENT, TRACESTATE):
            if name in context:
                headers.setdefault(name, context[name])
    for name, until in deadline_headers().items():
        headers.setdefault(name, until)


def _trace() -> Mapping[str, str]:
    """Return the trace context of the message, or the request, that is handled here."""
    unit = current.get()
    return unit.batch[0].message.headers if unit is not None and unit.batch else trace.get()
