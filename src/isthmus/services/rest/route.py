"""One route: a method of a path, and the function that answers it."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.routing import compile_path

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.schema.kinds import type_name
from isthmus.services.declared import DeclaredRoute
from isthmus.services.rest.endpoint import Endpoint

__all__ = ["Route"]


class Route:
    """A declared route. `path` as "/v1/orders/{id}"; "{rest:path}" takes slashes, too."""

    def __init__(
        self,
        method: str,
        path: str,
        function: Callable[..., Any],
        *,
        status: int | None,
        body_limit: int,
        deadline: float | None,
        declared: Declarations,
    ) -> None:
        self.method, self.path = method, path
        self.deadline = _checked(method, path, deadline)
        """Seconds after which an answer is worth nothing; None if that never is."""
        self.endpoint = Endpoint(
            function,
            method=method,
            names=_names(path),
            status=status,
            body_limit=body_limit,
            declared=declared,
        )

    def record(self) -> DeclaredRoute:
        body, gives = self.endpoint.parameters.body, self.endpoint.answer.schema
        function = self.endpoint.function
        return DeclaredRoute(
            name=f"{self.method} {self.path}",
            method=self.method,
            path=self.path,
            status=self.endpoint.answer.status,
            deadline=self.deadline,
            takes="" if body is None else type_name(body.schema.type),
            gives="" if gives is None else type_name(gives.type),
            function=f"{function.__module__}:{function.__qualname__}",
        )


def _checked(method: str, path: str, deadline: float | None) -> float | None:
    if deadline is not None and not 0 < deadline < float("inf"):
        raise ConfigError(f"{method} {path}: deadline={deadline!r}: expected more than 0 seconds")
    return deadline


def _names(path: str) -> Sequence[str]:
    """Return the parameters' names in `path`; raises ConfigError if it is malformed."""
    if not path.startswith("/"):
        raise ConfigError(f"path {path!r} must begin with '/', as '/v1/orders/{{id}}'")
    try:
        return list(compile_path(path)[2])
    except (AssertionError, ValueError) as error:
        raise ConfigError(f"path {path!r}: {error}") from error
