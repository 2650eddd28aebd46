"""What an error of aiohttp's says: how far did the request come?"""

import socket
import ssl
from typing import Any

import aiohttp
from aiohttp.http import HttpProcessingError

from isthmus.errors import IsthmusError
from isthmus.services.client.errors import (
    ConnectionBrokenError,
    ConnectRefusedError,
    ConnectTimedOutError,
    NameUnknownError,
    NotHttpError,
    TlsFailedError,
    UnreachableError,
)
from isthmus.services.client.transport import Outgoing

__all__ = ["broken", "cut_short", "not_connected"]


def not_connected(request: Outgoing, error: Exception) -> UnreachableError:
    """Return the error of a request for which there was no connection."""
    what = f"{_asked(request)} was not sent"
    cause: Any = error
    match error:
        case TimeoutError() if error.errno is None:
            return ConnectTimedOutError(
                f"{what}: no connection within {request.connect or 0:.3g} s"
            )
        case aiohttp.ClientConnectorCertificateError():
            return TlsFailedError(f"{what}: {error.certificate_error}")
        case aiohttp.ClientConnectorSSLError():
            return TlsFailedError(f"{what}: TLS failed: {cause.os_error}")
        case aiohttp.ClientConnectorError():
            return _no_way(what, error.os_error)
        case _:
            return UnreachableError(f"{what}: {_said(error)}")


def _no_way(what: str, error: OSError) -> UnreachableError:
    reason = error.strerror or error
    if _is_of_a_name(error) or _is_of_a_name(error.__cause__):
        return NameUnknownError(f"{what}: its host's name cannot be resolved: {reason}")
    if isinstance(error, ssl.SSLError):
        return TlsFailedError(f"{what}: TLS failed: {reason}")
    if isinstance(error, ConnectionRefusedError):
        return ConnectRefusedError(f"{what}: the connection was refused")
    return UnreachableError(f"{what}: there is no way to it: {reason}")


def _is_of_a_name(error: BaseException | None) -> bool:
    return isinstance(error, socket.gaierror)


def broken(request: Outgoing, error: Exception) -> IsthmusError:
    """Return the error of a request that was sent, at least in part, and not answered."""
    what = _asked(request)
    if isinstance(error, HttpProcessingError):
        return NotHttpError(f"{what}: what came back is not HTTP: {error.message}")
    return ConnectionBrokenError(
        f"{what}: the connection broke before an answer came, so that it may have had its effect: "
        f"{_said(error)}"
    )


def cut_short(request: Outgoing, status: int, error: Exception) -> ConnectionBrokenError:
    """Return the error of an answer that began, and did not end."""
    return ConnectionBrokenError(
        f"{_asked(request)}: the answer, {status}, broke off before its end: {_said(error)}"
    )


def _asked(request: Outgoing) -> str:
    return f"{request.method} {request.url.partition('?')[0]}"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
