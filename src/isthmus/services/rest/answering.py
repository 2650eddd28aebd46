"""An endpoint at work: an ASGI application that answers the requests of one route."""

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from isthmus.errors import SchemaError
from isthmus.handling.calling.middleware import wrapped
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.message import Message
from isthmus.resilience.degraded import degraded_headers, degrading
from isthmus.services.layers.idempotency.idempotent import TRANSACTION
from isthmus.services.problem import Problem
from isthmus.services.rest.answer import Ready
from isthmus.services.rest.body import again, bounded, read
from isthmus.services.rest.call import RequestCall
from isthmus.services.rest.endpoint import Endpoint
from isthmus.services.rest.formats import JSON, Format
from isthmus.services.rest.parameters import faults_of, refusal
from isthmus.services.rest.sending import sent
from isthmus.services.rest.whole import Whole

__all__ = ["Answering"]


class Answering:
    """Answers requests with one function; what it wrote is committed when an answer leaves.

    Parts of an answer that were noted as degraded while it was made are named in a header.
    """

    def __init__(self, endpoint: Endpoint, host: Host) -> None:
        """Raises ConfigError if the Host lacks a resource that is asked for."""
        endpoint.plan.require(host)
        self._host, self._answer, self._plan = host, endpoint.answer, endpoint.plan
        self._parameters, self._limit = endpoint.parameters, endpoint.options.body_limit
        self._title, self._asks = endpoint.signature.title, endpoint.asks
        self._function: Callable[..., Awaitable[Any]] = (
            endpoint.function
            if endpoint.signature.is_async
            else partial(host.threads.run, endpoint.function)
        )
        self._waits = endpoint.plan.waits
        self._middleware = endpoint.declared.root.middleware
        self._made = endpoint.function
        self._inner = self._stream if endpoint.answer.stream else self._call
        self._respond = self._in_middleware if self._middleware else self._inner
        self._works = endpoint.works

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = RequestCall(self._host, scope, receive)
        with degrading() as parts:
            ready = await self._ready(call)
            if parts:
                ready.raw_headers += [
                    (name.encode(), value.encode()) for name, value in degraded_headers().items()
                ]
        if ready.__class__ is Whole:
            return await ready(scope, receive, send)
        await sent(ready, scope, receive, send)

    async def _ready(self, call: RequestCall) -> Ready:
        """Return the answer, with all that it stands on committed.

        Raises:
            Problem: The request is not what the function takes.
        """
        format_ = self._answer.format_for(call)
        await self._read(call)
        if self._works and TRANSACTION not in call.scope:
            return await repeat(self._host.store, lambda _: self._respond(call, format_))
        return await self._respond(call, format_)

    async def _read(self, call: RequestCall) -> None:
        """Read what the request gives, and judge it."""
        parameters, body = self._parameters, b""
        if parameters.body is not None:
            announced = call.told.get(b"content-length", b"0")
            body = await read(call.receive, announced=announced, limit=self._limit)
        format_ = self._format_of(body, call)
        parameters.read(call, body, format_)
        if self._asks:
            wanted, receive = parameters.body is not None, call.receive
            call.receive = again(body, receive) if wanted else bounded(receive, limit=self._limit)
            call.__dict__.pop("request", None)

    def _format_of(self, body: bytes, call: RequestCall) -> Format:
        kind = call.told.get(b"content-type")
        if kind is None or kind == b"application/json" or not body:
            return JSON
        wanted = self._parameters.body
        return JSON if wanted is None or wanted.raw else self._answer.negotiation.of_body(kind)

    async def _in_middleware(self, call: RequestCall, format_: Format) -> Ready:
        """Call the function inside the App's middleware."""
        answers: list[Ready] = []

        async def invoke(_: Sequence[Message]) -> None:
            answers.append(await self._inner(call, format_))

        await wrapped(invoke, self._middleware, self._title)(())
        if not answers:
            raise Problem(403, "a guard of this service let the request not pass")
        return answers[-1]

    async def _stream(self, call: RequestCall, format_: Format) -> Ready:
        """Begin what is made while it is sent; it closes the call at its end."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(call)
            in_order, by_name = await self._arguments(call)
            made: Any = self._made(*in_order, **by_name)
            if inspect.isawaitable(made):
                made = await made
            ready = self._answer.response(made, call, format_)
            stack.pop_all()
            return ready

    async def _call(self, call: RequestCall, format_: Format) -> Ready:
        if not self._waits:
            in_order, by_name = self._plan.at_once(call)
            value = await self._function(*in_order, **by_name)
            return self._answer.response(value, call, format_)
        async with call:
            in_order, by_name = await self._arguments(call)
            value = await self._function(*in_order, **by_name)
            return self._answer.response(value, call, format_)

    async def _arguments(self, call: RequestCall) -> tuple[list[Any], dict[str, Any]]:
        try:
            return await self._plan.arguments(call)
        except SchemaError as error:
            raise refusal(list(faults_of(error, location="header"))) from error
