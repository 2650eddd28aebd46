"""Real processes that are killed, frozen and begun anew, and books that must balance.

    worker = Place("worker", ["isthmus", "run", "shop:app"], count=3)
    async with Recorder(folder / "calls") as recorder, Torture(worker, folder=folder) as torture:
        await torture.run(until=settled, kills=20)
    assert not torture.faults
    assert Reckoning("orders", wanted=sent, found=rows).balances

What a process has told a `Recorder` (another process, which is never killed) and
what a plain reader finds in the database are counted, not what a handler believes.
"""

from isthmus.testing.torture.place import Place
from isthmus.testing.torture.reckoning import Reckoning
from isthmus.testing.torture.recorder import Recorder
from isthmus.testing.torture.torture import Torture
from isthmus.testing.torture.witness import Witness

__all__ = ["Place", "Reckoning", "Recorder", "Torture", "Witness"]
