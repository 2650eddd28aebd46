"""What a handler returns becomes a response."""

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, Union, cast, get_args, get_origin

from starlette.responses import Response

from isthmus.errors import SchemaError
from isthmus.handling.calling.signature import NOTHING
from isthmus.schema import Schema, schema_of
from isthmus.schema.kinds import members_of
from isthmus.services.layers.conditional import TAGGED
from isthmus.services.layers.validators import hashed_tag, judged
from isthmus.services.rest.call import RequestCall
from isthmus.services.rest.conditioned import Conditioned
from isthmus.services.rest.formats import FORMATS, JSON, Format
from isthmus.services.rest.negotiation import Negotiation
from isthmus.services.rest.pages import Page, links
from isthmus.services.rest.reply import Reply
from isthmus.services.rest.streaming import Streaming, stream_of
from isthmus.services.rest.whole import Headers, Whole

__all__ = ["Answer", "Ready"]

Ready = Whole | Streaming | Response | Conditioned
"""What is sent once the transaction is committed."""

_UNTYPED = {NoneType, NOTHING, Any, Response, object}
_VARY = (b"vary", b"accept")


class Answer:
    """How the values of one route are sent: its status, its formats, and the type it promises."""

    def __init__(
        self,
        returns: Any,
        *,
        status: int | None,
        formats: Sequence[Format] = FORMATS,
        cached: bool = False,
        tagged: bool = False,
    ) -> None:
        """`returns`: the annotation; without one, values are sent as what they are. `cached`:
        whether it is the answer to a GET, which clients keep; `tagged`: then by an ETag."""
        members = [_value_of(member) for member in members_of(returns) or (returns,)]
        promised = _without_responses(members)
        self.empty = promised is NoneType
        self.status = status or (204 if self.empty else 200)
        self.schema: Schema[Any] | None = None
        self.stream = stream_of(promised)
        """How it is sent, where it is made while it is sent."""
        if promised not in _UNTYPED and self.stream is None:
            self.schema = schema_of(promised)
        self.kind = self.schema.datacontenttype if self.schema else JSON.media_type
        """Media type, where the client accepts all."""
        if self.stream is not None:
            self.kind = self.stream.media_type
        sure = self.schema is not None and not any(map(_is_response, members))
        self.negotiation = Negotiation(formats, strict=sure)
        self._negotiates = self.kind == JSON.media_type and not self.empty
        self._cached, self._tagged = cached, cached and tagged
        self._kinds = {each.media_type: _kind(each.media_type) for each in formats}

    def format_for(self, call: RequestCall) -> Format:
        """Return the format that the client accepts.

        Raises:
            Problem: 406, there is none.
        """
        accept = call.told.get(b"accept")
        if accept is None or not self._negotiates:
            return self.negotiation.formats[0]
        if len(call.told) < len(call.scope["headers"]):  # some come more than once
            accept = b", ".join(v for k, v in call.scope["headers"] if k == b"accept")
        return self.negotiation.of_answer(accept)

    def response(self, value: Any, call: RequestCall, format_: Format) -> Ready:
        """Return `value` as a response; a Response is sent as it is.

        Raises:
            SchemaError: It is not what the handler's annotation promises.
        """
        if isinstance(value, Response):
            return Conditioned(value) if self._cached else value
        if self.stream is not None:
            return Streaming(self.stream, value, self.status, call)
        status, more = self.status, _NOTHING
        if isinstance(value, Reply):
            reply = cast("Reply[Any]", value)
            value, more = reply.value, reply.headers
            status = reply.status or status
        if value is None and self.schema is None:
            return _empty(204 if status == 200 else status, more)
        if self.empty:
            raise SchemaError(f"a handler that promises None returned a {type(value).__name__}")
        headers, body = self._encoded(value, format_)
        if isinstance(value, Page):
            more = _linked(cast("Page[Any]", value), more, call)
        if more:
            headers += _encoded(more)
        ready = Whole(status, headers, body)
        return self._known(ready, more, call) if self._cached else ready

    def _encoded(self, value: Any, format_: Format) -> tuple[Headers, bytes]:
        schema = self.schema or schema_of(cast("Any", type(value)))
        body, kind = schema.encode(value), schema.datacontenttype
        if kind == JSON.media_type:
            if format_ is not JSON:
                body = format_.write(body)
            header = self._kinds[format_.media_type]
        else:
            header = _kind(kind)
        return [(b"content-length", b"%d" % len(body)), header], body

    def _known(self, ready: Whole, more: Mapping[str, str], call: RequestCall) -> Whole:
        """Return the answer to a GET, with its tag; or that the client has it already."""
        if self.negotiation.varies and self._negotiates:
            ready.raw_headers.append(_VARY)
        if not 200 <= ready.status_code < 300:
            return ready
        etag, modified = more.get("etag"), more.get("last-modified")
        if etag is None and self._tagged and len(ready.body) <= TAGGED:
            etag = hashed_tag(ready.body)
            ready.raw_headers.append((b"etag", etag.encode("latin-1")))
        refused = judged(call.scope["method"], call.told, etag=etag, modified=modified)
        return ready if refused is None else _without_body(ready, refused)


_NOTHING: Mapping[str, str] = {}


def _linked(page: Page[Any], more: Mapping[str, str], call: RequestCall) -> Mapping[str, str]:
    link = links(page, call)
    return {**more, "link": link} if link else more


def _without_body(ready: Whole, status: int) -> Whole:
    left = {b"content-length", b"content-type"}
    headers = [header for header in ready.raw_headers if header[0] not in left]
    if status != 304:
        headers.append((b"content-length", b"0"))
    return Whole(status, headers)


def _empty(status: int, more: Mapping[str, str]) -> Whole:
    none_allowed = status in {204, 304}
    headers: Headers = [] if none_allowed else [(b"content-length", b"0")]
    return Whole(status, headers + _encoded(more))


def _encoded(headers: Mapping[str, str]) -> Headers:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
    ]


def _kind(media_type: str) -> tuple[bytes, bytes]:
    return (b"content-type", media_type.encode("latin-1"))


def _value_of(returns: Any) -> Any:
    """Return the annotation `Reply[Order]` as `Order`."""
    if returns is Reply:
        return NOTHING
    return get_args(returns)[0] if get_origin(returns) is Reply else returns


def _without_responses(members: Sequence[Any]) -> Any:
    """Return the annotation `Order | Response` as `Order`."""
    kept = [member for member in members if not _is_response(member)]
    return Union[tuple(kept)] if kept else Response  # noqa: UP007


def _is_response(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Response)
