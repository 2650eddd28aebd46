"""Projections: what is read, made of what happened."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Unpack

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError, TimedOutError
from isthmus.handling.address import checked
from isthmus.handling.calling.handler import Invoke
from isthmus.handling.consuming.dead_letters import DeadLetters
from isthmus.handling.consuming.guarding import guarding
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.controls import pause, paused, resume
from isthmus.resilience import Retry
from isthmus.sourcing.aggregate import Aggregate
from isthmus.sourcing.catching_up import CatchingUp, Goal
from isthmus.sourcing.declared import DeclaredProjection
from isthmus.sourcing.event_handler import EventHandler
from isthmus.sourcing.generation import Standing, Writing
from isthmus.sourcing.projector import LOOK, Projector
from isthmus.sourcing.read_model import ReadModel
from isthmus.sourcing.switching import Switching, parked_of
from isthmus.streams.lag import Lag, lag_of
from isthmus.streams.options import GroupWords, group_options

__all__ = ["Projection"]

Function = TypeVar("Function", bound=Callable[..., Any])

UNTIL_IT_WORKS = Retry(1_000_000, delay=1, cap=60)
"""An event that fails waits, and those of its aggregate behind it, until the code copes."""


class Projection:
    """One projection: its function, its generations, how far it is. Made by `app.projection`."""

    def __init__(
        self,
        name: str,
        of: Aggregate[Any],
        function: Callable[..., Any],
        declared: Declarations,
        *,
        into: Sequence[ReadModel] = (),
        version: int = 1,
        **options: Unpack[GroupWords],
    ) -> None:
        """Raises:
        ConfigError: An option is out of range, the function takes no event, or the name is
            taken.
        """
        self.name = checked(name, what="projection")
        if version < 1:
            raise ConfigError(f"version={version!r} is out of range: 1 or more")
        chosen = group_options(**({"retry": UNTIL_IT_WORKS} | options))  # pyright: ignore[reportArgumentType]
        self.function, self.log = function, of.name
        self._of, self._into, self._version, self._declared = of, tuple(into), version, declared
        self._options = chosen
        self._handler = EventHandler(
            function,
            schema=of.decider.events,
            declared=declared,
            batch=chosen.batch > 1,
            guard=chosen.policy and guarding(chosen.policy),
        )
        self.address = f"{of.name}/{name}"
        """What it is paused by; and, as "projection:account/balances", run alone by."""
        self._projector = Projector(self.address, version, chosen, self._bound)
        self._home: Host | None = None
        self._switching: Switching | None = None
        declared.declare(
            DeclaredProjection(
                name=name,
                aggregate=of.name,
                function=f"{function.__module__}:{function.__qualname__}",
                into=[model.definition for model in self._into],
                version=version,
                options=chosen,
            )
        )
        declared.open_with(self._open)
        declared.work(self._projector)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, as a test does."""
        return self.function(*args, **kwargs)

    # --- reading one's own writes -------------------------------------------------------------

    async def caught_up(self, to: Goal = None, *, timeout: Span = 10.0) -> None:  # noqa: ASYNC109
        """Wait until it shows what was written: `to` a position, as `handle` returns it, or its
        text, or the `position` of a feed; None is all that is there now.

        Raises:
            ConfigError: The text is no position.
            TimedOutError: It does not yet, after `timeout` seconds; is it running? An event
                that is parked, or waits behind one of its aggregate, is not shown.
        """
        home, switching = self._opened
        within = seconds(timeout)
        reached = await CatchingUp(home, self.log, switching.standings, self.name).reach(
            to, within=within
        )
        if not reached:
            wanted = "all that was written" if to is None else str(to)
            raise TimedOutError(
                f"projection {self.name!r} does not show {wanted} after {within:g} s: it is "
                f"{await self.behind()} events behind, and {await self.parked()} are parked"
            )

    async def behind(self) -> int:
        """Return how many events the live generation has not read."""
        home, _ = self._opened
        number = (await self.standing()).live.number
        positions = await home.log.positions(self.log, self._group(number).group)
        ends = await home.log.offsets(self.log, at="end")
        first = await home.log.offsets(self.log, at="first")
        return sum(max(0, ends[p] - max(positions.get(p, 0), first[p])) for p in ends)

    async def lag(self) -> Mapping[int, Lag]:
        """How far the live generation is behind in each partition.

        Raises:
            NotFoundError: It never ran.
        """
        home, _ = self._opened
        number = (await self.standing()).live.number
        return await lag_of(home.log, self.log, self._group(number).group)

    # --- looking and mending ------------------------------------------------------------------

    async def standing(self) -> Standing:
        """Return where it stands: which generation is live, and which is being built."""
        _, switching = self._opened
        return await switching.standings.get(self.name)

    async def parked(self) -> int:
        """How many events wait because one of their aggregate failed."""
        home, _ = self._opened
        return await parked_of(home, self._group((await self.standing()).live.number))

    async def dead_letters(self) -> DeadLetters:
        """Events that the live generation gave up: those that killed their process, and those
        that `Reject` was said of."""
        home, _ = self._opened
        return DeadLetters(home, self._group((await self.standing()).live.number))

    async def rebuild(self) -> None:
        """Have it built anew from the first event, beside the one that is read, and switched to
        when it is as far. Whoever runs the projection does it, and goes on after a crash."""
        if not self._into:
            raise ConfigError(
                f"projection {self.name!r} says of no table that it is its own; name them, as "
                "`into=[Table(...)]`, and it can be built anew beside the ones that are read"
            )
        _, switching = self._opened
        await switching.ask()
        self._projector.stir()

    async def pause(self) -> None:
        """Have no process begin an event until `resume`; within about a second."""
        await pause(self._opened[0].store, self.address)

    async def resume(self) -> None:
        """Undo `pause`."""
        await resume(self._opened[0].store, self.address)

    async def is_paused(self) -> bool:
        return self.address in await paused(self._opened[0].store)

    # --- opening ----------------------------------------------------------------------------

    async def _open(self, _: Host) -> None:
        home = self._of.home
        for model in self._into:
            model.bind(home, self.name)
        self._switching = Switching(
            home,
            self.name,
            log=self.log,
            version=self._version,
            models=self._into,
            notice=2 * LOOK,
        )
        await self._switching.begin()
        self._home = self._projector.home = home
        self._projector.switching = self._switching

    def _bound(self, host: Host, number: int) -> Invoke:
        return self._handler.bind(host, self._of.events, of=Writing(self.name, number))

    def _group(self, number: int) -> Any:
        return self._opened[1].group(number)

    @property
    def _opened(self) -> tuple[Host, Switching]:
        if self._home is None or self._switching is None:
            self._declared.host  # noqa: B018 - raises, saying how to open
            raise ConfigError(f"projection {self.name!r} was declared after the App opened")
        return self._home, self._switching
