"""An implementation over the real API, as it was recorded once."""

import os
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from isthmus.errors import ConfigError
from isthmus.services.adapter import clients_of, living
from isthmus.testing.http import Recorder

__all__ = ["MODE", "Recorded"]

MODE = "ISTHMUS_CASSETTES"
"""In the environment: "replay" (the default), "record" or "auto", as a Recorder has them."""


class Recorded(msgspec.Struct, frozen=True):
    """An implementation whose Clients are recorded, and replayed from then on.

    `ISTHMUS_CASSETTES=record pytest` asks the real API, and writes a file a test and Client;
    without it, nothing leaves the machine.
    """

    make: Callable[[], Any]
    """Makes it: with a key that is real when it is recorded, and any key later."""
    scrub: Collection[str] = ()
    """Fields, parameters and headers that are not written down; beside the usual headers."""

    @asynccontextmanager
    async def opened(self, folder: Path, name: str) -> AsyncGenerator[Any]:
        """Give it, open, over the cassettes `name` of `folder`.

        Raises:
            ConfigError: It keeps no Client that could be recorded, or nothing is recorded yet.
        """
        mode: Any = os.environ.get(MODE) or "replay"
        async with living(self.make()) as made:
            clients = clients_of(made)
            if not clients:
                raise ConfigError(
                    f"{type(made).__name__} keeps no isthmus Client, so that there is nothing to "
                    "record: give what makes it in place of Recorded(...)"
                )
            async with AsyncExitStack() as stack:
                for client in clients:
                    own = name if len(clients) == 1 else f"{name}.{client.name}"
                    recorder = Recorder(folder / f"{own}.json", mode=mode, scrub=self.scrub)
                    stack.push_async_callback(recorder.aclose)
                    stack.enter_context(client.using(recorder))
                yield made
