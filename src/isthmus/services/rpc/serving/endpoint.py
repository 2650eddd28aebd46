"""The user's method, made callable with requests.

Its signature is read once. What it takes beside the request is given by annotation, as to
any handler; a unary call that has a transaction in it is a unit of work.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from operator import attrgetter
from types import NoneType
from typing import Any

import grpc.aio

from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.calling import given as offers
from isthmus.handling.calling.dependencies import depends, header
from isthmus.handling.calling.inject import Plan, Source
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.schema.kinds import type_name
from isthmus.services.rpc.contract.contract import Wired
from isthmus.services.rpc.marks import given
from isthmus.services.rpc.method import Kind, streamed
from isthmus.services.rpc.serving.request import Metadata, Peer, RpcCall
from isthmus.services.rpc.wire.converter import UnreadableError

__all__ = ["Endpoint"]

POSSIBLE = (
    "possible are: the request, Metadata, Peer, grpc.aio.ServicerContext, Transaction (where "
    "nothing streams), Annotated[..., Header()], Annotated[..., Depends(...)], Host, and resources"
)
_TAKEN: dict[Any, Callable[[Any], Any]] = {
    Metadata: attrgetter("metadata"),
    Peer: attrgetter("peer"),
    grpc.aio.ServicerContext: attrgetter("context"),
}


class Endpoint:
    """One method of an object that implements a service."""

    def __init__(self, service: object, wired: Wired, declared: Declarations) -> None:
        """Raises ConfigError if a parameter cannot be given, or the method is not as declared."""
        self.wired = wired
        self.function: Callable[..., Any] = getattr(service, wired.method.attribute)
        self.signature = Signature(self.function)
        self.signature.parameters = [_unset(each) for each in self.signature.parameters]
        self.works = False
        self._refuse_another_shape()
        self._name = self._request_name()
        possible = [self._request, self._travelling, header, self._transaction, offers.host]
        possible += [offers.resource]
        possible = [depends(possible, possible=POSSIBLE), *possible]
        self._plan = Plan(self.signature, possible, possible=POSSIBLE)
        self.declared = declared

    @property
    def is_plain(self) -> bool:
        """Whether it takes nothing but its request, by its place."""
        own = [each.name for each in self.signature.parameters if not each.by_name]
        return len(self.signature.parameters) == len(own) and own == [self._name] * bool(self._name)

    def bind(self, host: Host) -> None:
        """Raises ConfigError if the Host lacks a resource that is asked for."""
        self._plan.require(host)

    async def call(self, call: RpcCall) -> Any:
        """Return what the function returns; of one that streams, its stream."""
        by_place, by_name = await self._arguments(call)
        if self.wired.method.kind.value[1]:
            return self.function(*by_place, **by_name)
        if self.signature.is_async:
            return await self.function(*by_place, **by_name)
        return await call.host.threads.run(self.function, *by_place, **by_name)

    async def _arguments(self, call: RpcCall) -> tuple[list[Any], dict[str, Any]]:
        try:
            return await self._plan.arguments(call)
        except UnreadableError:
            raise
        except SchemaError as error:  # of the metadata
            raise UnreadableError(str(error), problems=error.problems) from error

    # --- what it may take --------------------------------------------------------------------

    def _request(self, signature: Signature, parameter: Parameter) -> Source | None:
        own = signature is self.signature and parameter.name == self._name
        return Source(attrgetter("request")) if own else None

    def _travelling(self, _: Signature, parameter: Parameter) -> Source | None:
        annotation = parameter.annotation
        if not isinstance(annotation, type) or annotation not in _TAKEN:
            return None
        return Source(_TAKEN[annotation])

    def _transaction(self, signature: Signature, parameter: Parameter) -> Source | None:
        """Offer the transaction, and make this a unit of work."""
        source = offers.transaction(signature, parameter)
        if source is not None and self.wired.method.kind is not Kind.UNARY:
            raise signature.error(
                parameter.name,
                "is a transaction, which would be open as long as the stream; write "
                "`async with app.transaction() as tx:` around what belongs together",
            )
        self.works = self.works or source is not None
        return source

    # --- whether it is what the interface declares -------------------------------------------

    def _request_name(self) -> str:
        """Return the parameter that takes the request: its name is the implementation's own."""
        method = self.wired.method
        if not method.parameter:
            return ""
        wanted = AsyncIterator[method.takes] if method.kind.value[0] else method.takes
        for parameter in self.signature.parameters:
            if _same(parameter.annotation, wanted):
                return parameter.name
        raise ConfigError(
            f"{self.signature.title}() takes no {type_name(wanted)}, which {self.wired.title} does"
        )

    def _refuse_another_shape(self) -> None:
        """An implementation may leave annotations out; what it says has to be as declared."""
        signature, declared = self.signature, self.wired.method
        gives, streams = streamed(signature.returns)
        gives = None if gives is NoneType else gives
        said = gives is not NOTHING and gives is not Any
        wrong_type = said and (gives != declared.gives or streams is not declared.kind.value[1])
        wrong_kind = signature.is_async if declared.kind.value[1] else signature.is_async_generator
        if wrong_type or wrong_kind:
            raise ConfigError(
                f"{signature.title}() gives {_side(gives, streams)}, and {self.wired.title} is "
                f"declared to give {_side(declared.gives, declared.kind.value[1])}"
            )
        if declared.gives is not None and _is_empty(self.function):
            raise ConfigError(
                f"{signature.title}() is declared only: implement it, or raise "
                "NotImplementedError in it"
            )


def _side(gives: Any, streams: bool) -> str:  # noqa: FBT001
    name = "None" if gives is None else type_name(gives)
    return f"a stream of {name}" if streams else name


def _same(annotation: Any, wanted: Any) -> bool:
    if annotation == wanted or annotation is NOTHING or annotation is Any:
        return True
    streams: Sequence[Any] = getattr(annotation, "__args__", ())
    inner: Sequence[Any] = getattr(wanted, "__args__", ())
    origin = getattr(annotation, "__name__", "")
    return bool(inner) and origin.startswith("Async") and tuple(streams)[:1] == tuple(inner)[:1]


def _unset(parameter: Parameter) -> Parameter:
    """A default of `given` says that isthmus gives it: there is none."""
    return parameter._replace(default=NOTHING) if parameter.default is given else parameter


def _is_empty(function: Any) -> bool:
    """Return whether the body of a function is `...`, and nothing else."""
    code = function.__code__
    reference: Any = _nothing_async if code.co_flags & 0x80 else _nothing
    same: bool = code.co_code == reference.__code__.co_code
    consts: Any = code.co_consts
    return same and all(each is None or isinstance(each, str) for each in consts)


def _nothing(self: Any, request: Any) -> Any: ...


async def _nothing_async(self: Any, request: Any) -> Any: ...
