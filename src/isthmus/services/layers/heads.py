"""Heads of requests that are too large, or that two servers might read differently."""

from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.services.problem import Problem

__all__ = ["Heads"]

FIELDS = 100
"""Header fields of a request, at most."""
POLICY_VIOLATION = 1008
ENCODING = b"transfer-encoding"

Fields = list[tuple[bytes, bytes]]


class Heads:
    """Refuses requests with a 414, a 431 or a 400 before anything runs for them.

    Source: RFC 9112, sections 3.2 and 6.1 ("request smuggling").
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        """`limit`: bytes of a head; a quarter of them for the URL."""
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["type"] in {"http", "websocket"}:
                self._check(scope)
        except Problem:
            if scope["type"] == "http":
                raise
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Raises Problem."""
        if scope["http_version"] not in {"1.1", "2", "1.0", "3"}:
            raise _last(505, "this version of HTTP is not spoken here")
        if scope["path"][:1] not in {"/", "*"}:
            raise _last(400, "the request's target is a path, and begins with '/'")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._limit // 4:
            raise _last(414, f"the URL is longer than {self._limit // 4} bytes")
        fields: Fields = scope["headers"]
        if len(fields) > FIELDS:
            raise _last(431, f"the request has more than {FIELDS} header fields")
        names = [name for name, _ in fields]
        size = len(b"".join(names)) + len(b"".join([value for _, value in fields]))
        if size > self._limit:
            raise _last(431, f"the header fields are larger than {self._limit} bytes")
        if ENCODING in names:
            _check_encoding(scope, names)
        hosts = names.count(b"host")
        if hosts > 1 or (not hosts and scope["http_version"] == "1.1"):
            raise _last(400, "a request has one Host")


def _check_encoding(scope: Scope, names: list[bytes]) -> None:
    """Raises Problem: 501 for an encoding that is none of ours, 400 for what is ambiguous."""
    fields: Fields = scope["headers"]
    if any(name == ENCODING and value.strip().lower() != b"chunked" for name, value in fields):
        raise _last(501, "the transfer-encoding of a request may be 'chunked', and nothing else")
    alone = names.count(ENCODING) == 1 and b"content-length" not in names
    if not alone or scope["http_version"] != "1.1":
        raise _last(400, "it is not clear where the body of the request ends")


def _last(status: int, detail: str) -> Problem:
    """Nothing that follows on the connection is to be trusted."""
    return Problem(status, detail, headers={"Connection": "close"})
