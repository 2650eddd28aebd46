"""The port on which calls come in. grpcio opens it itself; processes share it in the kernel."""

import errno
import socket

from isthmus.errors import ConfigError

__all__ = ["address_of", "reserved"]


def address_of(host: str, port: int) -> str:
    """Return what grpcio calls an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reserved(host: str, port: int) -> socket.socket:
    """Return a socket that holds a port for processes which will share it; it takes no calls
    itself. Port 0 is any that is free.

    Raises:
        ConfigError: The port is taken or not allowed, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if port:  # with SO_REUSEPORT, one that another process shares would not be refused
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _bind(probe, host, port, listening=True)
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        _bind(holder, host, port)
    except ConfigError:
        holder.close()
        raise
    return holder


def _bind(holder: socket.socket, host: str, port: int, *, listening: bool = False) -> None:
    try:
        holder.bind((host, port))
        if listening:
            holder.listen(1)
    except OSError as error:
        raise ConfigError(_told(error, host, port)) from error


def _told(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is taken by another process; choose one with --grpc-port, 0 is any free"
        )
    if error.errno == errno.EACCES:
        return f"port {port} is not allowed to this user; choose one above 1023 with --grpc-port"
    return f"cannot listen on {host}:{port} for gRPC: {error.strerror or error}"
