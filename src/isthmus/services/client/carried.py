"""What travels along with every request: trace, correlation, deadline, and the id by which logs
find it."""

from multidict import CIMultiDict

from isthmus.deadline import deadline_headers
from isthmus.handling.carried import carried
from isthmus.message import CORRELATION, TRACEPARENT, TRACESTATE, new_id
from isthmus.services.layers.request_id import CORRELATION_ID, request_id, sane_id

__all__ = ["REQUEST_ID", "carry", "id_here"]

REQUEST_ID = "x-request-id"


def id_here() -> str:
    """Return the id of the request that is served here, else a new one."""
    return request_id.get() or new_id()


def carry(headers: CIMultiDict[str]) -> None:
    """Add trace context, correlation and deadline to `headers`, as far as any are in force."""
    context = carried()
    if context:
        for name in (TRACEPARENT, TRACESTATE):
            if name in context:
                headers.setdefault(name, context[name])
        if correlation := sane_id(context.get(CORRELATION, "")):
            headers.setdefault(CORRELATION_ID, correlation)
    for name, until in deadline_headers().items():
        headers.setdefault(name, until)
