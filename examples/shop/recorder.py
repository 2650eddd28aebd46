"""A service outside of the shop: it counts what reaches it, and can't be talked out of it.

    python recorder.py PORT

Each POST has an Idempotency-Key. The first of a key has an effect; later ones are
counted, and answered as the first was. GET / tells {"effects": n, "repeats": n}.
"""

import sys
from collections import Counter

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

calls: Counter[str] = Counter()


async def record(request: Request) -> JSONResponse:
    """Have the effect, unless the key had it already."""
    await request.body()
    key = request.headers.get("idempotency-key")
    if key is None:
        return JSONResponse({"error": "Idempotency-Key is missing"}, status_code=400)
    calls[key] += 1
    return JSONResponse({"key": key})


async def report(_: Request) -> JSONResponse:
    """Tell what reached this process."""
    return JSONResponse({"effects": len(calls), "repeats": sum(calls.values()) - len(calls)})


service = Starlette(
    routes=[Route("/", record, methods=["POST"]), Route("/", report, methods=["GET"])]
)

if __name__ == "__main__":
    uvicorn.run(service, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
