"""The libraries that gRPC needs, which are an extra."""

from importlib import import_module

from isthmus.errors import ConfigError

__all__ = ["require_grpc"]


def require_grpc() -> None:
    """Raise ConfigError, with the way out, unless they are installed."""
    for library, package in (("grpc", "grpcio"), ("google.protobuf", "protobuf")):
        try:
            import_module(library)
        except ImportError as error:
            raise ConfigError(f"gRPC needs {package}: pip install 'isthmus[grpc]'") from error
