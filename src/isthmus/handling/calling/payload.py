"""What a message gives to its handler: the payload, and what it travels with."""

import inspect
from collections.abc import Callable, Sequence
from operator import attrgetter
from types import NoneType
from typing import Any, get_args, get_origin

from isthmus.contracts import Delivery, Record, Transaction
from isthmus.errors import ConfigError
from isthmus.handling.calling import given
from isthmus.handling.calling.batch import Batch
from isthmus.handling.calling.inject import Call, Offer, Source
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.host import Host
from isthmus.message import Message
from isthmus.schema import Schema
from isthmus.schema.kinds import members_of, type_name

__all__ = ["MessageCall", "Payload"]

LISTS = (list, Sequence)


class MessageCall(Call):
    """One call of a message's handler, or of a batch's."""

    def __init__(self, host: Host, messages: Sequence[Message], payload: Any) -> None:
        super().__init__(host, messages[0].headers)
        self.messages, self.payload = messages, payload


class Payload:
    """What the parameters of one handler take from its messages."""

    def __init__(self, signature: Signature, schema: Schema[Any], *, batch: bool) -> None:
        self._signature, self._type, self._batch = signature, schema.type, batch
        self._name = self._chosen()
        self.is_read = False
        """Whether anybody takes the payload: one that nobody takes is not decoded."""

    @property
    def offers(self) -> Sequence[Offer]:
        return (self._batched, self._message) if self._batch else (self._message, self._payload)

    @property
    def described(self) -> str:
        """How the payload is annotated, for errors."""
        name = type_name(self._type)
        return (
            f"the payload: list[{name}] or Batch[{name}]" if self._batch else f"the payload: {name}"
        )

    @property
    def shape(self) -> tuple[str, ...]:
        """What the parameters are, if each is given by its place and needs nothing else."""
        return tuple(map(self._kind, self._signature.parameters))

    def _kind(self, parameter: Parameter) -> str:
        if parameter.by_name or parameter.marks:
            return "other"
        kinds = {Transaction: "transaction", Message: "message"}
        return "payload" if self._takes(parameter) else kinds.get(parameter.annotation, "other")

    # --- one message -------------------------------------------------------------------------

    def _message(self, _: Signature, parameter: Parameter) -> Source | None:
        take = _TRAVELS.get(parameter.annotation) if _is_hashable(parameter.annotation) else None
        if take is None:
            return None
        if self._batch:
            raise self._signature.error(
                parameter.name,
                f"is one {parameter.annotation.__name__}, and a batch has several; take a "
                "Batch[...], whose .messages are beside its items, or list[Message]",
            )
        return Source(take)

    def _payload(self, signature: Signature, parameter: Parameter) -> Source | None:
        is_own = signature is self._signature
        if not (self._takes(parameter) if is_own else self._fits(parameter.annotation)):
            return None
        self.is_read = True
        return Source(attrgetter("payload"))

    def _takes(self, parameter: Parameter) -> bool:
        return parameter.name == self._name

    # --- a batch -----------------------------------------------------------------------------

    def _batched(self, _: Signature, parameter: Parameter) -> Source | None:
        annotation = parameter.annotation
        origin, inner = get_origin(annotation) or annotation, get_args(annotation)
        if origin in LISTS and inner == (Message,):
            return Source(_messages)
        if origin is Batch or self._takes(parameter):
            self.is_read = True
            return Source(attrgetter("payload") if origin is Batch else _values)
        if annotation == self._type:
            raise self._signature.error(
                parameter.name, f"is one {type_name(annotation)}; a batch gives {self.described}"
            )
        return None

    # --- which parameter it is ---------------------------------------------------------------

    def _chosen(self) -> str:
        """Return the parameter annotated with the schema's type, else the first that says
        nothing, else ""."""
        plain = [each for each in self._signature.parameters if not each.marks]
        for wanted in (self._fits_closely, self._fits, _says_nothing):
            for parameter in plain:
                if wanted(parameter.annotation):
                    return parameter.name
        return ""

    def _fits_closely(self, annotation: Any) -> bool:
        return self._part(annotation) == self._type

    def _fits(self, annotation: Any) -> bool:
        part = self._part(annotation)
        return part not in (NOTHING, Any, object) and _contains(part, self._type)

    def _part(self, annotation: Any) -> Any:
        """Return the annotation of one payload: for a batch, what its list holds."""
        if not self._batch:
            return annotation
        origin, inner = get_origin(annotation) or annotation, get_args(annotation)
        if origin not in (*LISTS, Batch):
            return NOTHING
        return inner[0] if inner else self._type


def _messages(call: MessageCall) -> list[Message]:
    return list(call.messages)


def _values(call: MessageCall) -> list[Any]:
    return list(call.payload)


def _first_message(call: MessageCall) -> Message:
    return call.messages[0]


def _contains(annotation: Any, type_: Any) -> bool:
    """Return whether a value of `type_` may be given where `annotation` stands."""
    if annotation == type_:
        return True
    if members := [each for each in members_of(annotation) if each is not NoneType]:
        wanted = members_of(type_) or (type_,)
        return all(any(_contains(member, each) for member in members) for each in wanted)
    have, need = get_origin(type_) or type_, get_origin(annotation) or annotation
    if not (inspect.isclass(have) and inspect.isclass(need)) or get_args(annotation):
        return False
    return need not in _TRAVELS and need in have.__mro__


def _says_nothing(annotation: Any) -> bool:
    return annotation in (NOTHING, Any, object)


def _is_hashable(annotation: Any) -> bool:
    return getattr(annotation, "__hash__", None) is not None


def _handled(kind: type[Any]) -> Callable[[Any], Any]:
    def take(_: Any) -> Any:
        found = given.unit().batch[0]
        if not isinstance(found, kind):
            raise ConfigError(
                f"a {type(found).__name__} is handled here, and the handler asks for a "
                f"{kind.__name__}: queues give a Delivery, streams a Record"
            )
        return found

    return take


_TRAVELS: dict[Any, Callable[[Any], Any]] = {
    Message: _first_message,
    Delivery: _handled(Delivery),
    Record: _handled(Record),
}
