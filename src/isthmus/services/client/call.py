"""One call as the program meant it, whatever number of attempts it takes."""

from collections.abc import AsyncIterable, AsyncIterator, Collection

from multidict import CIMultiDict

from isthmus.errors import ConfigError
from isthmus.services.client.content import Sent

__all__ = ["IDEMPOTENT", "SAFE", "Call", "Once"]

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
"""Methods that ask and change nothing. Source: RFC 9110, 9.2.1."""
IDEMPOTENT = SAFE | {"PUT", "DELETE"}
"""Methods that may be sent twice to one effect. Source: RFC 9110, 9.2.2."""


class Once:
    """A body that can be read once."""

    __slots__ = ("_source", "begun")

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = source
        self.begun = False
        """Whether some of it may have been read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self.begun:
            raise ConfigError("the body is a stream that was read already: it cannot be sent again")
        self.begun = True
        return aiter(self._source)


class Call:
    """What all attempts of a call have in common. Two that only ask, and ask the same, are
    equal, so that a Cache around them knows it; others are never."""

    __slots__ = (
        "allow",
        "body",
        "connect",
        "headers",
        "id",
        "idempotent",
        "method",
        "operation",
        "url",
    )

    def __init__(
        self,
        method: str,
        url: str,
        operation: str,
        *,
        headers: CIMultiDict[str],
        body: Sent,
        idempotent: bool,
        allow: Collection[int],
        id: str,
    ) -> None:
        self.method, self.url = method, url
        self.operation = operation
        """As "POST /charges/{id}"."""
        self.headers, self.body, self.allow = headers, body, allow
        self.idempotent = idempotent and body.__class__ is bytes
        """Whether it may be sent again though it may have run."""
        self.id = id
        """Which names it in both sides' logs."""
        self.connect: float | None = None
        """Seconds to get a connection."""

    @property
    def begun(self) -> bool:
        """Whether its body is a stream that was begun."""
        return isinstance(self.body, Once) and self.body.begun

    def _asked(self) -> tuple[object, ...]:
        return self.method, self.url, tuple(self.headers.items()), tuple(self.allow)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        asks = self.method in SAFE and not self.body
        return asks and isinstance(other, Call) and self._asked() == other._asked()

    def __hash__(self) -> int:
        return hash(self._asked()) if self.method in SAFE and not self.body else id(self)
