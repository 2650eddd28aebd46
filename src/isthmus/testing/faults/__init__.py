"""A network that fails as networks do, on loopback, for tests with real servers.

proxy ── connection ── flow, up and down ── faults, each around the next
"""

from isthmus.testing.faults.bandwidth import Bandwidth
from isthmus.testing.faults.black_hole import BlackHole
from isthmus.testing.faults.corrupt import Corrupt
from isthmus.testing.faults.ending import Close, Reset
from isthmus.testing.faults.fault import Forward, NetworkFault, Passage, Wire
from isthmus.testing.faults.half_open import HalfOpen
from isthmus.testing.faults.latency import Latency
from isthmus.testing.faults.proxy import FaultProxy
from isthmus.testing.faults.refuse import Refuse
from isthmus.testing.faults.slices import Slices

__all__ = [
    "Bandwidth",
    "BlackHole",
    "Close",
    "Corrupt",
    "FaultProxy",
    "Forward",
    "HalfOpen",
    "Latency",
    "NetworkFault",
    "Passage",
    "Refuse",
    "Reset",
    "Slices",
    "Wire",
]
