"""Whom a stub trusts, and how it proves who it is itself."""

from pathlib import Path
from typing import Any

import msgspec

from isthmus.errors import ConfigError

__all__ = ["Tls", "channel_credentials"]


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Files in PEM. The other side's certificate is always verified."""

    ca: str | Path | None = None
    """Certificates of the authorities that are trusted, instead of the well-known ones."""
    certificate: str | Path | None = None
    """The caller's own, for mutual TLS; its chain may follow it."""
    key: str | Path | None = None
    """Its private key; None: in the file of `certificate`."""
    server_name: str = ""
    """The name that the certificate has to be for; "" is that of the address."""


def channel_credentials(tls: Tls, stub: str) -> Any:
    """Return what grpcio takes.

    Raises:
        ConfigError: A file cannot be read, or a key is there without its certificate.
    """
    import grpc

    if tls.key is not None and tls.certificate is None:
        raise ConfigError(f"stub {stub!r}: Tls(key=...) without certificate=")
    certificate = _read(tls.certificate, stub)
    return grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca, stub),
        private_key=_read(tls.key, stub) if tls.key else certificate,
        certificate_chain=certificate,
    )


def _read(path: str | Path | None, stub: str) -> bytes | None:
    if path is None:
        return None
    try:
        found = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"stub {stub!r}: {path}: {error.strerror}") from error
    if b"-----BEGIN" not in found:
        raise ConfigError(f"stub {stub!r}: {path} is no PEM file")
    return found
