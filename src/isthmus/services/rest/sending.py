"""Sending a response to its end, or as far as its client goes along."""

from typing import Any

from starlette.types import Receive, Scope, Send

__all__ = ["sent"]


async def sent(response: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Send it. A generator that it streams is closed at the end, also where the client went
    away: what it holds is let go at once, not when the garbage collector finds it."""
    try:
        await response(scope, receive, send)
    finally:
        streamed: Any = getattr(response, "body_iterator", None)
        if hasattr(streamed, "aclose"):
            await streamed.aclose()
