"""What a handler returns becomes a response."""

from types import NoneType
from typing import Any, Union, cast

from starlette.responses import Response

from isthmus.errors import SchemaError
from isthmus.handling.calling.signature import NOTHING
from isthmus.schema import Schema, schema_of
from isthmus.schema.kinds import members_of

__all__ = ["Answer"]


class Answer:
    """How the values of one route are sent: its status, and the type it promises."""

    def __init__(self, returns: Any, *, status: int | None) -> None:
        """`returns`: the annotation; without one, values are sent as what they are."""
        promised = _without_responses(returns)
        self.empty = promised is NoneType
        self.status = status or (204 if self.empty else 200)
        self.schema: Schema[Any] | None = None
        if promised not in {NoneType, NOTHING, Any, Response, object}:
            self.schema = schema_of(promised)

    def response(self, value: Any) -> Response:
        """Return `value` as a response; a Response is sent as it is.

        Raises:
            SchemaError: It is not what the handler's annotation promises.
        """
        if isinstance(value, Response):
            return value
        if value is None and self.schema is None:
            return Response(status_code=204 if self.status == 200 else self.status)
        if self.empty:
            raise SchemaError(f"a handler that promises None returned a {type(value).__name__}")
        schema = self.schema or schema_of(cast("Any", type(value)))
        kind = schema.datacontenttype
        return Response(schema.encode(value), status_code=self.status, media_type=kind)


def _without_responses(returns: Any) -> Any:
    """Return the annotation `Order | Response` as `Order`."""
    members = members_of(returns) or (returns,)
    kept = [member for member in members if not _is_response(member)]
    return Union[tuple(kept)] if kept else Response  # noqa: UP007


def _is_response(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Response)
