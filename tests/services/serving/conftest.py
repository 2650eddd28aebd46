"""Certificates of a day, and curl, which speaks HTTP/2."""

import asyncio
import datetime as dt
import ipaddress
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Certificates:
    """PEM files: those of a server, of a client, and of the root of both."""

    root: str
    server: str
    server_key: str
    client: str
    client_key: str
    stranger: str
    stranger_key: str


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    root = _Root("root")
    return Certificates(
        root=_write(folder / "root.pem", root.pem),
        **_pair(folder, "server", root),
        **_pair(folder, "client", root),
        **_pair(folder, "stranger", _Root("another root")),
    )


def _pair(folder: Path, name: str, root: "_Root") -> dict[str, str]:
    certificate, key = root.issue(name)
    return {
        name: _write(folder / f"{name}.pem", certificate),
        f"{name}_key": _write(folder / f"{name}.key", key),
    }


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


class _Root:
    def __init__(self, name: str) -> None:
        self._name, self._key = _name(name), ec.generate_private_key(ec.SECP256R1())
        made = self._builder(self._name, self._key.public_key())
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.pem = _pem(made.sign(self._key, hashes.SHA256()))

    def issue(self, name: str) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = self._builder(_name(name), key.public_key())
        made = made.add_extension(x509.SubjectAlternativeName([here]), critical=False)
        return _pem(made.sign(self._key, hashes.SHA256())), key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def _builder(self, subject: x509.Name, key: Any) -> x509.CertificateBuilder:
        now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


Curl = Callable[..., Awaitable[tuple[str, str]]]


@pytest.fixture
def curl(require: Callable[[bool, str], None]) -> Curl:
    """Return what asks for a URL and returns "HTTP-version status", and the body."""
    require(shutil.which("curl") is not None, "apt-get install curl")

    async def ask(*arguments: str) -> tuple[str, str]:
        process = await asyncio.create_subprocess_exec(
            "curl",
            *("--silent", "--max-time", "20", "--write-out", "\n%{http_version} %{http_code}"),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        body, _, status = told.decode().rpartition("\n")
        return status, body

    return ask
