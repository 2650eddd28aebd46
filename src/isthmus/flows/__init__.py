"""Choreographed sagas: services react to each other's events, and a flow watches over them.

    flow, followed          what is expected, as users write it; an event of a topic
    plan, instance, status  the expectations; one flow on its way, pure; how it is told
    tracker                 what an event does to a flow, or one that is missing: one commit
    compensation, course    what makes an event that makes up; what that is told
    ledger, index, timers   where flows lie, their list by status, their moments
    deadlines               the worker that judges what is due
    management              flows by name and key, whichever App watches over them

Nothing of this is in the services' way: a flow is a subscriber like any other.
"""

from isthmus.flows.compensation import Compensation
from isthmus.flows.course import Course
from isthmus.flows.declared import DeclaredExpectation, DeclaredFlow
from isthmus.flows.facts import (
    CompensationFailed,
    FlowAdvanced,
    FlowEnded,
    FlowEventLate,
    FlowTimedOut,
)
from isthmus.flows.flow import Flow
from isthmus.flows.index import Listed
from isthmus.flows.management import Flows
from isthmus.flows.status import Branch, FlowStatus, Seen, Status

__all__ = [
    "Branch",
    "Compensation",
    "CompensationFailed",
    "Course",
    "DeclaredExpectation",
    "DeclaredFlow",
    "Flow",
    "FlowAdvanced",
    "FlowEnded",
    "FlowEventLate",
    "FlowStatus",
    "FlowTimedOut",
    "Flows",
    "Listed",
    "Seen",
    "Status",
]
