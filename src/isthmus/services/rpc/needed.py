"""The libraries that gRPC needs, which are an extra."""

from isthmus.errors import ConfigError

__all__ = ["require_grpc"]


def require_grpc() -> None:
    """Raise ConfigError, with the way out, unless they are installed."""
    try:
        import google.protobuf
        import grpc  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"gRPC needs {error.name or 'grpcio'}: pip install 'isthmus[grpc]'"
        ) from error
