"""What proves an engine, and what breaks one on purpose: a product of its own.

* `QueueConformance`, `LogConformance`, `StoreConformance`,
  `TransactionConformance`, `EngineConformance`: the contracts as test classes.
* `queue_model`, `log_model`, `store_model`: the same random calls on an engine
  and on memory, answer by answer.
* `Chaotic`, `Chaos`: an engine that drops, delays, repeats and fails by script.
* `FaultProxy`, and `Latency`, `Bandwidth`, `Slices`, `BlackHole`, `HalfOpen`, `Reset`,
  `Close`, `Refuse`, `Corrupt`: a network that fails, between a client and a real server.
* `AdapterContract`: one contract for all implementations of an interface, and its fake;
  `Recorded`: over the real API, as it was recorded; `using`: another in their place.
* `replay`: recorded histories of sagas, played against the code of today.
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
    from isthmus.testing.adapters.contract import AdapterContract
    from isthmus.testing.adapters.recorded import Recorded
    from isthmus.testing.adapters.using import using
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
    from isthmus.testing.sagas.replay import replay

__all__ = [
    "AdapterContract",
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
    "Recorded",
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
    "replay",
    "store_model",
    "using",
]

_PLAIN = {
    "replay": "isthmus.testing.sagas.replay",
    "Recorded": "isthmus.testing.adapters.recorded",
    "using": "isthmus.testing.adapters.using",
}
"""What needs nothing but time to import."""

_HOMES = {
    "isthmus.testing.adapters.contract": ("AdapterContract",),
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
    if name in _PLAIN:
        return getattr(importlib.import_module(_PLAIN[name]), name)
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
