"""Errors that another framework answers in a shape of its own leave as problem documents."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec
from starlette.types import Message, Receive, Scope, Send

from isthmus.services.layers.request_id import request_id
from isthmus.services.problem import MEDIA_TYPE, Fault, Problem, response_to

__all__ = ["Problems"]

READ = 1 << 16
"""Bytes of an error that are read for what it tells, at most."""
OF_BODY = frozenset(
    (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding", b"etag")
)
OURS = frozenset(("type", "title", "status", "status_code", "detail", "errors", "request_id"))

Headers = list[tuple[bytes, bytes]]


class Problems:
    """Makes a problem document of an answer from 400 up that is none.

    What JSON says of a request that is wrong is kept: `detail`, the faults that FastAPI and
    Litestar list, and other members as they are. Pages are not, nor what is said of an error of
    the server's own: that is nobody's business outside.
    """

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        await self._app(scope, receive, _Rewriting(scope, receive, send).take)


class _Rewriting:
    """One answer on its way out: passed on, or read to its end and told anew."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._failed: Message | None = None
        self._body = b""

    async def take(self, event: Message) -> None:
        if event["type"] == "http.response.start" and _is_foreign(event):
            self._failed = event
        elif self._failed is None:
            await self._send(event)
        elif event["type"] == "http.response.body":
            await self._read(self._failed, event)

    async def _read(self, failed: Message, event: Message) -> None:
        if len(self._body) <= READ:
            self._body += event.get("body", b"")
        if event.get("more_body", False):
            return
        problem = _problem(failed["status"], failed["headers"], self._body)
        response = response_to(problem, request_id=request_id.get())
        response.raw_headers += _kept(failed["headers"])
        if self._scope["method"] == "HEAD":
            response.body = b""
        await response(self._scope, self._receive, self._send)


def _is_foreign(start: Message) -> bool:
    kind = dict(_lowered(start["headers"])).get(b"content-type", b"")
    return start["status"] >= 400 and not kind.startswith(MEDIA_TYPE.encode())


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name, value) for name, value in _lowered(headers) if name not in OF_BODY]


def _lowered(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    return ((name.lower(), value) for name, value in headers)


def _problem(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Problem:
    said = _said(dict(_lowered(headers)), body) if status < 500 else {}
    detail = said.get("detail", "")
    members = {name: value for name, value in said.items() if name not in OURS}
    if faults := [*_of_fastapi(detail), *_of_litestar(said.get("extra"))]:
        members.pop("extra", None)
    return Problem(status, detail if isinstance(detail, str) else "", faults=faults, **members)


def _said(headers: Mapping[bytes, bytes], body: bytes) -> dict[str, Any]:
    """Return the members of a JSON object; none if it is something else."""
    if b"json" not in headers.get(b"content-type", b"") or len(body) > READ:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}


def _of_fastapi(detail: object) -> Iterator[Fault]:
    """[{"loc": ["body", "items", 0, "total"], "msg": "..."}]"""
    for fault in _objects(detail):
        match fault:
            case {"loc": [str(location), *steps], "msg": str(told)}:
                yield Fault(location, _path(cast("list[object]", steps)), told)
            case _:
                pass


def _of_litestar(extra: object) -> Iterator[Fault]:
    """[{"message": "...", "key": "items[0].total", "source": "body"}]"""
    for fault in _objects(extra):
        match fault:
            case {"message": str(told)}:
                yield Fault(str(fault.get("source", "body")), str(fault.get("key", "")), told)
            case _:
                pass


def _objects(listed: object) -> list[dict[str, Any]]:
    items = cast("list[object]", listed) if isinstance(listed, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _path(steps: list[object]) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return path.removeprefix(".")
