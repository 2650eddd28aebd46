"""Every request has an id: the client's, or one of ours; it is in the answer and in logs.

What else a request brings along is put in force here, for routes and mounts alike: its trace
context, and the deadline of who asks.
"""

import re
from collections.abc import Awaitable
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.clock import Clock
from isthmus.deadline import HEADER as DEADLINE
from isthmus.deadline import deadline, deadline_in
from isthmus.handling.envelope import trace
from isthmus.message import TRACEPARENT, TRACESTATE, new_id
from isthmus.services.problem import expired, response_to

__all__ = ["HEADER", "Identified", "request_id"]

HEADER = b"x-request-id"
request_id: ContextVar[str] = ContextVar("isthmus-request-id", default="")
"""The id of the request that is served here; "" outside of one."""

_SANE = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
_DEADLINE = DEADLINE.encode()
_WANTED = frozenset({HEADER, TRACEPARENT.encode(), TRACESTATE.encode(), _DEADLINE})


class Identified:
    """Gives each request its id, and carries its W3C trace context and its deadline on."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            return await self._app(scope, receive, send)
        told = {name: value for name, value in scope["headers"] if name in _WANTED}
        chosen = _chosen(told.pop(HEADER, b"")) if told else new_id()
        request_id.set(chosen)
        until = told.pop(_DEADLINE, None)
        trace.set({name.decode(): value.decode("latin-1") for name, value in told.items()})
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


def _chosen(given: bytes) -> str:
    text = given.decode("latin-1")
    return text if _SANE.fullmatch(text) else new_id()


def _naming(send: Send, header: tuple[bytes, bytes]) -> Send:
    def named(event: Message) -> Awaitable[None]:
        if event["type"] == "http.response.start":
            event = {**event, "headers": [*event.get("headers", ()), header]}
        return send(event)

    return named
