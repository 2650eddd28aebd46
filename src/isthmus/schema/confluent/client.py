"""The registry's HTTP, and what its answers mean."""

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from isthmus.errors import (
    ConfigError,
    ConflictError,
    NotFoundError,
    SchemaError,
    UnavailableError,
)

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Client"]

ACCEPT = "application/vnd.schemaregistry.v1+json, application/json;q=0.9"
LARGEST = 16 * 1024 * 1024
"""Bytes of an answer that is read."""
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say nothing of the question."""


class Client:
    """Asks one registry; a session for each loop it is asked from."""

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str] | None,
        token: str | None,
        tls: ssl.SSLContext | None,
        timeout: float,
    ) -> None:
        """Raises ConfigError if `url` is none of http or https."""
        self.url, within = _without_secrets(url)
        self._auth, self._token = auth or within, token
        self._tls, self._timeout = tls, timeout
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Any:
        """Return what the registry answers.

        Raises:
            NotFoundError: It has no such schema, subject or version.
            ConflictError: The schema is incompatible with the subject's earlier ones.
            SchemaError: It is no schema.
            ConfigError: We may not ask.
            UnavailableError: It is out of reach, or cannot answer now.
        """
        import aiohttp

        session = self._session()
        try:
            async with session.request(
                method, self.url + path, params=query, json=body, ssl=self._tls or True
            ) as answer:
                text = await answer.content.read(LARGEST)
                return _told(answer.status, text, f"{method} {path}")
        except TimeoutError as error:
            raise UnavailableError(
                f"the registry at {self.url} did not answer within {self._timeout:g} s"
            ) from error
        except aiohttp.ClientError as error:
            raise UnavailableError(
                f"the registry at {self.url} is out of reach: {error}"
            ) from error

    async def aclose(self) -> None:
        """Close the connections of this loop; asking opens new ones."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _session(self) -> "aiohttp.ClientSession":
        import aiohttp

        loop = asyncio.get_running_loop()
        if (found := self._sessions.get(loop)) is not None and not found.closed:
            return found
        for gone in [each for each in self._sessions if each.is_closed()]:
            del self._sessions[gone]
        headers = {"Accept": ACCEPT}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._auth is not None:
            said = base64.b64encode(":".join(self._auth).encode()).decode()
            headers["Authorization"] = f"Basic {said}"
        made = aiohttp.ClientSession(
            headers=headers, timeout=aiohttp.ClientTimeout(total=self._timeout)
        )
        self._sessions[loop] = made
        return made


def _told(status: int, text: bytes, asked: str) -> Any:
    try:
        answer: Any = json.loads(text)
    except ValueError as error:
        if status in AGAIN:
            answer = {}
        else:
            raise UnavailableError(f"{asked} was answered {status}, and not by JSON") from error
    if status < 300:
        return answer
    why = f"{asked} was answered {status}: {answer.get('message', 'no reason given')}"
    match status:
        case 404:
            raise NotFoundError(why)
        case 409:
            raise ConflictError(why, subject=asked)
        case 401 | 403:
            raise ConfigError(f"{why}; give the registry auth=(key, secret)")
        case 422:
            raise SchemaError(why)
        case _ if status in AGAIN:
            raise UnavailableError(why)
        case _:
            raise ConfigError(why)


def _without_secrets(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the URL that may be shown, and what it has in front of the host."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError("a registry's URL begins with http:// or https:// and has a host")
    host = parts.netloc.rpartition("@")[2]
    bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    if parts.username is None:
        return bare, None
    return bare, (unquote(parts.username), unquote(parts.password or ""))
