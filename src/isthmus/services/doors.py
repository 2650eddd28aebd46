"""Declaring routes and mounts: what stands behind `app.post` and its like."""

from collections.abc import Callable
from typing import Any, TypeVar

from isthmus.clock import Span, seconds
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.rest.body import LIMIT
from isthmus.services.rest.route import Route
from isthmus.services.serving.mount import LIMIT as MOUNT_LIMIT
from isthmus.services.serving.mount import Foreign, Mount
from isthmus.services.serving.server import HttpServer
from isthmus.services.serving.site import Site

__all__ = ["mount", "route"]

Function = TypeVar("Function", bound=Callable[..., Any])


def route(
    declared: Declarations,
    method: str,
    path: str,
    *,
    status: int | None = None,
    body_limit: int = LIMIT,
    deadline: Span | None = None,
) -> Callable[[Function], Function]:
    """Have the decorated function answer `method` of `path`.

    Raises:
        ConfigError: The path is malformed or taken, or a parameter cannot be given.
    """

    def attached(function: Function) -> Function:
        made = Route(
            method,
            path,
            function,
            status=status,
            body_limit=body_limit,
            deadline=None if deadline is None else seconds(deadline),
            declared=declared,
        )

        async def opening(host: Host) -> None:
            declared.shared(Site).add(made, host)

        declared.declare(made.record())
        declared.open_with(opening)
        declared.work(HttpServer(declared))
        return function

    return attached


def mount(
    declared: Declarations, path: str, application: Foreign, *, body_limit: int | None = None
) -> None:
    """Have a foreign ASGI application answer everything below `path`."""
    made = Mount(path, application, body_limit=MOUNT_LIMIT if body_limit is None else body_limit)

    async def opening(_: Host) -> None:
        declared.shared(Site).mount(made)

    declared.declare(made.record())
    declared.open_with(opening)
    declared.work(HttpServer(declared))
