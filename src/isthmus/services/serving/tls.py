"""The server's certificate, and those that it asks of clients."""

import ssl
from pathlib import Path

from isthmus.errors import ConfigError
from isthmus.settings import Settings

__all__ = ["tls_context", "tls_files"]


def tls_files(settings: Settings) -> tuple[Path, Path, Path | None] | None:
    """Return the files of certificate, key and clients' roots; None is no TLS.

    Raises:
        ConfigError: A file is missing, or stands there without the certificate.
    """
    for name in ("tls_key", "tls_clients"):
        if getattr(settings, name) and not settings.tls_certificate:
            raise ConfigError(f"{name} is set without tls_certificate, so nothing is encrypted")
    if not settings.tls_certificate:
        return None
    certificate = _found("tls_certificate", settings.tls_certificate)
    key = _found("tls_key", settings.tls_key) if settings.tls_key else certificate
    clients = _found("tls_clients", settings.tls_clients) if settings.tls_clients else None
    return certificate, key, clients


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what a listening socket needs for TLS 1.2 or newer; None is no TLS.

    Raises:
        ConfigError: A file is missing or not what it should be.
    """
    if (files := tls_files(settings)) is None:
        return None
    certificate, key, clients = files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
    except ssl.SSLError as error:
        raise ConfigError(
            f"tls_certificate {certificate}, tls_key {key}: no certificate with its key, in PEM, "
            f"without a password ({error.reason or error})"
        ) from error
    return context


def _found(name: str, path: str) -> Path:
    if not Path(path).is_file():
        raise ConfigError(f"{name} = {path!r}: there is no such file")
    return Path(path)
