"""One route: a method of a path, and the function that answers it."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace
from starlette.routing import compile_path
from starlette.types import ASGIApp

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.layers.due import Due
from isthmus.services.layers.idempotency import Idempotent
from isthmus.services.layers.time_limit import TimeLimit
from isthmus.services.rest.answering import Answering
from isthmus.services.rest.declared import DeclaredRoute
from isthmus.services.rest.endpoint import Endpoint
from isthmus.services.rest.options import RouteOptions
from isthmus.services.rest.record import record_of

__all__ = ["Route"]


class Route:
    """A declared route. `path` as "/v1/orders/{id}"; "{rest:path}" takes slashes, too."""

    def __init__(
        self,
        method: str,
        path: str,
        function: Callable[..., Any],
        *,
        options: RouteOptions,
        declared: Declarations,
    ) -> None:
        self.method, self.path = method, path
        self.options = options
        self.endpoint = Endpoint(
            function,
            method=method,
            names=_names(path),
            options=options,
            declared=declared,
        )

    def application(self, host: Host) -> ASGIApp:
        """Return what answers its requests.

        Raises:
            ConfigError: `host` lacks a resource that it asks for.
        """
        application: ASGIApp = Answering(self.endpoint, host)
        if self.options.deadline is not None:
            application = Due(application, self.options.deadline, host.clock)
        if (idempotency := self.options.idempotency) is not None:
            own = replace(idempotency, methods=(self.method,), body_limit=self.options.body_limit)
            application = Idempotent(application, host=host, options=own)
        seconds = self.options.timeout
        if seconds is None:
            seconds = host.settings.http_request_timeout
        return TimeLimit(application, seconds=seconds) if seconds else application

    def record(self) -> DeclaredRoute:
        return record_of(self.endpoint, self.method, self.path, self.options)


def _names(path: str) -> Sequence[str]:
    """Return the parameters' names in `path`; raises ConfigError if it is malformed."""
    if not path.startswith("/"):
        raise ConfigError(f"path {path!r} must begin with '/', as '/v1/orders/{{id}}'")
    try:
        return list(compile_path(path)[2])
    except (AssertionError, ValueError) as error:
        raise ConfigError(f"path {path!r}: {error}") from error
