"""One method of a service: what it takes and gives, and which of both are streams."""

import enum
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

from isthmus.errors import ConfigError
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.schema.kinds import is_model, type_name
from isthmus.services.rpc.marks import given, is_idempotent

__all__ = ["Kind", "Method", "is_message", "read_method", "rpc_name", "streamed"]

STREAMS = (AsyncIterator, AsyncIterable, AsyncGenerator)


class Kind(enum.Enum):
    """The four shapes of a call."""

    UNARY = (False, False)
    SERVER_STREAM = (False, True)
    CLIENT_STREAM = (True, False)
    BIDIRECTIONAL = (True, True)


class Method(NamedTuple):
    """As the interface declares it."""

    attribute: str
    """What it is called in Python: "reserve_all"."""
    name: str
    """What it is called in the proto: "ReserveAll"."""
    kind: Kind
    takes: Any
    """The type of a request, or of each in a stream; None if there is none."""
    parameter: str
    """Which parameter takes it; "" if none does."""
    gives: Any
    """The type of an answer, or of each in a stream; None if there is none."""
    idempotent: bool
    told: str
    """Its docstring."""


def rpc_name(attribute: str) -> str:
    """Return "ReserveAll" for "reserve_all"."""
    return "".join(part[:1].upper() + part[1:] for part in attribute.split("_"))


def is_message(type_: Any) -> bool:
    """Return whether `type_` is a class of Protobuf's own messages."""
    return hasattr(type_, "DESCRIPTOR") and hasattr(type_, "FromString")


def read_method(attribute: str, function: Callable[..., Any]) -> Method:
    """Read a function of a Service's class.

    Raises:
        ConfigError: It says not what it takes or gives, or in a way that cannot work.
    """
    signature = Signature(function)
    parameter = _request(signature)
    takes, in_streams = (None, False) if parameter is None else streamed(parameter.annotation)
    gives, out_streams = streamed(_returns(signature))
    kind = Kind((in_streams, out_streams))
    _refuse_what_never_streams(signature, kind)
    return Method(
        attribute=attribute,
        name=rpc_name(attribute),
        kind=kind,
        takes=takes,
        parameter="" if parameter is None else parameter.name,
        gives=gives,
        idempotent=is_idempotent(function),
        told=inspect.getdoc(function) or "",
    )


def _request(signature: Signature) -> Parameter | None:
    """Return the first parameter after `self` that may be a request, if there is one."""
    for parameter in signature.parameters[1:]:
        type_, streams = streamed(parameter.annotation)
        is_given = parameter.by_name or parameter.default is given
        if not is_given and (streams or is_model(type_) or is_message(type_)):
            return parameter
    for parameter in signature.parameters[1:2]:
        if parameter.default is NOTHING and not parameter.by_name:
            raise signature.error(
                parameter.name,
                f"is {_said(parameter.annotation)}; a request is one message: a Struct, a "
                "dataclass or a pydantic model, or an AsyncIterator of them; what isthmus gives "
                "has the default `given`",
            )
    return None


def _returns(signature: Signature) -> Any:
    if signature.returns is NOTHING:
        raise ConfigError(
            f"{signature.title}() does not say what it gives: annotate it with a model, None, or "
            "an AsyncIterator of a model"
        )
    return None if signature.returns is NoneType else signature.returns


def streamed(annotation: Any) -> tuple[Any, bool]:
    """Return the type of one message, and whether `annotation` is a stream of it."""
    if get_origin(annotation) in STREAMS and get_args(annotation):
        return get_args(annotation)[0], True
    return annotation, False


def _refuse_what_never_streams(signature: Signature, kind: Kind) -> None:
    if get_origin(signature.returns) in {Iterator, Iterable}:
        raise ConfigError(
            f"{signature.title}() gives a stream that would block the loop: yield in an "
            "`async def`, and say AsyncIterator"
        )
    if kind.value[1] and signature.is_async:
        raise ConfigError(
            f"{signature.title}() is a coroutine that would return a stream: yield in it, or "
            "write `def` before a method that is only declared"
        )
    if kind is Kind.CLIENT_STREAM and not signature.is_async:
        raise ConfigError(f"{signature.title}() takes a stream, which only `async def` can read")


def _said(annotation: Any) -> str:
    return "not annotated" if annotation is NOTHING else f"a {type_name(annotation)}"
