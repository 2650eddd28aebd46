"""Three services that only know each other's events: `python services.py NAME FOLDER`.

They share the engine that carries events; each has a store of its own, in which every effect of
its handlers is a row, without any key that would hide a double.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from isthmus import App, Retry, Transaction
from isthmus.clock import SystemClock
from isthmus.errors import UnavailableError
from isthmus.flows import Course, Flow
from isthmus.settings import Settings

LEASE = 1.0


class Placed(msgspec.Struct, frozen=True):
    order: str


class Reserved(msgspec.Struct, frozen=True):
    order: str


class Charged(msgspec.Struct, frozen=True):
    order: str


class Shipped(msgspec.Struct, frozen=True):
    order: str


class Asked(msgspec.Struct, frozen=True):
    order: str


class Answered(msgspec.Struct, frozen=True):
    order: str


class Withdrawn(msgspec.Struct, frozen=True):
    order: str


def url(name: str, folder: Path) -> str:
    """A file in the folder, unless SERVICES_ENGINE or SERVICES_ORDERS... name something else."""
    return os.environ.get(f"SERVICES_{name.upper()}", f"sqlite:///{folder}/{name}.db")


class Service:
    """One service, with the topics that all agree about."""

    def __init__(self, name: str, folder: Path) -> None:
        self.app = App(
            name,
            engine=url("engine", folder),
            store=url(name, folder),
            settings=Settings(port=0, lease=LEASE),
        )
        self.app.migrations(Path(__file__).with_name("migrations"))
        self.placed = self.app.topic("placed", Placed)
        self.reserved = self.app.topic("reserved", Reserved)
        self.charged = self.app.topic("charged", Charged)
        self.shipped = self.app.topic("shipped", Shipped)
        self.asked = self.app.topic("asked", Asked)
        self.answered = self.app.topic("answered", Answered)
        self.withdrawn = self.app.topic("withdrawn", Withdrawn)
        self.flow: Flow | None = None
        getattr(self, name)()

    def orders(self) -> None:
        """Watches over both flows, and ships."""
        flow = self.flow = self.app.flow("fulfilment")
        flow.begins(self.placed)
        flow.expects(self.reserved, within=600)
        flow.expects(self.charged, after=self.reserved, within=600)
        flow.ends(self.shipped, within=600)
        quotes = self.app.flow("quotes")

        @quotes.compensation(self.withdrawn)
        def withdraw(course: Course) -> Withdrawn:
            return Withdrawn(course[self.asked].order)

        quotes.begins(self.asked)
        quotes.expects(self.answered, within=0.5, otherwise=[withdraw])
        self.reacts(self.charged, self.shipped, Shipped)

    def stock(self) -> None:
        self.reacts(self.placed, self.reserved, Reserved)
        self.reacts(self.withdrawn, None, None)

    def billing(self) -> None:
        self.reacts(self.reserved, self.charged, Charged)

    def reacts(self, to: Any, then: Any, kind: Any) -> None:
        """Write a row for each event of `to`, and publish what follows from it."""
        name = self.app.name

        async def react(event: Any, tx: Transaction) -> None:
            await tx.execute(
                "insert into effects (what, of) values (:what, :of)", what=to.name, of=event.order
            )
            if then is not None:
                await then.publish(kind(event.order))

        retry = Retry(attempts=20, delay=0.05, factor=1)
        to.subscription(name, lease=LEASE, retry=retry)(react)


async def main(name: str, folder: Path) -> None:
    service = Service(name, folder)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: loop.create_task(service.app.drain()))
    while True:
        try:
            return await service.app.run()
        except UnavailableError:  # as it begins: the server is away
            await SystemClock().sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
