"""What a program says of a call becomes a Call."""

import re
from collections.abc import Iterable, Mapping

from multidict import CIMultiDict

from isthmus.errors import ConfigError
from isthmus.handling.idempotency_key import in_force as step_key
from isthmus.message import new_id
from isthmus.services.client.address import REMEMBERED, Address
from isthmus.services.client.call import IDEMPOTENT, Call, Once
from isthmus.services.client.carried import id_here
from isthmus.services.client.content import Sent, content
from isthmus.services.client.options import CallWords
from isthmus.services.client.query import encoded

__all__ = ["Requesting", "quoted"]

_METHOD = re.compile(r"[A-Z][A-Z-]*")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TORN = re.compile(r"[\r\n\0]")
STANDARD = {
    "Accept": "application/json, */*;q=0.5",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "isthmus",
}
NONE: frozenset[int] = frozenset()
KNOWN = frozenset(CallWords.__annotations__)


class Requesting:
    """Makes the calls of one client."""

    def __init__(
        self, client: str, address: Address, headers: Mapping[str, str], key_header: str
    ) -> None:
        """Raises ConfigError if a header cannot be sent."""
        self._client, self._address, self._key_header = client, address, key_header
        self._operations: dict[tuple[str, str], str] = {}
        self._checked([(key_header, "")])
        self._headers = CIMultiDict[str](STANDARD)
        self._headers.update(self._checked(headers.items()))

    def call(self, method: str, path: str, body: object, words: CallWords) -> Call:
        """Return the call.

        Raises:
            ConfigError: It cannot be made so.
            SchemaError: The body cannot be sent.
        """
        if not words.keys() <= KNOWN:
            raise self._unknown(words)
        operation = self._operations.get((method, path)) or self._operation(method, path)
        headers = self._headers.copy()
        sent = self._body(body, headers)
        if (more := words.get("headers")) is not None:
            headers.update(self._checked(more.items()))
        key = words.get("idempotency_key")
        if key is None and method not in IDEMPOTENT and (step := step_key.get()) is not None:
            key = step.next()
        if key is not None and key is not False:
            headers[self._key_header] = self._key(key)
        params, named = words.get("params"), words.get("path_params")
        return Call(
            method,
            self._address.url(path, encoded(params) if params else "", named),
            operation,
            headers=headers,
            body=sent,
            idempotent=method in IDEMPOTENT or (key is not None and key is not False),
            allow=words.get("allow", NONE),
            id=id_here(),
        )

    def _operation(self, method: str, path: str) -> str:
        if _METHOD.fullmatch(method) is None:
            raise ConfigError(f"{self._client}: {method!r} is no method: write it as 'POST'")
        operation = f"{method} {path.partition('?')[0]}"
        if len(self._operations) < REMEMBERED:
            self._operations[method, path] = operation
        return operation

    def _body(self, body: object, headers: CIMultiDict[str]) -> Sent:
        if body is None:
            return b""
        sent, kind = content(body)
        if "Content-Type" not in self._headers:
            headers["Content-Type"] = kind
        return sent if isinstance(sent, bytes) else Once(sent)

    def _key(self, key: object) -> str:
        """Return an idempotency key as it is sent."""
        text = new_id() if key is True else key
        if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
            raise ConfigError(
                f"{self._client}: idempotency_key={text!r}: expected visible ASCII characters, as "
                "an order's id, or True for a new one"
            )
        return quoted(text)

    def _checked(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        checked = list[tuple[str, str]]()
        for name, value in pairs:
            if not isinstance(name, str) or _NAME.fullmatch(name) is None:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigError(f"{self._client}: {name!r} is no name of a header")
            if not isinstance(value, str) or _TORN.search(value):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigError(
                    f"{self._client}: the value of header {name!r} is no text of one line"
                )
            checked.append((name, value))
        return checked

    def _unknown(self, words: CallWords) -> ConfigError:
        unknown = ", ".join(sorted(words.keys() - KNOWN))
        return ConfigError(
            f"{self._client}: there is no {unknown}=; a call has result, {', '.join(sorted(KNOWN))}"
        )


def quoted(key: str) -> str:
    """Return an idempotency key as a header has it: a quoted string.

    Source: draft-ietf-httpapi-idempotency-key-header-07; RFC 9651, 3.3.3.
    """
    return '"{}"'.format(key.replace("\\", "\\\\").replace('"', '\\"'))
