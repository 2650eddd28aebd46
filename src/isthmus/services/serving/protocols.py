"""Uvicorn's two readers of HTTP/1, guarded: httptools where it is installed, else h11."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from isthmus.services.serving.porter import Porter

__all__ = ["protocol_for"]

Protocol = Callable[..., asyncio.Protocol]


def protocol_for(porter: Porter) -> Protocol:
    """Return what makes the protocol of a connection."""
    try:
        return partial(_httptools(), porter=porter)
    except ImportError:
        return partial(_h11(), porter=porter)


def _httptools() -> type[Any]:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    from isthmus.services.serving.guarded import Guarded

    class OnHttptools(Guarded, HttpToolsProtocol):
        open_head = False

        def on_message_begin(self) -> None:
            self.open_head = True
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self.open_head = False
            super().on_headers_complete()

        def head_is_open(self) -> bool:
            return self.open_head

    return OnHttptools


def _h11() -> type[Any]:
    from h11 import IDLE
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from isthmus.services.serving.guarded import Guarded

    class OnH11(Guarded, H11Protocol):
        def head_is_open(self) -> bool:
            return self.conn.their_state is IDLE and bool(self.conn.trailing_data[0])

    return OnH11
