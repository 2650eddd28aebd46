"""The version in the path: /v1/orders."""

from starlette.types import Scope

from isthmus.errors import ConfigError
from isthmus.services.versioning.asked import Asked
from isthmus.services.versioning.reader import Reader
from isthmus.services.versioning.refusals import unsupported
from isthmus.versions.names import Names

__all__ = ["Uri"]


class Uri(Reader):
    """The first segment of the path is the version; routes are declared without it.

    With `prefix="/api"` it is the one after that: /api/v1/orders is the route "/orders".
    """

    def __init__(self, *, prefix: str = "") -> None:
        """Raises ConfigError if `prefix` is not as "/api"."""
        if prefix and (not prefix.startswith("/") or prefix.endswith("/") or "{" in prefix):
            raise ConfigError(f"Uri(prefix={prefix!r}): expected as '/api', without parameters")
        self.prefix = prefix

    def __repr__(self) -> str:
        return f"Uri(prefix={self.prefix!r})" if self.prefix else "Uri()"

    def read(self, scope: Scope, names: Names) -> Asked | None:
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        before = (root if path.startswith(f"{root}/") else "") + self.prefix
        if not path.startswith(f"{before}/"):
            return None
        end = path.find("/", len(before) + 1)
        begin = path if end < 0 else path[:end]
        segment = begin[len(before) + 1 :]
        version = names.find(segment, exact=True)
        if version is not None:
            return Asked(version, "its path", root=begin)
        if names.resembles(segment):
            raise unsupported(404, segment, names.all)
        return None

    def told(self, names: Names) -> str:
        return f"a path below it, as {self.prefix}/{names.head}/"
