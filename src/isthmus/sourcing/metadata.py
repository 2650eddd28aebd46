"""Who did it, why, and what led to it: kept with every event."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from isthmus.handling.carried import carried
from isthmus.message import CAUSATION, CORRELATION

__all__ = ["Metadata", "acting", "headers_of", "metadata_of"]

WHO, WHY, COMMAND = "isthmus-who", "isthmus-why", "isthmus-command"
"""Headers of an event, beside those that every message carries on."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says about how it came to be; "" is unknown."""

    who: str = ""
    why: str = ""
    command: str = ""
    """The id that its command was handled under."""
    correlation: str = ""
    """What all that follows from one beginning has in common."""
    causation: str = ""
    """The id of the message or command that led to it."""


_NOBODY, _NONE = Metadata(), dict[str, str]()
_acting: ContextVar[Metadata] = ContextVar("isthmus-acting", default=_NOBODY)


@contextmanager
def acting(
    who: str = "", *, why: str = "", correlation: str = "", causation: str = ""
) -> Generator[None]:
    """Have all that is handled inside say who did it, and why; an inner one amends an outer.

    with acting("anna", why="ticket 17"):
        await accounts.handle("acc-1", Close())
    """
    said = {"who": who, "why": why, "correlation": correlation, "causation": causation}
    amended = {name: text for name, text in said.items() if text}
    token = _acting.set(msgspec.structs.replace(_acting.get(), **amended))
    try:
        yield
    finally:
        _acting.reset(token)


def headers_of(
    *, command: str, who: str, why: str, headers: Mapping[str, str] | None
) -> Mapping[str, str]:
    """Return the headers of the events of one command: what was said for it alone, around it,
    and by the message or request that is handled here."""
    around, here = _acting.get(), carried()
    if not (command or who or why or headers or here) and around is _NOBODY:
        return _NONE
    found = {} if headers is None else dict(headers)
    begun, caused = here.get(CORRELATION, ""), here.get(CAUSATION, "")
    _add(found, WHO, who or around.who)
    _add(found, WHY, why or around.why)
    _add(found, COMMAND, command)
    _add(found, CORRELATION, around.correlation or begun or command)
    _add(found, CAUSATION, around.causation or command or caused)
    return found


def metadata_of(headers: Mapping[str, str]) -> Metadata:
    """Return what the headers of an event say."""
    get = headers.get
    return Metadata(
        who=get(WHO, ""),
        why=get(WHY, ""),
        command=get(COMMAND, ""),
        correlation=get(CORRELATION, ""),
        causation=get(CAUSATION, ""),
    )


def _add(headers: dict[str, str], name: str, text: str) -> None:
    if text:
        headers.setdefault(name, text)
