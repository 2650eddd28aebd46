"""Which application answers a path: a lookup where the path has no parameters, else a search."""

from collections.abc import Awaitable, Mapping

from starlette.routing import BaseRoute, Router
from starlette.routing import Mount as MountAt
from starlette.routing import Route as RouteAt
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.services.problem import Problem

__all__ = ["Paths"]


class Paths:
    """All paths of a site. A path is itself and no other: "/orders/" is not "/orders"."""

    def __init__(self, routes: Mapping[str, ASGIApp], mounts: Mapping[str, ASGIApp]) -> None:
        """Routes are tried in their order, one without parameters before those with some; mounts
        answer what no route does."""
        at: list[BaseRoute] = [RouteAt(path, application) for path, application in routes.items()]
        at += [MountAt(path, application) for path, application in mounts.items()]
        self._plain = {path: each for path, each in routes.items() if "{" not in path}
        self._router = Router(at, redirect_slashes=False, default=self._nothing_here)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http":
            application = self._plain.get(_below_root(scope))
            if application is not None:
                scope["path_params"] = {}
                return application(scope, receive, send)
        return self._router(scope, receive, send)

    async def _nothing_here(self, scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "reason": "nothing is here"})
        path: str = scope["path"]
        other = path.rstrip("/") if path.endswith("/") else f"{path}/"
        hint = f"; {other} is something else" if other in self._plain else ""
        raise Problem(404, f"there is nothing at {path}{hint}")


def _below_root(scope: Scope) -> str:
    """Return the path as the site sees it, whatever is before it."""
    path, root = scope["path"], scope["root_path"]
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
