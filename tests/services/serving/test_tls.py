"""TLS on both servers: the certificate that is shown, and those that are asked for."""

import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.services import route

Serve = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def hello(declared: Declarations) -> Declarations:
    @route(declared, "GET", "/")
    async def answer() -> str:
        return "hello"

    return declared


@pytest.fixture(params=["uvicorn", "granian"])
def words(request: pytest.FixtureRequest, certificates: Any) -> dict[str, Any]:
    return {
        "http_server": request.param,
        "tls_certificate": certificates.server,
        "tls_key": certificates.server_key,
    }


def trusting(certificates: Any, *own: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates.root)
    if own:
        context.load_cert_chain(*own)
    return context


async def test_a_client_that_trusts_the_root_is_served(
    hello: Declarations, serve: Serve, words: dict[str, Any], certificates: Any
) -> None:
    async with serve(hello, **words) as s:
        assert s.address.startswith("https://")
        answer = await s.client.get("/", ssl=trusting(certificates))
        assert (answer.status, answer.json()) == (200, "hello")


async def test_a_client_that_does_not_is_not(
    hello: Declarations, serve: Serve, words: dict[str, Any]
) -> None:
    async with serve(hello, **words) as s:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await s.client.get("/")


async def test_clients_may_have_to_show_a_certificate(
    hello: Declarations, serve: Serve, words: dict[str, Any], certificates: Any
) -> None:
    known = trusting(certificates, certificates.client, certificates.client_key)
    stranger = trusting(certificates, certificates.stranger, certificates.stranger_key)
    async with serve(hello, **words, tls_clients=certificates.root) as s:
        for context in (trusting(certificates), stranger):
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                await s.client.get("/", ssl=context)
        assert (await s.client.get("/", ssl=known)).status == 200


async def test_who_speaks_no_tls_is_not_served(
    hello: Declarations, serve: Serve, words: dict[str, Any], certificates: Any
) -> None:
    async with serve(hello, **words) as s:
        plain = s.address.replace("https", "http")
        async with aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.ClientError):
                await client.get(plain)
        assert (await s.client.get("/", ssl=trusting(certificates))).status == 200


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("tls_certificate", "nowhere.pem", "there is no such file"),
        ("tls_key", "nowhere.pem", "there is no such file"),
        ("tls_clients", "nowhere.pem", "there is no such file"),
        ("tls_certificate", "", "tls_key is set without tls_certificate"),
        ("tls_key", "client_key", "no certificate with its key"),
        ("tls_certificate", "server_key", "no certificate with its key"),
    ],
)
async def test_files_that_cannot_be_used_are_told_before_anybody_is_served(
    hello: Declarations,
    serve: Serve,
    words: dict[str, Any],
    certificates: Any,
    name: str,
    value: str,
    told: str,
) -> None:
    wrong = words | {name: getattr(certificates, value, value)}
    with pytest.raises(ConfigError, match=told):
        async with serve(hello, **wrong):
            pass
