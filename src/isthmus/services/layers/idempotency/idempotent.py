"""The layer that makes requests with an Idempotency-Key happen once, around any application.

What the application does with the transaction in force, what it sends, and its answer commit
together: there is no moment at which one is there without the others.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.clock import seconds
from isthmus.contracts import Transaction
from isthmus.errors import ConflictError
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.services.layers.idempotency.claims import (
    Claim,
    Claims,
    KeptAnswer,
    OtherRequestError,
    StillRunningError,
)
from isthmus.services.layers.idempotency.key import fingerprint, key_in, place
from isthmus.services.layers.idempotency.options import Idempotency
from isthmus.services.layers.idempotency.taking import (
    HeldAnswer,
    again,
    send_answer,
    whole_body,
)
from isthmus.services.layers.request_id import request_id
from isthmus.services.problem import Problem, problem_of, response_to

__all__ = ["PASSING", "REPLAYED", "TRANSACTION", "Idempotent"]

TRANSACTION = "isthmus.transaction"
"""Where in the scope an application finds the transaction with which its answer commits."""

REPLAYED = (b"idempotency-replayed", b"true")

PASSING = frozenset({401, 403, 408, 409, 425, 429})
"""Statuses below 500 that say that nothing was done and it may go well another time: what was
begun is undone, and the key stays free."""


class Idempotent:
    """Answers the second request of a key as the first was answered."""

    def __init__(self, app: ASGIApp, *, host: Host, options: Idempotency | None = None) -> None:
        self._app, self._host = app, host
        self._options = options = options or Idempotency()
        self._claims = Claims(
            host.store,
            host.clock,
            lease=seconds(options.lease),
            retention=seconds(options.retention),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in self._options.methods:
            return await self._app(scope, receive, send)
        key = key_in(scope)
        if key is None:
            if self._options.required:
                raise _missing()
            return await self._app(scope, receive, send)
        await self._answer(key, scope, receive, send)

    async def _answer(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive, limit=self._options.body_limit)
        identity = self._options.identity(HTTPConnection(scope))
        try:
            taken = await self._claims.take(place(identity, key), fingerprint(scope, body))
            if isinstance(taken, KeptAnswer):
                return await send_answer(taken, send, REPLAYED)
            answer = await self._worked(taken, scope, body, receive)
        except OtherRequestError as error:
            raise _another() from error
        except StillRunningError as error:
            raise _running() from error
        await send_answer(answer, send)

    async def _worked(
        self, claim: Claim, scope: Scope, body: bytes, receive: Receive
    ) -> KeptAnswer:
        """Return the answer, committed with what it stands on, or of what was undone.

        Raises:
            Exception: What the application raised, undone; the key is free again.
            StillRunningError: It took so long that another began; undone.
        """

        async def work(tx: Transaction) -> KeptAnswer:
            await claim.begin()
            answer = await self._run({**scope, TRANSACTION: tx}, again(body, receive))
            await claim.settle(answer, tx=tx)
            return answer

        async with _held(claim):
            try:
                answer = await repeat(self._host.store, work)
            except _Undone as undone:
                return undone.answer
            except Exception as error:  # noqa: BLE001 - raised again, unless it is an answer
                answer = await self._refused(claim, error, scope)
            claim.kept = True
            return answer

    async def _run(self, scope: Scope, receive: Receive) -> KeptAnswer:
        held = HeldAnswer(limit=self._options.answer_limit)
        await self._app(scope, receive, held)
        answer = held.whole()
        if not _is_kept(answer.status):
            raise _Undone(answer)
        return answer

    async def _refused(self, claim: Claim, error: Exception, scope: Scope) -> KeptAnswer:
        """Keep a refusal by itself, if it is one to be kept: what led to it was undone."""
        problem = problem_of(error)
        if not _is_kept(problem.status):
            raise error
        held = HeldAnswer(limit=self._options.answer_limit)
        response = response_to(problem, request_id=request_id.get())
        await response(scope, again(b"", _nothing), held)
        answer = held.whole()
        try:
            await claim.settle(answer, tx=None)
        except ConflictError as overtaken:
            raise StillRunningError("it was taken over") from overtaken
        return answer


class _Undone(Exception):  # noqa: N818 - carries an answer
    """The application answered that nothing was done: so it be."""

    def __init__(self, answer: KeptAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@asynccontextmanager
async def _held(claim: Claim) -> AsyncGenerator[None]:
    """Extend the claim meanwhile; give it back if this fails, or nothing was kept."""
    keeping = asyncio.create_task(claim.keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.shield(claim.release())


def _is_kept(status: int) -> bool:
    return status < 500 and status not in PASSING


async def _nothing() -> dict[str, str]:
    return {"type": "http.disconnect"}


def _missing() -> Problem:
    return Problem(
        400,
        "this request needs an Idempotency-Key: a header with a value of your own that is the "
        "same whenever you send the same request again",
    )


def _another() -> Problem:
    return Problem(422, "this Idempotency-Key was used for a request that was not this one")


def _running() -> Problem:
    return Problem(
        409,
        "the first request with this Idempotency-Key is being worked on; ask again",
        headers={"Retry-After": "1"},
    )
