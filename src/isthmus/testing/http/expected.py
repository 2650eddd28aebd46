"""A request that a fake expects, and what it answers."""

import inspect
import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Self
from urllib.parse import unquote

import msgspec

from isthmus.errors import ConfigError
from isthmus.services.client.content import content
from isthmus.services.client.transport import Reply, Whole, headers_of
from isthmus.testing.http.received import Received

__all__ = ["Answering", "Canned", "Expected"]

_NAMED = re.compile(r"\\{(\w+)\\}")


class Canned(msgspec.Struct, frozen=True, eq=False):
    """An answer that is ready: of a value, as JSON; of text, bytes, or an async iterable of
    bytes, as they are."""

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = {}

    def reply(self) -> Reply:
        body, headers = self._body()
        said = {name.lower() for name in self.headers}
        kept = {name: value for name, value in headers.items() if name.lower() not in said}
        return Reply(self.status, headers_of({**kept, **self.headers}), body)

    def _body(self) -> tuple[Any, Mapping[str, str]]:
        if self.content is None:
            return Whole(b""), {}
        sent, kind = content(self.content)
        if not isinstance(sent, bytes):
            return Streamed(sent), {"Content-Type": kind}
        return Whole(sent), {"Content-Type": kind, "Content-Length": str(len(sent))}


Answering = Callable[[Received], Any | Awaitable[Any]]


class Expected:
    """Made by `FakeTransport.on`. Several answers are given in turn; the last goes on."""

    def __init__(self, method: str, path: str, *, times: int | None = None) -> None:
        if not path.startswith("/"):
            raise ConfigError(f"fake: the path {path!r} has to begin with '/'")
        self.method, self.path, self.times = method.upper(), path, times
        self.calls = 0
        """Requests that met it."""
        self._pattern = re.compile(_NAMED.sub(r"(?P<\1>[^/]+)", re.escape(path)))
        self._answers: list[Answering] = []

    def __repr__(self) -> str:
        return f"{self.method} {self.path}"

    def answer(
        self,
        content: Any = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answer so: a model, dict or list as JSON, text, bytes, or an async iterable of bytes
        as they are; None is 204 unless `status` says otherwise."""
        chosen = status if status is not None else 204 if content is None else 200
        canned = Canned(content, chosen, headers or {})
        return self.by(lambda _: canned)

    def fail(self, error: Exception) -> Self:
        """Raise an error instead, as ConnectRefusedError("nobody is there")."""

        def failing(_: Received) -> Any:
            raise error

        return self.by(failing)

    def by(self, function: Answering) -> Self:
        """Answer what `function` returns of the Received, async or not: a value, or a Canned."""
        self._answers.append(function)
        return self

    def meets(self, request: Received, path: str) -> Received | None:
        """Return the request with what is named in its path; None if it is another's."""
        if request.method != self.method or (self.times is not None and self.calls >= self.times):
            return None
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        named = {name: unquote(value) for name, value in found.groupdict().items()}
        return msgspec.structs.replace(request, path_params=named)

    async def reply(self, request: Received) -> Reply:
        """Return the answer whose turn it is."""
        turn = min(self.calls, len(self._answers) - 1)
        self.calls += 1
        if turn < 0:
            return Canned(status=204).reply()
        found = self._answers[turn](request)
        if inspect.isawaitable(found):
            found = await found
        if isinstance(found, Canned):
            return found.reply()
        return Canned(found, 204 if found is None else 200).reply()


class Streamed:
    """A body that a test gives piece by piece."""

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = source

    async def read(self, limit: int) -> bytes:
        return await Whole(b"".join([chunk async for chunk in self._source])).read(limit)

    def chunks(self) -> AsyncIterator[bytes]:
        return aiter(self._source)

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
