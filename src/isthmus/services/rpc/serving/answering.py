"""One method on an open Host, as grpcio calls it: bytes in, bytes out, in four shapes."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio

from isthmus.handling.calling.middleware import wrapped
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.message import Message
from isthmus.resilience.degraded import degraded_headers, degrading
from isthmus.services.layers.request_id import request_id
from isthmus.services.problem import Problem
from isthmus.services.rpc.codes import Code
from isthmus.services.rpc.details import NEVER_RAN, TRAILER, packed
from isthmus.services.rpc.method import Kind
from isthmus.services.rpc.serving.endpoint import Endpoint
from isthmus.services.rpc.serving.request import REQUEST_ID, RpcCall, begin
from isthmus.services.rpc.status import Status, status_of_error

__all__ = ["Answering", "Tasks"]

SILENCE = 1.0
"""Seconds after which a stream that has nothing to say yet tells its caller that it is open."""

_log = logging.getLogger("isthmus.grpc")
_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_LENGTH = 1_024
"""Characters of details that are sent."""


class Tasks(set["asyncio.Task[Any]"]):
    """What runs in a server."""

    lame = False
    """Whether nothing more is begun: calls that come are refused unread."""
    refused = 0
    cut = False
    """Whether what runs is cancelled by the server, not by who called."""

    async def quiet(self, *, within: float, span: float) -> None:
        """Return once no call has come for `span` seconds, or after `within`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                before = -1
                while before != self.refused:
                    before = self.refused
                    await asyncio.sleep(span)


class _LameError(Exception):
    """The server is on its way out."""


class Answering:
    """Answers the calls of one method."""

    def __init__(self, endpoint: Endpoint, host: Host, tasks: Tasks) -> None:
        self._endpoint, self._host, self._tasks = endpoint, host, tasks
        self._wired, self._title = endpoint.wired, endpoint.wired.title
        self._middleware = tuple(endpoint.declared.root.middleware)

    def handler(self) -> Any:
        """Return what grpcio calls. It decodes nothing: an error in it would reach the caller."""
        made: Any = grpc
        match self._wired.method.kind:
            case Kind.UNARY:
                return made.unary_unary_rpc_method_handler(self._unary())
            case Kind.SERVER_STREAM:
                return made.unary_stream_rpc_method_handler(self._server_stream)
            case Kind.CLIENT_STREAM:
                return made.stream_unary_rpc_method_handler(self._client_stream)
            case Kind.BIDIRECTIONAL:
                return made.stream_stream_rpc_method_handler(self._bidirectional)

    # --- one answer --------------------------------------------------------------------------

    def _unary(self) -> Callable[[bytes, Any], Awaitable[bytes]]:
        decode, encode = self._wired.request.decode, self._wired.answer.encode
        clock, tasks, current = self._host.clock, self._tasks, asyncio.current_task
        respond = self._responding()

        async def unary(body: bytes, context: Any) -> bytes:
            task: Any = current()
            tasks.add(task)
            try:
                if tasks.lame:
                    raise _LameError
                begin(context, clock)
                with degrading() as parts:
                    answer = encode(await respond(decode(body), context))
                    if parts:
                        _tell_degraded(context)
                return answer
            except BaseException as error:
                await self._fail(error, context)
                raise
            finally:
                tasks.discard(task)

        return unary

    async def _client_stream(self, bodies: AsyncIterator[bytes], context: Any) -> bytes:
        task: Any = asyncio.current_task()
        self._tasks.add(task)
        try:
            self._refuse_if_lame()
            begin(context, self._host.clock)
            async with aclosing(self._decoded(bodies)) as requests:
                answer = await self._responding()(requests, context)
            return self._wired.answer.encode(answer)
        except BaseException as error:
            await self._fail(error, context)
            raise
        finally:
            self._tasks.discard(task)

    def _responding(self) -> Callable[[Any, Any], Awaitable[Any]]:
        """Return what makes an answer of a request: the function itself, where it takes that
        and nothing else."""
        endpoint, host = self._endpoint, self._host
        if endpoint.is_plain and endpoint.signature.is_async and not self._middleware:
            function = endpoint.function
            if not endpoint.wired.method.parameter:
                return lambda _, __: function()
            return lambda request, _: function(request)

        async def once(request: Any, context: Any) -> Any:
            async with RpcCall(host, context, request) as call:
                return await endpoint.call(call)

        async def within(request: Any, context: Any) -> Any:
            if not self._middleware:
                return await once(request, context)
            answers = list[Any]()

            async def invoke(_: Sequence[Message]) -> None:
                answers.append(await once(request, context))

            await wrapped(invoke, self._middleware, endpoint.signature.title)(())
            if not answers:
                raise _not_let_through()
            return answers[-1]

        if not endpoint.works:
            return within
        return lambda request, context: repeat(host.store, lambda _: within(request, context))

    # --- a stream of answers -----------------------------------------------------------------

    async def _server_stream(self, body: bytes, context: Any) -> AsyncGenerator[bytes]:
        async for each in self._stream(lambda: self._wired.request.decode(body), context):
            yield each

    async def _bidirectional(
        self, bodies: AsyncIterator[bytes], context: Any
    ) -> AsyncGenerator[bytes]:
        async for each in self._stream(lambda: self._decoded(bodies), context):
            yield each

    async def _stream(self, read: Callable[[], Any], context: Any) -> AsyncGenerator[bytes]:
        task: Any = asyncio.current_task()
        self._tasks.add(task)
        opening = _Opening(context)
        try:
            self._refuse_if_lame()
            begin(context, self._host.clock)
            encode = self._wired.answer.encode
            async with aclosing(self._answers(read(), context)) as answers:
                async for answer in answers:
                    if not opening.done:
                        await opening.end()
                    yield encode(answer)
        except GeneratorExit:
            raise
        except BaseException as error:
            await opening.end()
            await self._fail(error, context)
            raise
        finally:
            opening.cancel()
            self._tasks.discard(task)

    async def _answers(self, request: Any, context: Any) -> AsyncGenerator[Any]:
        if self._middleware:
            async with aclosing(self._answers_within(request, context)) as answers:
                async for answer in answers:
                    yield answer
            return
        async with RpcCall(self._host, context, request) as call:
            stream = await self._endpoint.call(call)
            async with _closing(stream):
                async for answer in stream:
                    yield answer

    async def _answers_within(self, request: Any, context: Any) -> AsyncGenerator[Any]:
        """Yield the answers of a stream that runs inside middleware, in a task of its own; it
        goes on when an answer was taken."""
        answers: asyncio.Queue[tuple[Any]] = asyncio.Queue(1)
        ran = False

        async def invoke(_: Sequence[Message]) -> None:
            nonlocal ran
            ran = True
            async with RpcCall(self._host, context, request) as call:
                stream = await self._endpoint.call(call)
                async with _closing(stream):
                    async for answer in stream:
                        await answers.put((answer,))
                        await answers.join()

        title = self._endpoint.signature.title
        running = asyncio.ensure_future(wrapped(invoke, self._middleware, title)(()))
        try:
            while True:
                taking = asyncio.ensure_future(answers.get())
                await asyncio.wait((running, taking), return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    taking.cancel()
                    break
                yield taking.result()[0]
                answers.task_done()
            await running
            if not ran:
                raise _not_let_through()
        finally:
            running.cancel()
            await asyncio.wait((running,))

    async def _decoded(self, bodies: AsyncIterator[bytes]) -> AsyncGenerator[Any]:
        decode = self._wired.request.decode
        async for body in bodies:
            yield decode(body)

    # --- the end of one that failed ----------------------------------------------------------

    def _refuse_if_lame(self) -> None:
        if self._tasks.lame:
            raise _LameError

    async def _fail(self, error: BaseException, context: Any) -> None:
        """End a call by the status of `error`; return if it is ended already, or by its caller."""
        if isinstance(error, asyncio.CancelledError) and not self._tasks.cut:
            return
        if isinstance(error, grpc.aio.AbortError) or not isinstance(
            error, Exception | asyncio.CancelledError
        ):
            return
        if isinstance(error, _LameError):
            self._tasks.refused += 1
            told = "shutting down; this call was not begun"
            await context.abort(_CODES[Code.UNAVAILABLE], told, ((NEVER_RAN, "1"),))
        status, called = status_of_error(error), request_id.get()
        self._tell(status, error, called)
        trailers: list[tuple[str, str | bytes]] = [(REQUEST_ID, called)]
        details = _short(status.details)
        if status.violations or status.retry_after is not None:
            violations, after = status.violations, status.retry_after
            told = packed(status.code, details, violations=violations, retry_after=after)
            trailers.append((TRAILER, told))
        await context.abort(_CODES[status.code], details, tuple(trailers))

    def _tell(self, status: Status, error: BaseException, called: str) -> None:
        """Log what the caller is not told."""
        ours = status.code in {Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}
        if not ours or isinstance(error, Problem):
            return
        _log.log(
            logging.ERROR if status.unforeseen else logging.WARNING,
            "%s answered %s (request %s): %r",
            self._title,
            status.code.name,
            called,
            error,
            exc_info=error if status.unforeseen else None,
        )


class _Opening:
    """Tells the caller after a while that a stream is open, though nothing came of it yet."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(
            SILENCE, self._tell
        )
        self._telling: asyncio.Task[None] | None = None

    @property
    def done(self) -> bool:
        return self._timer is None

    async def end(self) -> None:
        """Let what is being told be told, and tell nothing more."""
        self.cancel()
        if self._telling is not None:
            await self._telling

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self._telling = asyncio.ensure_future(self._headers())

    async def _headers(self) -> None:
        try:
            await self._context.send_initial_metadata(())
        except Exception:  # noqa: BLE001 - the caller has gone
            _log.debug("a stream was left before it began", exc_info=True)


class _closing:  # noqa: N801 - as contextlib's
    """Closes a stream if it can be closed: not every AsyncIterator can."""

    def __init__(self, stream: Any) -> None:
        self._close = getattr(stream, "aclose", None)

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        if self._close is not None:
            await self._close()


def _not_let_through() -> Problem:
    return Problem(403, "a guard of this service let the request not pass")


def _tell_degraded(context: Any) -> None:
    told = ((name.lower(), value) for name, value in degraded_headers().items())
    context.set_trailing_metadata(tuple(told))


def _short(text: str) -> str:
    return text if len(text) <= _LENGTH else text[: _LENGTH - 3] + "..."
