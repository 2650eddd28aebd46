"""The user's function, made callable with a request.

Its signature is read once, when it is declared. A request that has a transaction
in it is a unit of work: committed before the answer is sent, run again on conflict.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from starlette.requests import Request

from isthmus.errors import ConfigError
from isthmus.handling.calling import given
from isthmus.handling.calling.dependencies import depends
from isthmus.handling.calling.inject import Plan, Source
from isthmus.handling.calling.signature import Parameter, Signature
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.schema.kinds import is_model
from isthmus.services.rest.answer import Answer
from isthmus.services.rest.options import RouteOptions
from isthmus.services.rest.parameters import BODILESS, Parameters

__all__ = ["Endpoint"]

POSSIBLE = (
    "possible are: parameters of the path and the query (str, int, list[str] ...), one body "
    "(Struct, dataclass, pydantic model), Request, Transaction, Annotated[..., Header()], "
    "Cookie(), Query(), Body(), Form() or Depends(...), Paging, Preconditions, Host, Version, "
    "and resources"
)


class Endpoint:
    """One function that answers requests: what it takes, and what it gives."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        method: str,
        names: Sequence[str],
        options: RouteOptions,
        declared: Declarations,
    ) -> None:
        """`names`: of the parameters in the path.

        Raises:
            ConfigError: A parameter cannot be given, or one of the path is not taken.
        """
        self.function, self.options = function, options
        self.signature = Signature(function)
        self.parameters = Parameters(method, names, declared.root.resources)
        self.declared = declared
        self.works = False
        """Whether it takes a transaction, which makes a request a unit of work."""
        self.asks = False
        """Whether it takes the Request itself."""
        offers = [self.parameters.offer, self._request, self._transaction, given.host]
        offers.append(given.version)
        offers.append(given.resource if method not in BODILESS else _resource)
        offers = [depends(offers, possible=POSSIBLE), *offers]
        self.plan = Plan(self.signature, offers, possible=POSSIBLE)
        self.answer = Answer(
            self.signature.returns,
            status=options.status,
            formats=options.formats,
            cached=method == "GET",
            tagged=options.etag,
        )
        self._refuse_streams()
        for name in self.parameters.unclaimed():
            raise ConfigError(f"{self.signature.title}() has no parameter {name!r}, the path has")

    def _refuse_streams(self) -> None:
        """Raises ConfigError for a stream that cannot be one."""
        title, stream = self.signature.title, self.answer.stream
        if self.signature.is_async_generator and stream is None:
            raise ConfigError(f"{title}() yields; annotate what: -> AsyncIterator[bytes]")
        if self.signature.is_generator:
            raise ConfigError(f"{title}() is a `def` that yields; write it as async def")
        if stream is not None and self.works:
            raise ConfigError(
                f"{title}() streams its answer, and a transaction ends before an answer begins; "
                "take one where you need it: async with app.transaction() as tx"
            )

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


def _resource(signature: Signature, parameter: Parameter) -> Source | None:
    """Offer a resource; of a model that none gives, say what a GET, which has no body, takes."""
    source = given.resource(signature, parameter)
    if source is None or source.require is None or not is_model(parameter.annotation):
        return source
    required, name = source.require, parameter.annotation.__name__

    def require(host: Host) -> None:
        try:
            required(host)
        except ConfigError as error:
            raise ConfigError(
                f"{error}; or, as a GET has no body, take its fields from the query: "
                f"Annotated[{name}, Depends({name})]"
            ) from None

    return source._replace(require=require)
