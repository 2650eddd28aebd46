"""One path with its methods, as an ASGI application."""

from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from isthmus.handling.host import Host
from isthmus.services.endpoint import Endpoint
from isthmus.services.problem import Problem
from isthmus.services.route import Route

__all__ = ["Methods"]


class Methods:
    """What answers the methods of one path; GET answers HEAD too."""

    def __init__(self, host: Host, routes: Iterable[Route]) -> None:
        self._host = host
        self._endpoints: dict[str, Endpoint] = {route.method: route.endpoint for route in routes}
        if "GET" in self._endpoints:
            self._endpoints.setdefault("HEAD", self._endpoints["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            raise self._refusal(scope)
        response = await endpoint.respond(scope, receive, self._host)
        await response(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem:
        allowed = ", ".join(sorted(self._endpoints))
        told = f"{scope['path']} does not know {scope['method']}; it knows {allowed}"
        return Problem(405, told, headers={"Allow": allowed})
