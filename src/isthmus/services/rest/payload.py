"""The parameter that is the request's body."""

from typing import Any, NamedTuple

import msgspec

from isthmus.errors import SchemaError
from isthmus.handling.calling.signature import NOTHING
from isthmus.schema import Schema
from isthmus.services.problem import Problem
from isthmus.services.rest.call import RequestCall
from isthmus.services.rest.formats import JSON, Format

__all__ = ["Payload"]


class Payload(NamedTuple):
    """A body of one type, in any of the route's formats."""

    name: str
    schema: Schema[Any]
    default: Any

    @property
    def required(self) -> bool:
        return self.default is NOTHING

    @property
    def raw(self) -> bool:
        """Whether it is taken as the bytes that came, of whatever media type."""
        return self.schema.type is bytes

    def read(self, body: bytes, format_: Format, _: RequestCall) -> Any:
        """Return the value.

        Raises:
            SchemaError: It does not fit; every fault is in `problems`.
            Problem: 400, it is not of the media type that it says.
        """
        if not body:
            return self._absent()
        if format_ is not JSON:
            body = _as_json(body, format_)
        try:
            return self.schema.read(body)
        except SchemaError:
            if not self.raw:
                _refuse_malformed(body)
            raise

    def _absent(self) -> Any:
        if self.required:
            raise SchemaError("no body", problems=["body: missing"])
        return self.default


def _as_json(body: bytes, format_: Format) -> bytes:
    try:
        return format_.read(body)
    except Exception as error:
        raise Problem(400, f"the body is not {format_.media_type}") from error


def _refuse_malformed(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
