"""Callers hold one thing; configuration says who fulfils it."""

import inspect
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec
import pytest

from isthmus import (
    App,
    Bulkhead,
    CircuitBreaker,
    Client,
    ConfigError,
    Fallback,
    HttpUrl,
    Module,
    Policy,
    Retry,
    Secret,
    Timeout,
)
from isthmus.handling.host import Host
from isthmus.resilience import CircuitOpenError
from isthmus.services.adapter import (
    AdapterCalled,
    DeclaredAdapter,
    ProviderError,
    ProviderUnavailableError,
    translates,
)
from isthmus.services.client import Bearer
from isthmus.testing import using
from isthmus.testing.http import FakeTransport


class CardDeclinedError(Exception):
    pass


class Payments(Protocol):
    async def charge(self, amount: int, *, idempotency_key: str = "") -> str:
        """Charge a card."""
        ...

    def receipts(self) -> AsyncIterator[str]: ...

    def name(self) -> str: ...


class Charging(Protocol):
    async def charge(self, amount: int, *, idempotency_key: str = "") -> str: ...


class StripelikeSettings(msgspec.Struct, frozen=True):
    key: Secret
    url: HttpUrl = HttpUrl("http://pay.example")


@translates({"card_declined": CardDeclinedError})
class Stripelike:
    """Over HTTP, with a key."""

    made = 0

    def __init__(self, settings: StripelikeSettings) -> None:
        type(self).made += 1
        self.settings = settings
        auth = Bearer(settings.key.reveal())
        self.http = Client("stripelike", settings.url, auth=auth, policy=Policy())

    async def charge(self, amount: int, *, idempotency_key: str = "") -> str:
        body = {"amount": amount}
        made = await self.http.post(
            "/charges", body, result=dict[str, str], idempotency_key=idempotency_key
        )
        return made["id"]

    async def receipts(self) -> AsyncIterator[str]:
        for each in await self.http.get("/charges", result=list[str]):
            yield each

    def name(self) -> str:
        return "stripelike"


class Pool:
    """Of something that is opened with the App."""


class Pooled:
    """Opened and closed by itself, over what the App has."""

    def __init__(self, pool: Pool, host: Host) -> None:
        self.pool, self.host, self.life = pool, host, ["made"]

    async def __aenter__(self) -> Self:
        self.life.append("opened")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.life.append("closed")

    async def charge(self, amount: int, *, idempotency_key: str = "") -> str:
        self.life.append(f"charged {amount}")
        return f"pooled-{amount}"

    async def receipts(self) -> AsyncIterator[str]:
        for each in self.life:
            yield each

    def name(self) -> str:
        return "pooled"


class Fake:
    def __init__(self) -> None:
        self.fails: list[Exception] = []
        self.calls = 0

    async def charge(self, amount: int, *, idempotency_key: str = "") -> str:
        self.calls += 1
        if self.fails:
            raise self.fails.pop()
        if amount == 13:
            raise CardDeclinedError("the fake declines 13")
        return f"fake-{amount}"

    async def receipts(self) -> AsyncIterator[str]:
        yield "fake-1"
        if self.fails:
            raise self.fails.pop()

    def name(self) -> str:
        if self.fails:
            raise self.fails.pop()
        return "fake"


ALL: dict[str, Callable[..., Any]] = {"stripelike": Stripelike, "pooled": Pooled, "fake": Fake}


@pytest.fixture
def app() -> App:
    app = App("shop", engine="memory://")

    @app.resource
    def pool() -> Pool:
        return Pool()

    return app


async def refused(app: App) -> str:
    with pytest.raises(ConfigError) as error:
        await app.open()
    return str(error.value)


# -- which one --------------------------------------------------------------------------------


async def test_the_program_says_which_unless_configuration_does(
    app: App, here: Path, monkeypatch: pytest.MonkeyPatch
):
    payments = app.adapter(Payments, ALL, use="fake")
    async with app:
        assert payments.name() == "fake"
    (here / "pyproject.toml").write_text("[tool.isthmus.adapter]\npayments = 'pooled'\n")
    async with app:
        assert payments.name() == "pooled"
    monkeypatch.setenv("ISTHMUS_ADAPTER_PAYMENTS", "stripelike")
    monkeypatch.setenv("SHOP_STRIPELIKE_KEY", "sk_1")
    async with app:
        assert payments.name() == "stripelike"


async def test_one_alone_is_used(app: App):
    payments = app.adapter(Payments, {"fake": Fake})
    async with app:
        assert payments.name() == "fake"


async def test_of_several_one_has_to_be_chosen(app: App):
    app.adapter(Payments, ALL)
    told = "ISTHMUS_ADAPTER_PAYMENTS: missing; there are stripelike, pooled, fake"
    assert told in await refused(app)


async def test_a_wrong_name_lists_those_that_there_are(app: App, monkeypatch: pytest.MonkeyPatch):
    app.adapter(Payments, ALL, use="fake")
    monkeypatch.setenv("ISTHMUS_ADAPTER_PAYMENTS", "stripe_like")
    assert (
        "ISTHMUS_ADAPTER_PAYMENTS = 'stripe_like': there is none of that name; there are "
        "stripelike, pooled, fake; did you mean 'stripelike'?"
    ) in await refused(app)


async def test_a_mistyped_variable_or_key_is_told(app: App, here: Path, monkeypatch):
    app.adapter(Payments, ALL, use="fake")
    (here / "pyproject.toml").write_text(
        "[tool.isthmus.adapter]\npaymetns = 'fake'\nof_another_app = 'x'\n"
    )
    monkeypatch.setenv("ISTHMUS_ADAPTER_PAYMENT", "fake")
    told = await refused(app)
    assert "[tool.isthmus.adapter] paymetns: no such setting; payments was meant?" in told
    assert "ISTHMUS_ADAPTER_PAYMENT: no such setting; ISTHMUS_ADAPTER_PAYMENTS was" in told
    assert "of_another_app" not in told


async def test_only_the_chosen_one_needs_its_settings(app: App, monkeypatch: pytest.MonkeyPatch):
    payments = app.adapter(Payments, ALL, use="fake")
    made = Stripelike.made
    async with app:
        assert payments.name() == "fake"
    assert Stripelike.made == made
    monkeypatch.setenv("ISTHMUS_ADAPTER_PAYMENTS", "stripelike")
    assert "SHOP_STRIPELIKE_KEY: missing; set it, or SHOP_STRIPELIKE_KEY_FILE" in await refused(app)
    monkeypatch.setenv("SHOP_STRIPELIKE_KEY", "sk_1")
    monkeypatch.setenv("SHOP_STRIPELIKE_URL", "ftp://pay.example")
    assert "SHOP_STRIPELIKE_URL = 'ftp://pay.example'" in await refused(app)


async def test_its_faults_are_in_one_list_with_all_others(app: App, monkeypatch):
    class Own(msgspec.Struct, frozen=True):
        pool: int

    app.adapter(Payments, ALL, use="stripelike")
    app.settings_of(Own)
    told = await refused(app)
    assert "SHOP_STRIPELIKE_KEY: missing" in told
    assert "SHOP_POOL: missing" in told


async def test_settings_that_the_app_gives_are_the_apps(app: App, monkeypatch: pytest.MonkeyPatch):
    payments = app.adapter(Payments, ALL, use="stripelike")
    app.settings_of(StripelikeSettings, prefix="PAY_")
    monkeypatch.setenv("PAY_KEY", "sk_1")
    async with app:
        assert payments.name() == "stripelike"


async def test_settings_report_shows_the_choice(app: App, monkeypatch: pytest.MonkeyPatch):
    app.adapter(Payments, ALL, use="stripelike")
    monkeypatch.setenv("SHOP_STRIPELIKE_KEY", "sk_1")
    found = {each.name: (each.value, each.origin) for each in app.settings_report().found}
    assert found["adapter.payments"] == ("stripelike", "default")
    assert found["shop.stripelike.key"] == ("***", "SHOP_STRIPELIKE_KEY")
    monkeypatch.setenv("ISTHMUS_ADAPTER_PAYMENTS", "nobody")
    report = app.settings_report()
    (found,) = [each for each in report.found if each.name == "adapter.payments"]
    assert found.fault in report.faults


# -- its life ---------------------------------------------------------------------------------


async def test_it_is_given_what_it_asks_for_and_opened_and_closed_with_the_app(app: App):
    payments = app.adapter(Payments, ALL, use="pooled")
    async with app:
        assert await payments.charge(1) == "pooled-1"
        assert [each async for each in payments.receipts()] == ["made", "opened", "charged 1"]
    with pytest.raises(ConfigError, match="adapter 'payments' is not open: run the App"):
        await payments.charge(2)


async def test_what_a_class_opened_is_closed(app: App):
    kept = list[Pooled]()

    class Keeping(Pooled):
        async def __aenter__(self) -> Self:
            kept.append(self)
            await super().__aenter__()
            return self

    app.adapter(Payments, {"keeping": Keeping})
    async with app:
        assert kept[0].life == ["made", "opened"]
        assert isinstance(kept[0].pool, Pool)
        assert kept[0].host.name == "shop"
    assert kept[0].life == ["made", "opened", "closed"]


async def test_a_function_may_make_it_and_take_it_back(app: App):
    closed = list[str]()

    async def making(pool: Pool) -> AsyncIterator[Fake]:
        assert isinstance(pool, Pool)
        yield Fake()
        closed.append("fake")

    async def giving() -> Fake:
        return Fake()

    def plain() -> Fake:
        return Fake()

    for name, make in (("making", making), ("giving", giving), ("plain", plain)):
        other = App(name, engine="memory://")
        other.resource(app.declarations.resources[Pool])
        payments = other.adapter(Payments, {name: make})
        async with other:
            assert await payments.charge(1) == "fake-1"
    assert closed == ["fake"]


async def test_what_a_function_made_has_to_fit(app: App):
    class Nothing:
        pass

    async def making() -> Payments:
        return Nothing()  # pyright: ignore[reportReturnType]

    app.adapter(Payments, {"making": making})
    assert "Nothing is no Payments:" in await refused(app)


async def test_one_that_cannot_be_opened_keeps_the_app_from_opening(app: App):
    async def broken() -> AsyncIterator[Fake]:
        raise OSError("no provider here")
        yield Fake()

    app.adapter(Payments, {"broken": broken})
    with pytest.raises(Exception, match="OSError: no provider here"):
        await app.open()


async def test_its_clients_are_open_while_it_is(app: App, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_STRIPELIKE_KEY", "sk_1")
    clients, fake = list[Client](), FakeTransport()
    fake.on("POST", "/charges").answer({"id": "ch_1"})

    class Watched(Stripelike):
        def __init__(self, settings: StripelikeSettings) -> None:
            super().__init__(settings)
            clients.append(self.http)

    payments = app.adapter(Payments, {"stripelike": Watched})
    async with app:
        assert clients[0].is_open
        with clients[0].using(fake):
            assert await payments.charge(1, idempotency_key="k1") == "ch_1"
    assert not clients[0].is_open
    assert fake.calls[0].headers["authorization"] == "Bearer sk_1"
    assert fake.calls[0].headers["idempotency-key"].strip('"') == "k1"


@pytest.mark.parametrize("first", ["client", "adapter"])
async def test_a_client_of_the_apps_is_opened_and_closed_by_the_app(app: App, first: str):
    held = dict[str, Client]()

    class Sharing(Fake):
        def __init__(self) -> None:
            super().__init__()
            self.http = held["client"]

    def declare_client() -> None:
        held["client"] = app.client("shared", "http://pay.example", policy=Policy())

    if first == "client":
        declare_client()
    payments = app.adapter(Payments, {"sharing": Sharing})
    if first == "adapter":
        declare_client()
    async with app:
        assert await payments.charge(1) == "fake-1"
        assert held["client"].is_open
    assert not held["client"].is_open


# -- as callers see it ------------------------------------------------------------------------


async def test_handlers_are_given_it_by_its_type(app: App):
    payments = app.adapter(Payments, ALL, use="fake")
    queue, seen = app.queue("q", int), list[Any]()

    @queue.handler()
    async def handle(amount: int, by_type: Payments) -> None:
        seen.append(await by_type.charge(amount))
        seen.append(by_type is payments)

    async with app.test() as t:
        await queue.send(7)
        await t.settle()
    assert seen == ["fake-7", True]


async def test_a_module_has_adapters_too(app: App):
    module = Module("billing")
    payments = module.adapter(Payments, ALL, use="fake")
    app.include(module)
    async with app:
        assert payments.name() == "fake"


async def test_what_callers_hold_looks_like_the_interface(app: App):
    payments: Any = app.adapter(Payments, ALL, use="fake")
    assert payments.__class__ is Payments
    assert inspect.iscoroutinefunction(payments.charge)
    assert inspect.signature(payments.charge) == inspect.signature(Fake().charge)
    assert payments.charge.__doc__ == "Charge a card."
    assert repr(payments) == "<adapter Payments>"
    with pytest.raises(AttributeError, match="has no method 'chrage'; did you mean 'charge'"):
        payments.chrage
    with pytest.raises(AttributeError, match="'fails'; there are charge, receipts, name"):
        payments.fails


async def test_a_method_that_was_taken_early_leads_to_who_is_there_later(app: App):
    charge = app.adapter(Payments, ALL, use="fake").charge
    async with app:
        assert await charge(1) == "fake-1"


async def test_signals_tell_of_each_call(app: App):
    payments = app.adapter(Payments, ALL, use="fake", raises=[CardDeclinedError])
    told = list[AdapterCalled]()
    app.signals.listen(AdapterCalled, told.append)
    async with app:
        await payments.charge(1)
        with pytest.raises(CardDeclinedError):
            await payments.charge(13)
        _ = [each async for each in payments.receipts()]
        payments.name()
    assert [(each.adapter, each.provider, each.operation, each.error) for each in told] == [
        ("payments", "fake", "charge", ""),
        ("payments", "fake", "charge", "CardDeclinedError"),
        ("payments", "fake", "receipts", ""),
        ("payments", "fake", "name", ""),
    ]
    assert all(each.took > 0 for each in told)


async def test_the_model_names_it(app: App):
    app.adapter(Payments, ALL, use="fake", policy=Policy(Retry(2), Timeout(1)), name="pay")
    (record,) = app.describe().of(DeclaredAdapter)
    assert (record.name, record.interface, record.use) == ("pay", "Payments", "fake")
    assert record.methods == ("charge", "receipts", "name")
    assert record.implementations == ("stripelike", "pooled", "fake")
    assert [each.partition("(")[0] for each in record.policy] == ["Retry", "Timeout"]


# -- errors and policies ----------------------------------------------------------------------


async def test_errors_that_any_implementation_comes_to_are_the_applications(app: App):
    payments = app.adapter(Payments, ALL, use="fake")
    async with app:
        with pytest.raises(CardDeclinedError, match="the fake declines 13"):
            await payments.charge(13)


async def test_no_other_error_reaches_a_caller(app: App):
    fake = Fake()
    payments = app.adapter(Payments, {"fake": lambda_of(fake)})
    async with app:
        for error in (KeyError("id"), ConnectionResetError("gone")):
            fake.fails = [error]
            with pytest.raises(ProviderError, match="fake: charge failed") as raised:
                await payments.charge(1)
            assert raised.value.__cause__ is error
            fake.fails = [error]
            with pytest.raises(ProviderError, match="fake: receipts failed"):
                _ = [each async for each in payments.receipts()]
            fake.fails = [error]
            with pytest.raises(ProviderError, match="fake: name failed"):
                payments.name()
        with pytest.raises(ProviderError, match="CardDeclinedError"):
            await payments.charge(13)


def lambda_of(fake: Fake) -> Callable[[], Fake]:
    def making() -> Fake:
        return fake

    return making


async def test_a_policy_is_around_each_call_and_knows_idempotent_ones(app: App):
    fake = Fake()
    policy = Policy(Retry(3, delay=0), name="pay")
    payments = app.adapter(Payments, {"fake": lambda_of(fake)}, policy=policy)
    async with app:
        fake.fails = [ConnectionResetError(), ConnectionResetError()]
        assert await payments.charge(1, idempotency_key="k") == "fake-1"
        assert fake.calls == 3
        fake.fails = [ConnectionResetError()]
        with pytest.raises(ProviderUnavailableError):
            await payments.charge(1)
        assert fake.calls == 4


async def test_spent_retries_are_a_provider_error(app: App):
    fake = Fake()
    payments = app.adapter(Payments, {"fake": lambda_of(fake)}, policy=Policy(Retry(2, delay=0)))
    async with app:
        fake.fails = [ConnectionResetError(), ConnectionResetError()]
        with pytest.raises(ProviderUnavailableError):
            await payments.charge(1, idempotency_key="k")
    assert fake.calls == 2


async def test_an_answer_of_the_applications_own_says_nothing_against_the_provider(app: App):
    fake = Fake()
    breaker = CircuitBreaker(consecutive=2)
    policy = Policy(Fallback("never"), Retry(3, delay=0), breaker, Bulkhead(2))
    payments = app.adapter(
        Charging, {"fake": lambda_of(fake)}, policy=policy, raises=[CardDeclinedError]
    )
    async with app:
        for _ in range(5):
            with pytest.raises(CardDeclinedError):
                await payments.charge(13, idempotency_key="k")
    assert fake.calls == 5
    assert breaker.state == "closed"


async def test_an_open_circuit_reaches_the_caller_as_it_is(app: App):
    fake = Fake()
    policy = Policy(CircuitBreaker(consecutive=2, open_for=60))
    payments = app.adapter(Payments, {"fake": lambda_of(fake)}, policy=policy)
    async with app:
        for _ in range(2):
            fake.fails = [ConnectionResetError()]
            with pytest.raises(ProviderUnavailableError):
                await payments.charge(1)
        with pytest.raises(CircuitOpenError):
            await payments.charge(1)
    assert fake.calls == 2


async def test_a_policy_may_make_a_difference_between_methods(app: App):
    timeout = Timeout(5, of={"charge": 7})
    payments = app.adapter(Payments, {"fake": Fake}, policy=Policy(timeout))
    async with app:
        assert await payments.charge(1) == "fake-1"
        assert payments.name() == "fake"
        assert [each async for each in payments.receipts()] == ["fake-1"]


# -- tests ------------------------------------------------------------------------------------


async def test_a_test_gives_another_and_nothing_is_asked_of_the_place(app: App):
    payments = app.adapter(Payments, {"stripelike": Stripelike, "pooled": Pooled})
    fake = Fake()
    async with app.test(adapters={Payments: fake}) as t:
        assert await payments.charge(5) == "fake-5"
        assert t.host.resources[Payments] is payments
    assert fake.calls == 1
    assert "ISTHMUS_ADAPTER_PAYMENTS: missing" in await refused(app)


async def test_a_test_gives_only_what_fits_an_adapter_that_there_is(app: App):
    with pytest.raises(ConfigError, match="no adapter of Payments is declared; there are of: none"):
        async with app.test(adapters={Payments: Fake()}):
            pass
    app.adapter(Payments, ALL, use="fake")
    with pytest.raises(ConfigError, match="Pool is no Payments"):
        async with app.test(adapters={Payments: Pool()}):
            pass


async def test_another_may_be_used_meanwhile_open_or_not(app: App):
    payments = app.adapter(Payments, ALL, use="pooled")
    with using(payments, Fake()):
        assert await payments.charge(5) == "fake-5"
        async with app:
            assert payments.name() == "pooled"
            with using(payments, Fake()):
                assert payments.name() == "fake"
            assert payments.name() == "pooled"
        assert payments.name() == "fake"
    with pytest.raises(ConfigError, match="is not open"):
        payments.name()
    with pytest.raises(ConfigError, match="Pool is no Payments"):
        using(payments, Pool()).__enter__()
    with pytest.raises(ConfigError, match=r"is not what app.adapter\(...\) returned"):
        using(Fake(), Fake())


# -- what is refused --------------------------------------------------------------------------


def test_what_cannot_be_declared_is_refused(app: App):
    with pytest.raises(ConfigError, match="give implementations, by their names"):
        app.adapter(Payments, {})
    with pytest.raises(ConfigError, match=r"use='x'\): there are stripelike, pooled, fake"):
        app.adapter(Payments, ALL, use="x")
    with pytest.raises(ConfigError, match="'Stripe Like' can't be a name"):
        app.adapter(Payments, {"Stripe Like": Fake})
    with pytest.raises(ConfigError, match="'fake' is a Fake; give its class, or a function"):
        app.adapter(Payments, {"fake": Fake()})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"making\(\) does not say what it gives"):

        def making():
            return Fake()

        app.adapter(Payments, {"fake": making})
    app.adapter(Payments, ALL, use="fake")
    with pytest.raises(ConfigError, match="adapter 'payments' is declared twice"):
        app.adapter(Payments, ALL, use="fake")


def test_the_name_is_the_interfaces_in_small_letters(app: App):
    class CardPayments(Payments, Protocol): ...

    app.adapter(CardPayments, ALL, use="fake")
    (record,) = app.describe().of(DeclaredAdapter)
    assert record.name == "card_payments"
