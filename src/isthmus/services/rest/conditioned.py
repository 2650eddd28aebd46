"""A Starlette Response to a GET, which the client may have already."""

from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from isthmus.services.layers.conditional import Conditional

__all__ = ["Conditioned"]


class Conditioned:
    """Sent as it is, or as 304 by the validators that the handler gave it."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.raw_headers = response.raw_headers
        self.body_iterator: Any = getattr(response, "body_iterator", None)
        """What a streamed one is made of."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Conditional(self._response, limit=0)(scope, receive, send)
