"""The same route under several frameworks, a server a process: `python -m bench.serving NAME FD`.

Each takes an order of 194 bytes as JSON, checks it against its type, and answers with 50.
"""

import asyncio
import gc
import socket
import sys
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["BODY", "SERVERS"]

BODY = (
    b'{"id":"0190f2a4-77f1-7c7e-8c1f-6a1d3f0e9b52","customer":"c-918273","currency":"EUR",'
    b'"total":129900,"items":[{"sku":"sku-1","quantity":2,"price":24950},'
    b'{"sku":"sku-22","quantity":1,"price":80000}]}'
)


class Item(msgspec.Struct):
    sku: str
    quantity: int
    price: int


class Order(msgspec.Struct):
    id: str
    customer: str
    currency: str
    total: int
    items: list[Item]


class Taken(msgspec.Struct):
    id: str
    total: int


def isthmus(listener: socket.socket) -> None:
    """As `isthmus run` serves it: the whole App, and all layers around its routes."""
    import uvloop

    from isthmus import App

    app = App("bench", engine="memory://")
    app.configure(listener=listener.fileno())

    @app.post("/v1/orders")
    async def take(order: Order) -> Taken:
        return Taken(order.id, order.total)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(app.run())


def starlette_msgspec(listener: socket.socket) -> None:
    """What a careful hand writes without a framework: nothing around the route."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    decode, encode = msgspec.json.Decoder(Order).decode, msgspec.json.Encoder().encode

    async def take(request: Request) -> Response:
        order = decode(await request.body())
        taken = Taken(order.id, order.total)
        return Response(encode(taken), media_type="application/json")

    _uvicorn(Starlette(routes=[Route("/v1/orders", take, methods=["POST"])]), listener)


def fastapi(listener: socket.socket) -> None:
    """As its documentation says: models of pydantic in and out."""
    from fastapi import FastAPI
    from pydantic import BaseModel, create_model

    item = create_model("Item", sku=str, quantity=int, price=int)
    order = create_model("Order", id=str, customer=str, currency=str, total=int, items=list[item])

    class Reply(BaseModel):
        id: str
        total: int

    app = FastAPI()

    async def take(order: Any) -> Reply:
        return Reply(id=order.id, total=order.total)

    take.__annotations__ = {"order": order, "return": Reply}
    app.post("/v1/orders")(take)
    _uvicorn(app, listener)


def _uvicorn(app: Any, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_config=None)
    uvicorn.Server(config).run([listener])


SERVERS: dict[str, Callable[[socket.socket], None]] = {
    "isthmus": isthmus,
    "starlette_msgspec": starlette_msgspec,
    "fastapi": fastapi,
}

if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    SERVERS[sys.argv[1]](socket.socket(fileno=int(sys.argv[2])))
