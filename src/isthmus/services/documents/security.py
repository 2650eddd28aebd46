"""Ways in which a client says who it is, as documents tell them.

They tell only: what judges a request is a dependency, a middleware or the gateway.
"""

from typing import Any, Literal, Protocol

import msgspec

__all__ = ["ApiKey", "Basic", "Bearer", "Security"]


class Security(Protocol):
    """One way."""

    @property
    def name(self) -> str:
        """What documents call it."""
        ...

    def document(self) -> dict[str, Any]:
        """Return its Security Scheme Object, which OpenAPI and AsyncAPI share."""
        ...


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """A token in the header Authorization (RFC 6750)."""

    name: str = "bearer"
    format: str = ""
    """What the token is, for people: "JWT"."""
    description: str = ""

    def document(self) -> dict[str, Any]:
        said = {"type": "http", "scheme": "bearer", "bearerFormat": self.format}
        return _said({**said, "description": self.description})


class Basic(msgspec.Struct, frozen=True, kw_only=True):
    """A user's name and password in the header Authorization (RFC 7617)."""

    name: str = "basic"
    description: str = ""

    def document(self) -> dict[str, Any]:
        return _said({"type": "http", "scheme": "basic", "description": self.description})


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key in a header, the query or a cookie that is called `key`."""

    key: str = "X-Api-Key"
    location: Literal["header", "query", "cookie"] = "header"
    name: str = "api-key"
    description: str = ""

    def document(self) -> dict[str, Any]:
        said = {"type": "apiKey", "in": self.location, "name": self.key}
        return _said({**said, "description": self.description})


def _said(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}
