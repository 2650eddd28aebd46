"""An answer whose bytes are all there."""

from starlette.types import Receive, Scope, Send

__all__ = ["Headers", "Whole"]

Headers = list[tuple[bytes, bytes]]


class Whole:
    """Sent as it is: what a Starlette Response does, at a fifth of its cost."""

    __slots__ = ("body", "raw_headers", "status_code")

    def __init__(self, status_code: int, raw_headers: Headers, body: bytes = b"") -> None:
        """`raw_headers` has to tell the length of `body`, unless the status allows none."""
        self.status_code, self.raw_headers, self.body = status_code, raw_headers, body

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})
