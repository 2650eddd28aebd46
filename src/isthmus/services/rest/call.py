"""One request, from which a handler's arguments are taken."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import Receive, Scope

from isthmus.handling.calling.inject import Call
from isthmus.handling.host import Host

__all__ = ["RequestCall"]


class RequestCall(Call):
    """A request while it is answered. What few handlers ask for is made when it is."""

    def __init__(self, host: Host, scope: Scope, receive: Receive) -> None:
        super().__init__(host)
        self.scope, self.receive = scope, receive
        self.told: Mapping[bytes, bytes] = dict(scope["headers"])
        """Its headers, by name in small letters; of several of one name the last."""
        self.texts: Sequence[Any] = ()
        """The values of its parameters that came as text, in the order of `Parameters.texts`."""
        self.content: Any = None
        """The value of its body."""

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
