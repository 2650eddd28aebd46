"""A value with what is said beside it: where it lies, which version it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar

from isthmus.errors import ConfigError
from isthmus.services.layers.validators import entity_tag, http_date

__all__ = ["Reply"]

T = TypeVar("T")


class Reply(Generic[T]):
    """`return Reply(order, location=f"/orders/{order.id}", etag=str(order.version))`, from a
    handler that promises `Reply[Order]`."""

    __slots__ = ("headers", "status", "value")

    def __init__(
        self,
        value: T,
        *,
        status: int | None = None,
        location: str | None = None,
        etag: str | None = None,
        weak: bool = False,
        last_modified: datetime | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`status`: instead of the route's. `location`: of what was made, or of where to look.
        `etag`: a version of the value, without quotes; `weak` if two of one tag may differ in
        bytes. GET with a tag or a moment that the client has already is answered 304.

        Raises:
            ConfigError: The status, the tag or a header is none.
        """
        if status is not None and not 200 <= status <= 599:
            raise ConfigError(f"status={status!r} is out of range: 200 to 599")
        self.value, self.status = value, status
        self.headers: dict[str, str] = dict(headers or {})
        """All that it says, by name."""
        if location is not None:
            self.headers["location"] = _plain("location", location)
        if etag is not None:
            self.headers["etag"] = entity_tag(etag, weak=weak)
        if last_modified is not None:
            self.headers["last-modified"] = http_date(last_modified)


def _plain(name: str, value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigError(f"{name}={value!r}: expected a URL, percent-encoded")
    return value
