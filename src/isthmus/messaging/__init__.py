"""Queues and topics: messages for one taker, or for every subscription."""

from isthmus.messaging.declared import DeclaredHandler, DeclaredQueue, DeclaredTopic
from isthmus.messaging.keeping import Keeping
from isthmus.messaging.queue import Queue
from isthmus.messaging.subscription import Subscription
from isthmus.messaging.topic import Topic

__all__ = [
    "DeclaredHandler",
    "DeclaredQueue",
    "DeclaredTopic",
    "Keeping",
    "Queue",
    "Subscription",
    "Topic",
]
