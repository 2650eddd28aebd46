"""What gRPC tells."""

from isthmus.services.serving.facts import ServerListening

__all__ = ["RpcListening"]


class RpcListening(ServerListening, frozen=True, kw_only=True):
    """The gRPC server takes calls at `address`, as "grpc://127.0.0.1:50051"; "grpcs" is TLS."""
