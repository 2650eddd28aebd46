"""Which parts of an answer are missing, stale or a stand-in, told to whoever gets it.

    with degrading() as parts:
        page = await home(user)
    parts                            # {"offers": "TimedOutError"}

Fallbacks, caches, features and optional parts note themselves in every scope that is open
around them, in this task or in those it began; where none is open, a note costs a lookup.
"""

import string
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType

from isthmus.resilience.outcome import trail

__all__ = [
    "HEADER",
    "degraded_headers",
    "degraded_in",
    "degraded_parts",
    "degrading",
    "leave_scopes",
    "note_degraded",
]

HEADER = "isthmus-degraded"
"""HTTP and message header: the names of the parts, with commas between."""

_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~/: ")


class degrading:  # noqa: N801 - read as a verb, as `suppress` is
    """A scope: inside `with`, parts that are degraded are noted, by name with the reason.

    Scopes nest: what is noted in the inner one is in the outer too. The dict that `with` gives
    stays readable afterwards, and is empty if the answer is whole.
    """

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: list[Token[tuple[dict[str, str], ...]]] = []

    def __enter__(self) -> dict[str, str]:
        parts: dict[str, str] = {}
        self._tokens.append(_scopes.set((*_scopes.get(), parts)))
        return parts

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _scopes.reset(self._tokens.pop())


_scopes: ContextVar[tuple[dict[str, str], ...]] = ContextVar("isthmus-degraded", default=())
"""The open ones, the innermost last."""


def note_degraded(name: str, reason: str = "") -> None:
    """Note that the part `name` of the answer is not what it should be, in every open scope.

    The first reason given stands; it is shown to clients, so let it be a kind of error or a
    sentence of your own, never an error's text.
    """
    for parts in _scopes.get():
        parts.setdefault(name, reason)
    told = trail.get()
    if told is not None and name not in told.degraded:
        told.degrade(name)


def leave_scopes() -> None:
    """Close all scopes, for what goes on in this context."""
    _scopes.set(())


def degraded_parts() -> tuple[str, ...]:
    """Return the parts noted so far in the innermost scope; none if no scope is open."""
    scopes = _scopes.get()
    return tuple(scopes[-1]) if scopes else ()


def degraded_headers() -> dict[str, str]:
    """Return what the innermost scope holds as a header to answer with; empty if it is whole."""
    names = [_header_safe(name) for name in degraded_parts()]
    return {HEADER: ", ".join(names)} if names else {}


def degraded_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parts that an answer's `headers` name: note them, and your caller knows too."""
    names = (name.strip() for name in headers.get(HEADER, "").split(","))
    return tuple(name for name in names if name)


def _header_safe(name: str) -> str:
    """Return `name` so that it neither ends a header nor looks like two parts."""
    return "".join(letter if letter in _TOKEN else "-" for letter in name).strip() or "-"
