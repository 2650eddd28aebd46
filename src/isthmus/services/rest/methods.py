"""One path with its methods, as an ASGI application."""

from collections.abc import Awaitable, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.handling.host import Host
from isthmus.services.problem import Problem
from isthmus.services.rest.route import Route
from isthmus.services.rest.whole import Whole

__all__ = ["Methods"]


class Methods:
    """What answers the methods of one path: GET answers HEAD too, and OPTIONS tells of all."""

    def __init__(self, host: Host, routes: Iterable[Route]) -> None:
        self._applications: dict[str, ASGIApp] = {
            route.method: route.application(host) for route in routes
        }
        if "GET" in self._applications:
            self._applications.setdefault("HEAD", self._applications["GET"])
        known = {"OPTIONS", *self._applications}
        self._allowed = ", ".join(sorted(known))
        self._applications.setdefault("OPTIONS", self._tell)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        application = self._applications.get(scope["method"])
        if application is None:
            raise self._refusal(scope)
        return application(scope, receive, send)

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Whole(204, [(b"allow", self._allowed.encode())])(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem:
        told = f"{scope['path']} does not know {scope['method']}; it knows {self._allowed}"
        return Problem(405, told, headers={"Allow": self._allowed})
