"""A process that takes charges, and dies at one place: `python charging.py DATABASE PLACE`."""

import asyncio
import os
import signal
import sys
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus import App, Transaction
from isthmus.handling.calling.middleware import Incoming, Proceed
from isthmus.services.layers.idempotency import Idempotency
from isthmus.services.serving.facts import ServerListening

database, place = sys.argv[1:]
app = App("charging", engine=f"sqlite:///{database}")
ledger = app.queue("ledger", dict[str, Any])


def die_at(here: str) -> None:
    if here == place:
        os.kill(os.getpid(), signal.SIGKILL)


@app.middleware
async def around_the_handler(_: Incoming, proceed: Proceed) -> None:
    die_at("claimed")
    await proceed()
    die_at("handled")


class AroundAll:
    """Sees an answer as it leaves, after the commit."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(event: Message) -> None:
            die_at("committed")
            await send(event)
            if event["type"] == "http.response.start":
                die_at("answering")

        await self._application(scope, receive, sent)


app.add_middleware(AroundAll)


@app.post("/charges", status=201, idempotency=Idempotency(lease=1))
async def charge(charge: dict[str, Any], tx: Transaction) -> dict[str, int]:
    await tx.execute("insert into charges (total) values (:total)", total=charge["total"])
    await ledger.send(charge)
    die_at("writing")
    rows = await tx.fetch("select count(*) as charges from charges")
    return {"charges": rows[0].charges, "process": os.getpid()}


async def main() -> None:
    app.configure(port=0)
    app.signals.listen(ServerListening, lambda told: print(told.address, flush=True))
    async with app, app.transaction() as tx:
        await tx.execute("create table if not exists charges (total integer)")
    await app.run()


asyncio.run(main())
