"""A shop whose services only know each other's events, and the flow that watches over them."""

import msgspec

from isthmus import App, schema
from isthmus.flows import Compensation, Course, Flow
from isthmus.messaging import Topic


class _Of(msgspec.Struct, frozen=True):
    order: str


@schema("flows.placed", version=1)
class Placed(_Of, frozen=True):
    sku: str = "tea"


@schema("flows.reserved", version=1)
class Reserved(_Of, frozen=True):
    shelf: int = 1


@schema("flows.charged", version=1)
class Charged(_Of, frozen=True):
    pass


@schema("flows.refused", version=1)
class Refused(_Of, frozen=True):
    why: str = ""


@schema("flows.shipped", version=1)
class Shipped(_Of, frozen=True):
    pass


@schema("flows.cancelled", version=1)
class Cancelled(_Of, frozen=True):
    missing: str = ""


@schema("flows.released", version=1)
class Released(_Of, frozen=True):
    shelf: int = 0


class Shop:
    """The topics of a shop in one App, and its flow."""

    def __init__(
        self, name: str = "shop", *, engine: str | None = None, retention: float = 7 * 86400.0
    ) -> None:
        self.app = App(name, engine=engine)
        self.placed: Topic[Placed] = self.app.topic("placed", Placed)
        self.reserved: Topic[Reserved] = self.app.topic("reserved", Reserved)
        self.charged: Topic[Charged] = self.app.topic("charged", Charged)
        self.refused: Topic[Refused] = self.app.topic("refused", Refused)
        self.shipped: Topic[Shipped] = self.app.topic("shipped", Shipped)
        self.cancelled: Topic[Cancelled] = self.app.topic("cancelled", Cancelled)
        self.released: Topic[Released] = self.app.topic("released", Released)
        self.flow = self.app.flow("fulfilment", key=lambda event: event.order, retention=retention)
        self.cancel, self.release = self._compensations(self.flow)

    def _compensations(self, flow: Flow) -> tuple[Compensation[Cancelled], Compensation[Released]]:
        @flow.compensation(self.cancelled)
        def cancel(course: Course) -> Cancelled:
            return Cancelled(course.key, course.missing)

        @flow.compensation(self.released)
        def release(course: Course) -> Released | None:
            reserved = course.get(self.reserved)
            return None if reserved is None else Released(course.key, reserved.shelf)

        return cancel, release

    def declare(self) -> None:
        """reserved within 60 s, charged within 120 s of that, shipped within ten minutes."""
        flow = self.flow
        flow.begins(self.placed)
        flow.expects(self.reserved, within=60, otherwise=[self.cancel])
        flow.expects(
            self.charged,
            after=self.reserved,
            within=120,
            otherwise=[self.release, self.cancel],
        )
        flow.ends(self.shipped, within=600, otherwise=[self.release, self.cancel])
        flow.fails(self.refused)
