"""What the shop relies on when it charges cards: kept by the fake, by both providers as they were
recorded, and by both as they are, processes of their own.

    ISTHMUS_CASSETTES=record pytest tests/examples/test_payments.py     # records them anew
"""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest

from isthmus import HttpUrl, Policy, Secret
from isthmus.services.adapter import ProviderError, ProviderUnavailableError, clients_of
from isthmus.services.client import AsgiTransport
from isthmus.testing import AdapterContract, Recorded

SHOP = Path(__file__).parents[2] / "examples" / "shop"

payments: Any = import_module("payments")
Charge, Receipt = payments.Charge, payments.Receipt

PROVIDERS = ("stripelike", "adyenlike")
KEY = Secret("sk_test_of_the_contract")

where: dict[str, str] = {}
"""The URLs of the providers' processes."""


def made(provider: str, key: Secret = KEY) -> Any:
    module: Any = import_module(f"payments.{provider}")
    settings = getattr(module, f"{provider.title()}Settings")
    url = HttpUrl(where.get(provider, "http://127.0.0.1:1"))
    return getattr(payments, provider.title())(settings(key=key, url=url))


def making(provider: str) -> Callable[[], Any]:
    return lambda: made(provider)


@contextmanager
def process(provider: str) -> Iterator[str]:
    """Run a provider; give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    running = subprocess.Popen([sys.executable, SHOP / f"{provider}.py", str(port)])
    try:
        while not _answers(url):
            assert running.poll() is None, f"{provider}.py ended"
            time.sleep(0.05)  # noqa: TID251 - a process that begins tells nobody
        yield url
    finally:
        running.terminate()
        running.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module", autouse=True)
def providers() -> Iterator[None]:
    with ExitStack() as stack:
        for provider in PROVIDERS:
            where[provider] = stack.enter_context(process(provider))
        yield
    where.clear()


class TestPayments(AdapterContract):
    """Orders are named by the test, since the providers keep theirs from one to the next."""

    interface = payments.Payments
    implementations: ClassVar[Any] = {
        "fake": payments.FakePayments,
        **{provider: making(provider) for provider in PROVIDERS},
        **{f"{provider}-recorded": Recorded(making(provider)) for provider in PROVIDERS},
    }
    raises = (payments.CardDeclinedError, payments.UnknownChargeError)

    async def test_a_charge_has_a_receipt(self, adapter: Any) -> None:
        receipt = await adapter.charge(Charge("one", 4200), idempotency_key="one")
        assert (receipt.order, receipt.amount) == ("one", 4200)
        assert receipt.number

    async def test_the_same_key_twice_is_one_charge(self, adapter: Any) -> None:
        first = await adapter.charge(Charge("two", 4200), idempotency_key="two")
        again = await adapter.charge(Charge("two", 4200), idempotency_key="two")
        assert again == first
        receipts = [receipt async for receipt in adapter.receipts()]
        assert receipts.count(first) == 1

    async def test_two_charges_have_two_receipts(self, adapter: Any) -> None:
        first = await adapter.charge(Charge("three", 100), idempotency_key="three")
        second = await adapter.charge(Charge("four", 100), idempotency_key="four")
        assert first.number != second.number

    async def test_a_declined_card_is_told_and_nothing_is_charged(self, adapter: Any) -> None:
        with pytest.raises(payments.CardDeclinedError):
            await adapter.charge(Charge("five", 100, card="declined"), idempotency_key="five")
        assert "five" not in {receipt.order async for receipt in adapter.receipts()}

    async def test_what_was_charged_can_be_given_back(self, adapter: Any) -> None:
        receipt = await adapter.charge(Charge("six", 100), idempotency_key="six")
        await adapter.refund(receipt, idempotency_key="back-six")
        await adapter.refund(receipt, idempotency_key="back-six")

    async def test_what_was_not_charged_cannot_be_given_back(self, adapter: Any) -> None:
        with pytest.raises(payments.UnknownChargeError):
            await adapter.refund(Receipt("seven", 100, "nothing"), idempotency_key="back-seven")

    async def test_all_receipts_can_be_had_however_many(self, adapter: Any) -> None:
        made = {
            await adapter.charge(Charge(f"many-{n}", 100 + n), idempotency_key=f"many-{n}")
            for n in range(12)
        }
        receipts = [receipt async for receipt in adapter.receipts()]
        assert made <= set(receipts)
        assert len(receipts) == len(set(receipts))


@pytest.mark.parametrize("provider", PROVIDERS)
class TestOutside:
    """What only a provider outside can do."""

    @pytest.fixture
    async def adapter(self, provider: str) -> Any:
        implementation, service = made(provider), import_module(provider).service()
        self.client = clients_of(implementation)[0]
        with self.client.using(AsgiTransport(service)):
            yield implementation

    async def become(self, mood: str) -> None:
        """Change the mood of the service, as the demonstration does."""
        host = self.client.base_url.removesuffix("/v71")
        link = self.client._link
        assert link is not None
        other = type(self.client)("mood", host, transport=link.transport, policy=Policy())
        async with other:
            await other.put(f"/mood/{mood}")

    async def test_a_bad_day_is_told_as_one(self, adapter: Any) -> None:
        await self.become("failing")
        with pytest.raises(ProviderUnavailableError) as raised:
            await adapter.charge(Charge("one", 100), idempotency_key="one")
        assert (raised.value.status, raised.value.retry_after) == (503, 1)
        assert raised.value.code in {"unavailable", "905"}

    async def test_a_key_that_is_used_for_something_else_is_refused(self, adapter: Any) -> None:
        await adapter.charge(Charge("one", 100), idempotency_key="one")
        with pytest.raises(ProviderError) as raised:
            await adapter.charge(Charge("other", 200), idempotency_key="one")
        assert not raised.value.retryable
        assert raised.value.code in {"idempotency_key_in_use", "704"}

    async def test_a_wrong_amount_is_our_fault_and_told_by_its_code(self, adapter: Any) -> None:
        with pytest.raises(ProviderError) as raised:
            await adapter.charge(Charge("one", 0), idempotency_key="one")
        assert not isinstance(raised.value, ProviderUnavailableError)
        assert raised.value.code in {"parameter_invalid_integer", "137"}


async def test_a_wrong_key_is_refused() -> None:
    wrong = made("stripelike", Secret("nonsense"))
    other_side = AsgiTransport(import_module("stripelike").service())
    with clients_of(wrong)[0].using(other_side), pytest.raises(ProviderError) as raised:
        await wrong.charge(Charge("one", 100), idempotency_key="one")
    assert (raised.value.status, raised.value.code) == (401, "api_key_invalid")
    assert "nonsense" not in str(raised.value)
