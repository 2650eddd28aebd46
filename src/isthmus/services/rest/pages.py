"""Lists, a page at a time: by a cursor, which stays right while the list changes; by an offset."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from isthmus.errors import ConfigError
from isthmus.services.rest.call import RequestCall
from isthmus.services.rest.cursor import cursor_of

__all__ = ["Offset", "Page", "Pages", "Paging", "links"]

T = TypeVar("T")
K = TypeVar("K")


class Pages(msgspec.Struct, frozen=True, kw_only=True):
    """`Annotated[Paging[str], Pages(limit=50)]`: how large pages are."""

    limit: int = 20
    """Items of a page, unless the request says another number. 1 to `most`; 20."""
    most: int = 100
    """Items that a request may ask for. 1 or more; 100."""
    secret: bytes = b""
    """With it only who knows it makes cursors: the same in all processes. Empty: they are checked
    against mistakes, not against malice."""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= self.most:
            raise ConfigError(f"Pages(limit={self.limit}, most={self.most}): 1 <= limit <= most")


@dataclasses.dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, as it is answered; the header Link leads to its neighbours."""

    items: list[T]
    next: str | None = None
    """What to ask for the next page with, as `cursor` or `offset`; None after the last."""
    total: int | None = None
    """Items of the whole list, where that is known."""


class Paging(Generic[K]):
    """`async def orders(page: Paging[str]) -> Page[Order]`: a page by its cursor.

    Read `page.wanted` rows whose key is above `page.after`, in the order of the key, and return
    `page.of(rows, key=...)`. The key has to be unique; a tuple is one, too.
    """

    __slots__ = ("_call", "_secret", "after", "limit")

    def __init__(self, call: RequestCall, *, limit: int, after: K | None, secret: bytes) -> None:
        self._call, self._secret = call, secret
        self.limit = limit
        """Items of this page, at most."""
        self.after = after
        """The key of the last item before this page; None at the beginning."""
        call.cache[links] = self

    @property
    def wanted(self) -> int:
        """Rows to read: one more than is shown, which tells whether there is a next page."""
        return self.limit + 1

    def of(self, rows: Sequence[T], *, key: Callable[[T], K]) -> Page[T]:
        """Return the page of `rows`, of which there may be one more than is shown."""
        shown = list(rows[: self.limit])
        if len(rows) <= self.limit:
            return Page(shown)
        return Page(shown, next=cursor_of(key(shown[-1]), self._call, secret=self._secret))

    def neighbours(self, page: Page[Any]) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the relation and the query of each page that can be told."""
        if self.after is not None:
            yield "first", {"cursor": ""}
        if page.next is not None:
            yield "next", {"cursor": page.next}


class Offset:
    """`async def orders(page: Offset) -> Page[Order]`: a page by the number of items before it.

    Items that come or go meanwhile shift the pages, and far pages cost the most; it is for lists
    that people leaf through.
    """

    __slots__ = ("limit", "offset")

    def __init__(self, call: RequestCall, *, limit: int, offset: int) -> None:
        self.limit = limit
        """Items of this page, at most."""
        self.offset = offset
        """Items before this page."""
        call.cache[links] = self

    @property
    def wanted(self) -> int:
        """Rows to read: one more than is shown, which tells whether there is a next page."""
        return self.limit + 1

    def of(self, rows: Sequence[T], *, total: int | None = None) -> Page[T]:
        """Return the page of `rows`; `total`: of the whole list, if that is known."""
        end = self.offset + self.limit
        more = len(rows) > self.limit or (total is not None and total > end)
        return Page(list(rows[: self.limit]), next=str(end) if more else None, total=total)

    def neighbours(self, page: Page[Any]) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the relation and the query of each page that can be told."""
        if self.offset > 0:
            yield "first", {"offset": "0"}
            yield "prev", {"offset": str(max(0, self.offset - self.limit))}
        if page.next is not None:
            yield "next", {"offset": page.next}
        if page.total:
            yield "last", {"offset": str((page.total - 1) // self.limit * self.limit)}


def links(page: Page[Any], call: RequestCall) -> str:
    """Return the Link header of a page (RFC 8288), relative to the host; "" if it is alone."""
    paging: Paging[Any] | Offset | None = call.cache.get(links)
    if paging is None:
        return ""
    path = quote(call.scope["path"])
    return ", ".join(
        f'<{path}?{_query(call, other)}>; rel="{relation}"'
        for relation, other in paging.neighbours(page)
    )


def _query(call: RequestCall, other: dict[str, str]) -> str:
    """Return the request's query with some of it changed, or taken out where it is empty."""
    given = parse_qsl(call.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [each for each in given if each[0] not in other]
    return urlencode([*kept, *((name, value) for name, value in other.items() if value)])
