"""What may be said of idempotent requests, with unit, default and range."""

from collections.abc import Callable, Collection
from hashlib import blake2b

import msgspec
from starlette.requests import HTTPConnection

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError

__all__ = ["Idempotency", "caller"]


def caller(request: HTTPConnection) -> str:
    """Return who asks: a hash of the Authorization header, so that nobody is given what was
    answered to another; "" for who shows none."""
    shown = request.headers.get("authorization", "")
    return blake2b(shown.encode(), digest_size=16).hexdigest() if shown else ""


class Idempotency(msgspec.Struct, frozen=True, kw_only=True):
    """How requests with an Idempotency-Key are kept apart, and for how long."""

    required: bool = True
    """Whether a request without a key is a 400; else it is served as any other."""
    retention: Span = 86_400.0
    """Seconds that an answer is kept, and a key means the same request. Above `lease`; a day."""
    lease: Span = 30.0
    """Seconds after which the key of a process that died is free again, 1 or more; extended
    while the request runs. 30."""
    identity: Callable[[HTTPConnection], str] = caller
    """Whose key it is: keys of two callers never meet. The Authorization header's hash."""
    methods: Collection[str] = ("POST", "PATCH")
    """Methods that it is for; a typed route has its own. POST and PATCH: the others are
    idempotent by what they mean."""
    body_limit: int = 1 << 20
    """Bytes of a body, at most, then 413: it is read whole, as the request may run again. Above
    0; 1 MiB. A typed route has its own."""
    answer_limit: int = 1 << 18
    """Bytes of an answer that can be kept; a larger one is undone and a 500. Above 0; 256 KiB."""

    def __post_init__(self) -> None:
        if not 1 <= seconds(self.lease) < seconds(self.retention) < float("inf"):
            raise ConfigError(
                f"lease={self.lease!r}, retention={self.retention!r}: expected "
                "1 <= lease < retention, in seconds"
            )
        for name in ("body_limit", "answer_limit"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}={getattr(self, name)!r}: expected more than 0 bytes")
