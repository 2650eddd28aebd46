"""How a server proves who it is, and asks the same of who calls."""

from pathlib import Path

import grpc

from isthmus.errors import ConfigError
from isthmus.settings import Settings

__all__ = ["server_credentials"]


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return the credentials that the settings name; None is no TLS.

    Raises:
        ConfigError: A file cannot be read, or one is named without the other.
    """
    for name in ("tls_key", "tls_clients"):
        if getattr(settings, name) and not settings.tls_certificate:
            raise ConfigError(f"{name} is set without tls_certificate, so nothing is encrypted")
    if not settings.tls_certificate:
        return None
    certificate = _read("tls_certificate", settings.tls_certificate)
    key = _read("tls_key", settings.tls_key) if settings.tls_key else certificate
    clients = _read("tls_clients", settings.tls_clients) if settings.tls_clients else None
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=clients,
        require_client_auth=clients is not None,
    )


def _read(name: str, path: str) -> bytes:
    try:
        found = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} = {path!r}: {error.strerror}") from error
    if b"-----BEGIN" not in found:
        raise ConfigError(f"{name} = {path!r}: it is no PEM file")
    return found
