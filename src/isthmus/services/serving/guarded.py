"""What keeps one HTTP/1 connection within its limits, whichever parser of uvicorn's reads it."""

import asyncio
import sys
from collections.abc import Awaitable, Iterator
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.problem import MEDIA_TYPE, Problem
from isthmus.services.serving.corked import Corked
from isthmus.services.serving.gone import ClientGoneError, is_only_gone
from isthmus.services.serving.porter import Porter

__all__ = ["Guarded"]

LEAST = 16_384
"""Bytes of an answer that a client has to take within `http_write_timeout`."""
DROPPED = 4 << 20
"""Bytes of a request that was answered already that are read and dropped, so that its client,
who is still writing, gets to read the answer."""
PIECE = 16_384
"""Bytes that are read before it is looked whether they are too many."""
LINE, FIELDS = 8_000, 100
"""Bytes of a line, and lines, of the head of what becomes a WebSocket: where these are more,
the library that takes over may answer nothing."""
AHEAD = 16
"""Requests that a client may send before it has the answer of the one before them."""


class _Untimed:
    """All that uvicorn's protocols ask of a loop; it arms no timer for idle connections, one for
    each answer, as the porter ends those."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.create_task = loop.create_task

    def call_later(self, *_: object) -> None:
        return None


class Guarded:
    """Stands before a protocol of uvicorn's in the order of its bases."""

    # what uvicorn's protocols have
    app: ASGIApp
    config: Any
    cycle: Any
    flow: Any
    headers: list[tuple[bytes, bytes]]
    scope: Any
    pipeline: Any = ()
    server_state: Any
    transport: asyncio.Transport

    def __init__(self, *, porter: Porter, **words: Any) -> None:
        loop = _Untimed(asyncio.get_running_loop())
        super().__init__(**words, _loop=loop)  # pyright: ignore[reportCallIssue]
        self._porter, self._application = porter, self.app
        self.app = self._serve
        self.since = self._heard_at = 0.0
        self._head, self._dropped = 0, 0
        self._refusal: Problem | None = None
        self._refused = False
        self._unsent: tuple[float, int] | None = None

    # -- what happens on the connection -------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._mine.connection_made(Corked(transport))
        self.since = self._heard_at = self._porter.now()
        self._porter.welcome(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._porter.gone(self)
        self._mine.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return self._drop(len(data))
        if self._refusal is not None:
            return self.refuse(self._refusal)
        self._heard_at = self._porter.now()
        if len(data) <= PIECE:
            return self._take(data)
        for at in range(0, len(data), PIECE):
            self._take(data[at : at + PIECE])

    def on_response_complete(self) -> None:
        self._mine.on_response_complete()
        if not (self._is_busy() or self._refused or self.transport.is_closing()):
            self.since = self._porter.now()
            self._porter.rests(self)

    def handle_websocket_upgrade(self, *args: Any, **words: Any) -> None:
        if max(self._lines()) > LINE or len(self.headers) > FIELDS:
            return self.refuse(Problem(431, "the head of the request is too large"))
        self._porter.gone(self)
        self._mine.handle_websocket_upgrade(*args, **words)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; uvicorn asks for it while it handles the parser's error."""
        status = getattr(sys.exception(), "error_status_hint", 400)
        self.refuse(Problem(status, msg))

    def head_is_open(self) -> bool:
        """Return whether a part of a request's head has come, and not all of it."""
        raise NotImplementedError

    # -- as the porter sees it ----------------------------------------------------------------

    def turn_away(self) -> None:
        self._refusal = Problem(503, "too many connections", headers={"Retry-After": "1"})
        self.since = self._porter.now()
        self._porter.leaves(self)

    def give_up(self) -> None:
        """A head has not come in its time; who has said nothing gets no answer."""
        if not self._head:
            return self.abort()
        self.refuse(Problem(408, "the request did not come in time"))

    def abort(self) -> None:
        self.transport.abort()

    def look(self, now: float) -> None:
        if self._takes_too_long(now):
            return self.abort()
        if not self._is_busy() or not self.cycle.more_body or self._refused:
            return None
        if self.flow.read_paused or getattr(self.cycle, "waiting_for_100_continue", False):
            self._heard_at = now  # we are who does not read
        elif now - self._heard_at > self._porter.settings.http_body_timeout:
            self.refuse(Problem(408, "the body of the request did not come in time"))

    def refuse(self, problem: Problem) -> None:
        """Answer with `problem` and take nothing more, if an answer can still be told apart
        from others; else end the connection after those that were promised."""
        self._refused, self.since = True, self._porter.now()
        if self.transport.is_closing():
            return None
        if self._is_busy() and (self.pipeline or not self.cycle.more_body):
            return self._let_it_be_the_last(self.cycle)
        self._porter.leaves(self)
        if self._is_busy():
            self._leave(self.cycle)
            if self.cycle.response_started:
                return self.transport.close()
        self.transport.write(self._told(problem))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # -- inside -------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        """Read on, and look what that makes of the connection."""
        if self._refused:
            return self._drop(len(data))
        self._mine.data_received(data)
        if self._refused:
            return None
        if self.head_is_open():
            self._count_head(len(data))
        elif self._is_busy():
            self._head = self._dropped = 0
            self._porter.busy(self)
        else:
            self._drop(len(data))  # of a body that nobody wants
        if len(self.pipeline) > AHEAD:
            self.refuse(Problem(429, "too many requests that wait for one another"))

    @property
    def _mine(self) -> Any:
        """The protocol behind."""
        return super()

    def _lines(self) -> Iterator[int]:
        """Yield how long the lines of the request's head are."""
        yield len(getattr(self, "url", b"")) or len(self.scope["raw_path"])
        yield len(self.scope.get("query_string", b""))
        yield from (len(name) + len(value) for name, value in self.headers)

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _count_head(self, size: int) -> None:
        if not self._head and self not in self._porter.heads:
            self.since = self._heard_at
            self._porter.begun(self)
        self._head += size
        if self._head > self._porter.settings.http_head_limit:
            self.refuse(Problem(431, "the head of the request is too large"))

    def _takes_too_long(self, now: float) -> bool:
        """Whether too little of what was written has left us."""
        size = self.transport.get_write_buffer_size()
        if not size:
            self._unsent = None
            return False
        at, before = self._unsent or (now, size)
        if self._unsent is None or size > before or before - size >= LEAST:
            self._unsent = now, size
            return False
        return now - at > self._porter.settings.http_write_timeout

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > DROPPED:
            self.abort()

    def _let_it_be_the_last(self, cycle: Any) -> None:
        """What came before is answered, then the connection ends."""
        cycle.keep_alive = False
        self._porter.busy(self)

    def _leave(self, cycle: Any) -> None:
        """The request's own body is at fault: who reads it is told that the client is gone."""
        cycle.disconnected = True
        cycle.message_event.set()

    def _told(self, problem: Problem) -> bytes:
        body = msgspec.json.encode(problem.document())
        headers = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
        ]
        lines = [b"HTTP/1.1 %d %s" % (problem.status, problem.title.encode())]
        lines += [b"%s: %s" % header for header in dict(headers).items()]
        return b"\r\n".join([*lines, b"", body])

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a streamed answer stop when its client is gone, and others have their turn
        between its parts; any other answer has its way."""
        cycle: Any = getattr(receive, "__self__", None)

        async def part(event: Message) -> None:
            await asyncio.sleep(0)
            if cycle.disconnected or self.transport.is_closing():
                raise ClientGoneError("the client has gone away")
            await send(event)

        def told(event: Message) -> Awaitable[None]:
            return part(event) if event.get("more_body") else send(event)

        try:
            await self._application(scope, receive, told)
        except Exception as error:
            if not is_only_gone(error):
                raise
