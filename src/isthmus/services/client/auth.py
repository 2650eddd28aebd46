"""Who a client says it is: a header, made anew for each attempt, and shown to nobody."""

import base64
import inspect
from collections.abc import Awaitable, Callable
from typing import Protocol

from isthmus.errors import ConfigError

__all__ = ["Auth", "Basic", "Bearer"]

Token = str | Callable[[], str | Awaitable[str]]


class Auth(Protocol):
    """What says who is asking. Write your own for signatures and the like."""

    async def header(self) -> tuple[str, str]:
        """Return name and value of the header. Called before each attempt: keep what is dear."""
        ...


class Bearer:
    """`Authorization: Bearer ...`. A function, async or not, is asked before each attempt, so
    that a token can be renewed; let it keep the token while it is valid."""

    def __init__(self, token: Token) -> None:
        if not callable(token):
            _refuse_unless_token(token)
        self._token = token

    def __repr__(self) -> str:
        return "Bearer(***)"

    async def header(self) -> tuple[str, str]:
        token = self._token
        if isinstance(token, str):
            return "Authorization", f"Bearer {token}"
        found = token()
        if inspect.isawaitable(found):
            found = await found
        _refuse_unless_token(found)
        return "Authorization", f"Bearer {found}"


class Basic:
    """`Authorization: Basic ...`, of a user and a password."""

    def __init__(self, user: str, password: str = "") -> None:
        if ":" in user:
            raise ConfigError("Basic(user, ...): a user's name has no colon (RFC 7617)")
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._user, self._header = user, ("Authorization", f"Basic {pair}")

    def __repr__(self) -> str:
        return f"Basic({self._user!r}, ***)"

    async def header(self) -> tuple[str, str]:
        return self._header


def _refuse_unless_token(token: object) -> None:
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ConfigError("Bearer(...): expected a token of visible ASCII characters, as text")
    if not token.strip():
        raise ConfigError("Bearer(''): the token is empty")
