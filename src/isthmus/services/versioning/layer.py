"""Versioned: every version of an API, in front of an application that knows the newest."""

import logging
from collections.abc import Iterable, Sequence
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.clock import Clock, SystemClock
from isthmus.errors import ConfigError
from isthmus.services.layers.request_id import request_id
from isthmus.services.problem import Problem, problem_of, response_to
from isthmus.services.versioning import etags
from isthmus.services.versioning.answers import Downgrade, Dress
from isthmus.services.versioning.asked import Asked, Headers, header_of
from isthmus.services.versioning.facts import DeprecatedVersionCalled
from isthmus.services.versioning.operations import Operations
from isthmus.services.versioning.reader import Choice, Place
from isthmus.services.versioning.readers import Readers
from isthmus.services.versioning.refusals import gone
from isthmus.services.versioning.report import Report
from isthmus.services.versioning.uri import Uri
from isthmus.services.versioning.ways import Way, Ways
from isthmus.signals import Signals
from isthmus.versions import MigrationError, Version, Versions
from isthmus.versions.operation import Operation
from isthmus.versions.version import asked as asking

__all__ = ["LIMIT", "Versioned"]

LIMIT = 8 << 20
"""Largest body that is led to another version, in bytes, unless the API says more."""

OURS = problem_of(RuntimeError())
"""The answer where a change failed, and the request is not to blame."""

_log = logging.getLogger("isthmus.versions")

_UNHELPFUL = frozenset({b"accept-encoding", b"range", b"if-range"})
"""What would have an application answer with less than the whole, or with no JSON."""


class Versioned:
    """A plain ASGI layer. A request of the newest version passes: its body is not touched."""

    def __init__(
        self,
        app: ASGIApp,
        versions: Versions,
        *,
        by: Place | Choice | None = None,
        default: str | None = None,
        except_: Sequence[str] = (),
        limit: int = LIMIT,
        operations: Iterable[Operation] = (),
        below: Sequence[str] = ("",),
        clock: Clock | None = None,
        signals: Signals | None = None,
    ) -> None:
        """
        Args:
            app: What answers; written for the newest version.
            versions: The table.
            by: Where a request says which version it wants. Default: Uri().
            default: The version of requests that don't say. Default None: they are refused.
            except_: Paths that have no versions, with all below them: "/docs".
            limit: Largest body that is led to another version, in bytes. Above 0; 8 MiB.
            operations: Routes of `app` whose types are known; others are in the table.
            below: Where operations of the table may lie. Default: everywhere.
            clock: What says whether a sunset has come.
            signals: Who hears of calls in deprecated versions.

        Raises:
            ConfigError: One of them cannot be meant, or the table tells of an operation
                that lies nowhere here.
        """
        if limit <= 0:
            raise ConfigError(f"limit={limit!r}: expected more than 0 bytes")
        self._app, self._versions, self._limit = app, versions, limit
        self._readers = Readers(Uri() if by is None else by, versions.names, default=default)
        self._report = Report(versions, self._readers.vary)
        self._operations = Operations(versions, operations, below=below)
        self._open = _checked(except_)
        self._below_open = tuple(f"{path}/" for path in self._open)
        self._clock, self._signals = clock or SystemClock(), signals or Signals()
        self._head = versions.names.head
        self._names = {name: Version(name, versions.names) for name in versions.names.all}
        self._ways = Ways(versions, self._operations, limit=limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or self._is_open(_path(scope)):
            return await self._app(scope, receive, send)
        try:
            asked = self._readers.asked(scope)
        except Problem as problem:
            return await self._refuse(problem, scope, receive, send)
        token = asking.set(self._names[asked.version])
        try:
            await self._serve(asked, scope, receive, send)
        finally:
            asking.reset(token)

    def _is_open(self, path: str) -> bool:
        """Return whether `path` has no versions."""
        return path in self._open or path.startswith(self._below_open)

    async def _serve(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope}
        if asked.root is not None:
            scope["root_path"] = asked.root
        if asked.headers is not None:
            scope["headers"] = list(asked.headers)
        if scope["type"] == "websocket":
            return await self._app(scope, receive, send)
        report = self._report.headers(asked.version, self._clock.now())
        if asked.version == self._head and self._head not in self._versions.deprecations:
            return await self._app(scope, receive, _dressing(send, self._dress(asked, report)))
        await self._serve_old(asked, report, scope, receive, send)

    # --- versions that are not the newest, or end ---------------------------------------------

    async def _serve_old(
        self, asked: Asked, report: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        path = _path(scope)
        operation = self._operations.find(scope["method"], path)
        if asked.version in self._versions.deprecations:
            links = self._report.successor(asked.version, asked.root, scope["path"])
            report = [*report, *links]
            self._tell(asked.version, operation, scope, path)
        plain = _dressing(send, self._dress(asked, report))
        if asked.version not in self._report.supported:
            return await _respond(self._gone(asked.version), scope, receive, plain)
        way = self._ways.of(operation, asked.version)
        if asked.version != self._head:
            scope["headers"] = etags.asked(scope["headers"], asked.version)
        if way is None:
            return await self._app(scope, receive, plain)
        await self._migrate(way, asked, report, scope, receive, send)

    async def _migrate(
        self,
        way: Way,
        asked: Asked,
        report: Headers,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        plain = _dressing(send, self._dress(asked, report))
        if way.upgrade is not None:
            try:
                scope, receive = await way.upgrade(scope, receive)
            except (Problem, MigrationError) as error:
                return await _respond(_told(error, scope), scope, receive, plain)
        if way.down is None:
            return await self._app(scope, receive, plain)
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _UNHELPFUL]
        scope["extensions"] = {}  # such as to send a file, past this layer
        answer = Downgrade(
            send,
            self._dress(asked, report),
            way.down,
            failed=partial(_respond, OURS, scope, receive, plain),
            limit=self._limit,
            is_head=scope["method"] == "HEAD",
        )
        await self._app(scope, receive, answer)

    def _gone(self, version: str) -> Problem:
        next_ = self._versions.successor(version) or ""
        return gone(self._versions.deprecations[version], next_, self._report.supported)

    def _tell(self, version: str, operation: Operation | None, scope: Scope, path: str) -> None:
        if self._signals.active:
            told = str(operation) if operation else f"{scope['method']} {path}"
            gone_ = version not in self._report.supported
            agent = header_of(scope, b"user-agent")[:200]
            self._signals.emit(
                DeprecatedVersionCalled(
                    version=version, operation=told, gone=gone_, user_agent=agent
                )
            )

    # --- answers ------------------------------------------------------------------------------

    def _dress(self, asked: Asked, report: Headers) -> Dress:
        return Dress(
            report,
            root=asked.root,
            media_type=asked.media_type,
            tags=None if asked.version == self._head else asked.version,
            is_open=self._is_open,
        )

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "reason": problem.detail[:120]})
        report = self._report.unasked(self._clock.now())
        asked = Asked(self._head, "")
        await _respond(problem, scope, receive, _dressing(send, self._dress(asked, report)))


def _dressing(send: Send, dress: Dress) -> Send:
    async def sent(event: Message) -> None:
        await send(dress(event) if event["type"] == "http.response.start" else event)

    return sent


async def _respond(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    await response_to(problem, request_id=request_id.get())(scope, receive, send)


def _told(error: Problem | MigrationError, scope: Scope) -> Problem:
    """Return the answer to a request that could not be led up; what is our fault is logged."""
    if isinstance(error, Problem):
        return error
    what = f"{scope['method']} {scope['path']}"
    _log.error("%s could not be led to the newest version: %s", what, error, exc_info=error)
    return OURS


def _path(scope: Scope) -> str:
    """Return the path below the application's root."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _checked(paths: Sequence[str]) -> frozenset[str]:
    for path in paths:
        if isinstance(paths, str) or not path.startswith("/") or path.endswith("/"):
            raise ConfigError(f"except_={paths!r}: expected paths, as ['/docs', '/hooks']")
    return frozenset(paths)
