"""What proves an engine, and what breaks one on purpose: a product of its own.

* `QueueConformance`, `LogConformance`, `StoreConformance`,
  `TransactionConformance`, `EngineConformance`: the contracts as test classes.
* `queue_model`, `log_model`, `store_model`: the same random calls on an engine
  and on memory, answer by answer.
* `Chaotic`, `Chaos`: an engine that drops, delays, repeats and fails by script.
* `FaultProxy`, and `Latency`, `Bandwidth`, `Slices`, `BlackHole`, `HalfOpen`, `Reset`,
  `Close`, `Refuse`, `Corrupt`: a network that fails, between a client and a real server.
* `Torture`: real processes that are killed, frozen and begun anew; a `Recorder` of
  what they told, and a `Reckoning` of what became of it.

The test classes need pytest, the models hypothesis too: `pip install
'isthmus[testing]'`. The others need nothing.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from isthmus.testing.chaos import Chaos, Chaotic, Fault
from isthmus.testing.faults import (
    Bandwidth,
    BlackHole,
    Close,
    Corrupt,
    FaultProxy,
    HalfOpen,
    Latency,
    NetworkFault,
    Refuse,
    Reset,
    Slices,
)
from isthmus.testing.torture import Place, Reckoning, Recorder, Torture, Witness

if TYPE_CHECKING:
    from isthmus.testing.conformance import (
        Conformance,
        EngineConformance,
        LogConformance,
        Opening,
        QueueConformance,
        StoreConformance,
        TransactionConformance,
    )
    from isthmus.testing.model import OpenEmpty, log_model, queue_model, store_model

__all__ = [
    "Bandwidth",
    "BlackHole",
    "Chaos",
    "Chaotic",
    "Close",
    "Conformance",
    "Corrupt",
    "EngineConformance",
    "Fault",
    "FaultProxy",
    "HalfOpen",
    "Latency",
    "LogConformance",
    "NetworkFault",
    "OpenEmpty",
    "Opening",
    "Place",
    "QueueConformance",
    "Reckoning",
    "Recorder",
    "Refuse",
    "Reset",
    "Slices",
    "StoreConformance",
    "Torture",
    "TransactionConformance",
    "Witness",
    "log_model",
    "queue_model",
    "store_model",
]

_HOMES = {
    "isthmus.testing.conformance": (
        "Conformance",
        "EngineConformance",
        "LogConformance",
        "Opening",
        "QueueConformance",
        "StoreConformance",
        "TransactionConformance",
    ),
    "isthmus.testing.model": ("OpenEmpty", "log_model", "queue_model", "store_model"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(_load(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _load(home: str) -> Any:
    try:
        import pytest

        if home not in sys.modules:
            pytest.register_assert_rewrite(home)
        return importlib.import_module(home)
    except ModuleNotFoundError as error:
        raise ImportError(f"{home} needs {error.name}: pip install 'isthmus[testing]'") from error
