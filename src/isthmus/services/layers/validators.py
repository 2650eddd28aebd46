"""Entity tags and moments by which an answer is known again, and what a request makes of them.

Source: RFC 9110, HTTP Semantics, sections 8.8 (validators) and 13 (conditional requests).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import blake2b

from isthmus.errors import ConfigError

__all__ = [
    "CONDITIONS",
    "SAFE",
    "entity_tag",
    "hashed_tag",
    "http_date",
    "judged",
    "moment_of",
    "tags_in",
]

SAFE = frozenset({"GET", "HEAD"})
CONDITIONS = (b"if-match", b"if-unmodified-since", b"if-none-match", b"if-modified-since")

_OPAQUE = re.compile(r"[\x21\x23-\x7e\x80-\xff]*")
_TAG = re.compile(r'\s*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


def entity_tag(opaque: str, *, weak: bool = False) -> str:
    """Return `opaque`, a version or a hash, as an ETag: "7" as '"7"'.

    Raises:
        ConfigError: It has a quote, a space or a character that no header carries.
    """
    if _OPAQUE.fullmatch(opaque) is None:
        raise ConfigError(f"etag {opaque!r}: expected printable characters, no quote and no space")
    return f'W/"{opaque}"' if weak else f'"{opaque}"'


def hashed_tag(body: bytes) -> str:
    """Return the tag of a body by its hash: weak, as a layer further out may compress it."""
    return f'W/"{blake2b(body, digest_size=12).hexdigest()}"'


def tags_in(header: str) -> Sequence[str]:
    """Return the tags of an If-Match or If-None-Match; ["*"] for any. A malformed one has none."""
    if header.strip() == "*":
        return ["*"]
    found, at = list[str](), 0
    while (match := _TAG.match(header, at)) is not None:
        found.append(match[1])
        at = match.end()
    return found if at == len(header) else []


def http_date(moment: datetime) -> str:
    """Return a moment as "Sun, 06 Nov 1994 08:49:37 GMT"; one without a zone is UTC."""
    zoned = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return format_datetime(zoned.replace(microsecond=0), usegmt=True)


def moment_of(header: str) -> float | None:
    """Return an HTTP date as Unix seconds; None if it is none."""
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def judged(
    method: str, told: Mapping[bytes, bytes], *, etag: str | None, modified: str | None
) -> int | None:
    """Return the status that the conditions in the headers `told` ask for: 304 or 412; None to go
    on. `etag` and `modified`, the validators as headers have them, are None for what there is not;
    both None: the resource is not there.

    Order and comparison: RFC 9110, section 13.2.2.
    """
    if (wanted := _text(told, b"if-match")) is not None:
        if not _strongly(tags_in(wanted), etag, exists=etag is not None or modified is not None):
            return 412
    elif _later(modified, _text(told, b"if-unmodified-since")):
        return 412
    if (unwanted := _text(told, b"if-none-match")) is not None:
        if _weakly(tags_in(unwanted), etag, exists=etag is not None or modified is not None):
            return 304 if method in SAFE else 412
    elif method in SAFE and _not_later(modified, _text(told, b"if-modified-since")):
        return 304
    return None


def _text(told: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = told.get(name)
    return None if value is None else value.decode("latin-1")


def _strongly(tags: Sequence[str], etag: str | None, *, exists: bool) -> bool:
    if tags == ["*"]:
        return exists
    return etag is not None and not etag.startswith("W/") and etag in tags


def _weakly(tags: Sequence[str], etag: str | None, *, exists: bool) -> bool:
    if tags == ["*"]:
        return exists
    opaque = None if etag is None else etag.removeprefix("W/")
    return opaque is not None and opaque in [tag.removeprefix("W/") for tag in tags]


def _later(modified: str | None, bound: str | None) -> bool:
    """Return whether a resource was changed after `bound`; what is no date binds nothing."""
    until = None if bound is None else moment_of(bound)
    at = None if modified is None else moment_of(modified)
    return until is not None and (at is None or at > until)


def _not_later(modified: str | None, bound: str | None) -> bool:
    since = None if bound is None else moment_of(bound)
    at = None if modified is None else moment_of(modified)
    return since is not None and at is not None and at <= since
