"""A tag of its own for each version's representation of a resource.

The application behind knows the newest alone. Its tags leave with the version
added, `"abc;v1"`, and come back without; a tag of another version matches nothing.

Source: RFC 9110, section 8.8.3.
"""

import re

from isthmus.services.versioning.asked import Headers

__all__ = ["answered", "asked"]

_TAG = re.compile(rb'"([^"]*)"')
_CONDITIONS = frozenset({b"if-match", b"if-none-match", b"if-range"})


def answered(tag: bytes, version: str) -> bytes:
    """Return an ETag as a client of `version` gets it."""
    return _TAG.sub(rb'"\1;' + version.encode() + b'"', tag)


def asked(headers: Headers, version: str) -> Headers:
    """Return a request's headers with the tags of `version` as the application knows them."""
    ours = f";{version}".encode()

    def known(found: re.Match[bytes]) -> bytes:
        tag = found[1]
        return b'"%s"' % (tag[: -len(ours)] if tag.endswith(ours) else tag + b";other")

    return [
        (name, _TAG.sub(known, value) if name in _CONDITIONS else value) for name, value in headers
    ]
