"""What a handler takes from a request: path, query and body, all judged together."""

import enum
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from operator import attrgetter
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin
from uuid import UUID

import msgspec
from starlette.requests import Request

from isthmus.errors import SchemaError
from isthmus.handling.calling.inject import Source
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.schema import Schema, schema_of
from isthmus.schema.kinds import is_model, members_of
from isthmus.services.problem import Fault, Problem

__all__ = ["Body", "Parameters", "Text", "Values", "faults_of", "refusal"]

BODILESS = frozenset({"GET", "HEAD"})

_TEXTUAL = (str, int, float, bool, Decimal, UUID, datetime, date, time, timedelta, enum.Enum)
_SEVERAL = (list, set, frozenset, tuple)


class Text(NamedTuple):
    """A parameter of the path or the query: text that becomes a value of `type`."""

    location: str
    name: str
    type: Any
    default: Any
    several: bool

    @property
    def required(self) -> bool:
        return self.default is NOTHING

    def read(self, given: Sequence[str]) -> Any:
        """Return the value; raises ValueError saying what is wrong."""
        if not given:
            if self.required:
                raise ValueError("missing")
            return self.default
        if self.type is str:
            return given[-1]
        value: object = list(given) if self.several else given[-1]
        try:
            return msgspec.convert(value, self.type, strict=False)
        except msgspec.ValidationError as error:
            told = str(error).replace("got `str`", f"got {value!r:.80}")
            raise ValueError(told) from error


class Body(NamedTuple):
    """The parameter that is the request's body."""

    name: str
    schema: Schema[Any]
    default: Any

    @property
    def required(self) -> bool:
        return self.default is NOTHING

    def read(self, body: bytes) -> Any:
        """Raises SchemaError, or a 400 Problem if it is no JSON at all."""
        if not body:
            return self._absent()
        try:
            return self.schema.read(body)
        except SchemaError:
            if self.schema.type is not bytes:
                _refuse_malformed(body)
            raise

    def _absent(self) -> Any:
        if self.required:
            raise SchemaError("no body", problems=["body: missing"])
        return self.default


class Values(NamedTuple):
    """What one request gave."""

    texts: Sequence[Any] = ()
    body: Any = None


class Parameters:
    """The parameters of one route that the request gives: an Offer, and their reader."""

    def __init__(self, method: str, names: Sequence[str], resources: Container[Any]) -> None:
        """`names`: of the parameters in the path; `resources`: types that are none of ours."""
        self._names, self._bodiless, self._resources = names, method in BODILESS, resources
        self.texts: list[Text] = []
        self.body: Body | None = None

    def offer(self, _: Signature, parameter: Parameter) -> Source | None:
        """Offer what can only come from a request: path and query by text, one body."""
        if parameter.marks:
            return None
        if parameter.name in self._names:
            return self._add_text("path", parameter)
        if parameter.annotation is NOTHING or _is_textual(_bare(parameter.annotation)):
            return self._add_text("query", parameter)
        if self._is_body(parameter):
            return self._add_body(parameter)
        return None

    def unclaimed(self) -> Sequence[str]:
        """Return the names in the path that no parameter takes."""
        taken = {text.name for text in self.texts if text.location == "path"}
        return [name for name in self._names if name not in taken]

    def read(self, request: Request, body: bytes) -> Values:
        """Return the values in the order in which they were offered.

        Raises:
            Problem: 422 with every fault, or 400 for a body that is no JSON.
        """
        values, faults, content = list[Any](), list[Fault](), None
        for text in self.texts:
            try:
                values.append(text.read(_given(request, text)))
            except ValueError as error:
                faults.append(Fault(text.location, text.name, str(error)))
        if self.body is not None:
            try:
                content = self.body.read(body)
            except SchemaError as error:
                faults += faults_of(error, location="body")
        if faults:
            raise refusal(faults)
        return Values(values, content)

    def _add_text(self, location: str, parameter: Parameter) -> Source:
        type_ = str if parameter.annotation is NOTHING else parameter.annotation
        several = get_origin(_bare(type_)) in _SEVERAL or _bare(type_) in _SEVERAL
        place = len(self.texts)
        self.texts.append(Text(location, parameter.name, type_, parameter.default, several))
        return Source(partial(_text, place))

    def _is_body(self, parameter: Parameter) -> bool:
        if self._bodiless or parameter.annotation in self._resources:
            return False
        first = self.body is None or self.body.name == parameter.name
        return first and _is_payload(parameter.annotation)

    def _add_body(self, parameter: Parameter) -> Source:
        self.body = Body(parameter.name, schema_of(parameter.annotation), parameter.default)
        return Source(attrgetter("values.body"))


def _text(place: int, call: Any) -> Any:
    return call.values.texts[place]


def refusal(faults: Sequence[Fault]) -> Problem:
    """Return the answer to a request with these faults."""
    return Problem(422, "the request is not what is expected here", faults=faults)


def faults_of(error: SchemaError, *, location: str) -> Iterator[Fault]:
    """Return what a SchemaError tells as "path: what is wrong"."""
    for problem in error.problems or [f"body: {error}"]:
        at, _, what = problem.partition(": ")
        yield Fault(location, "" if at == "body" else at, what)


def _given(request: Request, text: Text) -> Sequence[str]:
    if text.location == "path":
        return [str(request.path_params[text.name])]
    return request.query_params.getlist(text.name)


def _refuse_malformed(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
    except msgspec.MsgspecError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error


def _bare(type_: Any) -> Any:
    """Return the type without `| None`."""
    some = [member for member in members_of(type_) if member is not NoneType]
    return some[0] if len(some) == 1 else type_


def _is_textual(type_: Any) -> bool:
    """Whether values of `type_` can be written as text, alone or several times."""
    if members := members_of(type_):
        return all(member is NoneType or _is_textual(member) for member in members)
    if get_origin(type_) is Literal:
        return True
    if get_origin(type_) in _SEVERAL:
        return all(_is_textual(item) for item in get_args(type_) if item is not Ellipsis)
    return isinstance(type_, type) and issubclass(type_, _TEXTUAL)


def _is_payload(type_: Any) -> bool:
    """Whether `type_` is what bodies are made of."""
    if members := members_of(type_):
        return any(map(_is_payload, members))
    origin = get_origin(type_) or type_
    return origin in {bytes, dict, Mapping, *_SEVERAL, Sequence, Any} or is_model(type_)
