"""Whom a client trusts, and how it proves who it is itself."""

import ssl
from pathlib import Path

import msgspec

from isthmus.errors import ConfigError

__all__ = ["Tls", "context_of"]


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Files in PEM. The other side's certificate is always verified."""

    ca: str | Path | None = None
    """Certificates of the authorities that are trusted, instead of the system's."""
    certificate: str | Path | None = None
    """The client's own, for mutual TLS; its chain may follow it."""
    key: str | Path | None = None
    """Its private key; None: in the file of `certificate`."""


def context_of(tls: "Tls | ssl.SSLContext | None", client: str) -> ssl.SSLContext | None:
    """Return what aiohttp takes; None is its default: verified by the system's authorities.

    Raises:
        ConfigError: A file cannot be read, or key and certificate don't fit.
    """
    if tls is None or isinstance(tls, ssl.SSLContext):
        return tls
    if tls.key is not None and tls.certificate is None:
        raise ConfigError(f"client {client!r}: Tls(key=...) without certificate=")
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"client {client!r}: {tls}: {error}") from error
    return context
