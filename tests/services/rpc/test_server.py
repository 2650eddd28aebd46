"""What the server promises: its port, what it tells of itself, TLS, and its end."""

import asyncio
import datetime as dt
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from isthmus import Module
from isthmus.clock import SystemClock
from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.running.opening import opened
from isthmus.resilience import Policy
from isthmus.services.rpc import Peer, RpcError, RpcUnreachableError, Service, Stub, Tls, given
from isthmus.services.rpc.doors import serve as serve_service
from isthmus.services.rpc.serving.listener import reserved
from isthmus.settings import Settings
from isthmus.signals import Signals

Hold = Any


class Word(msgspec.Struct):
    text: str


class Echo(Service, name="shop.v1.EchoService"):
    async def echo(self, request: Word) -> Word:
        return request


class Other(Service, name="shop.v1.OtherService"):
    async def echo(self, request: Word) -> Word:
        return request


# --- the port ---------------------------------------------------------------------------------


async def test_a_taken_port_is_told_with_the_way_out(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Echo())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="taken by another process; choose one with --grpc"):
            async with hold(declared, grpc_port=taken.getsockname()[1]):
                pass


async def test_two_servers_do_not_share_a_port_by_accident(
    declared: Declarations, hold: Hold
) -> None:
    other = Declarations("other")
    serve_service(declared, Echo())
    serve_service(other, Echo())
    async with hold(declared) as s:
        port = int(s.address.rpartition(":")[2])
        with pytest.raises(ConfigError, match="taken by another process"):
            async with hold(other, grpc_port=port):
                pass


async def test_processes_that_are_told_to_share_a_port_do(declared: Declarations) -> None:
    other = Declarations("other")
    serve_service(declared, Echo())
    serve_service(other, Echo())
    with reserved("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        settings = Settings(engine="memory://", grpc_port=port, grpc_shared=True)
        async with (
            opened("a", declared, settings, SystemClock(), Signals()) as one,
            opened("b", other, settings, SystemClock(), Signals()) as two,
        ):
            workers = declared.workers[0], other.workers[0]
            running = [
                asyncio.create_task(worker.run(host))
                for worker, host in zip(workers, (one, two), strict=True)
            ]
            async with Stub(Echo, f"127.0.0.1:{port}") as echo:
                while (await _echoed(echo)) is None:
                    pass
            for worker in workers:
                await worker.drain()
            await asyncio.gather(*running)


async def _echoed(echo: Any) -> Word | None:
    try:
        return await echo.echo(Word("a"))
    except RpcUnreachableError:
        return None


async def test_a_host_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.1"):
        reserved("203.0.113.1", 0)


# --- what it tells of itself ------------------------------------------------------------------


async def test_health_says_serving_until_it_drains(declared: Declarations, hold: Hold) -> None:
    class Slow(Service, name="shop.v1.SlowService"):
        async def wait(self) -> None:
            began.set()
            await go_on.wait()

    began, go_on = asyncio.Event(), asyncio.Event()
    serve_service(declared, Slow())
    async with (
        hold(declared) as s,
        grpc.aio.insecure_channel(s.address) as channel,
        Stub(Slow, s.address) as slow,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        statuses = health_pb2.HealthCheckResponse
        for name in ("", "shop.v1.SlowService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == statuses.SERVING
        with pytest.raises(grpc.aio.AioRpcError):
            await health.Check(health_pb2.HealthCheckRequest(service="shop.v1.Nobody"))
        watching = health.Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await watching.read()).status == statuses.SERVING
        waiting = asyncio.ensure_future(slow.wait())
        await began.wait()
        await s.server.drain()
        assert (await watching.read()).status == statuses.NOT_SERVING
        watching.cancel()
        go_on.set()
        await waiting


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_tells_all_services_and_their_messages(
    declared: Declarations, hold: Hold, version: str
) -> None:
    serve_service(declared, Echo())
    serve_service(declared, Other())
    requests = reflection_pb2.ServerReflectionRequest
    async with hold(declared) as s, grpc.aio.insecure_channel(s.address) as channel:
        ask = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=requests.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )

        async def questions() -> AsyncIterator[Any]:
            yield requests(list_services="")
            yield requests(file_containing_symbol="shop.v1.OtherService")

        services, file = [answer async for answer in ask(questions())]
    names = {each.name for each in services.list_services_response.service}
    assert {"shop.v1.EchoService", "shop.v1.OtherService", "grpc.health.v1.Health"} <= names
    [described] = [
        descriptor_pb2.FileDescriptorProto.FromString(each)
        for each in file.file_descriptor_response.file_descriptor_proto
    ]
    assert described.name == "shop/v1/shop.proto"
    assert [each.name for each in described.message_type] == ["Word"]
    assert [each.name for each in described.service] == ["EchoService", "OtherService"]


async def test_reflection_can_be_left_out(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Echo())
    async with (
        hold(declared, grpc_reflection=False) as s,
        grpc.aio.insecure_channel(s.address) as channel,
    ):
        ask = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        assert await ask(iter([b""])).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_services_of_modules_share_the_server(declared: Declarations, hold: Hold) -> None:
    module = Module("words")
    module.serve(Echo())
    declared.include(module.declarations)
    serve_service(declared, Other())
    assert [worker.name for worker in declared.workers] == ["grpc"]
    async with (
        hold(declared) as s,
        Stub(Echo, s.address) as echo,
        Stub(Other, s.address) as other,
    ):
        assert await echo.echo(Word("a")) == await other.echo(Word("a"))


async def test_two_messages_of_one_name_in_one_package_are_refused(
    declared: Declarations, hold: Hold
) -> None:
    another: Any = msgspec.defstruct("Word", [("other", int)])

    async def ask(self: Any, request: Any) -> None: ...

    ask.__annotations__ = {"request": another, "return": None}
    kind: Any = type(Service)
    serve_service(declared, Echo())
    serve_service(declared, kind("Odd", (Service,), {"ask": ask}, name="shop.v1.OddService")())
    with pytest.raises(ConfigError, match=r"shop\.v1\.Word is defined in two ways"):
        async with hold(declared):
            pass


def test_a_service_is_served_once(declared: Declarations) -> None:
    serve_service(declared, Echo())
    with pytest.raises(ConfigError, match="declared twice"):
        serve_service(declared, Echo())


# --- TLS --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and certificates of a server and a client from it."""
    pytest.importorskip("cryptography")
    folder = tmp_path_factory.mktemp("papers")
    authority = _issue(folder, "ca", None)
    _issue(folder, "server", authority)
    _issue(folder, "billing", authority)
    _issue(folder, "stranger", None)
    return folder


def _issue(folder: Path, name: str, issuer: Any) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, by = (key, subject) if issuer is None else issuer
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    known = x509.SubjectAlternativeName(names[: 2 if name == "server" else 1])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(known, critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / f"{name}.pem").write_bytes(made.public_bytes(pem))
    written = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / f"{name}.key").write_bytes(written)
    return key, subject


class Who(Service, name="shop.v1.WhoService"):
    async def ask(self, peer: Peer = given) -> Word:
        return Word(",".join(peer.names))


async def test_calls_may_be_encrypted(declared: Declarations, hold: Hold, papers: Path) -> None:
    serve_service(declared, Who())
    files = {"tls_certificate": f"{papers}/server.pem", "tls_key": f"{papers}/server.key"}
    async with hold(declared, **files) as s:
        port = s.address.rpartition(":")[2]
        tls = Tls(ca=papers / "ca.pem")
        async with Stub(Who, f"127.0.0.1:{port}", tls=tls, policy=Policy()) as who:
            assert await who.ask() == Word("")
        named = Tls(ca=papers / "ca.pem", server_name="server")
        async with Stub(Who, f"localhost:{port}", tls=named, policy=Policy()) as who:
            assert await who.ask() == Word("")
        for wrong in (Tls(ca=papers / "stranger.pem"), True):
            async with Stub(Who, f"127.0.0.1:{port}", tls=wrong, policy=Policy()) as who:
                with pytest.raises(RpcUnreachableError, match=r"(?i)certificate|handshake"):
                    await who.ask()


async def test_callers_may_have_to_prove_who_they_are(
    declared: Declarations, hold: Hold, papers: Path
) -> None:
    serve_service(declared, Who())
    files = {
        "tls_certificate": f"{papers}/server.pem",
        "tls_key": f"{papers}/server.key",
        "tls_clients": f"{papers}/ca.pem",
    }

    def proven(name: str) -> Tls:
        own, key = papers / f"{name}.pem", papers / f"{name}.key"
        return Tls(ca=papers / "ca.pem", certificate=own, key=key)

    async with hold(declared, **files) as s:
        async with Stub(Who, s.address, tls=proven("billing"), policy=Policy()) as who:
            assert await who.ask() == Word("billing")
        for unknown in (Tls(ca=papers / "ca.pem"), proven("stranger")):
            async with Stub(Who, s.address, tls=unknown, policy=Policy()) as who:
                with pytest.raises(RpcError):
                    await who.ask()


async def test_files_that_cannot_be_used_are_told(
    declared: Declarations, hold: Hold, papers: Path, tmp_path: Path
) -> None:
    serve_service(declared, Who())
    plain = tmp_path / "plain"
    plain.write_text("no certificate")
    for words, told in (
        ({"tls_key": "x"}, "without tls_certificate"),
        ({"tls_certificate": f"{papers}/none.pem"}, "No such file"),
        ({"tls_certificate": str(plain)}, "is no PEM file"),
    ):
        with pytest.raises(ConfigError, match=told):
            async with hold(declared, **words):
                pass
    for tls, told in (
        (Tls(key="x"), "without certificate"),
        (Tls(ca=tmp_path / "none.pem"), "No such file"),
        (Tls(ca=plain), "is no PEM file"),
    ):
        with pytest.raises(ConfigError, match=told):
            await Stub(Who, "127.0.0.1:1", tls=tls).open()


# --- the end ----------------------------------------------------------------------------------


async def test_what_runs_is_finished_and_nothing_else_begins(
    declared: Declarations, hold: Hold
) -> None:
    class Slow(Service, name="shop.v1.SlowService"):
        async def wait(self, request: Word) -> Word:
            began.set()
            await go_on.wait()
            return request

        async def watch(self) -> AsyncIterator[Word]:
            yield Word("first")
            await go_on.wait()
            yield Word("last")

    began, go_on = asyncio.Event(), asyncio.Event()
    serve_service(declared, Slow())
    async with hold(declared) as s, Stub(Slow, s.address, policy=Policy()) as slow:
        watching = slow.watch()
        assert await anext(watching) == Word("first")
        waiting = asyncio.ensure_future(slow.wait(Word("a")))
        await began.wait()
        await s.server.drain()
        with pytest.raises(RpcUnreachableError):
            while True:  # those that came before are answered
                [_] = [each async for each in _first(slow)]
        assert not s.running.done()
        go_on.set()
        assert await waiting == Word("a")
        assert [each async for each in watching] == [Word("last")]
        await s.running


async def _first(slow: Any) -> AsyncIterator[Word]:
    watching = slow.watch()
    try:
        yield await anext(watching)
    finally:
        await watching.aclose()


async def test_every_call_that_runs_is_answered_while_the_server_drains(
    declared: Declarations, hold: Hold
) -> None:
    ran, answered, refused = 0, 0, 0

    class Counting(Service, name="shop.v1.CountService"):
        async def count(self) -> Word:
            nonlocal ran
            ran += 1
            return Word(str(ran))

    async def ask(stub: Any) -> None:
        nonlocal answered, refused
        try:
            while True:
                await stub.count()
                answered += 1
                enough.set() if answered >= 200 else None
        except RpcUnreachableError:  # it never ran
            refused += 1

    enough = asyncio.Event()
    serve_service(declared, Counting())
    async with hold(declared) as s, Stub(Counting, s.address, policy=Policy()) as counting:
        asking = [asyncio.create_task(ask(counting)) for _ in range(8)]
        await enough.wait()
        await s.server.drain()
        await asyncio.gather(*asking)
        await s.running
    assert refused == 8
    assert answered == ran >= 200


async def test_an_app_runs_again_after_its_end(declared: Declarations, hold: Hold) -> None:
    serve_service(declared, Echo())
    for _ in range(2):
        async with hold(declared) as s, Stub(Echo, s.address) as echo:
            assert await echo.echo(Word("a")) == Word("a")
