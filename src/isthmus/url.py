"""A URL as people may see it."""

import re

__all__ = ["redacted"]

_PASSWORD = re.compile(r"(?<=://)([^:/?#@]*):(?!\d+/)[^?#]*@")
_SECRET = re.compile(
    r"([?&;][^=&;#]*(?:pass|pwd|secret|token|key|credential)[^=&;#]*=)[^&;#]*", re.IGNORECASE
)


def redacted(url: str) -> str:
    """Return `url` without its password or secret options, fit for a log or an error.

    Works on malformed URLs too: those are the ones that errors quote.
    """
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))
