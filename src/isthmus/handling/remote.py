"""What a request may be answered with instead of a value: an error, as the other side sees it.

It travels as a problem document, and carries nothing of the inside.

Source: RFC 9457, whose members it has; `type` is the code of a Refusal.
"""

from typing import Any

import msgspec

from isthmus.errors import ConfigError, IsthmusError, SchemaError

__all__ = ["PROBLEM", "Refusal", "RemoteError", "problem_bytes", "problem_error"]

PROBLEM = "application/problem+json"
"""`datacontenttype` of an answer that is an error."""

FAILED = "isthmus.failed"
"""Code of a failure that nobody foresaw; a Refusal cannot have it."""


class RemoteError(IsthmusError):
    """The other side could not answer: it failed for the last time, and what it did in its
    transaction is undone. Why is in its logs and dead letters, under the request's id."""

    code: str = FAILED

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members
        """What else it says, for programs; JSON."""


class Refusal(RemoteError):  # noqa: N818 - an answer, not a fault
    """The answer "no", said by a handler: what it wrote is undone, and the request is done.

        class SoldOut(Refusal, code="shop.sold-out"): ...

        raise SoldOut("no lamps until May", until="2030-05-01")

    Who asked gets the same class, if it is known there, else a Refusal with its code. Without
    anybody who asked, the message is a dead letter, as by `Reject`. `detail` and the members
    are seen by the other side: nothing of the inside belongs there.
    """

    code = "refused"

    def __init_subclass__(cls, *, code: str = "") -> None:
        """`code`: what names it on the wire; the class's name unless it is given."""
        cls.code = code or cls.__name__
        if cls.code == FAILED:
            raise ConfigError(f"code={FAILED!r} says that nobody foresaw it; take another")
        taken = _known.setdefault(cls.code, cls)
        if _place(taken) != _place(cls):
            raise ConfigError(
                f"{cls.__qualname__} and {taken.__qualname__} both have the code {cls.code!r}; "
                "give one of them another"
            )
        _known[cls.code] = cls


_known: dict[str, type[Refusal]] = {}
"""The classes that codes stand for; of a module that is loaded twice, the later."""


class _Problem(msgspec.Struct, frozen=True):
    type: str = FAILED
    title: str = ""
    detail: str = ""
    members: dict[str, Any] = {}


def problem_bytes(error: Refusal | None) -> bytes:
    """Return what the other side is told: all of a Refusal, and nothing of any other failure.

    Raises:
        ConfigError: A member of it is nothing that JSON can carry.
    """
    if error is None:
        return msgspec.json.encode(_Problem(title="the request could not be handled"))
    told = _Problem(error.code, "the request was refused", error.detail, error.members)
    try:
        return msgspec.json.encode(told)
    except Exception as unfit:
        raise ConfigError(f"{error!r} cannot be sent: {unfit}") from unfit


def problem_error(body: bytes, *, request: str) -> RemoteError:
    """Return the error that the other side told of in `body`; `request` names what was asked.

    Raises:
        SchemaError: It is no problem document.
    """
    try:
        told = msgspec.json.decode(body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise SchemaError(f"{request} was answered by what is no problem: {error}") from error
    if told.type == FAILED:
        return RemoteError(f"{request}: {told.title or 'failed'}; the other side's logs tell why")
    return _made(told)


def _made(told: _Problem) -> Refusal:
    """Make the class of its code, whatever its own `__init__` takes."""
    known = _known.get(told.type, Refusal)
    error = known.__new__(known)
    RemoteError.__init__(error, told.detail, **told.members)
    error.code = told.type
    return error


def _place(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__
