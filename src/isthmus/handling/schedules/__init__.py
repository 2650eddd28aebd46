"""Work that is due at moments, each run once across all processes.

    timetable ──► scheduler ──► internal queue ──► consumer ──► handler
    (due_at)      due: moves it, and sends a Tick,   retries, dead letters
                  in one transaction

A tick is a message like any other from then on: retried, buried, seen in the CLI.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, Unpack

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError
from isthmus.handling.calling.handler import Handler
from isthmus.handling.consuming.consumer import Consumer
from isthmus.handling.consuming.guarding import guarding
from isthmus.handling.consuming.options import HandlerOptions, HandlerWords, options
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.model import Declared
from isthmus.handling.schedules.schedule import CatchUp, Schedule, Tick
from isthmus.handling.schedules.scheduler import Roster, Scheduler
from isthmus.handling.schedules.ticks import TICK, Ticks
from isthmus.handling.schedules.timetable import Timetable
from isthmus.handling.schedules.timing import Cron, Every, Timing

__all__ = ["CatchUp", "DeclaredSchedule", "Tick", "schedule", "trigger"]

Function = TypeVar("Function", bound=Callable[..., Any])


class DeclaredSchedule(Declared, frozen=True, kw_only=True):
    kind: ClassVar[str] = "schedule"
    definition: str
    """"every 30 s", or "cron 0 3 * * * in UTC"."""
    catch_up: CatchUp
    function: str
    topic: str
    """The queue that carries its ticks."""
    options: HandlerOptions


def schedule(
    declared: Declarations,
    name: str,
    *,
    every: Span | None = None,
    cron: str | None = None,
    timezone: str = "UTC",
    catch_up: CatchUp = "latest",
    **words: Unpack[HandlerWords],
) -> Callable[[Function], Function]:
    """Have a function run at every due moment; `App.schedule` says what each option means.

    Raises:
        ConfigError: The timing or an option is wrong, or the name is taken.
    """
    made = Schedule(name, _timing(name, every, cron, timezone), catch_up=catch_up)
    chosen = options(**{"concurrency": 1, **words})
    if chosen.batch > 1:
        raise ConfigError(f"schedule {name!r}: runs come one by one; take out batch={chosen.batch}")

    def attached(function: Function) -> Function:
        _attach(declared, made, function, chosen)
        return function

    return attached


async def trigger(host: Host, name: str) -> None:
    """Have a schedule run now, once, whatever its timing says; paused ones too.

    Raises:
        NotFoundError: No such schedule ever ran.
    """
    await Timetable(host.store).require(name)
    await Ticks(host, name).send([Tick(name=name, due_at=host.clock.now())])


def _timing(name: str, every: Span | None, cron: str | None, timezone: str) -> Timing:
    try:
        if every is not None and cron is None:
            return Every(seconds(every))
        if cron is not None and every is None:
            return Cron(cron, timezone=timezone)
    except ConfigError as error:
        raise ConfigError(f"schedule {name!r}: {error}") from error
    raise ConfigError(f'schedule {name!r}: say either every=seconds, or cron="0 3 * * *"')


def _attach(
    declared: Declarations, made: Schedule, function: Callable[..., Any], chosen: HandlerOptions
) -> None:
    of = Ticks.subscription(made.name)
    guard = chosen.policy and guarding(chosen.policy)
    handler = Handler(function, schema=TICK, declared=declared, guard=guard)
    declared.declare(
        DeclaredSchedule(
            name=made.name,
            definition=made.timing.definition,
            catch_up=made.catch_up,
            function=handler.signature.title,
            topic=of.topic,
            options=chosen,
        )
    )

    async def opening(host: Host) -> None:
        await Ticks(host, made.name).open()
        declared.shared(Roster)[made.name] = made

    declared.open_with(opening)
    declared.work(Consumer(of, handler, chosen, kind="schedule"))
    declared.work(Scheduler(declared))
