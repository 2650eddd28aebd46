"""How a call fails, and what each failure says: did it run, and may it be repeated?"""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from isthmus.errors import ConfigError, IsthmusError, TimedOutError, UnavailableError
from isthmus.resilience import Policy, Timeout, blames, transient
from isthmus.resilience.classify import never_ran, retry_after, status_of
from isthmus.services.client import (
    BusyError,
    Client,
    ConnectionBrokenError,
    ConnectRefusedError,
    ConnectTimedOutError,
    FailedError,
    NameUnknownError,
    NotHttpError,
    RefusedError,
    Tls,
    TlsFailedError,
    UnreachableError,
)

from .conftest import Asked, Upstream, Wire, answers, closes, resets, serving, stalls  # noqa: TID252

NOTHING = Policy()


async def failure(url: str, policy: Policy = NOTHING, **words: object) -> IsthmusError:
    """Return what a POST that may not be repeated raises."""
    async with Client("p", url, policy=policy, **words) as client:  # pyright: ignore[reportArgumentType]
        with pytest.raises(IsthmusError) as caught:
            await client.post("/x", {"a": 1})
    return caught.value


def verdict(error: BaseException) -> tuple[bool, bool, bool]:
    """Return whether it never ran, may be repeated, and speaks against the other side."""
    return never_ran(error), transient(error), blames(error)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# -- it never ran -----------------------------------------------------------------------------


async def test_a_refused_connection_never_ran() -> None:
    error = await failure(f"http://127.0.0.1:{free_port()}")
    assert isinstance(error, ConnectRefusedError)
    assert verdict(error) == (True, True, True)
    assert "POST http://127.0.0.1" in str(error)
    assert "was not sent: the connection was refused" in str(error)


async def test_a_name_that_leads_nowhere_never_ran() -> None:
    error = await failure("http://nowhere.invalid")
    assert isinstance(error, NameUnknownError)
    assert verdict(error) == (True, True, True)


async def test_a_host_out_of_reach_never_ran() -> None:
    error = await failure("http://[100::1]", Policy(Timeout(1)))  # the discard prefix, RFC 6666
    assert isinstance(error, UnreachableError)
    assert verdict(error) == (True, True, True)


@pytest.fixture
def full() -> Iterator[int]:
    """Give a port whose backlog is full, so that no connection comes about."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for one in waiting:
            one.close()


async def test_a_connection_that_takes_too_long_never_ran(full: int) -> None:
    error = await failure(f"http://127.0.0.1:{full}", Policy(Timeout(30, connect=0.05)))
    assert isinstance(error, ConnectTimedOutError)
    assert verdict(error) == (True, True, True)
    assert "no connection within 0.05 s" in str(error)


async def test_connecting_is_told_from_running_though_the_attempt_is_as_short(full: int) -> None:
    error = await failure(f"http://127.0.0.1:{full}", Policy(Timeout(0.2, connect=5)))
    assert isinstance(error, ConnectTimedOutError)


async def test_a_handshake_that_takes_too_long_never_ran() -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(f"https://127.0.0.1:{port}", Policy(Timeout(9, connect=0.05)))
        await ended.wait()
    assert isinstance(error, ConnectTimedOutError)


# -- TLS --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with an authority, and certificates of it for a server and a client."""
    folder = tmp_path_factory.mktemp("papers")
    authority = ec.generate_private_key(ec.SECP256R1())
    issue(folder, "ca", authority, authority, is_authority=True)
    for who in ("server", "client"):
        issue(folder, who, ec.generate_private_key(ec.SECP256R1()), authority, is_authority=False)
    return folder


def issue(folder: Path, who: str, key, authority, *, is_authority: bool) -> None:
    now = dt.datetime.now(dt.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (who, "ca")]
    built = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{who}.pem").write_bytes(built.public_bytes(pem))
    plain = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / f"{who}.key").write_bytes(private)


@pytest.fixture
async def secure(papers: Path) -> AsyncIterator[Upstream]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=papers / "ca.pem")
    context.load_cert_chain(papers / "server.pem", papers / "server.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    async with serving(ssl=context) as upstream:
        yield upstream


def https(upstream: Upstream) -> str:
    return f"https://127.0.0.1:{upstream.port}"


async def test_a_certificate_of_nobody_we_trust_never_ran_and_is_not_tried_again(
    secure: Upstream,
) -> None:
    error = await failure(https(secure))
    assert isinstance(error, TlsFailedError)
    assert verdict(error) == (True, False, True)
    assert "certificate verify failed" in str(error)
    assert secure.asked == []


async def test_a_server_without_tls_is_told_as_such(upstream: Upstream) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert isinstance(await failure(f"https://127.0.0.1:{port}"), TlsFailedError)


async def test_an_authority_of_our_own_is_trusted_and_a_certificate_shown(
    secure: Upstream, papers: Path
) -> None:
    shown: list[object] = []

    async def looks(wire: Wire, _: Asked) -> None:
        shown.append(wire.writer.get_extra_info("peercert"))
        await wire.answer()

    tls = Tls(ca=papers / "ca.pem", certificate=papers / "client.pem", key=papers / "client.key")
    async with Client("p", https(secure.does(looks)), policy=NOTHING, tls=tls) as client:
        await client.get("/x")
    assert shown[0]


async def test_a_context_of_the_users_is_taken_as_it_is(secure: Upstream, papers: Path) -> None:
    context = ssl.create_default_context(cafile=papers / "ca.pem")
    async with Client("p", https(secure), policy=NOTHING, tls=context) as client:
        assert (await client.get("/x")).status == 200


def test_files_that_cannot_be_used_are_refused_when_the_client_is_made(papers: Path) -> None:
    for tls in (
        Tls(ca="nowhere.pem"),
        Tls(key=papers / "client.key"),
        Tls(certificate=papers / "client.pem", key=papers / "server.key"),
    ):
        with pytest.raises(ConfigError, match="client 'p'"):
            Client("p", "https://x", policy=NOTHING, tls=tls)


# -- it ran, perhaps --------------------------------------------------------------------------


async def test_a_server_that_closes_without_an_answer_may_have_run(upstream: Upstream) -> None:
    error = await failure(upstream.does(closes).url)
    assert isinstance(error, ConnectionBrokenError)
    assert verdict(error) == (False, True, True)
    assert "may have had its effect" in str(error)


async def test_a_connection_that_is_reset_may_have_run(upstream: Upstream) -> None:
    error = await failure(upstream.does(resets).url)
    assert isinstance(error, ConnectionBrokenError)
    assert verdict(error) == (False, True, True)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_server_that_dies_in_the_middle_of_its_answer_may_have_run(
    upstream: Upstream, chunked: bool
) -> None:
    async def half(wire: Wire, _: Asked) -> None:
        head = b"transfer-encoding: chunked" if chunked else b"content-length: 100"
        await wire.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", b"5\r\nhello\r\n")
        wire.writer.close()

    error = await failure(upstream.does(half).url)
    assert isinstance(error, ConnectionBrokenError)
    assert verdict(error) == (False, True, True)
    assert "the answer, 200, broke off before its end" in str(error)


async def test_an_answer_that_does_not_come_may_have_run(upstream: Upstream) -> None:
    error = await failure(upstream.does(stalls).url, Policy(Timeout(0.05)))
    assert isinstance(error, TimedOutError)
    assert verdict(error) == (False, True, True)


async def test_an_answer_that_drips_is_cut_off_with_the_attempt(upstream: Upstream) -> None:
    async def drips(wire: Wire, _: Asked) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not await wire.gone_within(0.005):
            await wire.send(b"x")

    error = await failure(upstream.does(drips).url, Policy(Timeout(0.1)))
    assert isinstance(error, TimedOutError)
    assert verdict(error) == (False, True, True)


async def test_what_is_not_http_is_told_as_such(upstream: Upstream) -> None:
    async def garbage(wire: Wire, _: Asked) -> None:
        await wire.send(b"SSH-2.0-OpenSSH_9.2\r\n")
        await wire.gone()

    error = await failure(upstream.does(garbage).url)
    assert isinstance(error, NotHttpError)
    assert verdict(error) == (False, False, True)


async def test_headers_without_end_are_not_read_for_ever(upstream: Upstream) -> None:
    async def bomb(wire: Wire, _: Asked) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\n")
        while not wire.writer.is_closing():
            await wire.send(b"x-a: " + b"a" * 8000 + b"\r\n")

    error = await failure(upstream.does(bomb).url)
    assert isinstance(error, NotHttpError | ConnectionBrokenError)


async def test_a_connection_whose_answer_was_not_awaited_is_not_used_again(
    upstream: Upstream,
) -> None:
    upstream.does(stalls, answers({"a": 1}))
    async with Client("p", upstream.url, policy=Policy(Timeout(0.05))) as client:
        with pytest.raises(TimedOutError):
            await client.get("/x")
        assert (await client.get("/y")).json() == {"a": 1}
    assert upstream.connections == 2


# -- by status --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (400, RefusedError, (False, False, False)),
        (404, RefusedError, (False, False, False)),
        (408, BusyError, (False, True, True)),
        (409, RefusedError, (False, False, False)),
        (425, BusyError, (True, True, True)),
        (429, BusyError, (True, True, True)),
        (500, FailedError, (False, True, True)),
        (501, FailedError, (False, False, True)),
        (502, FailedError, (False, True, True)),
        (503, FailedError, (False, True, True)),
        (504, FailedError, (False, True, True)),
    ],
)
async def test_a_status_says_whether_it_ran_may_be_repeated_and_whose_fault_it_is(
    upstream: Upstream, status: int, kind: type, says: tuple[bool, bool, bool]
) -> None:
    error = await failure(upstream.does(answers(b"", status, {"Retry-After": "7"})).url)
    assert type(error) is kind
    assert verdict(error) == says
    assert status_of(error) == status
    assert retry_after(error) == 7.0
    assert error.retryable == says[1]


def test_what_can_be_caught_together() -> None:
    assert issubclass(BusyError, RefusedError)
    assert issubclass(BusyError, UnavailableError)
    assert issubclass(FailedError, UnavailableError)
    assert issubclass(UnreachableError, UnavailableError)
    assert issubclass(ConnectionBrokenError, UnavailableError)
