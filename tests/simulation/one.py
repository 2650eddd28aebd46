"""One simulation in a process of its own: python one.py SEED [apart]; prints what happened."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from test_simulation import customers, shop

from isthmus.testing.simulation import simulate

if __name__ == "__main__":
    simulation = asyncio.run(
        simulate(shop, customers, seed=int(sys.argv[1]), apart=sys.argv[2] == "apart")
    )
    print(simulation.digest)
