"""A mail service or a courier, outside of the shop.

    python provider.py PORT

POST / does what is asked for an order; GET /estimates/ORDER says when it arrives. It keeps books,
and has bad days: see outside.py.
"""

from outside import Answer, Outside, serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


class Provider(Outside):
    """Acts for orders."""

    async def act(self, request: Request) -> JSONResponse:
        """Have the effect, unless the key had it already."""
        order = await request.json()
        key = request.headers.get("idempotency-key")
        if key is None:
            return JSONResponse({"error": "Idempotency-Key is missing"}, status_code=400)
        effect = (order["id"], order["total"])
        answer = await self.once(key, lambda: Answer({"key": key}, effect=effect))
        return _later() if answer is None else JSONResponse(answer.content)

    async def estimate(self, request: Request) -> JSONResponse:
        """Tell when an order arrives; nothing is done."""
        if (mood := self.feel()) == "failing":
            return _later()
        await self.stall(mood)
        return JSONResponse({"order": request.path_params["order"], "arrives": "tomorrow"})


def _later() -> JSONResponse:
    return JSONResponse({"error": "not today"}, status_code=503, headers={"Retry-After": "1"})


def service() -> Starlette:
    """Return a provider as an application."""
    provider = Provider()
    return Starlette(
        routes=[
            Route("/", provider.act, methods=["POST"]),
            Route("/estimates/{order}", provider.estimate),
            *provider.routes(),
        ]
    )


if __name__ == "__main__":
    serve(service())
