"""A request read whole, so that it may run again; an answer held back until it may be sent."""

from starlette.types import Message, Receive, Send

from isthmus.errors import ConfigError
from isthmus.services.layers.idempotency.claims import KeptAnswer
from isthmus.services.problem import Problem

__all__ = ["HeldAnswer", "again", "send_answer", "whole_body"]


async def whole_body(receive: Receive, *, limit: int) -> bytes:
    """Raises Problem: 413 if it is larger than `limit`, 400 if it ends before its end."""
    parts, size, more = list[bytes](), 0, True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise Problem(400, "the connection was closed before the body was complete")
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            told = f"the body is larger than {limit} bytes, the most that is taken here"
            raise Problem(413, told, headers={"Connection": "close"}, limit=limit)
        more = event.get("more_body", False)
    return b"".join(parts)


def again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with `body`."""
    events: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return events.pop() if events else await receive()

    return received


class HeldAnswer:
    """A `send` that keeps what it is given."""

    def __init__(self, *, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._done = False

    async def __call__(self, event: Message) -> None:
        """Raises ConfigError if the answer is too large to be kept."""
        if event["type"] == "http.response.start":
            self._status = event["status"]
            self._headers = [(bytes(name), bytes(value)) for name, value in event["headers"]]
        elif event["type"] == "http.response.body":
            self._parts.append(event.get("body", b""))
            self._size += len(self._parts[-1])
            self._done = not event.get("more_body", False)
            if self._size > self._limit:
                raise ConfigError(
                    f"an idempotent answer is larger than {self._limit} bytes; answer less, or "
                    "raise answer_limit of its Idempotency"
                )

    def whole(self) -> KeptAnswer:
        """Raises RuntimeError if the application did not answer to the end."""
        if not self._status or not self._done:
            raise RuntimeError("the application returned without a whole answer")
        return KeptAnswer(self._status, self._headers, b"".join(self._parts))


async def send_answer(answer: KeptAnswer, send: Send, *more: tuple[bytes, bytes]) -> None:
    headers = [*answer.headers, *more]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
