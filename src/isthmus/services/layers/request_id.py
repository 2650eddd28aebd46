"""Every request has an id: the client's, or one of ours; it is in the answer and in logs.

What else a request brings along is put in force here, for routes and mounts alike: its trace
context, what it belongs to (X-Correlation-Id, else its own id), and the deadline of who asks.
"""

import re
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.clock import Clock
from isthmus.deadline import HEADER as DEADLINE
from isthmus.deadline import deadline, deadline_in
from isthmus.handling.carried import trace
from isthmus.message import CAUSATION, CORRELATION, TRACEPARENT, TRACESTATE, new_id
from isthmus.services.problem import expired, response_to

__all__ = ["CORRELATION_ID", "HEADER", "Identified", "request_id", "sane_id"]

HEADER = b"x-request-id"
CORRELATION_ID = "x-correlation-id"
request_id: ContextVar[str] = ContextVar("isthmus-request-id", default="")
"""The id of the request that is served here; "" outside of one."""

_SANE = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
_DEADLINE, _CORRELATION = DEADLINE.encode(), CORRELATION_ID.encode()
_WANTED = frozenset({HEADER, _CORRELATION, TRACEPARENT.encode(), TRACESTATE.encode(), _DEADLINE})


class Identified:
    """Gives each request its id, and carries its W3C trace context and its deadline on."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            return await self._app(scope, receive, send)
        told: dict[bytes, bytes] = dict(scope["headers"])
        wanted = not _WANTED.isdisjoint(told)
        told = {name: told[name] for name in _WANTED & told.keys()} if wanted else {}
        chosen = (sane_id(told.pop(HEADER).decode("latin-1")) if HEADER in told else "") or new_id()
        request_id.set(chosen)
        until = told.pop(_DEADLINE, None)
        trace.set(partial(_brought, chosen, told))
        named = _naming(send, (HEADER, chosen.encode()))
        if until is None or scope["type"] != "http":
            return await self._app(scope, receive, named)
        await self._in_time(until.decode("latin-1"), scope, receive, named)

    async def _in_time(self, until: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose answer is worth nothing after `until`, unless that is over."""
        with deadline(at=deadline_in({DEADLINE: until}), clock=self._clock) as given:
            if given.remaining() > 0:
                return await self._app(scope, receive, send)
        refusal = response_to(expired(), request_id=request_id.get())
        await refusal(scope, receive, send)


def _brought(chosen: str, told: dict[bytes, bytes]) -> Mapping[str, str]:
    """Return it as headers of messages; `told` may be asked again, by another task."""
    context = {name.decode(): value.decode("latin-1") for name, value in told.items()}
    correlation = sane_id(context.pop(CORRELATION_ID, "")) or chosen
    return {**context, CORRELATION: correlation, CAUSATION: chosen}


def sane_id(given: str) -> str:
    """Return an id that came from outside; "" if it is none that logs and headers can bear."""
    return given if _SANE.fullmatch(given) else ""


def _naming(send: Send, header: tuple[bytes, bytes]) -> Send:
    def named(event: Message) -> Awaitable[None]:
        if event["type"] == "http.response.start":
            event = {**event, "headers": [*event.get("headers", ()), header]}
        return send(event)

    return named
