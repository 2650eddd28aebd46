"""All that an App serves over HTTP, as one ASGI application."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.types import ASGIApp

from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.layers.failures import Failures
from isthmus.services.layers.request_id import Identified
from isthmus.services.rest.methods import Methods
from isthmus.services.rest.options import RouteOptions
from isthmus.services.rest.paths import Paths
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
        route.endpoint.plan.require(host)
        self._routes.setdefault(route.path, {})[route.method] = route

    def mount(self, mount: Mount) -> None:
        self._mounts[mount.path] = mount

    @asynccontextmanager
    async def started(self, host: Host, health: Health) -> AsyncGenerator[ASGIApp]:
        """Yield the application; mounted ones are started, and stopped at the end."""
        async with AsyncExitStack() as stack:
            for mount in self._mounts.values():
                await stack.enter_async_context(mount.lifespan())
            yield self._application(host, health)

    def _application(self, host: Host, health: Health) -> ASGIApp:
        at = {path: Methods(host, routes.values()) for path, routes in self._routes.items()}
        for route in _health(health):
            at.setdefault(route.path, Methods(host, [route]))
        return Identified(Failures(Paths(at, self._mounts)), host.clock)


def _health(health: Health) -> Sequence[Route]:
    """The two paths that every site has, unless the App has its own: those come first."""
    own = Declarations("health")
    get = partial(Route, "GET", options=RouteOptions(hidden=True), declared=own)
    return get("/healthz", health.live), get("/readyz", health.ready)
