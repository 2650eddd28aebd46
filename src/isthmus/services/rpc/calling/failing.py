"""What an error of grpcio is called here."""

from typing import Any

from isthmus.services.rpc.codes import Code
from isthmus.services.rpc.details import NEVER_RAN, TRAILER, unpacked
from isthmus.services.rpc.errors import RpcError, RpcUnreachableError, error_for

__all__ = ["converted"]

UNSENT = (
    "failed to connect to all addresses",
    "connections to all backends failing",
    "errors resolving",
    "DNS resolution failed",
    "empty address list",
)
"""How grpcio begins to tell that a call never left."""
PUSHBACK = "grpc-retry-pushback-ms"


def converted(error: Any, title: str, *, unconnected: bool) -> RpcError:
    """Return the error for an AioRpcError. `unconnected`: there was no connection when the call
    began; another side may say by itself what is in UNSENT, of services behind it."""
    code = Code(error.code().value[0])
    details: str = error.details() or ""
    texts, told = dict[str, str](), b""
    for name, value in error.trailing_metadata() or ():
        if name == TRAILER:
            told = value
        elif isinstance(value, str):
            texts[name] = value
    violations, after = unpacked(told) if told else ((), None)
    kind = error_for(code)
    unsent = unconnected and details.startswith(UNSENT)
    if code is Code.UNAVAILABLE and (unsent or NEVER_RAN in texts):
        kind = RpcUnreachableError
    return kind(
        title,
        code,
        details,
        problems=[f"{each.field}: {each.description}" for each in violations],
        metadata=texts,
        retry_after=_pushback(texts) if after is None else after,
    )


def _pushback(texts: dict[str, str]) -> float | None:
    told = texts.get(PUSHBACK, "")
    return int(told) / 1_000 if told.isdecimal() else None
