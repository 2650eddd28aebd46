"""One method of a service, called: guarded, in four shapes."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc.aio

from isthmus.deadline import in_force, remaining
from isthmus.resilience.policy import Policy
from isthmus.services.rpc.calling.channel import READY, Link
from isthmus.services.rpc.calling.defaults import connect_within
from isthmus.services.rpc.calling.failing import converted
from isthmus.services.rpc.calling.outgoing import Making, Pairs, carried, checked, key_here
from isthmus.services.rpc.codes import Code
from isthmus.services.rpc.contract.contract import Wired
from isthmus.services.rpc.errors import RpcError, RpcUnreachableError
from isthmus.services.rpc.method import Kind

__all__ = ["CalledMethod"]

GRACE = 0.05
"""Seconds that the first answer of a stream gets to follow the news that it is open."""

_OPEN: Any = object()
"""What a stream yields first: it is open, and no longer guarded."""

Moment = tuple[float, Callable[[], float], bool] | None


class CalledMethod:
    """One method over one link."""

    def __init__(
        self, wired: Wired, link: Link, policy: Policy, *, own: Pairs, making: Making | None
    ) -> None:
        """`own`: metadata that is always sent; `making`: makes more for each attempt."""
        self._wired, self._link, self.title = wired, link, wired.title
        self._own, self._making = own, making
        self._policy = policy.with_(idempotent=wired.method.idempotent).for_(wired.title)
        self._connect = connect_within(self._policy)
        self._multi: Any = None

    def open(self) -> None:
        """Take up the channel, which is open."""
        channel, path = self._link.channel, self._wired.path
        match self._wired.method.kind:
            case Kind.UNARY:
                self._multi = channel.unary_unary(path)
            case Kind.SERVER_STREAM:
                self._multi = channel.unary_stream(path)
            case Kind.CLIENT_STREAM:
                self._multi = channel.stream_unary(path)
            case Kind.BIDIRECTIONAL:
                self._multi = channel.stream_stream(path)

    def function(self) -> Callable[..., Any]:
        """Return what the program calls."""
        match self._wired.method.kind:
            case Kind.UNARY:
                return self._unary()
            case Kind.CLIENT_STREAM:
                return self._client_stream()
            case Kind.SERVER_STREAM:
                return self._server_stream()
            case Kind.BIDIRECTIONAL:
                return self._bidirectional()

    # --- one answer --------------------------------------------------------------------------

    def _unary(self) -> Callable[..., Awaitable[Any]]:
        encode, decode = self._wired.request.encode, self._wired.answer.decode
        link, own, making = self._link, self._own, self._making

        async def once(body: bytes, idempotency_key: Pairs = ()) -> bytes:  # as Retry knows it
            connected = link.channel.get_state() is READY or await self._connected()
            if making is not None or idempotency_key:
                metadata = await self._made(idempotency_key)
            else:
                metadata = carried(own)
            try:
                return await self._multi(body, timeout=remaining(), metadata=metadata)
            except grpc.aio.AioRpcError as error:
                raise converted(error, self.title, unconnected=not connected) from error
            except asyncio.CancelledError as error:
                raise self._cancelled(error) from error

        guarded = self._guarded(once)

        async def call(request: Any = None) -> Any:
            body = encode(request)
            if key := self._key():
                return decode(await guarded(body, idempotency_key=key))
            return decode(await guarded(body))

        return call

    def _client_stream(self) -> Callable[..., Awaitable[Any]]:
        decode = self._wired.answer.decode

        async def once(requests: "_Requests", key: Pairs) -> bytes:
            await self._sure()
            metadata = await self._made(key)
            try:
                return await self._multi(requests, timeout=remaining(), metadata=metadata)
            except grpc.aio.AioRpcError as error:
                raise converted(error, self.title, unconnected=False) from (requests.error or error)
            except asyncio.CancelledError as error:
                raise (requests.error or self._cancelled(error)) from None

        guarded = self._guarded(once)

        async def call(requests: AsyncIterable[Any]) -> Any:
            sent = _Requests(requests, self._wired.request.encode)
            return decode(await guarded(sent, self._key()))

        return call

    # --- a stream of answers -----------------------------------------------------------------

    def _server_stream(self) -> Callable[..., AsyncGenerator[Any]]:
        encode = self._wired.request.encode

        async def bodies(body: bytes, until: Moment, key: Pairs) -> AsyncGenerator[Any]:
            connected = self._link.channel.get_state() is READY or await self._connected()
            call = self._multi(body, timeout=_left(until), metadata=await self._made(key))
            async with aclosing(self._answers(call, connected=connected)) as answers:
                async for answer in answers:
                    yield answer

        guarded = self._guarded(bodies)

        async def stream(request: Any = None) -> AsyncGenerator[Any]:
            async with aclosing(guarded(encode(request), in_force.get(), self._key())) as answers:
                async for answer in self._decoded(answers):
                    yield answer

        return stream

    def _bidirectional(self) -> Callable[..., AsyncGenerator[Any]]:
        async def bodies(requests: "_Requests", until: Moment, key: Pairs) -> AsyncGenerator[Any]:
            await self._sure()
            call = self._multi(requests, timeout=_left(until), metadata=await self._made(key))
            try:
                async with aclosing(self._answers(call, connected=True)) as answers:
                    async for answer in answers:
                        yield answer
            except (asyncio.CancelledError, RpcError):
                if requests.error is not None:
                    raise requests.error from None
                raise

        guarded = self._guarded(bodies)

        async def stream(requests: AsyncIterable[Any]) -> AsyncGenerator[Any]:
            sent = _Requests(requests, self._wired.request.encode)
            async with aclosing(guarded(sent, in_force.get(), self._key())) as answers:
                async for answer in self._decoded(answers):
                    yield answer

        return stream

    async def _answers(self, call: Any, *, connected: bool) -> AsyncGenerator[Any]:
        """Yield _OPEN once the stream is open, then each answer; end the call when left."""
        try:
            reading = asyncio.ensure_future(call.read())
            try:
                await _opened(call, reading)
                if reading.done() and reading.result() is grpc.aio.EOF:
                    return
                yield _OPEN
                body = await reading
            finally:
                reading.cancel()
            while body is not grpc.aio.EOF:
                yield body
                body = await call.read()
        except grpc.aio.AioRpcError as error:
            raise converted(error, self.title, unconnected=not connected) from error
        except asyncio.CancelledError as error:
            raise self._cancelled(error) from error
        finally:
            call.cancel()

    async def _decoded(self, answers: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
        decode = self._wired.answer.decode
        async for body in answers:
            if body is not _OPEN:
                yield decode(body)

    # --- what all shapes do ------------------------------------------------------------------

    def _guarded(self, function: Any) -> Any:
        function.__name__ = function.__qualname__ = self.title
        return self._policy(function)

    def _key(self) -> Pairs:
        return key_here(idempotent=self._wired.method.idempotent)

    async def _made(self, key: Pairs) -> Pairs | None:
        if self._making is None:
            return carried((*self._own, *key))
        made: Any = self._making()
        if inspect.isawaitable(made):
            made = await made
        return carried((*self._own, *key, *checked(made)))

    async def _connected(self) -> bool:
        return await self._link.connect(self._connect, self.title)

    async def _sure(self) -> None:
        """Raise RpcUnreachableError unless there is a connection: requests of a stream can be
        taken from it only once."""
        if self._link.channel.get_state() is not READY and not await self._connected():
            told = "no connection: the last attempt failed"
            raise RpcUnreachableError(self.title, Code.UNAVAILABLE, told)

    def _cancelled(self, error: asyncio.CancelledError) -> BaseException:
        """Return the error of a call that was cancelled: by who awaits it, or with its stub."""
        task = asyncio.current_task()
        if self._link.is_open or (task is not None and task.cancelling()):
            return error
        return RpcError(self.title, Code.CANCELLED, "its stub was closed meanwhile")


class _Requests:
    """The requests of a stream, encoded as they are taken; one iterator for all attempts."""

    def __init__(self, requests: AsyncIterable[Any], encode: Callable[[Any], bytes]) -> None:
        self._requests, self._encode = aiter(requests), encode
        self.error: Exception | None = None
        """What taking them raised: grpcio only ends the call then."""

    def __aiter__(self) -> "_Requests":
        return self

    async def __anext__(self) -> bytes:
        try:
            return self._encode(await anext(self._requests))
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise


async def _opened(call: Any, reading: "asyncio.Future[Any]") -> None:
    """Return once something came of a stream: its headers, its first answer, or its end."""
    headers = asyncio.ensure_future(call.initial_metadata())
    try:
        await asyncio.wait((headers, reading), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await asyncio.wait((reading,), timeout=GRACE)
    finally:
        headers.cancel()


def _left(until: Moment) -> float | None:
    """Return the seconds until the caller's own deadline; that of a policy's timeout ends with
    the opening."""
    if until is None or until[0] == float("inf"):
        return None
    return max(0.0, until[0] - until[1]())
