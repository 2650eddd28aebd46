"""What a handler takes from a request: path, query, headers, cookies and body, judged together."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, cast, get_args, get_origin

import msgspec

from isthmus.errors import SchemaError
from isthmus.handling.calling.dependencies import Header
from isthmus.handling.calling.inject import Source
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.schema import schema_of
from isthmus.schema.kinds import is_model, members_of
from isthmus.services.problem import Fault, Problem
from isthmus.services.rest.call import RequestCall
from isthmus.services.rest.cursor import key_of
from isthmus.services.rest.formats import JSON, Format
from isthmus.services.rest.forms import FormPayload, form_payload
from isthmus.services.rest.marks import Body, Cookie, Form, Query
from isthmus.services.rest.pages import Offset, Pages, Paging
from isthmus.services.rest.payload import Payload
from isthmus.services.rest.preconditions import Preconditions, required
from isthmus.services.rest.text import SEVERAL, Text, bare, is_textual

__all__ = ["Parameters", "faults_of", "refusal"]

BODILESS = frozenset({"GET", "HEAD"})

MAX_OFFSET = (1 << 63) - 1
"""What databases take for an OFFSET."""

_OTHERS_BOUNDS = frozenset({"annotated_types", "pydantic"})

_OURS = {
    **dict.fromkeys(("Depends", "Header"), "isthmus"),
    **dict.fromkeys(("Body", "Cookie", "Form", "Pages", "Query"), "isthmus.services"),
}
"""Whence marks come, whose names are those of other frameworks' marks too."""

_PAGED = frozenset({Paging, Offset})

Take = Callable[[RequestCall], Any]


class Parameters:
    """The parameters of one route that the request gives: an Offer, and their reader."""

    def __init__(self, method: str, names: Sequence[str], resources: Container[Any]) -> None:
        """`names`: of the parameters in the path; `resources`: types that are none of ours."""
        self._names, self._bodiless, self._resources = names, method in BODILESS, resources
        self.texts: list[Text] = []
        """In the order in which they were offered."""
        self.body: Payload | FormPayload | None = None

    def offer(self, signature: Signature, parameter: Parameter) -> Source | None:
        """Offer what can only come from a request: text by name, one body."""
        if mark := signature.find(Header, parameter):
            return self.add("header", parameter, mark.name or parameter.name.replace("_", "-"))
        if mark := signature.find(Cookie, parameter):
            return self.add("cookie", parameter, mark.name)
        if mark := signature.find(Query, parameter):
            return self.add("query", parameter, mark.name)
        if signature.find(Body, parameter):
            return self._add_body(parameter)
        if signature.find(Form, parameter):
            schema = schema_of(parameter.annotation)
            self.body = form_payload(parameter.name, schema, parameter.default)
            return Source(attrgetter("content"))
        if (get_origin(parameter.annotation) or parameter.annotation) in _PAGED:
            return self._add_paging(signature, parameter)
        if bare(parameter.annotation) is Preconditions:
            return self._add_preconditions(parameter)
        return self._unmarked(signature, parameter)

    def unclaimed(self) -> Sequence[str]:
        """Return the names in the path that no parameter takes."""
        taken = {text.name for text in self.texts if text.location == "path"}
        return [name for name in self._names if name not in taken]

    def add(self, location: str, parameter: Parameter, name: str = "") -> Source:
        """Have a parameter be the text `name` of a part of the request."""
        type_ = str if parameter.annotation is NOTHING else _constrained(parameter)
        kind = bare(parameter.annotation)
        several = get_origin(kind) in SEVERAL or kind in SEVERAL
        return self._add(Text(location, name or parameter.name, type_, parameter.default, several))

    def _add(self, text: Text) -> Source:
        self.texts.append(text)
        return Source(partial(_text, len(self.texts) - 1))

    def read(self, call: RequestCall, body: bytes, format_: Format = JSON) -> None:
        """Give `call` the values.

        Raises:
            Problem: 422 with every fault, or 400 for a body that is not what it says it is.
        """
        faults = self._read_texts(call) if self.texts else []
        if self.body is not None:
            try:
                call.content = self.body.read(body, format_, call)
            except SchemaError as error:
                faults += faults_of(error, location="body")
        if faults:
            raise refusal(faults)

    def _read_texts(self, call: RequestCall) -> list[Fault]:
        call.texts = values = list[Any]()
        faults = list[Fault]()
        for text in self.texts:
            try:
                values.append(text.read(call))
            except ValueError as error:
                faults.append(Fault(text.location, text.name, str(error)))
        return faults

    def _add_paging(self, signature: Signature, parameter: Parameter) -> Source:
        pages = signature.find(Pages, parameter) or Pages()
        within = Annotated[int, msgspec.Meta(ge=1, le=pages.most)]
        limit = self._add(Text("query", "limit", within, pages.limit)).take
        if parameter.annotation is Offset:
            from_ = Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)]
            offset = self._add(Text("query", "offset", from_, 0)).take
            return Source(partial(_offset, limit=limit, offset=offset))
        type_, secret = (*get_args(parameter.annotation), Any)[0], pages.secret
        read = partial(_key, type_=type_, secret=secret)
        after = self._add(Text("query", "cursor", str | None, None, convert=read)).take
        return Source(partial(_paging, limit=limit, after=after, secret=secret))

    def _add_preconditions(self, parameter: Parameter) -> Source:
        optional = parameter.annotation is not Preconditions
        self._add(Text("header", "if-match", str | None, None))

        def take(call: RequestCall) -> Preconditions | None:
            found = Preconditions(call.scope["method"], call.told)
            if found.any:
                return found
            if optional:
                return None
            raise required()

        return Source(take)

    def _unmarked(self, signature: Signature, parameter: Parameter) -> Source | None:
        for mark in cast("Sequence[object]", parameter.marks):
            kind = type(mark)
            if kind.__module__.partition(".")[0] in _OTHERS_BOUNDS:
                raise signature.error(
                    parameter.name, f"has {mark!r}, which is not kept here; write msgspec.Meta(...)"
                )
            if ours := _OURS.get(kind.__name__):
                theirs = f"has a {kind.__name__} of {kind.__module__}"
                raise signature.error(parameter.name, f"{theirs}; import it from {ours}")
        if parameter.name in self._names:
            return self.add("path", parameter)
        if parameter.annotation is NOTHING or is_textual(bare(parameter.annotation)):
            return self.add("query", parameter)
        return self._add_body(parameter) if self._is_body(parameter) else None

    def _is_body(self, parameter: Parameter) -> bool:
        if self._bodiless or parameter.annotation in self._resources:
            return False
        first = self.body is None or self.body.name == parameter.name
        return first and _is_payload(parameter.annotation)

    def _add_body(self, parameter: Parameter) -> Source:
        self.body = Payload(parameter.name, schema_of(_constrained(parameter)), parameter.default)
        return Source(attrgetter("content"))


def _key(call: RequestCall, text: str, *, type_: Any, secret: bytes) -> Any:
    return key_of(text, type_, call, secret=secret)


def _offset(call: RequestCall, *, limit: Take, offset: Take) -> Offset:
    return Offset(call, limit=limit(call), offset=offset(call))


def _paging(call: RequestCall, *, limit: Take, after: Take, secret: bytes) -> Paging[Any]:
    return Paging(call, limit=limit(call), after=after(call), secret=secret)


def _text(place: int, call: RequestCall) -> Any:
    return call.texts[place]


def _constrained(parameter: Parameter) -> Any:
    """Return the type of a parameter with the bounds that `Annotated` adds to it."""
    bounds = [mark for mark in parameter.marks if isinstance(mark, msgspec.Meta)]
    return Annotated[parameter.annotation, *bounds] if bounds else parameter.annotation


def refusal(faults: Sequence[Fault]) -> Problem:
    """Return the answer to a request with these faults."""
    return Problem(422, "the request is not what is expected here", faults=faults)


def faults_of(error: SchemaError, *, location: str) -> Iterator[Fault]:
    """Return what a SchemaError tells as "path: what is wrong"."""
    for problem in error.problems or [f"body: {error}"]:
        at, _, what = problem.partition(": ")
        yield Fault(location, "" if at == "body" else at, what)


def _is_payload(type_: Any) -> bool:
    """Whether `type_` is what bodies are made of."""
    if members := members_of(type_):
        return any(map(_is_payload, members))
    origin = get_origin(type_) or type_
    return origin in {bytes, dict, Mapping, *SEVERAL, Sequence, Any} or is_model(type_)
