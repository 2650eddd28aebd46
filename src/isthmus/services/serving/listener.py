"""The socket on which requests come in: opened here, or handed down by the supervisor."""

import errno
import socket

from isthmus.errors import ConfigError

__all__ = ["BACKLOG", "address_of", "inherited", "listen"]

BACKLOG = 2048
"""Connections that may wait to be accepted."""

ALIVE = (
    ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), 60),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL), 15),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPCNT), 4),
)
"""A silent client is asked after a minute, and again every 15 s; gone after two minutes."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 is any that is free.

    Raises:
        ConfigError: The port is taken or not allowed, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for option, value in ALIVE:  # connections inherit it
            listener.setsockopt(*option, value)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(_told(error, host, port)) from error
    return listener


def inherited(fd: int) -> socket.socket:
    """Return the listening socket that the parent process opened as `fd`."""
    listener = socket.socket(fileno=fd)
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket, *, tls: bool = False) -> str:
    """Return the URL under which `listener` is reached."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _told(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another process; choose one with --port, 0 is any free"
    if error.errno == errno.EACCES:
        return f"port {port} is not allowed to this user; choose one above 1023 with --port"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"
