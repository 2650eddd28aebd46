"""A service that is called over HTTP: one upstream, with a policy and a pool of its own."""

import ssl
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from isthmus.clock import Span
from isthmus.errors import ConfigError
from isthmus.resilience import facts
from isthmus.resilience.options import refuse_unless_whole, span_of
from isthmus.resilience.policy import Policy
from isthmus.services.client.address import Address
from isthmus.services.client.aiohttp_transport import AiohttpTransport
from isthmus.services.client.answer import Answer
from isthmus.services.client.auth import Auth
from isthmus.services.client.call import Call
from isthmus.services.client.declared import DeclaredClient
from isthmus.services.client.defaults import default_policy, own_policy
from isthmus.services.client.exchange import Exchange
from isthmus.services.client.link import Link
from isthmus.services.client.options import MEGABYTE, CallWords, refuse_misfits
from isthmus.services.client.requesting import Requesting
from isthmus.services.client.response import Response, given
from isthmus.services.client.tls import Tls, context_of
from isthmus.services.client.transport import Transport
from isthmus.signals import Signals

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """Calls one upstream, guarded: time limits, retries, a circuit breaker and a bulkhead.

        async with Client("payments", "https://pay.example") as payments:
            receipt = await payments.post("/charges", charge, result=Receipt, idempotency_key=id)

    An answer of status 400 and up is raised as an error that tells what may have happened
    (`isthmus.services.client.errors`). What is not known to be harmless is not repeated: a POST
    or PATCH is only if it has an `idempotency_key`, or if it certainly never ran. GET and HEAD
    follow redirects within the upstream; others don't. Cookies are not kept.

    Declared by `app.client`, it is open while the App is.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        policy: Policy | None = None,
        auth: Auth | None = None,
        headers: Mapping[str, str] | None = None,
        tls: Tls | ssl.SSLContext | None = None,
        limit: int = 16 * MEGABYTE,
        streams: int = 100,
        wait: Span = 30.0,
        keep_alive: Span = 15.0,
        carries: bool = True,
        key_header: str = "Idempotency-Key",
        transport: Transport | None = None,
        signals: Signals | None = None,
    ) -> None:
        """
        Args:
            name: Of the upstream, in errors, signals, and the configuration of its policy.
            base_url: What all paths are below, as "https://pay.example/v1".
            policy: Around every call. Default: that of its name in
                `isthmus.resilience.policies`, the default of clients as amended by
                configuration; where `transport` is given, one like it with a state of its own.
                `Policy()` is none.
            auth: Who it says it is: Bearer, Basic, or an object of yours. Default: nobody.
            headers: Sent with each request. Default: none of yours.
            tls: Whom it trusts, and its own certificate. Default: the system's authorities.
            limit: Most bytes of an answer that is read at once. 1 up; default 16 MiB.
            streams: Most streamed answers open at once. 1 up; default 100.
            wait: Seconds in which the next piece of a streamed answer has to come. Above 0;
                default 30.
            keep_alive: Seconds that an idle connection is kept. Above 0; default 15.
            carries: Whether trace context and deadline travel along. Default True; say False of
                strangers, whom neither concerns.
            key_header: The header that idempotency keys travel in. Default "Idempotency-Key".
            transport: What carries the requests. Default: aiohttp.
            signals: Whom to tell. Default: the App's listeners, else those of
                `isthmus.resilience.signals`.

        Raises:
            ConfigError: One of them is out of its range, or cannot be used.
        """
        if not name:
            raise ConfigError("Client(''): give the upstream a name, as 'payments'")
        refuse_misfits(name, policy=policy, auth=auth, headers=headers, tls=tls)
        refuse_unless_whole("Client", "limit", limit, 1)
        refuse_unless_whole("Client", "streams", streams, 1)
        self.name = name
        self._address = Address(name, base_url)
        self._requesting = Requesting(name, self._address, headers or {}, key_header)
        self.key_header = key_header
        """The header that idempotency keys travel in."""
        self._auth, self._carries, self._limit, self._streams = auth, carries, limit, streams
        self._wait = span_of("Client", "wait", wait, above_0=True)
        self._keep_alive = span_of("Client", "keep_alive", keep_alive, above_0=True)
        self._tls, self._transport, self._signals = context_of(tls, name), transport, signals
        self._given = policy is not None
        self.policy = policy or (own_policy if transport else default_policy)(name)
        """Around every call; its state is the upstream's."""
        self._own: Link | None = None  # while it is open
        self._replaced: list[Link] = []  # by `using`, the innermost last
        self._link: Link | None = None  # what calls go by: its own, or one in its place

    def __repr__(self) -> str:
        return f"Client({self.name!r}, {self.base_url!r})"

    @property
    def base_url(self) -> str:
        return self._address.base

    # -- calls --------------------------------------------------------------------------------

    @overload
    def get(
        self, path: str, /, *, result: type[T], **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def get(
        self, path: str, /, *, result: None = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Response]: ...
    @overload
    def get(
        self, path: str, /, *, result: Any, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]: ...
    def get(
        self, path: str, /, *, result: Any = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]:
        """GET: see `request`."""
        return self._request("GET", path, None, result, words)

    def head(self, path: str, /, **words: Unpack[CallWords]) -> Coroutine[Any, Any, Response]:
        """HEAD: see `request`."""
        return self._request("HEAD", path, None, None, words)

    @overload
    def post(
        self, path: str, body: Any = None, /, *, result: type[T], **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def post(
        self, path: str, body: Any = None, /, *, result: None = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Response]: ...
    @overload
    def post(
        self, path: str, body: Any = None, /, *, result: Any, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]: ...
    def post(
        self, path: str, body: Any = None, /, *, result: Any = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]:
        """POST: see `request`. Repeated only if it has an `idempotency_key`."""
        return self._request("POST", path, body, result, words)

    @overload
    def put(
        self, path: str, body: Any = None, /, *, result: type[T], **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def put(
        self, path: str, body: Any = None, /, *, result: None = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Response]: ...
    @overload
    def put(
        self, path: str, body: Any = None, /, *, result: Any, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]: ...
    def put(
        self, path: str, body: Any = None, /, *, result: Any = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]:
        """PUT: see `request`."""
        return self._request("PUT", path, body, result, words)

    @overload
    def patch(
        self, path: str, body: Any = None, /, *, result: type[T], **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def patch(
        self, path: str, body: Any = None, /, *, result: None = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Response]: ...
    @overload
    def patch(
        self, path: str, body: Any = None, /, *, result: Any, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]: ...
    def patch(
        self, path: str, body: Any = None, /, *, result: Any = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]:
        """PATCH: see `request`. Repeated only if it has an `idempotency_key`."""
        return self._request("PATCH", path, body, result, words)

    @overload
    def delete(
        self, path: str, /, *, result: type[T], **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def delete(
        self, path: str, /, *, result: None = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Response]: ...
    @overload
    def delete(
        self, path: str, /, *, result: Any, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]: ...
    def delete(
        self, path: str, /, *, result: Any = None, **words: Unpack[CallWords]
    ) -> Coroutine[Any, Any, Any]:
        """DELETE: see `request`."""
        return self._request("DELETE", path, None, result, words)

    @overload
    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        result: type[T],
        **words: Unpack[CallWords],
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        result: None = None,
        **words: Unpack[CallWords],
    ) -> Coroutine[Any, Any, Response]: ...
    @overload
    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        result: Any,
        **words: Unpack[CallWords],
    ) -> Coroutine[Any, Any, Any]: ...
    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        result: Any = None,
        **words: Unpack[CallWords],
    ) -> Coroutine[Any, Any, Any]:
        """Make a call; return the answer as a `result`, or as a Response if none is asked for.

        Args:
            method: As "POST".
            path: Below the base URL; what is in {braces} is filled from `path_params`.
            body: A model, dict or list (as JSON), a Form, text, bytes, or an async iterable of
                bytes. The last can be read once: such a call is not repeated once it has begun.
            result: The answer's type: a model, a list of them, `bytes`, `str` ...
            words: See CallWords: `params`, `path_params`, `headers`, `idempotency_key`, `allow`.

        Raises:
            UnreachableError: There was no connection: it never ran.
            NotCalledError: The policy refused it, as its circuit is open, or too many calls
                run: it never ran.
            TimedOutError: There was no answer in time; it ran, perhaps.
            ConnectionBrokenError: The connection broke; it ran, perhaps.
            RetriesSpentError: The last attempt failed as well, from its error.
            AnswerError: The status is 400 or more: RefusedError (4xx) or FailedError (5xx).
            MismatchError: The answer is not of type `result`; it ran.
            AnswerTooLargeError: It is larger than `limit`; it ran.
            ConfigError: The call cannot be made so, or the client is not open.
        """
        return self._request(method, path, body, result, words)

    async def _request(
        self, method: str, path: str, body: Any, result: Any, words: CallWords
    ) -> Any:
        link = self._link
        if link is None:
            raise self._closed()
        call = self._requesting.call(method, path, body, words)
        if result is not None and call.allow:
            raise ConfigError(
                f"{self.name}: {call.operation} has allow= and result=: leave out result=, look at "
                "the Response's status, and decode it by response.json(type)"
            )
        return given(await link.send(call), result, self.name, call.operation)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        wait: Span | None = None,
        **words: Unpack[CallWords],
    ) -> AsyncGenerator[Answer]:
        """Make a call and take its answer in pieces.

            async with payments.stream("GET", "/export") as answer:
                async for chunk in answer.chunks(): ...

        The policy guards it until the headers are there: what comes later was handed out, and
        can't be tried again. Each piece has to come within `wait` seconds.

        Raises:
            BulkheadFullError: As many answers are open as may be (`streams`).
            Exception: As `request`.
        """
        link = self._link
        if link is None:
            raise self._closed()
        call = self._requesting.call(method, path, body, words)
        patience = self._wait if wait is None else span_of("stream", "wait", wait, above_0=True)
        async with link.stream(call) as reply:
            yield Answer(reply, call.operation, wait=patience, limit=self._limit)

    async def send(self, call: Call) -> Any:
        """Send a call that was made by hand, guarded; return the Reply, its body read to its end.
        For those who build on a client, as `HttpxTransport` does.

        Raises:
            Exception: As `request`.
        """
        if self._link is None:
            raise self._closed()
        return await self._link.send(call)

    # -- life ---------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._own is not None

    async def open(self, *, signals: Signals | None = None) -> None:
        """Let calls be made. Nothing connects before the first.

        Raises:
            ConfigError: It is open already.
        """
        if self._own is not None:
            raise ConfigError(f"client {self.name!r} is open already")
        transport = self._transport or AiohttpTransport(tls=self._tls, keep_alive=self._keep_alive)
        self._own = self._linked(transport, self.policy, signals)
        if not self._replaced:
            self._link = self._own

    async def aclose(self) -> None:
        """Close its connections; twice is once. Calls under way fail."""
        own, self._own = self._own, None
        if not self._replaced:
            self._link = None
        if own is not None:
            await own.transport.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @contextmanager
    def using(self, transport: Transport) -> Generator[None]:
        """Have `transport` carry all calls inside, open or not: a fake, a recorder. Unless the
        client was given a policy, that is one like its own meanwhile, with a state of its own."""
        policy = self.policy if self._given else own_policy(self.name)
        self._replaced.append(self._linked(transport, policy, None))
        self._link = self._replaced[-1]
        try:
            yield
        finally:
            self._replaced.pop()
            self._link = self._replaced[-1] if self._replaced else self._own

    def record(self) -> DeclaredClient:
        """Return what the model says of it."""
        strategies = tuple(map(repr, self.policy.strategies))
        return DeclaredClient(name=self.name, base_url=self.base_url, policy=strategies)

    def _linked(self, transport: Transport, policy: Policy, signals: Signals | None) -> Link:
        exchange = Exchange(
            self.name,
            self._address.origin,
            transport=transport,
            auth=self._auth,
            carries=self._carries,
            limit=self._limit,
            signals=self._signals or signals or facts.signals,
        )
        return Link(self.name, policy, exchange, streams=self._streams)

    def _closed(self) -> ConfigError:
        return ConfigError(
            f"client {self.name!r} is not open: use `async with`, or declare it by app.client and "
            "run the App"
        )
