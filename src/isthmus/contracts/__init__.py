"""What an engine must do: three contracts, one page each, tied by a Transaction.

`store` begins transactions and keeps small versioned entries; `queue` carries
messages; `log` keeps them. Rules for every method of the three:

* Spans are seconds (float); moments are Unix seconds, maybe rounded to
  milliseconds; sizes are bytes.
* Time comes from the engine's Clock; a broker's sessions and retention go by
  its own. Only `wait` waits, and the engine knows for what: a push, a
  notification, the next due moment. Nobody above polls.
* Safe to call from many tasks. Plural: a batch of one is a batch, and an empty
  one does nothing. Calls awaited together may share one commit.
* Cancelling a call leaves the engine usable; its effect may have happened.
  So a waiting `receive` or `read` is ended by `drain`, not by cancelling it.
* Driver errors never escape: they are raised `from` as an IsthmusError.
* Nothing is retried inside: `UnavailableError`, the layer above decides.
* `tx` is a Transaction of the same `scope`; any other is a `ConfigError`.
  With `tx` the effect, and every error about it, may wait for the commit;
  an error there undoes the whole transaction.

The executable form is `isthmus.testing`: each sentence has a test.
"""

from isthmus.contracts.engine import Engine, OpenEngine
from isthmus.contracts.lent import Lent
from isthmus.contracts.log import (
    Edge,
    LogCapabilities,
    LogEngine,
    Member,
    Record,
    Versions,
    partition_of,
)
from isthmus.contracts.queue import (
    Ack,
    Delivery,
    Nack,
    Outcome,
    QueueCapabilities,
    QueueEngine,
    QueueStats,
    Receiver,
    Waiting,
)
from isthmus.contracts.store import (
    Durability,
    Entry,
    Put,
    StoreCapabilities,
    StoreEngine,
    Transaction,
    Tx,
)

__all__ = [
    "Ack",
    "Delivery",
    "Durability",
    "Edge",
    "Engine",
    "Entry",
    "Lent",
    "LogCapabilities",
    "LogEngine",
    "Member",
    "Nack",
    "OpenEngine",
    "Outcome",
    "Put",
    "QueueCapabilities",
    "QueueEngine",
    "QueueStats",
    "Receiver",
    "Record",
    "StoreCapabilities",
    "StoreEngine",
    "Transaction",
    "Tx",
    "Versions",
    "Waiting",
    "partition_of",
]
