"""Where a page of a list begins, as text that only we write.

A cursor is the last key of the page before, with a digest over it, the list's path and its
filters: one that was made up, or belongs to another list, is refused. It is no secret: with a key
of your own nobody else can make one, but anybody reads it.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from isthmus.services.rest.call import RequestCall

__all__ = ["LONGEST", "cursor_of", "key_of"]

LONGEST = 1024
"""Characters of a cursor, at most."""

_DIGEST = 12
_OF_PAGES = frozenset({"cursor", "limit"})


def cursor_of(key: Any, call: RequestCall, *, secret: bytes) -> str:
    """Return the cursor of the page after `key`."""
    packed = msgspec.msgpack.encode(key)
    whole = _digest(packed, call, secret) + packed
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def key_of(cursor: str, type_: Any, call: RequestCall, *, secret: bytes) -> Any:
    """Return the key in a cursor; raises ValueError if it is none of ours, or of another list."""
    refusal = ValueError("is none that was given for this list; begin again without it")
    if len(cursor) > LONGEST:
        raise refusal
    try:
        whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise refusal from error
    packed = whole[_DIGEST:]
    if not hmac.compare_digest(whole[:_DIGEST], _digest(packed, call, secret)):
        raise refusal
    try:
        return msgspec.msgpack.decode(packed, type=type_)
    except msgspec.MsgspecError as error:
        raise refusal from error


def _digest(packed: bytes, call: RequestCall, secret: bytes) -> bytes:
    list_ = msgspec.msgpack.encode([call.scope["path"], _filters(call)])
    return blake2b(list_ + packed, digest_size=_DIGEST, key=secret[:64], person=b"cursor").digest()


def _filters(call: RequestCall) -> Sequence[tuple[str, str]]:
    query = parse_qsl(call.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return sorted(each for each in query if each[0] not in _OF_PAGES)
