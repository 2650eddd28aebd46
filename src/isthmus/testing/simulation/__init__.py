"""The whole App on virtual time, in a world that a seed decides.

    def shop(app: App) -> Queue[Order]:                     # declares, as a program does
        orders = app.queue("orders", Order)
        ...
        return orders

    async def customers(orders: Queue[Order], world: World) -> None:
        for n in range(50):
            await world.insist(lambda: orders.send(Order(n), id=f"order-{n}"))
            await world.sleep(world.random.random())

    @pytest.mark.parametrize("seed", seeds(20))
    async def test_the_shop_stands_anything(seed: int) -> None:
        simulation = await simulate(shop, customers, seed=seed)
        assert simulation.holds, simulation

Several processes of the App run on one database in memory. The seed decides how long
each call of the engine and each handler takes, which of them fail, before or after they
had their effect, what is sent twice, and when a process crashes, drains or begins. At
last the weather calms down, and the books are made up. The same seed does the same.

What it cannot rule it cannot replay: `def` handlers (they run in threads), real clocks,
real randomness, and sets of strings that are iterated. What is cancelled, purged or
debounced counts as lost: leave it out.
"""

from isthmus.testing.simulation.seeds import seeds
from isthmus.testing.simulation.simulation import Simulation, simulate
from isthmus.testing.simulation.world import World

__all__ = ["Simulation", "World", "seeds", "simulate"]
