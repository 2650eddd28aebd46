"""Every request has an id: the client's, or one of ours; it is in the answer and in logs."""

import re
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.handling.envelope import trace
from isthmus.message import TRACEPARENT, TRACESTATE, new_id

__all__ = ["HEADER", "Identified", "request_id"]

HEADER = b"x-request-id"
request_id: ContextVar[str] = ContextVar("isthmus-request-id", default="")
"""The id of the request that is served here; "" outside of one."""

_SANE = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
_WANTED = frozenset({HEADER, TRACEPARENT.encode(), TRACESTATE.encode()})


class Identified:
    """Gives each request its id, and carries its W3C trace context on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            return await self._app(scope, receive, send)
        told = {name: value for name, value in scope["headers"] if name in _WANTED}
        given = told.pop(HEADER, b"").decode("latin-1")
        chosen = given if _SANE.fullmatch(given) else new_id()
        request_id.set(chosen)
        trace.set({name.decode(): value.decode("latin-1") for name, value in told.items()})
        await self._app(scope, receive, _naming(send, (HEADER, chosen.encode())))


def _naming(send: Send, header: tuple[bytes, bytes]) -> Send:
    async def named(event: Message) -> None:
        if event["type"] == "http.response.start":
            event = {**event, "headers": [*event.get("headers", ()), header]}
        await send(event)

    return named
