"""All that an App serves over HTTP, as one ASGI application."""

from collections.abc import AsyncGenerator, Callable, Sequence
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

__all__ = ["Site", "Wrap"]

Wrap = Callable[[ASGIApp], ASGIApp]
"""Returns an application with a layer around it."""


class Site:
    """The routes and mounts of one App, modules included; filled while it opens."""

    def __init__(self) -> None:
        self._routes: dict[str, dict[str, Route]] = {}
        self._mounts: dict[str, Mount] = {}
        self._worn: dict[str, ASGIApp] = {}
        self._wraps: dict[object, Wrap] = {}

    def add(self, route: Route, host: Host) -> None:
        """Raises ConfigError if `host` lacks a resource that the route asks for."""
        route.endpoint.plan.require(host)
        self._routes.setdefault(route.path, {})[route.method] = route

    def mount(self, mount: Mount, *, worn: ASGIApp | None = None) -> None:
        """`worn`: what the mount is served as, with the layers that it has to itself."""
        self._mounts[mount.path] = mount
        self._worn[mount.path] = worn or mount

    def wrap(self, name: object, wrap: Wrap) -> None:
        """Have `wrap` put around everything, outside of what was put there before; instead of the
        one that was called `name` when the App was open before."""
        self._wraps[name] = wrap

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
        application: ASGIApp = Failures(Paths(at, self._worn))
        if self._wraps:
            for wrap in self._wraps.values():
                application = wrap(application)
            application = Failures(application)
        return Identified(application, host.clock)


def _health(health: Health) -> Sequence[Route]:
    """The two paths that every site has, unless the App has its own: those come first."""
    own = Declarations("health")
    get = partial(Route, "GET", options=RouteOptions(hidden=True), declared=own)
    return get("/healthz", health.live), get("/readyz", health.ready)
