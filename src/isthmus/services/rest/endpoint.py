"""The user's function, made callable with a request.

Its signature is read once, when it is declared. A request that has a transaction
in it is a unit of work: committed before the answer is sent, run again on conflict.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.calling import given
from isthmus.handling.calling.dependencies import depends, header
from isthmus.handling.calling.inject import Call, Plan, Source
from isthmus.handling.calling.middleware import Middleware, wrapped
from isthmus.handling.calling.signature import Parameter, Signature
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.message import Message
from isthmus.services.problem import Problem
from isthmus.services.rest.answer import Answer
from isthmus.services.rest.body import accept_json, again, bounded, read
from isthmus.services.rest.parameters import Parameters, Values, faults_of, refusal

__all__ = ["Endpoint"]

POSSIBLE = (
    "possible are: parameters of the path and the query (str, int, list[str] ...), one body "
    "(Struct, dataclass, pydantic model), Request, Transaction, Annotated[..., Header()], "
    "Annotated[..., Depends(...)], Host, and resources"
)


class RequestCall(Call):
    """One request, from which arguments are taken."""

    def __init__(self, host: Host, request: Request, values: Values) -> None:
        super().__init__(host, request.headers)
        self.request, self.values = request, values


class Endpoint:
    """One function that answers requests."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        method: str,
        names: Sequence[str],
        status: int | None,
        body_limit: int,
        declared: Declarations,
    ) -> None:
        """`names`: of the parameters in the path.

        Raises:
            ConfigError: A parameter cannot be given, or one of the path is not taken.
        """
        self.function, self._body_limit = function, body_limit
        self.signature = Signature(function)
        self.parameters = Parameters(method, names, declared.root.resources)
        self._declared = declared
        self.works = self.asks = False
        self._middleware: Sequence[Middleware] = ()
        offers = [self.parameters.offer, self._request, header, self._transaction, given.host]
        offers.append(given.resource)
        offers = [depends(offers, possible=POSSIBLE), *offers]
        self._plan = Plan(self.signature, offers, possible=POSSIBLE)
        self.answer = Answer(self.signature.returns, status=status)
        for name in self.parameters.unclaimed():
            raise ConfigError(f"{self.signature.title}() has no parameter {name!r}, the path has")

    def bind(self, host: Host) -> None:
        """Raises ConfigError if the Host lacks a resource that is asked for."""
        self._plan.require(host)
        self._middleware = self._declared.root.middleware

    async def respond(self, scope: Scope, receive: Receive, host: Host) -> Response:
        """Answer one request; what it wrote is committed when this returns.

        Raises:
            Problem: The request is not what the function takes.
        """
        request = Request(scope, receive)
        body = await self._body(request)
        values = self.parameters.read(request, body)
        if self.asks:
            request = Request(scope, self._rest(body, receive))
        if self.works:
            return await repeat(host.store, lambda _: self._wrapped(request, host, values))
        return await self._wrapped(request, host, values)

    async def _body(self, request: Request) -> bytes:
        if (wanted := self.parameters.body) is None:
            return b""
        body = await read(request, limit=self._body_limit)
        if body and wanted.schema.type is not bytes:
            accept_json(request)
        return body

    def _rest(self, body: bytes, receive: Receive) -> Receive:
        """Return what a handler that takes the Request reads from: as it came, but bounded."""
        if self.parameters.body is not None:
            return again(body, receive)
        return bounded(receive, limit=self._body_limit)

    async def _wrapped(self, request: Request, host: Host, values: Values) -> Response:
        """Call the function inside the App's middleware, if it has any."""
        if not self._middleware:
            return await self._call(request, host, values)
        responses: list[Response] = []

        async def invoke(_: Sequence[Message]) -> None:
            responses.append(await self._call(request, host, values))

        await wrapped(invoke, self._middleware, self.signature.title)(())
        if not responses:
            raise Problem(403, "a guard of this service let the request not pass")
        return responses[-1]

    async def _call(self, request: Request, host: Host, values: Values) -> Response:
        async with RequestCall(host, request, values) as call:
            in_order, by_name = await self._arguments(call)
            if self.signature.is_async:
                value = await self.function(*in_order, **by_name)
            else:
                value = await host.threads.run(self.function, *in_order, **by_name)
            return self.answer.response(value)

    async def _arguments(self, call: RequestCall) -> tuple[list[Any], dict[str, Any]]:
        try:
            return await self._plan.arguments(call)
        except SchemaError as error:
            raise refusal(list(faults_of(error, location="header"))) from error

    def _transaction(self, signature: Signature, parameter: Parameter) -> Source | None:
        """Offer the transaction, and make this a unit of work."""
        source = given.transaction(signature, parameter)
        self.works = self.works or source is not None
        return source

    def _request(self, _: Signature, parameter: Parameter) -> Source | None:
        """Offer the request itself."""
        if parameter.annotation is not Request:
            return None
        self.asks = True
        return Source(attrgetter("request"))
