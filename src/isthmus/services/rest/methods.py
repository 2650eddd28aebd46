"""One path with its methods, as an ASGI application.

Parts of an answer that were noted as degraded while it was made are named in a header.
"""

from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from isthmus.deadline import deadline
from isthmus.handling.host import Host
from isthmus.resilience.degraded import degraded_headers, degrading
from isthmus.services.problem import Problem
from isthmus.services.rest.route import Route
from isthmus.services.rest.sending import sent

__all__ = ["Methods"]


class Methods:
    """What answers the methods of one path; GET answers HEAD too."""

    def __init__(self, host: Host, routes: Iterable[Route]) -> None:
        self._host = host
        self._routes: dict[str, Route] = {route.method: route for route in routes}
        if "GET" in self._routes:
            self._routes.setdefault("HEAD", self._routes["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["method"])
        if route is None:
            raise self._refusal(scope)
        with degrading() as parts:
            if route.deadline is None:
                response = await route.endpoint.respond(scope, receive, self._host)
            else:
                with deadline(route.deadline, clock=self._host.clock):
                    response = await route.endpoint.respond(scope, receive, self._host)
            if parts:
                response.headers.update(degraded_headers())
        await sent(response, scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem:
        allowed = ", ".join(sorted(self._routes))
        told = f"{scope['path']} does not know {scope['method']}; it knows {allowed}"
        return Problem(405, told, headers={"Allow": allowed})
