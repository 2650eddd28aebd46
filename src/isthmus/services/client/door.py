"""Declaring a client: what stands behind `app.client`."""

from collections.abc import AsyncIterator
from typing import Unpack

from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.client.client import Client
from isthmus.services.client.options import ClientWords

__all__ = ["client"]


def client(
    declared: Declarations, name: str, base_url: str, **options: Unpack[ClientWords]
) -> Client:
    """Return a client that is open while the App is.

    Raises:
        ConfigError: The name is taken, or an option cannot be used.
    """
    made = Client(name, base_url, **options)

    async def opened(host: Host) -> AsyncIterator[Client]:
        await made.open(signals=host.signals)
        try:
            yield made
        finally:
            await made.aclose()

    declared.declare(made.record())
    declared.provide((Client, name), opened)
    return made
