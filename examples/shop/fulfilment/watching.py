"""What is expected of the events of an order. The services know nothing of it."""

from fulfilment.choreographed import (
    Abandoned,
    abandoned,
    cancelled,
    charged,
    kept,
    module,
    placed,
    refunded,
    refused,
    released,
    reserved,
    shipped,
)
from fulfilment.patience import patience
from isthmus.flows import Course

__all__ = ["flow"]


flow = module.flow("order", key=lambda event: event.purchase.id)


@flow.compensation(abandoned)
def abandon(course: Course) -> Abandoned:
    return Abandoned(course[placed].purchase, f"{course.missing} did not come in time")


flow.begins(placed)
flow.expects(reserved, within=600, otherwise=[abandon])
flow.expects(charged, after=reserved, within=600, otherwise=[abandon])
flow.ends(shipped, after=charged, within=patience.shipped, otherwise=[abandon])
flow.fails(refused)
flow.expects(cancelled, kept, after=[refused, abandoned], within=600)
flow.expects(released, after=cancelled, within=600)
flow.expects(refunded, after=cancelled, within=600)
