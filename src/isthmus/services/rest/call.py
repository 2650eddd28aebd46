"""One request, from which a handler's arguments are taken."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import Receive, Scope

from isthmus.handling.calling.inject import Call
from isthmus.handling.host import Host

__all__ = ["RequestCall", "Values"]


class Values(NamedTuple):
    """What one request gave."""

    texts: Sequence[Any] = ()
    body: Any = None


class RequestCall(Call):
    """A request while it is answered. What few handlers ask for is made when it is."""

    def __init__(self, host: Host, scope: Scope, receive: Receive) -> None:
        super().__init__(host)
        self.scope, self.receive = scope, receive
        self.told: Mapping[bytes, bytes] = dict(scope["headers"])
        """Its headers, by name in small letters; of several of one name the last."""
        self.values = Values()

    @cached_property
    def headers(self) -> Headers:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Its headers, all of them."""
        return Headers(scope=self.scope)

    @cached_property
    def query(self) -> QueryParams:
        return QueryParams(self.scope["query_string"])

    @cached_property
    def request(self) -> Request:
        """The request, as Starlette has it; its body is read from `receive`."""
        return Request(self.scope, self.receive)
