"""Where event stores live: where events, read models and ids commit together."""

from isthmus.errors import UnsupportedError
from isthmus.handling.host import Host
from isthmus.streams.parked import beside_the_rows

__all__ = ["house"]


def house(host: Host, name: str) -> Host:
    """Return the process as aggregates see it: with the log of the store's own engine.

    Raises:
        UnsupportedError: The store keeps no versioned log.
    """
    home = host
    if host.state is not host.engine and host.state.log is not None:
        home = beside_the_rows(host)
    scheme = (host.settings.store or host.settings.engine).partition(":")[0]
    able = home.log.capabilities
    if not able.versioned or able.scope != home.store.capabilities.scope:
        raise UnsupportedError(
            f"aggregate {name!r} needs a store that keeps events and rows in one transaction, and "
            f"{scheme}:// does not; sqlite:// and memory:// do: store='sqlite:///file.db'"
        )
    return home
