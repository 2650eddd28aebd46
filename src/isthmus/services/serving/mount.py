"""A foreign ASGI application under a path."""

from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.errors import ConfigError
from isthmus.services.declared import DeclaredMount
from isthmus.services.serving.lifespan import Lifespan

__all__ = ["Mount"]


class Mount:
    """`application` answers everything below `path`, and sees it as its root."""

    def __init__(self, path: str, application: ASGIApp) -> None:
        if not path.startswith("/") or path.endswith("/") or "{" in path:
            raise ConfigError(f"mount path {path!r}: expected as '/legacy', without parameters")
        self.path, self._application = path, application
        self._state: dict[str, object] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application({**scope, "state": dict(self._state)}, receive, send)

    def lifespan(self) -> Lifespan:
        """Return what starts and stops the application."""
        lifespan = Lifespan(self._application, self.path)
        self._state = lifespan.state
        return lifespan

    def record(self) -> DeclaredMount:
        kind: type = type(self._application)
        name = getattr(self._application, "__qualname__", kind.__qualname__)
        module = getattr(self._application, "__module__", kind.__module__)
        return DeclaredMount(name=self.path, application=f"{module}:{name}")
