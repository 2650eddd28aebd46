"""All that an App serves over HTTP, as one ASGI application."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.routing import BaseRoute, Router
from starlette.routing import Mount as MountAt
from starlette.routing import Route as RouteAt
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.layers.failures import Failures
from isthmus.services.layers.request_id import Identified
from isthmus.services.problem import Problem
from isthmus.services.rest.methods import Methods
from isthmus.services.rest.options import RouteOptions
from isthmus.services.rest.route import Route
from isthmus.services.serving.health import Health
from isthmus.services.serving.mount import Mount

__all__ = ["Site"]


class Site:
    """The routes and mounts of one App, modules included; filled while it opens."""

    def __init__(self) -> None:
        self._routes: dict[str, dict[str, Route]] = {}
        self._mounts: dict[str, Mount] = {}

    def add(self, route: Route, host: Host) -> None:
        """Raises ConfigError if `host` lacks a resource that the route asks for."""
        route.endpoint.bind(host)
        self._routes.setdefault(route.path, {})[route.method] = route

    def mount(self, mount: Mount) -> None:
        self._mounts[mount.path] = mount

    @asynccontextmanager
    async def started(
        self, host: Host, health: Health, pages: Sequence[Route] = ()
    ) -> AsyncGenerator[ASGIApp]:
        """Yield the application; mounted ones are started, and stopped at the end.

        `pages` are served as well, unless the App has routes of its own there.
        """
        async with AsyncExitStack() as stack:
            for mount in self._mounts.values():
                await stack.enter_async_context(mount.lifespan())
            yield self._application(host, (*pages, *_health(health)))

    def _application(self, host: Host, pages: Sequence[Route]) -> ASGIApp:
        at: list[BaseRoute] = []
        for path, routes in self._routes.items():
            at.append(RouteAt(path, Methods(host, routes.values())))
        at += [MountAt(path, mount) for path, mount in self._mounts.items()]
        at += [RouteAt(route.path, Methods(host, [route])) for route in pages]
        return Identified(Failures(Router(at, default=_nothing_here)), host.clock)


def _health(health: Health) -> Sequence[Route]:
    """The two paths that every site has, unless the App has its own: those come first."""
    own = Declarations("health")
    get = partial(Route, "GET", options=RouteOptions(hidden=True), declared=own)
    return get("/healthz", health.live), get("/readyz", health.ready)


async def _nothing_here(scope: Scope, _: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "reason": "nothing is here"})
    raise Problem(404, f"there is nothing at {scope['path']}")
