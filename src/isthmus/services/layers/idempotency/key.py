"""The Idempotency-Key of a request, and what makes two requests the same one.

Source: draft-ietf-httpapi-idempotency-key-header; RFC 9651, structured field strings.
"""

import re
from hashlib import blake2b

from starlette.types import Scope

from isthmus.services.problem import Problem

__all__ = ["HEADER", "LONGEST", "fingerprint", "key_in", "place"]

HEADER = b"idempotency-key"
LONGEST = 255
"""Characters of a key, at most."""

_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")


def key_in(scope: Scope) -> str | None:
    """Return the key: a quoted string, as the draft has it, or a bare one, as many clients send.

    Raises:
        Problem: 400, it is malformed, too long, or there are several.
    """
    found = [value for name, value in scope["headers"] if name == HEADER]
    if not found:
        return None
    if len(found) > 1:
        raise Problem(400, "the request has several Idempotency-Keys; send one")
    key = _unquoted(found[0].decode("latin-1").strip())
    if not 0 < len(key) <= LONGEST:
        raise Problem(400, f"the Idempotency-Key is not of 1 to {LONGEST} characters")
    return key


def _unquoted(text: str) -> str:
    if quoted := _STRING.fullmatch(text):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    if _BARE.fullmatch(text) or not text:
        return text
    raise Problem(400, 'the Idempotency-Key is malformed; send printable ASCII, as "8e03978e"')


def place(identity: str, key: str) -> str:
    """Return where a key is kept: of whom it is goes with it, and neither can be read there."""
    return _digest(identity.encode(), key.encode())


def fingerprint(scope: Scope, body: bytes) -> str:
    """Return what is equal for the same request only."""
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    kind = kinds[0].split(b";")[0].strip().lower() if kinds else b""
    parts = (scope["method"].encode(), scope["path"].encode(), scope["query_string"], kind, body)
    return _digest(*parts)


def _digest(*parts: bytes) -> str:
    digest = blake2b(digest_size=20)
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()
