"""All that an App serves over HTTP, as one ASGI application."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.types import ASGIApp

from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.layers.failures import Failures
from isthmus.services.layers.heads import Heads
from isthmus.services.layers.request_id import Identified
from isthmus.services.layers.time_limit import TimeLimit
from isthmus.services.rest.methods import Methods
from isthmus.services.rest.options import RouteOptions
from isthmus.services.rest.paths import Paths
from isthmus.services.rest.route import Route
from isthmus.services.serving.health import Health
from isthmus.services.serving.mount import Mount

__all__ = ["Layer", "Site", "Wrap"]

Layer = Callable[[ASGIApp, "Site", Host], ASGIApp]
"""Made anew for each run, when all routes and mounts are there."""

Wrap = Callable[[ASGIApp], ASGIApp]
"""Returns an application with a layer around it."""


class Site:
    """The routes and mounts of one App, modules included; filled while it opens."""

    def __init__(self) -> None:
        self._routes: dict[str, dict[str, Route]] = {}
        self._mounts: dict[str, Mount] = {}
        self._worn: dict[str, ASGIApp] = {}
        self._layers: dict[str, Layer] = {}
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

    def wear(self, name: str, layer: Layer) -> None:
        """Have `layer` around all routes and mounts, outside of what turns errors into
        answers; one of a name that is there already takes its place."""
        self._layers[name] = layer

    @property
    def routes(self) -> Sequence[Route]:
        return [route for routes in self._routes.values() for route in routes.values()]

    @property
    def mounts(self) -> Sequence[Mount]:
        return list(self._mounts.values())

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
        at = {path: Methods(host, routes.values()) for path, routes in self._routes.items()}
        for route in pages:
            at.setdefault(route.path, Methods(host, [route]))
        settings, mounts = host.settings, self._worn
        if seconds := settings.http_request_timeout:
            mounts = {
                path: TimeLimit(each, seconds=seconds, foreign=True)
                for path, each in mounts.items()
            }
        application: ASGIApp = Failures(Heads(Paths(at, mounts), limit=settings.http_head_limit))
        for layer in self._layers.values():
            application = layer(application, self, host)
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
