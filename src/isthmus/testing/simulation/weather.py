"""Chaos by the seed of a world: every call may be slow, fail or be done twice."""

from isthmus.testing.chaos import Chaos, Fault
from isthmus.testing.simulation.world import World

__all__ = ["Weather"]

SLOW, TROUBLE = 0.2, (Fault.BEFORE, Fault.AFTER, Fault.TWICE, Fault.LOST)
"""How many calls take a while; and what may befall the others."""
LONGEST = 20.0
"""Seconds a call takes at most."""


class Weather(Chaos):
    """What befalls the calls of one process, while it is not calm."""

    def __init__(self, world: World, name: str, *, rate: float) -> None:
        """`rate`: how many calls meet with trouble, 0 to 1."""
        super().__init__(clock=world.clock)
        self._world, self._name, self._rate = world, name, rate
        self.calm = True
        """As it is until the process has begun: what cannot begin ends, and is begun anew."""

    def _next(self, name: str, may: frozenset[Fault]) -> Fault:
        fault = self._draw()
        befallen = fault if fault in may else Fault.NONE
        self._world.note(self._name, f"{name}: {befallen}")
        return befallen

    def _draw(self) -> Fault:
        chance = self._world.random.random()
        if self.calm or chance > self._rate + SLOW:
            return Fault.NONE
        if chance > self._rate:
            self._delay = min(LONGEST, self._world.random.expovariate(5.0))
            return Fault.DELAY
        return self._world.random.choice(TROUBLE)
