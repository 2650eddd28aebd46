"""One attempt of a call: a request goes out, an answer comes back and is judged."""

import time
from collections.abc import Awaitable, Callable
from urllib.parse import urljoin

from isthmus.resilience.degraded import HEADER as DEGRADED
from isthmus.resilience.degraded import degraded_in, note_degraded
from isthmus.resilience.guarded import OPENING
from isthmus.services.client.address import origin_of
from isthmus.services.client.auth import Auth
from isthmus.services.client.call import SAFE, Call
from isthmus.services.client.carried import REQUEST_ID, carry
from isthmus.services.client.errors import AnswerError
from isthmus.services.client.facts import CallMade
from isthmus.services.client.judging import MOST, error_of
from isthmus.services.client.notices import Notices
from isthmus.services.client.transport import Body, Headers, Outgoing, Reply, Transport, Whole
from isthmus.signals import Signals

__all__ = ["REDIRECTS", "Exchange", "Send"]

Send = Callable[[Call], Awaitable[Reply]]

REDIRECTS = 5
"""Redirects that a call follows, if it only asks and they stay with the same origin."""
MOVED = frozenset((301, 302, 303, 307, 308))


class Exchange:
    """How one client's attempts are made."""

    def __init__(
        self,
        name: str,
        origin: str,
        *,
        transport: Transport,
        auth: Auth | None,
        carries: bool,
        limit: int,
        signals: Signals,
    ) -> None:
        self.transport, self.signals = transport, signals
        self._name, self._origin, self._auth = name, origin, auth
        self._carries, self._limit = carries, limit
        self._notices = Notices(name)

    def whole(self, operation: str) -> Send:
        """Return what sends a call and gives its answer, read to its end; named for errors."""
        hub, limit, opened = self.signals, self._limit, self._opened

        async def sent(call: Call) -> Reply:
            began = time.perf_counter() if hub.active and hub.wanted(CallMade) else 0.0
            try:
                reply = await opened(call)
                body = reply.body
                try:
                    content = await body.read(limit)
                except BaseException:
                    await body.aclose()
                    raise
            except BaseException as error:
                if began:
                    self._tell(call, began, error, getattr(error, "status", 0))
                raise
            if began:
                self._tell(call, began, None, reply.status)
            return Reply(reply.status, reply.headers, Whole(content))

        sent.__name__ = sent.__qualname__ = operation
        return sent

    def opened(self, operation: str) -> Send:
        """Return what sends a call and gives its answer once the headers are there. A policy
        that keeps answers, or races for them, can't be around it: the body has to be closed."""
        hub = self.signals

        async def opened(call: Call) -> Reply:
            began = time.perf_counter() if hub.active and hub.wanted(CallMade) else 0.0
            try:
                reply = await self._opened(call)
            except BaseException as error:
                if began:
                    self._tell(call, began, error, getattr(error, "status", 0))
                raise
            if began:
                self._tell(call, began, None, reply.status)
            return reply

        opened.__name__ = opened.__qualname__ = operation
        setattr(opened, OPENING, True)
        return opened

    def _tell(self, call: Call, began: float, error: BaseException | None, status: int) -> None:
        self.signals.emit(
            CallMade(
                client=self._name,
                operation=call.operation,
                status=status,
                error="" if error is None else type(error).__name__,
                took=time.perf_counter() - began,
            )
        )

    async def _opened(self, call: Call) -> Reply:
        """Raises AnswerError if the status is 400 or more, and not allowed."""
        headers = call.headers.copy()
        headers.setdefault(REQUEST_ID, call.id)
        if self._carries:
            carry(headers)
        if self._auth is not None:
            headers.setdefault(*await self._auth.header())
        request = Outgoing(
            method=call.method,
            url=call.url,
            headers=headers,
            body=call.body,
            connect=call.connect,
            repeatable=call.idempotent,
        )
        reply = await self.transport.send(request)
        if reply.status in MOVED and call.method in SAFE:
            reply = await self._followed(request, reply)
        answered = reply.headers
        if DEGRADED in answered:
            self._note(answered)
        if "sunset" in answered or "deprecation" in answered:
            self._notices.look(call.operation, answered, self.signals)
        if reply.status >= 400 and reply.status not in call.allow:
            raise await self._error(call, reply)
        return reply

    async def _followed(self, request: Outgoing, reply: Reply) -> Reply:
        """Go where redirects lead, as long as that is with the same origin."""
        url = request.url
        for _ in range(REDIRECTS):
            to = reply.headers.get("location", "")
            url = urljoin(url, to).partition("#")[0]
            if reply.status not in MOVED or not to or not self._is_ours(url):
                break
            await reply.body.aclose()
            reply = await self.transport.send(_elsewhere(request, url))
        return reply

    def _is_ours(self, url: str) -> bool:
        try:
            return origin_of(url) == self._origin
        except ValueError:
            return False

    def _note(self, headers: Headers) -> None:
        for part in degraded_in(headers):
            note_degraded(f"{self._name}.{part}", "the other side says so")

    async def _error(self, call: Call, reply: Reply) -> AnswerError:
        body = await _beginning(reply.body)
        error = error_of(reply, body, client=self._name, operation=call.operation)
        if call.begun:
            vars(error)["retryable"] = False  # though it never ran: the body is used up
        return error


async def _beginning(body: Body) -> bytes:
    """Return as much of a body as an error needs; the connection outlives a short one."""
    parts, size = list[bytes](), 0
    try:
        async for chunk in body.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > MOST:
                break
    finally:
        await body.aclose()
    return b"".join(parts)[:MOST]


def _elsewhere(request: Outgoing, url: str) -> Outgoing:
    return Outgoing(
        method=request.method,
        url=url,
        headers=request.headers,
        body=request.body,
        connect=request.connect,
        repeatable=request.repeatable,
    )
