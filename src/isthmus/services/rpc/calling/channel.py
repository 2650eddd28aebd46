"""The connection of a stub: opened with it, and again when it is lost."""

import asyncio
from typing import Any

import grpc
import grpc.aio

from isthmus.deadline import remaining
from isthmus.errors import ConfigError
from isthmus.services.rpc.calling.credentials import Tls, channel_credentials
from isthmus.services.rpc.codes import Code
from isthmus.services.rpc.errors import RpcUnreachableError

__all__ = ["Link"]

READY = grpc.ChannelConnectivity.READY
_COMING = (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)

MARGIN = 0.95
"""Most of the time left that connecting may take, so that a connection that does not come about
is told as such, and not as a call that may have run."""


class Link:
    """One channel of grpcio, while it is open."""

    def __init__(self, name: str, address: str, *, tls: Tls | None, limit: int) -> None:
        self._name, self._address, self._tls, self._limit = name, address, tls, limit
        self._channel: Any = None

    @property
    def channel(self) -> Any:
        """Raises ConfigError if it is not open."""
        if self._channel is None:
            raise ConfigError(
                f"stub {self._name!r} is not open: it is while its App is, or use `async with "
                "Stub(...) as calls:`"
            )
        return self._channel

    @property
    def is_open(self) -> bool:
        return self._channel is not None

    def open(self, *, connect: float) -> None:
        """Open it; nothing is connected before the first call."""
        options = _options(self._limit, connect)
        if self._tls is None:
            self._channel = grpc.aio.insecure_channel(self._address, options=options)
            return
        if self._tls.server_name:
            options.append(("grpc.ssl_target_name_override", self._tls.server_name))
        credentials = channel_credentials(self._tls, self._name)
        self._channel = grpc.aio.secure_channel(self._address, credentials, options=options)

    async def aclose(self) -> None:
        """Close it; calls that still run end with CANCELLED."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def connect(self, within: float, title: str) -> bool:
        """Return whether there is a connection, once that is known.

        Raises:
            RpcUnreachableError: It was not known `within` seconds.
        """
        channel = self.channel
        left = remaining()
        span = within if left is None else min(within, left * MARGIN)
        try:
            async with asyncio.timeout(span):
                while (state := channel.get_state(try_to_connect=True)) in _COMING:
                    await channel.wait_for_state_change(state)
        except TimeoutError:
            told = f"no connection to {self._address} within {span:.3g} s"
            raise RpcUnreachableError(title, Code.UNAVAILABLE, told) from None
        return state is READY


def _options(limit: int, connect: float) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", limit),
        ("grpc.min_reconnect_backoff_ms", int(connect * 1_000)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # where a name has several addresses, all of them are called in turn
        ("grpc.lb_policy_name", "round_robin"),
        # a connection of its own, whatever else in the process calls the same address
        ("grpc.use_local_subchannel_pool", 1),
        # a server that is gone without a word is found; more often, servers take it amiss
        ("grpc.keepalive_time_ms", 310_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
