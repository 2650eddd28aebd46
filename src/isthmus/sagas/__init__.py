"""Orchestrated sagas: a durable async function, whose steps are remembered and can be undone.

    saga, operation       what the function asks for: steps, sleep, events, children, branches
    playback, course      the function played against its history; the history folded
    events, history       what is recorded, and where it lies
    drive, deciding       one saga in hand: heed, play, commit, do
    attempt, action       one call of a step's function, in a unit of work
    compensation          the undos, the last first
    changes, mailbox      what one commit writes; where events meet those who wait for them
    worker, watch, family the process's part: queue, leases, timers, time limits
    recorded, checking    a history as a file; whether code still goes its way
    definition, handle    what the user holds
    index, management     sagas by status, looked after by name

A saga is driven by the messages of an ordered queue in the store's scope, under its own key: who
has the message has the saga. Its history is fenced by a version, and each commit joins what a step
wrote, the record of it, and whatever the saga goes on with.
"""

from isthmus.handling.idempotency_key import IdempotencyKey
from isthmus.sagas.compensation import Unknown
from isthmus.sagas.definition import Definition
from isthmus.sagas.errors import (
    Compensate,
    NotDeterministicError,
    SagaCompensatedError,
    SagaStuckError,
    StepFailedError,
)
from isthmus.sagas.handle import Handle
from isthmus.sagas.heartbeat import Heartbeat
from isthmus.sagas.index import Listed
from isthmus.sagas.management import Sagas
from isthmus.sagas.options import SagaOptions, SagaWords
from isthmus.sagas.recorded import RecordedSaga
from isthmus.sagas.saga import Saga
from isthmus.sagas.status import SagaStatus, Status

__all__ = [
    "Compensate",
    "Definition",
    "Handle",
    "Heartbeat",
    "IdempotencyKey",
    "Listed",
    "NotDeterministicError",
    "RecordedSaga",
    "Saga",
    "SagaCompensatedError",
    "SagaOptions",
    "SagaStatus",
    "SagaStuckError",
    "SagaWords",
    "Sagas",
    "Status",
    "StepFailedError",
    "Unknown",
]
