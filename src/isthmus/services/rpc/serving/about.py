"""What a server tells of itself: whether it takes calls, and what can be called.

Source: grpc.health.v1; grpc.reflection.v1 and v1alpha.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import grpc

from isthmus.errors import ConfigError
from isthmus.services.rpc.contract.descriptors import File, pool_of

__all__ = ["About"]

REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class About:
    """Health and reflection of a server of `services`, which `files` define."""

    def __init__(self, services: Sequence[str], files: Iterable[File]) -> None:
        try:
            from grpc_health.v1 import health, health_pb2
        except ImportError as error:
            raise ConfigError(
                "serving gRPC needs grpcio-health-checking: pip install 'isthmus[grpc]'"
            ) from error
        self._services, self._files = services, files
        self._serving = health_pb2.HealthCheckResponse.SERVING
        asynchronous: Any = vars(health)["aio"]
        self._health: Any = asynchronous.HealthServicer()

    async def add_to(self, server: Any, *, reflection: bool) -> None:
        from grpc_health.v1 import health_pb2_grpc

        added: Any = health_pb2_grpc
        for name in self._services:
            await self._health.set(name, self._serving)
        added.add_HealthServicer_to_server(self._health, server)
        if reflection:
            server.add_generic_rpc_handlers(self._reflection())

    async def drain(self) -> None:
        """Tell who asks that nothing more should be sent here."""
        await self._health.enter_graceful_shutdown()

    def _reflection(self) -> tuple[Any, ...]:
        try:
            from grpc_health.v1 import health_pb2
            from grpc_reflection.v1alpha import _async, reflection_pb2
        except ImportError as error:
            raise ConfigError(
                "reflection needs grpcio-reflection: pip install 'isthmus[grpc]', or "
                "set grpc_reflection = false"
            ) from error
        pool = pool_of(self._files)
        for known in (health_pb2, reflection_pb2):
            pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        names = (*self._services, "grpc.health.v1.Health", REFLECTION[1])
        servicer: Any = _async.ReflectionServicer(names, pool)
        method = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return tuple(
            grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
            for name in REFLECTION
        )
