"""What an aggregate type consists of while the App is open."""

from typing import Any, NamedTuple

from isthmus.contracts import LogEngine
from isthmus.handling.host import Host
from isthmus.sourcing.decider import Decider
from isthmus.sourcing.deciding import Deciding
from isthmus.sourcing.declared import DeclaredAggregate
from isthmus.sourcing.done import Done, Outcome
from isthmus.sourcing.events import Events
from isthmus.sourcing.house import house
from isthmus.sourcing.living import Living
from isthmus.sourcing.seals import Seals
from isthmus.sourcing.snapshots import Snapshots
from isthmus.sourcing.states import States

__all__ = ["Opened", "open_aggregate"]


class Opened(NamedTuple):
    host: Host
    """The process, with the log of the store's own engine."""
    log: LogEngine
    events: Events
    states: States
    seals: Seals
    deciding: Deciding


async def open_aggregate(
    host: Host, declared: DeclaredAggregate, decider: Decider[Any], *, cache: int
) -> Opened:
    """Declare the log, and connect what reads and writes it.

    Raises:
        UnsupportedError: The store keeps no versioned log.
        ConfigError: It exists otherwise, or fields are marked personal that cannot be.
    """
    name, home = declared.name, house(host, declared.name)
    seals = Seals(home.store, name, decider.events)
    await home.log.declare(name, partitions=declared.partitions, versioned=True)
    events = Events(
        decider.events, seals, of=f"aggregate {name!r}", source=host.source, clock=host.clock
    )
    snapshots = Snapshots(home.store, name, declared.state, seals, every=declared.snapshot_every)
    states = States(
        home.log,
        name,
        decider=decider,
        events=events,
        snapshots=snapshots,
        seals=seals,
        living=Living(cache),
    )
    done = Done(home.store, f"commands/{name}", Outcome, retention=declared.keep_ids)
    deciding = Deciding(
        home.log,
        home.store,
        name,
        decider=decider,
        events=events,
        states=states,
        snapshots=snapshots,
        seals=seals,
        done=done,
    )
    return Opened(home, home.log, events, states, seals, deciding)
